"""Portraits of an open shop: of one shopper with the evidence, of all of them as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from habitue.app.reading import facts_read, row_known
from habitue.errors import SnapshotError
from habitue.facts import ActionKind, code_of
from habitue.portraits import ItemColumns, Portrait, ShopNorms, portrait_columns, portrait_of
from habitue.training.dataset import log_of_shopper

if TYPE_CHECKING:
    from habitue.app.wiring import Parts

__all__ = ["NORMS", "conversions_of", "portray", "portray_all"]

NORMS: Final = "norms"
"""In a snapshot's folder: what was usual in the shop when it was trained."""


def conversions_of(parts: Parts) -> frozenset[ActionKind]:
    """The kinds of action that count as success in the shop."""
    return frozenset(code_of(name) for name in parts.settings.shop.conversions)


def portray(parts: Parts, shopper: str, now_ms: int) -> Portrait:
    """Who a shopper is; withheld where they do not allow personalisation.

    Held against what was usual when the active snapshot was trained. Raises ``NotFound`` for a
    stranger and the erased.
    """
    live = parts.live
    row = row_known(parts, shopper)
    if not live.people.consent.allows(row):
        return Portrait.withheld(shopper, now_ms)
    settings = parts.settings
    config = settings.portraits
    log = log_of_shopper(parts.store, live.people.members(row), config.most_actions)
    return portrait_of(
        shopper,
        log,
        live.columns,
        live.items.id,
        _norms(parts),
        now_ms,
        currency=settings.shop.base_currency,
        config=config,
        kinds=conversions_of(parts),
    )


def portray_all(parts: Parts, now_ms: int) -> pl.DataFrame:
    """The portraits of all who allow personalisation: ``portrait_columns``, with their ids.

    Shoppers at rates no person has are left out, as training leaves them out.
    """
    settings = parts.settings
    facts = facts_read(parts)
    known = facts.as_of(now_ms)
    columns = ItemColumns.of(known.catalogue)
    kinds = conversions_of(parts)
    currency, config = settings.shop.base_currency, settings.portraits
    norms = ShopNorms.of(known.log, columns, now_ms, currency=currency, config=config, kinds=kinds)
    frame = portrait_columns(
        known.log, columns, norms, now_ms, currency=currency, config=config, kinds=kinds
    )
    ids = np.array([*parts.store.shopper_ids(), None], dtype=object)
    named = pl.Series("shopper", ids[frame["shopper_row"].to_numpy()], dtype=pl.String)
    return frame.select(named, pl.exclude("shopper_row"))


def _norms(parts: Parts) -> ShopNorms:
    active = parts.snapshots.active()
    if active is None:
        return ShopNorms.assumed(parts.settings.portraits)
    try:
        return ShopNorms.load(active.path / NORMS)
    except SnapshotError as problem:  # of a snapshot from before portraits were made
        parts.problems.note(problem)
        return ShopNorms.assumed(parts.settings.portraits)
