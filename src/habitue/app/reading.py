"""What may be read of an open shop's people: one of them, or all that training learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from habitue.errors import NotFound
from habitue.facts import NO_ROW, ActionLog, Context
from habitue.portraits.contexts import ShopperIndex, contexts_as_of
from habitue.training.dataset import ShopFacts, facts_of_store

if TYPE_CHECKING:
    from habitue.app.wiring import Parts

__all__ = ["asking_everybody", "facts_read", "row_known"]

_TOGETHER: Final = 512  # shoppers asked about at once


def row_known(parts: Parts, shopper: str) -> int:
    """The row of the person an id stands for; raises ``NotFound`` for a stranger and the erased."""
    row = parts.live.people.row_of(shopper)
    if row == NO_ROW:
        raise NotFound(f"No shopper is known by the id {shopper!r}.")
    return row


def facts_read(parts: Parts) -> ShopFacts:
    """The facts of all who allow it, without shoppers at rates no person has where so set."""
    training = parts.settings.training
    return facts_of_store(
        parts.store,
        allowed_unless_said=parts.settings.privacy.default_consent,
        robots=training.robots if training.leave_out_robots else None,
    )


def asking_everybody(
    parts: Parts, log: ActionLog, now_ms: int
) -> Iterator[tuple[NDArray[np.int32], Context]]:
    """Requests as of now of all who did anything, and their rows (B,), a batch after the other.

    As the home page would be asked for, kinds of action read as the shop has them mean; who did as
    much stands in one batch.
    """
    as_read = replace(log, kind=parts.live.counters.read(log.kind))
    index, length = ShopperIndex.of(as_read), parts.settings.training.recent_length
    n_actions = np.diff(index.indptr)
    who = np.argsort(n_actions, kind="stable").astype(np.int32)
    who = who[n_actions[who] > 0]
    for first in range(0, len(who), _TOGETHER):
        some = who[first : first + _TOGETHER]
        now = np.full(len(some), now_ms)
        yield some, contexts_as_of(index, some, now, surface="home", length=length)
