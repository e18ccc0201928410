"""What has happened, counted: by item for features, by shopper for what they own and refused.

Ratings are kept since the snapshot: those of before are in the source that was fitted on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from habitue.facts import ActionKind
from habitue.portraits import ItemStats
from habitue.slates.ledger import Ledger, LedgerTable, RatingLedger
from habitue.slates.scanned import ACTION_COLUMNS, columns_of, some_of
from habitue.store.contract import ActionColumns, FactStore

__all__ = ["Counters"]


def _bought() -> Ledger:
    return Ledger(ActionKind.purchase)


def _refused() -> Ledger:
    return Ledger(ActionKind.not_interested)


@dataclass(slots=True)
class Counters:
    """Item statistics and ledgers that know every action up to ``seq``, and own ones after it."""

    stats: ItemStats = field(default_factory=ItemStats)
    bought: Ledger = field(default_factory=_bought)
    refused: Ledger = field(default_factory=_refused)
    rated: RatingLedger = field(default_factory=RatingLedger)
    seq: int = 0

    @classmethod
    def of_snapshot(
        cls, seq: int, stats: ItemStats, bought: LedgerTable, refused: LedgerTable
    ) -> Self:
        """A snapshot's counters, as of its watermark ``seq``."""
        return cls(
            stats,
            Ledger(ActionKind.purchase, bought),
            Ledger(ActionKind.not_interested, refused),
            seq=seq,
        )

    def add(self, actions: ActionColumns) -> None:
        """Count actions; the caller sees to it that none repeats."""
        with_item = actions.item_row >= 0
        if not with_item.any():
            return
        if not with_item.all():
            actions = some_of(actions, with_item)
        self.stats.add(actions)
        self.bought.add(actions)
        self.refused.add(actions)
        self.rated.add(actions)

    def bring_up(self, store: FactStore, until_seq: int) -> None:
        """Count everything stored after ``seq`` up to ``until_seq``."""
        tables = store.scan(
            "action", since_seq=self.seq, until_seq=until_seq, columns=ACTION_COLUMNS
        )
        for table in tables:
            if table.num_rows:
                self.add(columns_of(table))
        self.seq = max(self.seq, until_seq)

    def held_bytes(self) -> int:
        """Memory of who bought, refused or rated what, without item statistics and tables."""
        ledgers = (self.bought, self.refused, self.rated)
        return self.stats.pair_bytes + sum(one.held_bytes() for one in ledgers)

    def forget(self, shopper_row: int) -> None:
        """Drop what was told of a shopper."""
        self.bought.forget(shopper_row)
        self.refused.forget(shopper_row)
        self.rated.forget(shopper_row)
