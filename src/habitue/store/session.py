"""What a dialect offers the rules of appending: one write transaction, seen from inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

__all__ = ["FACT_TABLES", "Ledger", "Repeated", "Session"]

FACT_TABLES: Final = ("action", "item", "shopper", "link", "alias", "consent", "shown")
"""A table for each kind of fact, named for it; the ledger counts the rows of each."""


class Repeated(Exception):
    """Some of these actions are stored already: append them again, carefully."""


@dataclass(slots=True)
class Ledger:
    """The one row every append reads, locks and moves on."""

    last_seq: int
    n_items: int
    n_shoppers: int
    epoch: int
    lineage: str
    counts: dict[str, int]  # rows by fact table


class Session(Protocol):
    """A write transaction. SQL stands in SQLite's spelling (``?``); a dialect translates it."""

    careful: bool
    """Whether ``insert_actions`` expects ids that are stored already."""

    def lock_ledger(self) -> Ledger:
        """The ledger; no other writer, in this or another process, goes on until the end."""
        ...

    def save_ledger(self, ledger: Ledger) -> None:
        """Write the ledger back."""
        ...

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it touched."""
        ...

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""
        ...

    def among(self, select: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of ``select``, which ends in a column's name, with that column in ``values``."""
        ...

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows none of which can be there yet."""
        ...

    def insert_actions(self, columns: dict[str, Sequence[Any]], n: int) -> int:
        """Insert the actions whose ``id`` is new; how many were.

        Raises ``Repeated`` where it is not careful and not all of them were.
        """
        ...

    def pack(self, ids: Sequence[str]) -> list[Any]:
        """Ids of facts as this dialect stores them."""
        ...

    def unpack(self, packed: Any) -> str:
        """The id that ``pack`` packed."""
        ...
