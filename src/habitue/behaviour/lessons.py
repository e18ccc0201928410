"""What a batch is asked: what follows each of its tokens, or what was hidden of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.config import BehaviourConfig, MaskingConfig
from habitue.behaviour.packing import Pack, pack
from habitue.behaviour.streams import Streams, Windows

__all__ = ["Lesson", "lesson_of", "stretches"]


@dataclass(frozen=True, slots=True)
class Lesson:
    """Q questions about a batch of T tokens."""

    batch: Pack
    at: NDArray[np.int64]  # (Q,) the tokens of the batch whose states answer
    right: NDArray[np.int64]  # (Q,) the places in the streams of what is right
    hidden: NDArray[np.bool_] | None  # (T,) what is not read; None: all is

    def had(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each question beside the tokens its shopper is known by: (P,) into Q, (P,) into T."""
        return self.batch.pasts() if self.hidden is None else self.batch.others(self.at)

    def newest(self) -> NDArray[np.int64]:
        """The questions after which nothing is read: what comes after is not given away."""
        every = np.arange(len(self.at))
        return every if self.hidden is None else every[np.isin(self.at, self.batch.end)]


def stretches(streams: Streams, config: BehaviourConfig) -> Windows:
    """What is read in training: whole stretches where some is hidden, else all but their last."""
    windows = streams.windows(config.length)
    return windows.with_next() if config.encoder == "bidirectional" else windows


def lesson_of(windows: Windows, config: BehaviourConfig, rng: np.random.Generator) -> Lesson:
    """What these stretches are asked."""
    batch = pack(windows)
    if config.encoder != "bidirectional":
        return Lesson(batch, np.arange(len(batch)), batch.token + 1, None)
    hidden = _hidden(batch, config.masking, rng)
    at = np.flatnonzero(hidden)
    return Lesson(batch, at, batch.token[at], hidden)


def _hidden(batch: Pack, masking: MaskingConfig, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The tokens (T,) of a batch that are to be filled in: at least one of each window."""
    window = np.repeat(np.arange(len(batch.end)), batch.end - batch.begin + 1)
    as_asked = rng.random(len(batch.end)) < masking.last
    hidden = (rng.random(len(batch)) < masking.share) & ~as_asked[window]
    nothing = np.bincount(window, hidden, minlength=len(batch.end)) == 0
    hidden[batch.end[nothing]] = True
    return hidden
