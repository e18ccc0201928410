"""Who stands behind an id: rows, aliases, the erased, and what each has allowed."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np

from habitue.facts import NO_ROW
from habitue.privacy.consent import ConsentGate
from habitue.store.contract import FactStore

__all__ = ["People"]


class People:
    """Shopper ids to rows in process memory; the store is asked for whom is not held.

    About 120 bytes a shopper held; ``max_held`` bounds them, all are dropped when it is reached.
    """

    def __init__(
        self,
        store: FactStore,
        *,
        consent: ConsentGate,
        max_held: int = 1_000_000,
    ) -> None:
        """``consent`` is told here who is one person; what they say is told by the live shop."""
        self._store = store
        self._lock = threading.Lock()
        self._max_held = max_held
        self.consent = consent
        self._row: dict[str, int] = {}
        self._members: dict[int, tuple[int, ...]] = {}
        self._erased: set[int] = set()
        self.renew()

    def renew(self) -> None:
        """Read aliases and erasures again: call it when any was appended."""
        canonical = self._store.canonical_shoppers()
        self.consent.regroup(canonical)
        erased = set(self._store.erased_shoppers().tolist())
        moved = np.flatnonzero(canonical != np.arange(len(canonical)))
        members: dict[int, list[int]] = {}
        for row in moved.tolist():
            person = int(canonical[row])
            members.setdefault(person, [person]).append(row)
        with self._lock:
            self._members = {person: tuple(rows) for person, rows in members.items()}
            self._erased = erased
            self._row = {}

    def row_of(self, shopper: str) -> int:
        """The row of the person an id stands for, ``NO_ROW`` for a stranger and the erased.

        Raises ``Unavailable`` where the store has to be asked and does not answer.
        """
        row = self._row.get(shopper)
        if row is not None:
            return row
        row = int(self._store.shopper_rows([shopper])[0])
        if row == NO_ROW or row in self._erased:
            return NO_ROW
        with self._lock:
            if len(self._row) >= self._max_held:
                self._row = {}
            self._row[shopper] = row
        return row

    def held(self) -> int:
        """How many ids are held now."""
        return len(self._row)

    def members(self, row: int) -> tuple[int, ...]:
        """All rows that are one person, the person's own first."""
        return self._members.get(row) or (row,)

    def erased(self, row: int) -> bool:
        """Whether this row's shopper was erased."""
        return row in self._erased

    def forget(self, shopper: str, rows: Iterable[int]) -> None:
        """A shopper was erased: masked from this moment on."""
        with self._lock:
            self._erased = self._erased | set(rows)
            self._row.pop(shopper, None)
