"""What a batch is asked: what follows each of its tokens, what was hidden, or the list to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.config import BehaviourConfig, MaskingConfig
from habitue.behaviour.packing import Pack, pack
from habitue.behaviour.streams import Windows

__all__ = ["Lesson", "Listed", "lesson_of"]


@dataclass(frozen=True, slots=True)
class Listed:
    """What W windows are followed by: Q actions in lists of up to K."""

    n_slots: int  # K
    window: NDArray[np.int64]  # (Q,) in the order of the batch
    slot: NDArray[np.int64]  # (Q,)

    @property
    def place(self) -> NDArray[np.int64]:
        """Where each stands in (W, K), laid flat: (Q,)."""
        return self.window * self.n_slots + self.slot


@dataclass(frozen=True, slots=True)
class Lesson:
    """Q questions about a batch of T tokens."""

    batch: Pack
    at: NDArray[np.int64]  # (Q,) the tokens of the batch whose states answer; in lists, the last
    right: NDArray[np.int64]  # (Q,) the places in the streams of what is right
    hidden: NDArray[np.bool_] | None = None  # (T,) what is not read; None: all is
    listed: Listed | None = None  # where lists are asked for

    def had(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each question beside what its shopper is known by: (P,) into Q, (P,) in the streams."""
        if self.hidden is not None:
            question, token = self.batch.others(self.at)
            return question, self.batch.token[token]
        if self.listed is None:
            question, token = self.batch.pasts()
            return question, self.batch.token[token]
        # what a list holds follows its past without a gap
        end = self.batch.end[self.listed.window]
        count = end - self.batch.begin[self.listed.window] + 1 + self.listed.slot
        question = np.repeat(np.arange(len(count)), count)
        back = np.arange(len(question)) - np.repeat(np.cumsum(count) - count, count)
        return question, self.right[question] - 1 - back

    def told(self, gaps: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The step of time until each answer (Q,); 0 where it is not known when it is asked."""
        waiting = gaps[self.right]
        if self.listed is not None:
            waiting[self.listed.slot > 0] = 0
        return waiting

    def asked(self) -> NDArray[np.int64]:
        """The places in the streams (Q,) of the actions that come as each question is asked.

        A list is asked for as its first action comes.
        """
        return self.right if self.listed is None else self.right - self.listed.slot

    def newest(self) -> NDArray[np.int64]:
        """The questions asked as they are when all has been read: what comes is not given away."""
        if self.listed is not None:
            return np.flatnonzero(self.listed.slot == 0)
        if self.hidden is not None:
            return np.flatnonzero(np.isin(self.at, self.batch.end))
        return np.arange(len(self.at))


def lesson_of(windows: Windows, config: BehaviourConfig, rng: np.random.Generator) -> Lesson:
    """What stretches to learn from are asked, each with the action that follows it."""
    if config.encoder == "encoder-decoder":
        return _listing(windows.with_next(), config.listing.ahead, rng)
    if config.encoder != "bidirectional":
        batch = pack(windows)
        return Lesson(batch, np.arange(len(batch)), batch.token + 1)
    return _filling_in(windows.with_next(), config.masking, rng)


def _filling_in(windows: Windows, masking: MaskingConfig, rng: np.random.Generator) -> Lesson:
    """Some tokens of each stretch are hidden, at least one; of some stretches one as it is asked.

    Those are cut somewhere, and the last token that is left is hidden: what is asked later is what
    comes after a stretch of any length, not only after a whole one.
    """
    as_asked = rng.random(len(windows)) < masking.last
    cut = _cut(windows, 2, rng)
    batch = pack(Windows(windows.first, np.where(as_asked, cut, windows.last)))
    last_alone = as_asked[batch.order]
    window = np.repeat(np.arange(len(batch.end)), batch.end - batch.begin + 1)
    hidden = (rng.random(len(batch)) < masking.share) & ~last_alone[window]
    nothing = np.bincount(window, hidden, minlength=len(batch.end)) == 0
    hidden[batch.end[nothing]] = True
    at = np.flatnonzero(hidden)
    return Lesson(batch, at, batch.token[at], hidden)


def _listing(windows: Windows, ahead: int, rng: np.random.Generator) -> Lesson:
    """Each stretch is cut somewhere: what is before is read, what follows is the list."""
    cut = _cut(windows, 1, rng)
    batch = pack(Windows(windows.first, cut))
    begin, count = cut[batch.order], np.minimum(windows.last - cut, ahead)[batch.order]
    window = np.repeat(np.arange(len(count)), count)
    slot = np.arange(len(window)) - np.repeat(np.cumsum(count) - count, count)
    listed = Listed(int(count.max(initial=0)), window, slot)
    return Lesson(batch, batch.end[window], begin[window] + slot, listed=listed)


def _cut(windows: Windows, least: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Where stretches (W,) end that are cut anywhere after their ``least`` first tokens.

    With ``least`` 1 something always follows; with 2 the whole stretch is one of the choices.
    """
    return (
        windows.first + least + (rng.random(len(windows)) * (windows.length - 1)).astype(np.int64)
    )
