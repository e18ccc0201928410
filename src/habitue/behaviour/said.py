"""What a request says of how it comes: surface, platform, device, locale and words searched.

In training it is what the action that is foretold said, in serving what the request says. Names are
codes by a vocabulary that is kept with the network; words are vectors in the space in which what is
told of items lies, so that words nobody has searched for yet say something, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.streams import VISIT_MS
from habitue.facts import NOT_SAID, SIDES, ActionLog, Circumstances, Context, Side, Vocabulary
from habitue.facts.circumstances import tidied

__all__ = [
    "MOST_NAMES",
    "ActionsSaid",
    "Said",
    "SaidReader",
    "WordsOf",
    "actions_said",
    "place_of",
    "without_some",
    "words_before",
]

MOST_NAMES: Final = 256
"""Codes of a side, what was not said among them: the most frequent names have one."""

Said = Mapping[str, NDArray[Any]]
"""What B requests say, by side: codes (B,), of words vectors (B, c). 0 where nothing is said."""

WordsOf = Callable[[Sequence[str | None]], NDArray[np.float32]]
"""From texts searched to their vectors (n, c), 0 where nothing is known of the words."""

_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "home": ("homepage", "start", "startpage", "index", "landing", "main", "front"),
    "item": ("product", "product detail", "product details", "item detail", "item details",
             "detail", "details", "pdp"),
    "cart": ("basket", "bag", "trolley", "shopping cart", "view cart", "checkout"),
    "search": ("search result", "search results", "results", "serp"),
    "messages": ("message", "email", "e mail", "mail", "newsletter", "push", "notification", "sms"),
    "fresh": ("new", "new arrivals", "novelties"),
    "popular": ("bestseller", "bestsellers", "best sellers", "trending"),
    "rebuy": ("reorder", "buy again"),
}  # fmt: skip
_PLACE_OF: Final = {name: place for place, names in _PLACES.items() for name in names}


def place_of(surface: str | None) -> str:
    """The name of a surface as requests have it, where trackers and shops have others for it.

    >>> place_of("Product_Detail page"), place_of("basket"), place_of("sidebar"), place_of(None)
    ('item', 'cart', 'sidebar', '')
    """
    plain = tidied("surface", surface)
    spaced = " ".join(plain.replace("_", " ").replace("-", " ").split()).removesuffix(" page")
    if spaced in _PLACES:
        return spaced
    return _PLACE_OF.get(spaced, plain)


@dataclass(frozen=True, slots=True)
class ActionsSaid:
    """What T actions said, as requests would: a column a side that says anything."""

    code: Mapping[Side, NDArray[np.uint8]]  # (T,) each
    text: NDArray[np.int32]  # (T,) rows of ``words``
    words: NDArray[np.float32]  # (n_texts, c) vectors of what was searched, the first 0; or (1, 0)

    def take(self, token: NDArray[np.int64]) -> ActionsSaid:
        """The same of those actions."""
        code = {side: column[token] for side, column in self.code.items()}
        return ActionsSaid(code, self.text[token], self.words)

    def at(self, token: NDArray[np.int64]) -> Said:
        """What requests would say that come as those actions did."""
        said: dict[str, NDArray[Any]] = {
            side: column[token].astype(np.int64) for side, column in self.code.items()
        }
        return said | ({"words": self.words[self.text[token]]} if self.words.size else {})


class SaidReader:
    """Reads of requests what a network was taught to read."""

    def __init__(
        self, sides: Iterable[Side], names: Vocabulary, words_of: WordsOf | None = None
    ) -> None:
        """``names`` are those of each side that were heard in training."""
        self._names = names
        self._sides = [side for side in SIDES if side in set(sides) and side != "words"]
        self._sides = [side for side in self._sides if len(names.names(side)) > 1]
        self._words_of = words_of if "words" in set(sides) else None

    def read(self, context: Context) -> Said:
        """What each of B requests says."""
        n = len(context)
        said: dict[str, NDArray[Any]] = {}
        for side in self._sides:
            if side == "surface":
                (code,) = self._names.codes("surface", [place_of(context.surface)])
                said[side] = np.full(n, code, np.int64)
            else:
                texts: tuple[str | None, ...] = getattr(context, side)
                codes = self._names.codes(side, texts) if texts else np.zeros(n, np.int32)
                said[side] = codes.astype(np.int64)
        if self._words_of is not None:
            said["words"] = self._words_of(context.query or (None,) * n)
        return said


def actions_said(
    log: ActionLog,
    row: NDArray[np.int64],
    sides: Iterable[Side],
    *,
    known: Vocabulary | None = None,
    words_of: WordsOf | None = None,
) -> tuple[ActionsSaid | None, Vocabulary]:
    """What the actions ``row`` (T,) of a log said on these sides, and the names behind the codes.

    Names ``known`` from an earlier network keep their codes. None where nobody said anything.
    """
    names = Vocabulary() if known is None else known
    said = log.circumstances
    if said is None:
        return None, names
    wanted = set(sides)
    code: dict[Side, NDArray[np.uint8]] = {}
    for side in SIDES:
        if side not in wanted or side == "words":
            continue
        column, told = _coded(said, side, row, names.names(side))
        names = msgspec.structs.replace(names, **{side: told})
        if column.any():
            code[side] = column
    text, words = np.zeros(len(row), np.int32), np.zeros((1, 0), np.float32)
    if "words" in wanted and words_of is not None:
        text, words = _searched(said, words_before(log)[row], words_of)
    if not code and not words.size:
        return None, names
    return ActionsSaid(code, text, words), names


def _coded(
    said: Circumstances, side: Side, row: NDArray[np.int64], known: tuple[str, ...]
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Codes (T,) of one side, and all names of it: those known, then the most frequent others."""
    told = said.vocabulary.names(side)
    plain = [place_of(name) for name in told] if side == "surface" else list(told)
    column = said.codes(side)[row]
    count = np.bincount(column, minlength=len(told))
    times: dict[str, int] = {}
    for name, n in zip(plain[1:], count[1:].tolist(), strict=True):
        if n and name not in known:
            times[name] = times.get(name, 0) + n
    new = sorted(times, key=lambda name: (-times[name], name))
    names = (*known, *new)[:MOST_NAMES]
    code_of = {name: code for code, name in enumerate(names)}
    codes = np.array([code_of.get(name, NOT_SAID) for name in plain], np.uint8)
    return codes[column], names


