"""What became of what was shown: every answer of a shopper credited to one slot.

An action that names its slate (``slate_id``) is credited to the slot of that slate with its item;
any other to the slot in which its item was last shown to that shopper, within a window. Frames hold
one row a slot shown (``SLOT_COLUMNS``), so that what was asked of them can be asked by surface,
snapshot, arm or source alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from habitue.errors import BadInput
from habitue.facts import CONVERSIONS, NO_ROW, ActionKind, ShownBody
from habitue.metrics import Interval, bootstrap_means, percentile_interval
from habitue.store.columns import ACTION, SHOWN
from habitue.store.contract import FactStore

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "ACTION_COLUMNS",
    "CLICKS",
    "SLOT_COLUMNS",
    "Rates",
    "attribute",
    "off_policy",
    "outcomes_of",
    "rates_by",
    "rates_table",
    "slots_of",
]

CLICKS: Final[frozenset[ActionKind]] = frozenset({ActionKind.select_item, ActionKind.view_item})
"""Kinds that count as a click on what was shown."""

SLOT_COLUMNS: Final = {
    "slate_id": pl.String,
    "slot": pl.Int32,
    "item_row": pl.Int32,
    "shopper_row": pl.Int32,  # NO_ROW where nobody was known
    "at_ms": pl.Int64,
    "propensity": pl.Float64,
    "source": pl.String,
    "surface": pl.String,
    "snapshot": pl.String,
    "arm": pl.String,
    "fallback": pl.String,
}
ACTION_COLUMNS: Final = ("at_ms", "kind", "shopper_row", "item_row", "slate_id", "value_minor")

_BODY: Final = msgspec.json.Decoder(ShownBody)
_MS_PER_HOUR: Final = 3_600_000


def outcomes_of(
    store: FactStore,
    *,
    since_seq: int = 0,
    until_seq: int | None = None,
    window_hours: float = 24.0,
    conversions: Iterable[ActionKind] = CONVERSIONS,
) -> pl.DataFrame:
    """The slots a store has recorded, each with what became of it (see ``attribute``)."""
    shown = _read(store, "shown", None, since_seq, until_seq)
    actions = _read(store, "action", ACTION_COLUMNS, since_seq, until_seq)
    who = store.canonical_shoppers()
    return attribute(
        slots_of(shown, store.item_ids(), who),
        actions.with_columns(shopper_row=_canonical(actions["shopper_row"], who)),
        window_hours=window_hours,
        conversions=conversions,
    )


def slots_of(
    shown: pl.DataFrame, item_ids: Sequence[str], who: NDArray[np.int32] | None = None
) -> pl.DataFrame:
    """Slates as ``FactStore.scan('shown')`` gives them, one row a slot.

    ``item_ids`` are in row order; ``who`` says for each shopper row which person it stands for.
    """
    if not shown.height:
        return pl.DataFrame(schema=SLOT_COLUMNS)
    bodies = [_BODY.decode(body) for body in shown["body"].to_list()]
    rows = pl.DataFrame(
        {"item": item_ids, "item_row": np.arange(len(item_ids), dtype=np.int32)},
        schema_overrides={"item": pl.String},
    )
    slots = shown.with_columns(
        pl.Series("item", [body.items for body in bodies], pl.List(pl.String)),
        pl.Series("propensity", [body.propensities for body in bodies], pl.List(pl.Float64)),
        pl.Series("source", [body.sources for body in bodies], pl.List(pl.String)),
        _canonical(shown["shopper_row"], who),
        slate_id="id",
    ).filter(pl.col("item").list.len() > 0)
    end = pl.col("first_slot") + pl.col("item").list.len().cast(pl.Int32)
    slots = slots.with_columns(slot=pl.int_ranges("first_slot", end))
    slots = slots.explode("item", "propensity", "source", "slot")
    slots = slots.join(rows, on="item", how="left", maintain_order="left")
    return slots.with_columns(pl.col("item_row").fill_null(NO_ROW)).select(
        pl.col(name).cast(kind) for name, kind in SLOT_COLUMNS.items()
    )


def attribute(
    slots: pl.DataFrame,
    actions: pl.DataFrame,
    *,
    window_hours: float = 24.0,
    clicks: Iterable[ActionKind] = CLICKS,
    conversions: Iterable[ActionKind] = CONVERSIONS,
) -> pl.DataFrame:
    """``slots`` with ``clicked``, ``converted`` (bool) and ``value_minor`` of the conversions.

    ``actions`` needs ``ACTION_COLUMNS``. Every action is credited to at most one slot, never to one
    shown after it; no slot is clicked or converted twice, but values add up.
    """
    clicked = [int(kind) for kind in clicks]
    converted = [int(kind) for kind in conversions]
    slots = slots.with_row_index("place")
    wanted = actions.filter(
        pl.col("kind").is_in(clicked + converted) & (pl.col("item_row") >= 0)
    ).with_row_index("action")
    credited = _credited(slots, wanted, window_hours)
    earned = credited.group_by("place").agg(
        clicked=pl.col("kind").is_in(clicked).any(),
        converted=pl.col("kind").is_in(converted).any(),
        value_minor=pl.col("value_minor").filter(pl.col("kind").is_in(converted)).sum(),
    )
    return (
        slots.join(earned, on="place", how="left", maintain_order="left")
        .with_columns(
            pl.col("clicked", "converted").fill_null(value=False),
            pl.col("value_minor").fill_null(0),
        )
        .drop("place")
    )


def _credited(slots: pl.DataFrame, wanted: pl.DataFrame, window_hours: float) -> pl.DataFrame:
    """Each action beside the place of the slot it is credited to; those without one left out."""
    keep = ("action", "place", "kind", "value_minor")
    here = slots.select("place", "slate_id", "item_row", "shopper_row", shown_ms="at_ms")
    named = (
        wanted.filter(pl.col("slate_id").is_not_null())
        .join(here.drop("shopper_row"), on=["slate_id", "item_row"])
        .filter(pl.col("at_ms") >= pl.col("shown_ms"))
        .unique("action", keep="first", maintain_order=True)
    )
    others = wanted.join(named, on="action", how="anti").filter(pl.col("shopper_row") >= 0)
    last_shown = others.sort("at_ms").join_asof(
        here.drop("slate_id").sort("shown_ms"),
        left_on="at_ms",
        right_on="shown_ms",
        by=["shopper_row", "item_row"],
        strategy="backward",
        tolerance=int(window_hours * _MS_PER_HOUR),
        check_sortedness=False,  # sorted just above; polars cannot see it within groups
    )
    return pl.concat(
        [named.select(keep), last_shown.filter(pl.col("place").is_not_null()).select(keep)]
    )


@dataclass(frozen=True, slots=True)
class Rates:
    """How well what was shown under one name worked."""

    name: str
    n_slates: int
    n_slots: int
    click_through: Interval  # clicked slots, of slots shown
    conversion: Interval  # slates with a conversion, of slates shown
    value_per_slate_minor: Interval


def rates_by(
    outcomes: pl.DataFrame,
    by: Literal["surface", "snapshot", "arm", "source", "fallback"],
    rng: np.random.Generator,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> list[Rates]:
    """Click-through, conversion and value by one column of ``attribute``'s answer.

    Shoppers are resampled, not slots: what one person does is one witness. A slate shown to nobody
    known is a witness of its own.
    """
    slates = outcomes.group_by(by, "slate_id", maintain_order=True).agg(
        pl.col("shopper_row").first(),
        n_slots=pl.len(),
        clicked=pl.col("clicked").sum(),
        converted=pl.col("converted").any(),
        value=pl.col("value_minor").sum(),
    )
    return [
        _rates(str(name), part, rng, n_resamples, level)
        for (name,), part in sorted(slates.group_by(by), key=lambda pair: str(pair[0][0]))
    ]


def rates_table(rates: Sequence[Rates], by: str) -> Table:
    """The rates as a table for a terminal."""
    from rich.table import Table

    table = Table(by, "slates", "slots", "click-through", "conversion", "value a slate (minor)")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in rates:
        table.add_row(
            one.name,
            f"{one.n_slates:,}",
            f"{one.n_slots:,}",
            _share(one.click_through),
            _share(one.conversion),
            f"{one.value_per_slate_minor.estimate:,.0f} "
            f"[{one.value_per_slate_minor.low:,.0f}, {one.value_per_slate_minor.high:,.0f}]",
        )
    return table


def off_policy(
    outcomes: pl.DataFrame,
    target: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    reward: Literal["clicked", "converted", "value_minor"] = "clicked",
    n_resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """The mean reward a slot had another policy filled it: self-normalised, by logged propensity.

    ``target`` (S,) is the probability with which the other policy would have filled each logged
    slot so, given the slots before it. Holds where the other policy shows nothing that had no
    chance of being logged. Swaminathan and Joachims, NeurIPS 2015; shoppers resampled.
    """
    logged = outcomes["propensity"].to_numpy()
    if (logged <= 0).any():
        raise BadInput(
            "A logged propensity is 0, though the slot was shown.", field="propensity", row=None
        )
    weight = target / logged
    columns = np.column_stack([weight * outcomes[reward].cast(pl.Float64).to_numpy(), weight])
    group = _witness(outcomes["shopper_row"].to_numpy())
    means = bootstrap_means(columns, rng, n_resamples=n_resamples, group=group)
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = columns[:, 0].sum() / columns[:, 1].sum()
        return percentile_interval(float(estimate), means[:, 0] / means[:, 1], level)


def _rates(
    name: str, slates: pl.DataFrame, rng: np.random.Generator, n_resamples: int, level: float
) -> Rates:
    columns = slates.select("clicked", "n_slots", "converted", "value").cast(pl.Float64).to_numpy()
    group = _witness(slates["shopper_row"].to_numpy())
    means = bootstrap_means(columns, rng, n_resamples=n_resamples, group=group)
    total = columns.mean(axis=0)
    return Rates(
        name,
        slates.height,
        int(slates["n_slots"].sum()),
        percentile_interval(total[0] / total[1], means[:, 0] / means[:, 1], level),
        percentile_interval(total[2], means[:, 2], level),
        percentile_interval(total[3], means[:, 3], level),
    )


def _witness(shopper_row: NDArray[np.int32]) -> NDArray[np.int64]:
    """Groups to resample: a shopper, or a row by itself where nobody was known."""
    alone = -1 - np.arange(len(shopper_row), dtype=np.int64)
    return np.where(shopper_row >= 0, shopper_row, alone)


def _canonical(rows: pl.Series, who: NDArray[np.int32] | None) -> pl.Series:
    """Who each row stands for; ``NO_ROW`` where nobody does."""
    known = rows.fill_null(NO_ROW).to_numpy()
    if who is None or not len(who):
        return pl.Series("shopper_row", known)
    inside = (known >= 0) & (known < len(who))
    return pl.Series("shopper_row", np.where(inside, who[np.where(inside, known, 0)], known))


def _read(
    store: FactStore,
    kind: Literal["shown", "action"],
    columns: Sequence[str] | None,
    since_seq: int,
    until_seq: int | None,
) -> pl.DataFrame:
    schema = SHOWN if kind == "shown" else pa.schema([ACTION.field(c) for c in ACTION_COLUMNS])
    tables = list(store.scan(kind, since_seq=since_seq, until_seq=until_seq, columns=columns))
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _share(interval: Interval) -> str:
    return f"{interval.estimate:.2%} [{interval.low:.2%}, {interval.high:.2%}]"
