"""Retention: facts older than a shop keeps them are deleted, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from habitue.errors import BadInput
from habitue.store.session import Session

__all__ = ["EXPIRING", "expire"]

EXPIRING: Final = ("action", "shown")
"""Kinds that may expire: what people did and saw. Items, consents and names say what holds now."""

_AT_ONCE: Final = 32_768  # values of seq a transaction looks at: writers get their turn between

Query = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


def expire(
    query: Query, writing: Callable[[], AbstractContextManager[Session]], kind: str, before_ms: int
) -> int:
    """Delete the facts of a kind that happened before ``before_ms``; how many there were.

    The table is read through once. Raises ``BadInput`` for a kind that does not expire.
    """
    if kind not in EXPIRING:
        raise BadInput(
            f"Facts of kind {kind!r} do not expire.",
            remedy=f"Choose from {', '.join(EXPIRING)}; `habitue forget` erases a shopper.",
            field="kind",
        )
    old = "seq > ? and seq <= ? and at_ms < ?"
    gone = 0
    for since, until in _parts(query("select last_seq from ledger", ())[0][0]):
        told = (since, until, before_ms)
        if query(f"select 1 from {kind} where {old} limit 1", told):
            with writing() as session:
                ledger = session.lock_ledger()
                n = session.execute(f"delete from {kind} where {old}", told)
                ledger.counts[kind] -= n
                ledger.epoch += 1
                session.save_ledger(ledger)
            gone += n
    return gone


def _parts(last_seq: int) -> Iterator[tuple[int, int]]:
    for since in range(0, last_seq, _AT_ONCE):
        yield since, min(since + _AT_ONCE, last_seq)
