"""What a training that was killed goes on from, written down every few minutes."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from habitue.behaviour.config import BehaviourConfig
from habitue.behaviour.teaching import Teacher, Training

__all__ = ["Checkpoint", "Position", "Validated"]


@dataclass(frozen=True, slots=True)
class Validated:
    """One look at the validation."""

    epoch: int
    loss: float  # mean of the epoch
    ndcg: float  # at 10
    cpu_seconds: float  # of the whole training until then

    def scalars(self) -> dict[str, float]:
        """It as points of curves, by their names."""
        return {
            "training/loss": self.loss,
            "validation/ndcg_at_10": self.ndcg,
            "training/cpu_seconds": self.cpu_seconds,
        }


@dataclass(slots=True)
class Position:
    """How far a training has come."""

    epoch: int = 0  # passes done
    batch: int = 0  # batches done of the next one
    loss: float = 0.0  # summed over them
    waited: int = 0  # validations since the best
    cpu_seconds: float = 0.0
    learning_seconds: float = 0.0  # of them, those of learning
    history: list[Validated] = field(default_factory=list)
    best: list[Tensor] | None = None  # weights
    drawn: dict[str, Any] | None = None  # where the draws of the pass stood
    run: str = ""  # the name its curves go by

    def draw_from(self, rng: np.random.Generator) -> None:
        """Let draws go on where they stood."""
        if self.drawn is not None:
            rng.bit_generator.state = self.drawn
            self.drawn = None


class Checkpoint:
    """A file that is replaced as a whole; its name is that of one training and no other."""

    def __init__(self, path: Path | None, every_seconds: float) -> None:
        """Without a ``path`` nothing is written."""
        self.path = path
        self._every = every_seconds
        self._last = time.monotonic()

    @classmethod
    def of(
        cls, folder: Path | None, training: Training, config: BehaviourConfig, seed: int
    ) -> Checkpoint:
        """The checkpoint of this training in the folder."""
        minutes = config.schedule.checkpoint_minutes
        if folder is None:
            return cls(None, minutes * 60)
        streams = training.streams
        digest = hashlib.sha256(f"{config.model_dump_json()} {seed} {streams.n_items}".encode())
        for array in (streams.item_row, streams.kind, streams.at_ms, streams.start):
            digest.update(np.ascontiguousarray(array).data)
        if streams.said is not None:
            for column in (*streams.said.code.values(), streams.said.text, streams.said.words):
                digest.update(np.ascontiguousarray(column).data)
        if streams.price is not None:
            digest.update(np.ascontiguousarray(streams.price).data)
        if training.content is not None:
            digest.update(np.ascontiguousarray(training.content).data)
        if training.earlier is not None:
            digest.update(np.ascontiguousarray(training.earlier.read).data)
        if training.pretrained is not None:
            digest.update(np.ascontiguousarray(training.pretrained.told).data)
        if training.larger is not None:
            digest.update(training.larger.units.cpu().numpy().data)
        return cls(folder / f"training-{digest.hexdigest()[:24]}.pt", minutes * 60)

    def is_due(self) -> bool:
        """Whether it is time to write again."""
        return self.path is not None and time.monotonic() - self._last >= self._every

    def save(self, teacher: Teacher, at: Position, rng: np.random.Generator) -> None:
        """Write down where the training stands; the file before it stays until then."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "position": json.dumps(
                {
                    **{name: getattr(at, name) for name in _PLAIN},
                    "history": [asdict(one) for one in at.history],
                    "drawn": rng.bit_generator.state,
                }
            ),
            "best": at.best,
            "step": teacher.step,
            "mean": teacher.mean,
            "rows": None if teacher.rows is None else teacher.rows.state(),
            "network": teacher.network.state_dict(),
            "optimiser": teacher.optimiser.state_dict(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if teacher.device.type == "cuda" else [],
        }
        draft = self.path.with_suffix(".draft")
        torch.save(told, draft)
        draft.replace(self.path)
        self._last = time.monotonic()

    def load(self, teacher: Teacher) -> Position | None:
        """Put the teacher where the training stood; ``None`` where nothing was written."""
        if self.path is None or not self.path.exists():
            return None
        told = torch.load(self.path, map_location=teacher.device, weights_only=True)
        teacher.network.load_state_dict(told["network"])
        teacher.optimiser.load_state_dict(told["optimiser"])
        teacher.step, teacher.mean = told["step"], told["mean"]
        if teacher.rows is not None:
            teacher.rows.take_up(told["rows"])
        torch.set_rng_state(told["torch"].cpu())
        if told["cuda"]:
            torch.cuda.set_rng_state_all([state.cpu() for state in told["cuda"]])
        position = json.loads(told["position"])
        history = [Validated(**one) for one in position.pop("history")]
        return Position(**position, history=history, best=told["best"])

    def remove(self) -> None:
        """The training has ended: nothing is to be gone on with."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


_PLAIN = ("epoch", "batch", "loss", "waited", "cpu_seconds", "learning_seconds", "run")
