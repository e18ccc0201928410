"""The rules of appending, the same on every dialect: idempotent by id, orders whole, rows dense.

Many batches share one transaction. In the common case, all ids new, an action costs no look at
the database but its insertion; who was there before is asked only when an insertion was ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from habitue.facts import NO_ROW, Action, Fact
from habitue.store.contract import ActionColumns, Appended, Rejection
from habitue.store.keying import Keying, Known
from habitue.store.prepare import PLAIN, ActionBatch, Unsound, clean, columns_of, joined
from habitue.store.records import append_records
from habitue.store.session import Ledger, Session

__all__ = ["NO_ACTIONS", "Batch", "Separate", "Share", "append_batches", "prepared"]

Problem = Literal["conflict", "invalid", "order_incomplete"]

NEW, DUPLICATE, CONFLICT, INCOMPLETE = range(4)

_BODY: Final = ("kind", "shopper_row", "item_row", *PLAIN)

NO_ACTIONS: Final = ActionColumns(
    *(np.empty(0, t) for t in ("i8", "i8", "u1", "i4", "i4", "i8", "f4", "?", "f4"))
)

_WORTHWHILE: Final = 32
"""From so many actions on a batch is turned into columns alone; fewer share that work."""


class Separate(Exception):
    """Batches of one transaction stand in each other's way: append them one by one."""


@dataclass(slots=True)
class Batch:
    """One caller's facts."""

    facts: Sequence[Fact]
    received_at_ms: int
    places: Sequence[int] | None = (
        None  # places of the facts in what the caller sent; None: 0, 1, ...
    )
    rejected: list[Rejection] = field(default_factory=list)
    columns: ActionBatch | None = None  # the facts, actions all, once they are prepared

    def place(self, row: int) -> int:
        """Where the caller had the fact that stands at ``row`` now."""
        return row if self.places is None else self.places[row]

    def sift(self) -> None:
        """Leave only facts that can be stored."""
        good, self.rejected = clean(self.facts, self.received_at_ms)
        self.places = [place for place, _ in good]
        self.facts = [fact for _, fact in good]


def prepared(facts: Sequence[Fact], received_at_ms: int) -> Batch:
    """A batch with all done that needs no database, where that is worth doing for it alone.

    Callers do it in their own threads while other batches are being committed.
    """
    batch = Batch(facts, received_at_ms)
    if len(facts) >= _WORTHWHILE and set(map(type, facts)) == {Action}:
        try:
            batch.columns = columns_of(facts, [received_at_ms] * len(facts))  # type: ignore[arg-type]
        except Unsound:
            batch.sift()
    return batch


