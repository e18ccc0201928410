"""Two snapshots of an open shop, asked the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from habitue.app.asking import (
    cost_of,
    parts_of_questions,
    pipeline_trained,
    timed_lists,
    with_breadth,
)
from habitue.app.judging import held_out_span
from habitue.app.learning import facts_of
from habitue.app.portraying import conversions_of
from habitue.app.snapshots import load
from habitue.errors import BadInput
from habitue.evaluation.comparison import Comparison, compare
from habitue.evaluation.replay import through
from habitue.evaluation.report import EvaluationConfig, measure_lists
from habitue.evaluation.segments import Asking
from habitue.evaluation.splits import Split, by_time
from habitue.facts import Catalogue
from habitue.portraits import ItemColumns, ItemStats
from habitue.training.dataset import ShopFacts
from habitue.training.train import BestFirst, train
from habitue.training.understood import facts_read, kinds_read

if TYPE_CHECKING:
    from habitue.app.shop import Progress
    from habitue.app.snapshots import Loaded
    from habitue.app.wiring import Parts
    from habitue.slates.pipeline import Pipeline

__all__ = ["compare_snapshots"]

_LEAST: Final = 50
"""Questions there must be after both snapshots; with fewer their settings are compared."""

_BEGINNING: Final = np.iinfo(np.int64).min


def compare_snapshots(
    parts: Parts, first: str, second: str, *, n: int, seed: int, progress: Progress
) -> Comparison:
    """Ask two snapshots what shoppers took after both were trained.

    Where too few have taken anything since, what the two were told is compared instead: both
    configs are trained anew on the past of the last span, and asked about that. Raises
    ``NotFound``, ``SnapshotRefused``, and ``BadInput`` where nobody can be asked either way.
    """
    if first == second:
        raise BadInput("A snapshot cannot be compared with itself.", remedy="Name another.")
    lineage = parts.store.stored().lineage
    loaded = {name: load(parts.snapshots.verify(name), lineage) for name in (first, second)}
    taken = loaded[second].pieces.config.taken  # where they differ, as the second reads kinds
    facts = facts_read(facts_of(parts, progress), taken)
    ask, judge = np.random.default_rng(seed).spawn(2)
    held = _since(parts, facts, loaded)
    if held is not None:
        pipelines = {name: _live(one, facts, held) for name, one in loaded.items()}
        how = "what shoppers took after both were trained"
        columns = pipelines[first][1]
    else:
        held = _last_span(parts, facts, loaded)
        cut = int(held.now_ms[0])
        pipelines = {}
        for name, one in loaded.items():
            config = one.pieces.config.model_copy(update={"evaluate": False})
            same = np.random.default_rng(seed)  # what differs is what they were told
            trained = train(facts, config, rng=same, now_ms=cut, progress=progress)
            pipelines[name] = (pipeline_trained(trained), trained.columns)
        columns = pipelines[first][1]
        how = (
            "too few have taken anything since; the settings of both, trained anew on what came "
            f"before {datetime.fromtimestamp(cut / 1000, UTC):%Y-%m-%d}"
        )
    return _asked(
        parts, held, pipelines, columns, how, taken=taken, n=n, rngs=(ask, judge), progress=progress
    )


def _asked(
    parts: Parts,
    held: Split,
    pipelines: Mapping[str, tuple[Pipeline, ItemColumns]],
    columns: ItemColumns,
    how: str,
    *,
    taken: tuple[str, ...],
    n: int,
    rngs: tuple[np.random.Generator, np.random.Generator],
    progress: Progress,
) -> Comparison:
    """Both pipelines' answers to the same questions, held against each other."""
    ask, judge = rngs
    settings = parts.settings
    config = EvaluationConfig(n=n, length=settings.training.recent_length)
    lists: dict[str, NDArray[np.int32]] = {}
    measured, costs = [], []
    for name, (pipeline, _) in pipelines.items():
        lister = through(pipeline)
        rows, seconds = timed_lists(held, lister, lister, config, ask.spawn(1)[0])
        lists[name] = rows
        measured.append(with_breadth(measure_lists(held, name, rows), held, rows, columns))
        price = settings.evaluation.cpu_hour_price
        costs.append(cost_of(name, 1000 * seconds / len(held), price))
        progress("asking", len(measured), len(pipelines))
    a, b = measured
    return compare(
        Asking(held, lists),
        (a, b),
        parts_of_questions(parts, held, columns, taken),
        judge,
        config,
        how=how,
        costs=costs,
        currency=settings.shop.base_currency,
    )


def _since(parts: Parts, facts: ShopFacts, loaded: Mapping[str, Loaded]) -> Split | None:
    """What shoppers took after both snapshots; None where too few did."""
    watermark = max(one.manifest.watermark for one in loaded.values())
    known = facts.log.seq <= watermark
    if not known.any():
        return None
    cut = int(facts.log.at_ms[known].max()) + 1
    held = _split(parts, facts, loaded, cut, int(facts.log.at_ms[-1]) + 1)
    return held if len(held) >= _LEAST else None


def _last_span(parts: Parts, facts: ShopFacts, loaded: Mapping[str, Loaded]) -> Split:
    cut, until = held_out_span(facts, parts.settings.training)
    held = _split(parts, facts, loaded, cut, until)
    if not len(held):
        raise BadInput(
            "Nobody can be asked: no shopper came back in the span held out.",
            remedy="There is too little history yet; compare when shoppers have returned.",
        )
    return held


def _split(
    parts: Parts, facts: ShopFacts, loaded: Mapping[str, Loaded], cut: int, until: int
) -> Split:
    rebuy = all(one.pieces.config.rebuy for one in loaded.values())
    log = facts.between(_BEGINNING, until)
    kinds = conversions_of(parts)
    for one in loaded.values():
        kinds = kinds_read(kinds, one.pieces.config.taken)
    return by_time(log, cut, until, kinds=kinds, repurchase=rebuy)


class _Version(NamedTuple):
    """What item columns read of a version."""

    price_micros: int | None
    brand: str | None
    product_type: str | None


def _live(loaded: Loaded, facts: ShopFacts, held: Split) -> tuple[Pipeline, ItemColumns]:
    """A snapshot over the statistics and the catalogue of the moment asked, as serving has them."""
    cut, pieces = int(held.now_ms[0]), loaded.pieces
    stats = ItemStats.as_of(held.train, cut, pieces.config.item_stats)
    columns = pieces.columns
    _bring_up(columns, facts.as_of(cut).catalogue)
    return pieces.pipeline(BestFirst(), stats=stats, columns=columns), columns


def _bring_up(columns: ItemColumns, catalogue: Catalogue) -> None:
    """Lead a snapshot's columns on to a later catalogue."""
    frame = catalogue.frame
    columns.grow(frame.height)
    known = frame.filter(frame["id"].is_not_null())
    versions = [
        _Version(*row) for row in known.select("price_micros", "brand", "product_type").iter_rows()
    ]
    columns.put(
        known["item_row"].to_numpy(), versions, known["first_seen_ms"].fill_null(0).to_numpy()
    )
