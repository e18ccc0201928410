"""Training: pass after pass, the best validation kept, gone on with where it was killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from habitue.behaviour.asking import validate
from habitue.behaviour.checkpoints import Checkpoint, Position, Validated
from habitue.behaviour.config import BehaviourConfig
from habitue.behaviour.curves import Tracking, flat
from habitue.behaviour.network import Network
from habitue.behaviour.teaching import Teacher, Training
from habitue.behaviour.telling import Tell, telling

__all__ = ["Fitted", "Training", "Validated", "fit"]

Progress = Callable[[str, float, float], None]


@dataclass(slots=True)
class Fitted:
    """A trained network, and how it came to be."""

    network: Network
    history: list[Validated] = field(default_factory=list)
    cpu_seconds: float = 0.0
    epoch_seconds: float = 0.0  # of processor, on average
    epochs: int = 0


def fit(
    training: Training,
    config: BehaviourConfig,
    *,
    seed: int = 0,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
    tracking: Tracking | None = None,
    run: str = "training",
) -> Fitted:
    """Train a network; the epoch with the best validation is kept, the last one without any.

    In the folder ``checkpoints`` it is written down every few minutes what a training killed on the
    way goes on from: the same training ends with the same weights.

    ``tracking`` draws its curves as a ``run`` of that name: ``training/loss``,
    ``validation/ndcg_at_10`` and ``training/cpu_seconds`` by passes, at the end
    ``validation/best_ndcg_at_10``, too. One that goes on does so in the run it had begun.
    """
    torch.set_num_threads(config.schedule.threads)
    teacher = Teacher(training, config, seed)
    kept = Checkpoint.of(checkpoints, training, config, seed)
    at = kept.load(teacher) or Position()
    at.run = at.run or run
    began = time.process_time() - at.cpu_seconds
    said = dict(flat({**config.model_dump(mode="json"), "seed": seed}))
    with telling(tracking, at.run, said) as tell:
        _passes(teacher, at, kept, began, progress, tell)
    if at.best is not None:
        teacher.put(at.best)
    else:
        teacher.averaged()
    teacher.network.eval()
    kept.remove()
    spent = time.process_time() - began
    return Fitted(
        teacher.network, at.history, spent, at.learning_seconds / max(at.epoch, 1), at.epoch
    )


def _passes(
    teacher: Teacher,
    at: Position,
    kept: Checkpoint,
    began: float,
    progress: Progress | None,
    tell: Tell,
) -> None:
    """Pass after pass, until it becomes no better."""
    schedule = teacher.config.schedule
    while at.epoch < schedule.epochs and at.waited < schedule.patience:
        loss = _pass(teacher, at, kept, began)
        if progress is not None:
            progress("epochs", at.epoch, schedule.epochs)
        if _is_due(at.epoch, teacher.training, teacher.config):
            _judge(teacher, at, loss, time.process_time() - began)
            tell(at.epoch, at.history[-1].scalars())
    if at.history:
        tell(at.epoch, {"validation/best_ndcg_at_10": max(one.ndcg for one in at.history)})


def _pass(teacher: Teacher, at: Position, kept: Checkpoint, began: float) -> float:
    """What is left of one pass over all windows; the mean loss."""
    teacher.network.train()
    batches, rng = teacher.batches(at.epoch)
    at.draw_from(rng)
    before = time.process_time()
    for windows in batches[at.batch :]:
        at.loss += teacher.learn(windows, rng)
        at.batch += 1
        if kept.is_due():
            now = time.process_time()
            at.learning_seconds += now - before
            before, at.cpu_seconds = now, now - began
            kept.save(teacher, at, rng)
    at.learning_seconds += time.process_time() - before
    mean = at.loss / max(at.batch, 1)
    at.epoch, at.batch, at.loss = at.epoch + 1, 0, 0.0
    return mean


def _is_due(epoch: int, training: Training, config: BehaviourConfig) -> bool:
    """Whether to validate after so many epochs."""
    schedule = config.schedule
    if training.judged is None:
        return False
    late = epoch >= schedule.first_validation * schedule.epochs
    return epoch == schedule.epochs or (late and epoch % schedule.validate_every == 0)


def _judge(teacher: Teacher, at: Position, loss: float, cpu_seconds: float) -> None:
    """Validate, and keep the weights where they are the best until now."""
    training = teacher.training
    assert training.judged is not None
    held = teacher.averaged()
    ndcg = validate(
        teacher.network,
        training.judged,
        teacher.config,
        without_seen=training.judged_without,
    )
    if all(ndcg > one.ndcg for one in at.history):
        at.waited = 0
        at.best = [p.detach().clone() for p in teacher.network.parameters()]
    else:
        at.waited += 1
    at.history.append(Validated(at.epoch, loss, ndcg, cpu_seconds))
    teacher.put(held)
