"""What a training leaves for the next to go on from: sources that can, each as of its moment.

A source may be gone on with only at a cut no earlier than what it knows: the order learns from what
came after the cut, and nobody may have seen that. So the sources of every cut are kept, not the
last ones alone, and at each cut of the next training the latest of those that may is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import msgspec

from habitue.candidates.contract import ContinuingLearner, Source
from habitue.candidates.roster import learner_of, load_source
from habitue.errors import SnapshotError
from habitue.training.config import TrainingConfig

__all__ = ["WARM_START", "WarmStart", "continuing"]

WARM_START: Final = "warm_start"
"""The folder in a snapshot's."""

_FILE: Final = "warm_start.json"


class _Told(msgspec.Struct, frozen=True):
    now_ms: int  # of the training that wrote it
    in_a_row: dict[str, int]
    erased: int
    taken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Sources of one training, by the moment their facts end, and how they came to be."""

    sources: Mapping[int, Mapping[str, Source]] = field(default_factory=dict)
    in_a_row: Mapping[str, int] = field(default_factory=dict)
    """How many trainings in a row each was gone on with, up to this one; 0: it was begun anew."""
    taken: tuple[str, ...] = ()  # kinds of action that were read as purchases
    erased: int = 0  # shoppers erased by then

    @property
    def went_on(self) -> list[str]:
        """The sources that began where an earlier training had ended."""
        return [name for name, times in self.in_a_row.items() if times]

    def latest(self, name: str, cut_ms: int) -> tuple[int, Source] | None:
        """The source that knows most of what lay before a cut, and its moment."""
        there = [at for at, held in self.sources.items() if at <= cut_ms and name in held]
        return (max(there), self.sources[max(there)][name]) if there else None

    def save(self, path: Path) -> None:
        """Write what is not in the snapshot itself: sources of all moments but the last."""
        path.mkdir(parents=True, exist_ok=True)
        *before, now_ms = sorted(self.sources)
        for at in before:
            for name, source in self.sources[at].items():
                source.save(path / str(at) / name)
        told = _Told(now_ms, dict(self.in_a_row), self.erased, self.taken)
        (path / _FILE).write_bytes(msgspec.json.format(msgspec.json.encode(told)))

    @classmethod
    def load(cls, snapshot: Path, config: TrainingConfig, *, erased: int) -> Self:
        """What a training with ``config`` may go on from, of what the folder of a snapshot holds.

        Nothing where shoppers were ``erased`` since, for what they did must not be known any more,
        or where other kinds of action stand for a purchase now; no source that was gone on with
        ``config.warm_start.at_most`` times in a row. Raises ``SnapshotError`` for a broken file.
        """
        file = snapshot / WARM_START / _FILE
        anew = cls(taken=config.taken, erased=erased)
        if not file.exists():
            return anew
        try:
            told = msgspec.json.decode(file.read_bytes(), type=_Told)
        except msgspec.MsgspecError as problem:
            raise SnapshotError(f"{file} cannot be read: {problem}.") from problem
        if told.erased != erased or told.taken != config.taken:
            return anew
        names = {
            name
            for name in continuing(config)
            if told.in_a_row.get(name, config.warm_start.at_most) < config.warm_start.at_most
        }
        moments = {int(one.name): one for one in (snapshot / WARM_START).iterdir() if one.is_dir()}
        moments[told.now_ms] = snapshot / "sources"
        sources = {at: _loaded(folder, names) for at, folder in sorted(moments.items())}
        return cls(sources, told.in_a_row, told.taken, told.erased)


def continuing(config: TrainingConfig) -> dict[str, ContinuingLearner]:
    """The learners that can go on from what they learnt earlier, by the name of their source."""
    learners = {source.name: learner_of(source) for source in config.sources}
    return {name: one for name, one in learners.items() if isinstance(one, ContinuingLearner)}


def _loaded(folder: Path, names: Collection[str]) -> dict[str, Source]:
    return {name: load_source(folder / name) for name in sorted(names) if (folder / name).is_dir()}