def words_before(log: ActionLog) -> NDArray[np.int32]:
    """The words under which each action of a log came: (N,) codes, ``NOT_SAID`` for none.

    Its own, or those the same shopper said last, half an hour earlier at most. O(N log N).
    """
    if log.circumstances is None:
        return np.zeros(len(log), np.int32)
    order = np.argsort(log.shopper_row, kind="stable")  # the log is in order of time
    code, who, at_ms = (
        log.circumstances.words[order], log.shopper_row[order], log.at_ms[order],
    )  # fmt: skip
    last = np.maximum.accumulate(np.where(code != NOT_SAID, np.arange(len(code)), 0))
    now = (who >= 0) & (who[last] == who) & (at_ms - at_ms[last] <= VISIT_MS)
    found = np.empty(len(code), np.int32)
    found[order] = np.where(now | (last == np.arange(len(code))), code[last], NOT_SAID)
    return found


def _searched(
    said: Circumstances, code: NDArray[np.int32], words_of: WordsOf
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Rows (T,) of the vectors of what was searched, and those: (n_texts, c), the first 0."""
    own, text = np.unique(np.append(code, NOT_SAID), return_inverse=True)
    names = said.vocabulary.names("words")
    words = words_of([names[one] for one in own.tolist()])
    words[0] = 0
    if not words.any():
        return np.zeros(len(code), np.int32), np.zeros((1, 0), np.float32)
    return text[:-1].astype(np.int32), words


def without_some(said: Said, share: float, rng: np.random.Generator) -> Said:
    """The same with a share not said: half of it a whole request's, half each side by itself."""
    n = max((len(column) for column in said.values()), default=0)
    nothing = rng.random(n) < share / 2
    left: dict[str, NDArray[Any]] = {}
    for side, column in said.items():
        gone = nothing | (rng.random(n) < share / 2)
        left[side] = np.where(gone[:, None] if column.ndim == 2 else gone, 0, column)
    return left
