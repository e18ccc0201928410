"""Outlooks of an open shop: when customers come back, one with the evidence, all as columns."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import polars as pl

from habitue.app.portraying import conversions_of
from habitue.app.reading import asking_everybody, facts_read, row_known
from habitue.behaviour.outlook import OutlookLearner, OutlookMeasured, OutlookModel, Past
from habitue.behaviour.returning import NetworkOutlook, Outlook, outlook_columns, outlook_of
from habitue.candidates.contract import ForetellingSource
from habitue.errors import SnapshotError
from habitue.facts import ActionLog
from habitue.portraits import ItemColumns
from habitue.slates.live import Asked
from habitue.slates.live_tail import as_they_are
from habitue.training.dataset import ShopFacts, log_of_shopper

if TYPE_CHECKING:
    from habitue.app.shop import Progress
    from habitue.app.wiring import Parts

__all__ = ["OUTLOOK", "foretell", "foretell_all", "learn_outlook", "measure_outlook"]

OUTLOOK: Final = "outlook"
"""In a snapshot's folder: when customers come back."""


def learn_outlook(
    parts: Parts, facts: ShopFacts, columns: ItemColumns, seed: int, progress: Progress
) -> OutlookModel | None:
    """What all facts show of when customers come back; None where that is off or too little."""
    config = parts.settings.training.outlook
    if not config.fit:
        return None
    progress("outlooks", 0, 1)
    past, rng = _past(parts, facts, columns), np.random.default_rng(seed)
    found = OutlookLearner(config).fit(past, _ended(facts), rng)
    progress("outlooks", 1, 1)
    return found


def measure_outlook(
    parts: Parts, facts: ShopFacts, seed: int, progress: Progress
) -> OutlookMeasured | None:
    """How right outlooks were on the last horizon; None where they are off or too little is known.

    Categories are those of today.
    """
    config = parts.settings.training.outlook
    if not config.fit:
        return None
    progress("outlooks", 0, 1)
    now_ms = _ended(facts)
    columns = ItemColumns.of(facts.as_of(now_ms).catalogue)
    past, rng = _past(parts, facts, columns), np.random.default_rng(seed)
    found = OutlookLearner(config).measure(past, now_ms, rng)
    progress("outlooks", 1, 1)
    return found


def foretell(parts: Parts, shopper: str, now_ms: int) -> Outlook:
    """When a shopper is expected back; withheld where they do not allow personalisation.

    Without a snapshot that has learnt it, only what they ordered is told. Raises ``NotFound`` for a
    stranger and the erased.
    """
    live = parts.live
    row = row_known(parts, shopper)
    if not live.people.consent.allows(row):
        return Outlook.withheld(shopper, now_ms)
    config = parts.settings.portraits
    past = Past.of(
        log_of_shopper(parts.store, live.people.members(row), config.most_actions),
        currency=parts.settings.shop.base_currency,
        category=live.columns.category,
        kinds=conversions_of(parts),
    )
    told = outlook_of(shopper, past, _model(parts), live.items.id, now_ms, evidence=config.evidence)
    return msgspec.structs.replace(told, network=_by_network(parts, shopper, now_ms))


def _by_network(parts: Parts, shopper: str, now_ms: int) -> NetworkOutlook | None:
    """What the first source that was taught more than the next item says; None without one."""
    foretelling = _foretelling(parts)
    if not foretelling:
        return None
    context = parts.live.context(Asked("home", now_ms, shopper)).context
    said = (one.foretold(context) for one in foretelling)
    return next((one.first() for one in said if one is not None), None)


def foretell_all(parts: Parts, now_ms: int) -> pl.DataFrame:
    """The outlooks of all who allow personalisation and ordered, with their ids.

    Where a network was taught more than the next item, of whom it knows anything, too: its columns
    are ``network_...``. Without rows until a snapshot has learnt either. Costs O(N) for the log,
    and for each shopper what the network costs to ask.
    """
    facts = facts_read(parts)
    known = facts.as_of(now_ms)
    frame = pl.DataFrame(schema={"shopper_row": pl.Int32})
    if (model := _model(parts)) is not None:
        past = _past(parts, facts, ItemColumns.of(known.catalogue))
        frame = outlook_columns(past, model, now_ms)
    by_network = _all_by_network(parts, known.log, now_ms)
    if by_network is not None:
        frame = frame.join(by_network, on="shopper_row", how="full", coalesce=True)
        frame = frame.with_columns(pl.col("^orders$").fill_null(0)).sort("shopper_row")
    ids = np.array([*parts.store.shopper_ids(), None], dtype=object)
    named = pl.Series("shopper", ids[frame["shopper_row"].to_numpy()], dtype=pl.String)
    return frame.select(named, pl.exclude("shopper_row"))


def _all_by_network(parts: Parts, log: ActionLog, now_ms: int) -> pl.DataFrame | None:
    """What ``_by_network`` says of each shopper, as columns; None where it says nothing of any."""
    foretelling = _foretelling(parts)
    if not foretelling:
        return None
    found = []
    for some, context in asking_everybody(parts, log, now_ms):
        said = (one.foretold(context) for one in foretelling)
        found += [one.columns(some) for one in said if one is not None]
    if not found:
        return None
    return pl.concat(found).unique("shopper_row", keep="first", maintain_order=True)


def _foretelling(parts: Parts) -> list[ForetellingSource]:
    """The sources that answer now and were taught more than the next item."""
    answering = parts.switch.current
    sources = as_they_are(answering.pipeline.sources) if answering.name else []
    return [one for one in sources if isinstance(one, ForetellingSource) and one.foretells]


def _past(parts: Parts, facts: ShopFacts, columns: ItemColumns) -> Past:
    return Past(
        facts.log,
        facts.void_from_ms,
        columns.category,
        parts.settings.shop.base_currency,
        conversions_of(parts),
    )


def _ended(facts: ShopFacts) -> int:
    return int(facts.log.at_ms[-1]) + 1


def _model(parts: Parts) -> OutlookModel | None:
    active = parts.snapshots.active()
    if active is None or not (active.path / OUTLOOK).is_dir():
        return None
    try:
        return _loaded(active.path / OUTLOOK)
    except SnapshotError as problem:
        parts.problems.note(problem)
        return None


@lru_cache(maxsize=8)
def _loaded(path: Path) -> OutlookModel:
    """A snapshot's folder never changes, so it is read once."""
    return OutlookModel.load(path)
