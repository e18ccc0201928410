"""What may be read of an open shop's people: one of them, or all that training learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from habitue.errors import NotFound
from habitue.facts import NO_ROW
from habitue.training.dataset import ShopFacts, facts_of_store

if TYPE_CHECKING:
    from habitue.app.wiring import Parts

__all__ = ["facts_read", "row_known"]


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
