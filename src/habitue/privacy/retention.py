"""Retention: what a shop no longer needs to know, it deletes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from habitue.facts import MS_PER_DAY

__all__ = ["Expiring", "retain"]

Expiring = Literal["action", "shown"]


class Expires(Protocol):
    """A fact store, as far as retention goes."""

    def expire(self, kind: Expiring, *, before_ms: int) -> int:
        """Delete the facts of a kind that happened before; how many there were."""
        ...


def retain(store: Expires, days: Mapping[Expiring, int | None], now_ms: int) -> dict[Expiring, int]:
    """Delete what is older than it is kept, by kind; ``None`` keeps for ever and is not asked.

    How many facts of each kind went.
    """
    return {
        kind: store.expire(kind, before_ms=now_ms - kept * MS_PER_DAY)
        for kind, kept in days.items()
        if kept is not None
    }