class Share:
    """One caller's share of a transaction's outcome."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.new = self.duplicate = 0
        self.rejected = list(batch.rejected)
        self.actions = NO_ACTIONS
        self.action_rows: Sequence[int]  # where the actions stand among the facts
        if batch.columns is not None:
            self.action_rows = range(len(batch.columns))
        elif set(map(type, batch.facts)) <= {Action}:
            self.action_rows = range(len(batch.facts))
        else:
            self.action_rows = [r for r, f in enumerate(batch.facts) if type(f) is Action]

    def refuse(
        self,
        row: int,
        problem: Problem,
        field: str | None,
        message: str,
        fact_id: str | None = None,
    ) -> None:
        """Count the fact at ``row`` as not stored."""
        self.rejected.append(Rejection(self.batch.place(row), fact_id, problem, field, message))

    def appended(self, last_seq: int, new_items: tuple[str, ...]) -> Appended:
        """What the caller is told."""
        return Appended(
            new=self.new,
            duplicate=self.duplicate,
            conflict=sum(r.problem == "conflict" for r in self.rejected),
            last_seq=last_seq,
            rejected=tuple(sorted(self.rejected, key=lambda r: r.row)),
            actions=self.actions,
            new_items=new_items,
        )


def append_batches(
    session: Session, known: Known, batches: Sequence[Batch]
) -> tuple[list[Appended], Keying]:
    """Append all batches in the session's transaction; the caller commits, then ``remember``s.

    Raises ``Separate`` when a broken order of one batch would take back what another batch counts
    as stored; the caller rolls back and appends each batch alone.
    """
    actions = _columns(batches)
    ledger = session.lock_ledger()
    keying = Keying(known, session, ledger, max(batch.received_at_ms for batch in batches))
    shares = [Share(batch) for batch in batches]
    for share in shares:
        if len(share.action_rows) < len(share.batch.facts):
            append_records(session, keying, ledger, share)
    if actions is not None and len(actions):
        _Actions(session, keying, ledger, actions, shares).append()
    keying.flush()
    session.save_ledger(ledger)
    new_items = tuple(keying.new_items)
    return [share.appended(ledger.last_seq, new_items) for share in shares], keying


def _columns(batches: Sequence[Batch]) -> ActionBatch | None:
    """The actions of all batches as columns; those not prepared yet are prepared together."""
    parts: list[ActionBatch] = []
    for ready, run in groupby(batches, lambda batch: batch.columns is not None):
        if ready:
            parts += [batch.columns for batch in run if batch.columns is not None]
        elif (some := _prepare(list(run))) is not None:
            parts.append(some)
    return joined(parts) if parts else None


def _prepare(batches: Sequence[Batch]) -> ActionBatch | None:
    """The actions of these batches as columns, after what cannot be stored was taken out."""
    for last_try in (False, True):
        try:
            for batch in batches:
                if batch.places is None and not set(map(type, batch.facts)) <= {Action}:
                    batch.sift()
            groups = [[f for f in batch.facts if type(f) is Action] for batch in batches]
            received = [[b.received_at_ms] * len(g) for b, g in zip(batches, groups, strict=True)]
            actions = list(chain.from_iterable(groups))
            return columns_of(actions, list(chain.from_iterable(received))) if actions else None
        except Unsound:
            if last_try:
                raise
            for batch in batches:
                if batch.places is None:
                    batch.sift()
    return None


class _Actions:
    """The actions of one transaction on their way into the table."""

    def __init__(
        self,
        session: Session,
        keying: Keying,
        ledger: Ledger,
        batch: ActionBatch,
        shares: Sequence[Share],
    ) -> None:
        self.session, self.keying, self.ledger = session, keying, ledger
        self.batch, self.shares = batch, shares
        self.n = len(batch)
        self.bounds = np.cumsum([0, *(len(share.action_rows) for share in shares)]).tolist()
        self.shopper_row, self.untried = keying.shoppers(batch.shopper)
        self.item_row = self._items()
        self.seq = np.arange(ledger.last_seq + 1, ledger.last_seq + 1 + self.n)
        self.packed = session.pack(batch.id)

    def _items(self) -> NDArray[np.int32]:
        if None not in self.batch.item:
            return self.keying.items(self.batch.item)  # type: ignore[arg-type]
        has = np.array([item is not None for item in self.batch.item])
        rows = np.full(self.n, NO_ROW, np.int32)
        rows[has] = self.keying.items([item for item in self.batch.item if item is not None])
        return rows

    def append(self) -> None:
        """Insert, find out what was there already, tell the shares."""
        inserted = self.session.insert_actions(self._columns(), self.n)
        verdict = np.zeros(self.n, np.int8)
        if inserted < self.n:
            verdict = self._judge()
        self.ledger.last_seq += self.n
        new = verdict == NEW
        self.ledger.counts["action"] += int(new.sum())
        first = self._first_actions(new)
        columns = self._action_columns(first)
        for share, since, until in zip(self.shares, self.bounds, self.bounds[1:], strict=False):
            self._tell(share, columns, verdict, since, until)

    def _columns(self) -> dict[str, Sequence[Any]]:
        items: Sequence[Any] = self.item_row.tolist()
        if self.n and int(self.item_row.min()) == NO_ROW:
            items = [None if row == NO_ROW else row for row in items]
        return {
            "seq": self.seq.tolist(),
            "id": self.packed,
            "at_ms": self.batch.at_ms,
            "received_at_ms": self.batch.received_at_ms,
            "kind": self.batch.kind,
            "shopper_row": self.shopper_row.tolist(),
            "item_row": items,
            **self.batch.said,
        }

    def _judge(self) -> NDArray[np.int8]:
        """What each action is, some having been ignored by the insertion."""
        stored = self.session.query(
            "select seq from action where seq > ? order by seq", (self.ledger.last_seq,)
        )
        verdict = np.full(self.n, CONFLICT, np.int8)
        verdict[np.array([seq for (seq,) in stored], np.int64) - self.ledger.last_seq - 1] = NEW
        ignored = np.flatnonzero(verdict != NEW).tolist()
        for row, same in zip(ignored, self._same_as_stored(ignored), strict=True):
            verdict[row] = DUPLICATE if same else CONFLICT
        self._undo_broken_orders(verdict)
        return verdict

    def _same_as_stored(self, rows: list[int]) -> list[bool]:
        """Whether each of these actions says what is stored under its id."""
        found = self.session.among(
            f"select id, at_ms, {', '.join(_BODY)} from action where id",
            [self.packed[row] for row in rows],
        )
        stored = {self.session.unpack(row[0]): row[1:] for row in found}
        columns = self._columns()
        nothing: list[Any] = [None] * self.n
        bodies = [columns.get(name, nothing) for name in _BODY]
        said = self.batch.at_said
        same = []
        for row in rows:
            at_ms, *body = stored[self.batch.id[row]]
            at_same = at_ms == self.batch.at_ms[row] or (said is not None and not said[row])
            same.append(at_same and all(b[row] == s for b, s in zip(bodies, body, strict=True)))
        return same

    def _undo_broken_orders(self, verdict: NDArray[np.int8]) -> None:
        """Take back the lines of orders one line of which is in conflict."""
        orders = self.batch.said.get("order_id")
        if orders is None or not (verdict == CONFLICT).any():
            return
        taken_back: list[int] = []
        for since, until in zip(self.bounds, self.bounds[1:], strict=False):
            rows = range(since, until)
            broken = {orders[r] for r in rows if verdict[r] == CONFLICT} - {None}
            for row in rows if broken else ():
                if orders[row] in broken and verdict[row] != CONFLICT:
                    if verdict[row] == NEW:
                        taken_back.append(row)
                    verdict[row] = INCOMPLETE
        if taken_back and len(self.shares) > 1:
            raise Separate
        self.session.execute_many(
            "delete from action where seq = ?", [(int(self.seq[row]),) for row in taken_back]
        )

    def _first_actions(self, new: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which actions are their shopper's first ever."""
        first = np.zeros(self.n, np.bool_)
        candidates = np.flatnonzero(self.untried & new)
        if len(candidates):
            _, at = np.unique(self.shopper_row[candidates], return_index=True)
            for row in candidates[at].tolist():
                shopper = int(self.shopper_row[row])
                first[row] = self.keying.acted(self.batch.shopper[row], shopper, int(self.seq[row]))
        return first

    def _action_columns(self, first: NDArray[np.bool_]) -> ActionColumns:
        said = self.batch.said
        return ActionColumns(
            seq=self.seq,
            at_ms=np.array(self.batch.at_ms, np.int64),
            kind=np.array(self.batch.kind, np.uint8),
            shopper_row=self.shopper_row,
            item_row=self.item_row,
            price_micros=_filled(said.get("price_micros"), self.n, 0, np.int64),
            rating=_filled(said.get("rating"), self.n, np.nan, np.float32),
            new_shopper=first,
            quantity=_filled(said.get("quantity"), self.n, 1, np.float32),
        )

    def _tell(
        self,
        share: Share,
        columns: ActionColumns,
        verdict: NDArray[np.int8],
        since: int,
        until: int,
    ) -> None:
        mine = verdict[since:until]
        if not mine.any():  # all new: a view
            share.new += until - since
            share.actions = taken(columns, slice(since, until))
            return
        new = mine == NEW
        share.new += int(new.sum())
        share.duplicate += int((mine == DUPLICATE).sum())
        share.actions = taken(columns, since + np.flatnonzero(new))
        for row in np.flatnonzero(mine >= CONFLICT).tolist():
            if mine[row] == CONFLICT:
                share.refuse(
                    share.action_rows[row],
                    "conflict",
                    "id",
                    "this id was stored before with another body; give a changed action a new id",
                    self.batch.id[since + row],
                )
            else:
                share.refuse(
                    share.action_rows[row],
                    "order_incomplete",
                    "order_id",
                    "another line of this order is in conflict, and an order is stored whole; "
                    "mend that line and send the order again",
                    self.batch.id[since + row],
                )


def taken(columns: ActionColumns, rows: slice | NDArray[np.int64]) -> ActionColumns:
    """The actions at ``rows``."""
    return ActionColumns(
        columns.seq[rows],
        columns.at_ms[rows],
        columns.kind[rows],
        columns.shopper_row[rows],
        columns.item_row[rows],
        columns.price_micros[rows],
        columns.rating[rows],
        columns.new_shopper[rows],
        columns.quantity[rows],
    )


def _filled(
    said: Sequence[Any] | None, n: int, otherwise: float, dtype: type[np.generic]
) -> NDArray[Any]:
    """A column as an array, with ``otherwise`` where nothing was said."""
    if said is None:
        return np.full(n, otherwise, dtype)
    return np.array([otherwise if value is None else value for value in said], dtype)
