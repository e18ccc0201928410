"""What has happened, counted: by item for features, by shopper for what they own and refused.

Ratings are kept since the snapshot: those of before are in the source that was fitted on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from habitue.facts import ActionKind
from habitue.facts.cleaning.robots import RobotConfig
from habitue.facts.meaning import read_as
from habitue.portraits import ItemStats
from habitue.slates.ledger import Ledger, LedgerTable, RatingLedger
from habitue.slates.robots import LiveRobots
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
    taken: tuple[str, ...] = ()  # kinds read as purchases
    known_robots: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    robots: LiveRobots | None = None  # told all actions, where robots are watched for
    _table: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self._table = read_as(self.taken)

    @classmethod
    def of_snapshot(
        cls,
        seq: int,
        stats: ItemStats,
        bought: LedgerTable,
        refused: LedgerTable,
        taken: tuple[str, ...] = (),
        known_robots: NDArray[np.int32] | None = None,
    ) -> Self:
        """A snapshot's counters, as of its watermark ``seq``, reading kinds as it does."""
        return cls(
            stats,
            Ledger(ActionKind.purchase, bought),
            Ledger(ActionKind.not_interested, refused),
            seq=seq,
            taken=taken,
            known_robots=np.empty(0, np.int32) if known_robots is None else known_robots,
        )

    def watch(self, config: RobotConfig | None) -> None:
        """From now on let nothing count for others that is done at rates beyond these bounds."""
        self.robots = None if config is None else LiveRobots(config, self.known_robots)

    def read(self, kind: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Kinds of action as they are understood: what stands for a purchase as one."""
        return self._table[kind] if self.taken else kind

    def add(self, actions: ActionColumns) -> None:
        """Count actions; the caller sees to it that none repeats.

        What a robot does counts for itself alone.
        """
        by_person = None if self.robots is None else ~self.robots.observe(actions)
        with_item = actions.item_row >= 0
        if not with_item.any():
            return
        if not with_item.all():
            actions = some_of(actions, with_item)
            by_person = None if by_person is None else by_person[with_item]
        if self.taken:
            actions = replace(actions, kind=self.read(actions.kind))
        if by_person is None or by_person.any():
            self.stats.add(actions, by_person)
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
        watched = 0 if self.robots is None else self.robots.held_bytes()
        return watched + self.stats.pair_bytes + sum(one.held_bytes() for one in ledgers)

    def forget(self, shopper_row: int) -> None:
        """Drop what was told of a shopper."""
        self.bought.forget(shopper_row)
        self.refused.forget(shopper_row)
        if self.robots is not None:
            self.robots.forget(shopper_row)
        self.rated.forget(shopper_row)
