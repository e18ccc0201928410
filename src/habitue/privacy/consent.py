"""The consent gate: what each shopper allows, by purpose, asked where facts are read."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from habitue.facts.facts import Purpose

__all__ = ["PURPOSES", "ConsentGate"]

PURPOSES: Final[tuple[Purpose, ...]] = get_args(Purpose)

_UNSAID, _DENIED, _GRANTED = 0, 1, 2
_NEVER: Final = np.iinfo(np.int64).min


class ConsentGate:
    """The latest answer of every shopper to every purpose; the shop's default where none is given.

    Rows are the store's shopper rows. Of two answers the one that was given later counts; given at
    the same time, the one stored later. People known by several ids share their answers: tell the
    gate with ``regroup``. Memory: 40 bytes a shopper row.
    """

    def __init__(self, default: Iterable[Purpose]) -> None:
        """``default`` are the purposes allowed until a shopper says otherwise."""
        allowed = frozenset(default)
        self._default = np.array([purpose in allowed for purpose in PURPOSES])
        self._lock = threading.Lock()
        self._at = np.full((0, len(PURPOSES)), _NEVER, np.int64)
        self._own = np.zeros((0, len(PURPOSES)), np.uint8)  # what was said under the row's own id
        self._person = np.arange(0, dtype=np.int32)
        self._answer = self._own  # what counts: of the person behind the row

    def observe(self, consents: pa.Table) -> None:
        """Take in consents as ``FactStore.scan("consent")`` gives them, in any order, twice or not.

        Columns shopper_row, at_ms, granted and denied (JSON lists of purposes); rows in order of
        ``seq``.
        """
        if consents.num_rows == 0:
            return
        rows = consents["shopper_row"].to_numpy()
        at = consents["at_ms"].to_numpy()
        with self._lock:
            self._grow(int(rows.max()) + 1)
            own, latest = self._own.copy(), self._at
            for place, purpose in enumerate(PURPOSES):
                said = np.where(_names(consents["granted"], purpose), _GRANTED, _UNSAID)
                said[_names(consents["denied"], purpose)] = _DENIED
                which = np.flatnonzero(said)
                _take_latest(own[:, place], latest[:, place], rows[which], at[which], said[which])
            self._own = own
            self._answer = self._of_persons()

    def say(
        self, row: int, at_ms: int, granted: Iterable[Purpose], denied: Iterable[Purpose]
    ) -> None:
        """Take in one consent, as it is stored."""
        table = pa.table(
            {
                "shopper_row": pa.array([row], pa.int32()),
                "at_ms": pa.array([at_ms], pa.int64()),
                "granted": [_as_json(granted)],
                "denied": [_as_json(denied)],
            }
        )
        self.observe(table)

    def regroup(self, canonical: NDArray[np.int32]) -> None:
        """Share answers among the rows of one person (``FactStore.canonical_shoppers()``)."""
        with self._lock:
            self._grow(len(canonical))
            person = np.arange(len(self._own), dtype=np.int32)
            person[: len(canonical)] = canonical
            self._person = person
            self._answer = self._of_persons()

    def allowed(self, rows: NDArray[np.int32], purpose: Purpose) -> NDArray[np.bool_]:
        """Whether each shopper row allows the purpose; strangers get the default. (B,) -> (B,)"""
        place, answer = PURPOSES.index(purpose), self._answer
        known = (rows >= 0) & (rows < len(answer))
        said = answer[np.where(known, rows, 0), place] if len(answer) else np.zeros_like(rows)
        granted: NDArray[np.bool_] = np.where(
            known & (said != _UNSAID), said == _GRANTED, self._default[place]
        )
        return granted

    def allows(self, row: int, purpose: Purpose = "personalisation") -> bool:
        """``allowed`` for one shopper."""
        place, answer = PURPOSES.index(purpose), self._answer
        said = answer[row, place] if 0 <= row < len(answer) else _UNSAID
        return bool(self._default[place]) if said == _UNSAID else bool(said == _GRANTED)

    def held_bytes(self) -> int:
        """Memory taken by what was said, and by whom."""
        held = {id(one): one.nbytes for one in (self._at, self._own, self._answer, self._person)}
        return sum(held.values())

    def _grow(self, n: int) -> None:
        have = len(self._own)
        if n <= have:
            return
        room = max(n, have + have // 2) - have
        self._at = np.vstack([self._at, np.full((room, len(PURPOSES)), _NEVER, np.int64)])
        self._own = np.vstack([self._own, np.zeros((room, len(PURPOSES)), np.uint8)])
        self._person = np.append(self._person, np.arange(have, have + room, dtype=np.int32))
        self._answer = np.vstack([self._answer, np.zeros((room, len(PURPOSES)), np.uint8)])

    def _of_persons(self) -> NDArray[np.uint8]:
        """The latest answer among all the rows of each person, for every row."""
        moved = self._person != np.arange(len(self._person))
        if not moved.any():
            return self._own
        answer = self._own.copy()
        grouped = np.flatnonzero(np.isin(self._person, self._person[moved]))
        person = self._person[grouped]
        for place in range(len(PURPOSES)):
            order = np.lexsort((grouped, self._at[grouped, place], person))
            last = np.flatnonzero(np.append(np.diff(person[order]) != 0, True))
            winner = np.empty(int(person.max()) + 1, np.int64)
            winner[person[order][last]] = grouped[order][last]
            answer[grouped, place] = self._own[winner[person], place]
        return answer


def _names(lists: pa.ChunkedArray, purpose: Purpose) -> NDArray[np.bool_]:
    """Which of the JSON lists name the purpose."""
    named = pc.match_substring(lists, f'"{purpose}"')
    return np.asarray(pc.fill_null(named, False).to_numpy(zero_copy_only=False), np.bool_)


def _take_latest(
    answers: NDArray[np.uint8],
    latest: NDArray[np.int64],
    rows: NDArray[np.int32],
    at: NDArray[np.int64],
    said: NDArray[np.int64],
) -> None:
    """Write what was said for the rows where ``at`` is not before the latest; both in place."""
    order = np.argsort(at, kind="stable")  # of several for one row the last written stays
    rows, at, said = rows[order], at[order], said[order]
    later = at >= latest[rows]
    answers[rows[later]] = said[later]
    latest[rows[later]] = at[later]


def _as_json(purposes: Iterable[Purpose]) -> str:
    return "[" + ",".join(f'"{purpose}"' for purpose in purposes) + "]"
