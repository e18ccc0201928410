"""Ratings foretold by an open shop: what a shopper would give some items, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from habitue.app.reading import row_known
from habitue.candidates.factor import FactorSource
from habitue.candidates.foretold import ForetoldRatings, foretold_ratings
from habitue.errors import BadInput, SnapshotError
from habitue.slates.live import Asked

if TYPE_CHECKING:
    from habitue.app.wiring import Parts

__all__ = ["MOST_ITEMS", "foretell"]

MOST_ITEMS: Final = 100
"""Items that may be asked about at once."""


def foretell(
    parts: Parts, shopper: str, items: Sequence[str], level: float, now_ms: int
) -> ForetoldRatings:
    """What a shopper would give the items; withheld where they do not allow personalisation.

    Raises ``NotFound`` for a stranger and the erased, ``SnapshotError`` where the snapshot that
    answers has no source ``factor`` or it had nothing to learn from, ``BadInput`` for no items or
    too many and for a level that is none.
    """
    if not 1 <= len(items) <= MOST_ITEMS:
        raise BadInput(
            f"{len(items)} items were asked about.",
            remedy=f"Ask about 1 to {MOST_ITEMS} at once.",
            field="items",
        )
    if not 0.0 < level < 1.0:
        raise BadInput(
            f"{level:g} is no share of ratings.", remedy="A level lies between 0 and 1.",
            field="level",
        )  # fmt: skip
    live = parts.live
    row = row_known(parts, shopper)
    if not live.people.consent.allows(row):
        return ForetoldRatings.withheld(shopper, now_ms, level)
    source = _source(parts)
    context = live.context(Asked("home", now_ms, shopper)).context
    rows = np.array([live.item_row(item) for item in items], np.int32)
    return foretold_ratings(source, context, items, rows, live.items.id, shopper, level)


def _source(parts: Parts) -> FactorSource:
    """The source that foretells ratings; raises ``SnapshotError`` where there is none."""
    for source in parts.switch.current.pipeline.sources:
        if isinstance(source, FactorSource):
            if not source.measured["ratings"]:
                raise SnapshotError(
                    "There was no rating to learn from when the snapshot that answers was trained.",
                    remedy="Send actions with a `rating`, and train again.",
                )
            return source
    raise SnapshotError(
        "The snapshot that answers foretells no ratings: it has no source `factor`.",
        remedy='Add source = "factor" to training.sources (docs: models), and train again.',
    )
