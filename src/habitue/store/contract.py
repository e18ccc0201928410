"""Where facts, live state and snapshots are kept: the contracts every implementation meets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from habitue.facts import Fact

__all__ = [
    "ActionColumns",
    "Appended",
    "Erased",
    "FactKind",
    "FactStore",
    "LiveState",
    "Recent",
    "Rejection",
    "Stored",
]

FactKind = Literal["action", "item", "shopper", "link", "alias", "consent", "shown"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """One fact of a batch that was not stored, and why."""

    row: int  # its place in the batch, from 0
    id: str | None
    problem: Literal["conflict", "invalid", "order_incomplete"]
    field: str | None
    message: str


@dataclass(frozen=True, slots=True)
class ActionColumns:
    """Newly stored actions as live state sees them: dense rows, in order of ``seq``."""

    seq: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    kind: NDArray[np.uint8]
    shopper_row: NDArray[np.int32]
    item_row: NDArray[np.int32]
    price_micros: NDArray[np.int64]
    rating: NDArray[np.float32]
    new_shopper: NDArray[np.bool_]  # this action is the shopper's first ever
    quantity: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    """Pieces bought; empty where nobody was told, which counts as 1 each."""

    def __len__(self) -> int:
        return len(self.seq)


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch. ``new + duplicate + conflict`` (+ other rejections) is its length."""

    new: int
    duplicate: int  # the same id with the same body: acknowledged, stored once
    conflict: int  # the same id with another body: refused, listed in ``rejected``
    last_seq: int  # the highest seq durable when the call returned
    rejected: tuple[Rejection, ...]
    actions: ActionColumns  # the new actions of the batch
    new_items: tuple[str, ...] = ()  # ids that got an item row by this commit


@dataclass(frozen=True, slots=True)
class Erased:
    """How much of a shopper was erased, by table."""

    shopper: str
    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class Stored:
    """How much a store holds."""

    seq: int  # the last seq handed out: the watermark of everything durable now
    facts: dict[FactKind, int]
    n_items: int  # one more than the highest item row
    n_shoppers: int
    lineage: str = ""  # a restored store begins a new one: rows of another lineage mean others
    epoch: int = 0  # moves when facts are deleted, and when it changes who is whom


class FactStore(Protocol):
    """Append-only facts. Durable on return, idempotent by id, commit-ordered by ``seq``.

    Ids become dense rows at append, in order of first appearance, and keep them for ever.
    """

    def append(self, facts: Sequence[Fact], *, received_at_ms: int) -> Appended:
        """Store a batch; on return what is counted as ``new`` survives a power cut.

        Facts without an id get one that sorts by time. Facts without a time get
        ``received_at_ms``. Lines of one ``order_id`` are stored together or not at all. Raises
        ``Unavailable`` when nothing could be made durable; then nothing of the batch is stored.
        """
        ...

    def append_columns(self, actions: pa.Table, *, received_at_ms: int) -> Appended:
        """As ``append``, for a file's worth of actions as an Arrow table of ``ACTION_TEXT``."""
        ...

    def scan(
        self,
        kind: FactKind,
        *,
        since_seq: int = 0,
        until_seq: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.Table]:
        """Facts with ``since_seq < seq <= until_seq`` in order of ``seq``, as Arrow tables."""
        ...

    def history(self, shopper_row: int, n: int) -> pa.Table:
        """The shopper's last ``n`` item actions, most recent first; columns as ``scan``'s."""
        ...

    def item_rows(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """Dense rows of item ids; ``NO_ROW`` for ids nobody has named."""
        ...

    def shopper_rows(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """Dense rows of shopper ids, aliases resolved; ``NO_ROW`` for strangers and the erased."""
        ...

    def item_ids(self, since_row: int = 0) -> list[str]:
        """Item ids in row order, from ``since_row`` on."""
        ...

    def items_in_force(self, ids: Sequence[str], now_ms: int) -> list[str | None]:
        """Each item's version in force as JSON; ``None`` for a stranger and a deleted one."""
        ...

    def shopper_ids(self, since_row: int = 0) -> list[str | None]:
        """Shopper ids in row order; ``None`` for the erased."""
        ...

    def ids_of_shoppers(self, shopper_rows: NDArray[np.int32]) -> list[str | None]:
        """The id of each of these rows; ``None`` for the erased and for ``NO_ROW``."""
        ...

    def canonical_shoppers(self) -> NDArray[np.int32]:
        """For each shopper row the row of the person it stands for, aliases resolved."""
        ...

    def export(self, shopper: str) -> dict[str, list[dict[str, object]]]:
        """Everything stored about a shopper, aliases included, by kind of fact (access request).

        Raises ``NotFound`` for a stranger.
        """
        ...

    def forget(self, shopper: str, *, now_ms: int = 0) -> Erased:
        """Erase a shopper and every alias: rows deleted, ids gone, keyless tombstones kept.

        ``now_ms`` dates the tombstones. Raises ``NotFound`` for a stranger.
        """
        ...

    def expire(self, kind: Literal["action", "shown"], *, before_ms: int) -> int:
        """Delete the facts of a kind that happened before ``before_ms``; how many there were.

        Their ``seq`` is never given again, and rows of shoppers and items stay theirs. An id that
        expired is not known any more: sent again, the fact is stored again.
        """
        ...

    def erased_shoppers(self) -> NDArray[np.int32]:
        """Rows of erased shoppers: masked at once wherever a snapshot still knows them."""
        ...

    def stored(self) -> Stored:
        """How much is stored, and the watermark."""
        ...

    def backup(self, path: Path) -> None:
        """Write a consistent copy to ``path``, while others go on writing."""
        ...

    def durability(self) -> dict[str, str]:
        """The settings on which durability rests, read back from the running store."""
        ...

    def close(self) -> None:
        """Finish what is queued and let go of the store."""
        ...


@dataclass(frozen=True, slots=True)
class Recent:
    """The recent item actions of a batch of shoppers, most recent first."""

    item_row: NDArray[np.int32]  # (B, L), NO_ROW padding
    kind: NDArray[np.uint8]  # (B, L)
    at_ms: NDArray[np.int64]  # (B, L)
    seen_seq: NDArray[np.int64]  # (B,) the last seq this answer knows for the shopper


class LiveState(Protocol):
    """The last actions of the shoppers who are here: a cache over ``FactStore.history``.

    Losing it loses nothing: what is absent is read from the store again. Memory is bounded:
    ``max_shoppers`` shoppers of ``length`` actions; the least recently seen leave first.
    """

    length: int

    def observe(self, actions: ActionColumns) -> None:
        """Take in new actions before they are acknowledged. Idempotent by ``seq``."""
        ...

    def recent(self, shopper_row: NDArray[np.int32]) -> Recent:
        """The recent actions of each shopper, read from the store where they are absent here."""
        ...

    def forget(self, shopper_row: int) -> None:
        """Drop everything held of a shopper."""
        ...

    def healthy(self) -> bool:
        """Whether the state answers now."""
        ...
