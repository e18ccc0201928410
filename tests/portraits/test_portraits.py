"""Portraits of shoppers: by hand, and the columns of all against each by itself."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.facts import MS_PER_DAY, ActionKind, ActionLog, Catalogue
from habitue.portraits import (
    STAGES,
    ItemColumns,
    PortraitConfig,
    ShopNorms,
    portrait_columns,
    portrait_of,
)
from habitue.portraits.norms import Yardsticks, price_levels, stages
from habitue.portraits.orders import Orders

DAY = MS_PER_DAY
N_ITEMS = 7
IDS = [f"i{x}" for x in range(N_ITEMS)]
COLUMNS = ItemColumns.of(
    Catalogue(
        pl.DataFrame(
            {
                "item_row": np.arange(N_ITEMS, dtype=np.int32),
                "price_micros": [1_000_000 * (x + 1) for x in range(6)] + [None],
                "brand": ["Kona", "Kona", "Aldo", None, "Aldo", "Kona", "Zeta"],
                "product_type": ["Home > Tea"] * 5 + ["Home > Cups", None],
                "first_seen_ms": [0] * N_ITEMS,
            }
        )
    )
)

Line = tuple[float, ActionKind, int, int, int, int]  # day, kind, shopper, item, order, minor units


def log_of(lines: list[Line], n_shoppers: int = 5) -> ActionLog:
    lines = sorted(lines, key=lambda line: line[0])
    n = len(lines)
    column = list(zip(*lines, strict=True)) if lines else [()] * 6
    return ActionLog(
        seq=np.arange(1, n + 1),
        at_ms=np.array([round(day * DAY) for day in column[0]], np.int64),
        kind=np.array([int(kind) for kind in column[1]], np.uint8),
        shopper_row=np.array(column[2], np.int32),
        item_row=np.array(column[3], np.int32),
        order_row=np.array(column[4], np.int32),
        quantity=np.full(n, 2.0, np.float32),
        price_micros=np.full(n, 1_500_000, np.int64),
        value_minor=np.array(column[5], np.int64),
        rating=np.full(n, np.nan, np.float32),
        n_shoppers=n_shoppers,
        n_items=N_ITEMS,
    )


BUY, VIEW, CART = ActionKind.purchase, ActionKind.view_item, ActionKind.add_to_cart
ANNA: list[Line] = [
    (0, BUY, 0, 0, 1, 500),
    (0, BUY, 0, 1, 1, 700),  # the same order
    (40, VIEW, 0, 5, -1, 0),
    (60, BUY, 0, 4, -1, 0),  # no total said: 2 at 1.50
]


def anna(now: float = 100.0, config: PortraitConfig | None = None):
    norms = ShopNorms.assumed(config)
    return portrait_of(
        "anna",
        log_of(ANNA),
        COLUMNS,
        IDS.__getitem__,
        norms,
        round(now * DAY),
        currency="EUR",
        config=config,
    )


def at(day: float) -> datetime:
    return datetime.fromtimestamp(day * 86_400, UTC)


def test_lines_of_an_order_are_one_order_and_totals_add_up():
    orders = Orders.of(log_of(ANNA), currency="EUR")
    assert (orders.at_ms // DAY).tolist() == [0, 60]
    assert orders.value_minor.tolist() == [1200, 300]
    assert orders.gaps_days().tolist() == [60.0]


def test_recency_frequency_and_value_with_the_orders_they_rest_on():
    rfv = anna().rfv
    assert rfv is not None
    assert (rfv.recency_days, rfv.frequency, rfv.value_minor) == (40.0, 2, 1500)
    assert [(one.at, one.value_minor, one.items) for one in rfv.evidence] == [
        (at(60), 300, ["i4"]),
        (at(0), 1200, ["i0", "i1"]),
    ]
    assert rfv.recency_fifth is None  # nobody to compare with yet


def test_interests_fade_by_half_each_half_life():
    tea, cups = anna(config=PortraitConfig(half_life_days=20.0)).categories
    # day 100: bought at 0 (two lines) and at 60, four each; looked at cups at 40, one.
    strong = 2 * 4 * 2.0**-5 + 4 * 2.0**-2
    weak = 2.0**-3
    assert (tea.name, tea.strength, tea.count) == ("Home > Tea", pytest.approx(strong), 3)
    assert (cups.name, cups.share) == ("Home > Cups", pytest.approx(weak / (strong + weak)))
    assert (tea.last_at, cups.last_at) == (at(60), at(40))
    assert (tea.evidence[0].item, tea.evidence[0].kind) == ("i4", "purchase")
    assert [one.item for one in cups.evidence] == ["i5"]


def test_brands_are_interests_too_and_items_without_one_say_nothing():
    assert [(one.name, one.count) for one in anna().brands] == [("Kona", 3), ("Aldo", 1)]


def test_price_levels_are_of_the_category():
    # Five teas at 1 to 5: the cheapest is dearer than none, and half of itself. The one priced
    # cup is too few for a scale: it is held against the shop's six prices.
    levels = price_levels(COLUMNS.log_price, COLUMNS.category)
    assert levels[:6] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9, 5.5 / 6])
    assert np.isnan(levels[6])


def test_equal_prices_share_a_level():
    same = price_levels(np.log(np.array([2, 2, 9], np.float32)), np.full(3, -1, np.int32))
    assert same == pytest.approx([1 / 3, 1 / 3, 2.5 / 3])


def test_the_price_band_rests_on_purchases_with_a_known_price():
    norms = ShopNorms.of(log_of(ANNA), COLUMNS, 100 * DAY, currency="EUR")
    made = portrait_of(
        "anna", log_of(ANNA), COLUMNS, IDS.__getitem__, norms, 100 * DAY, currency="EUR",
        config=PortraitConfig(half_life_days=60.0),
    ).price  # fmt: skip
    assert made is not None
    old, late = 2 ** (-100 / 60), 2 ** (-40 / 60)
    level = (old * 0.1 + old * 0.3 + late * 0.9) / (2 * old + late)
    assert (made.level, made.band, made.count) == (pytest.approx(level), "middle", 3)
    assert [one.item for one in made.evidence] == ["i4", "i1", "i0"]


@pytest.mark.parametrize(
    ("orders", "since", "stage"),
    [
        (0, 0, "visitor"),
        (1, 10, "new"),
        (1, 40, "new"),
        (1, 41, "one-time"),
        (2, 40, "active"),
        (5, 40, "loyal"),
        (5, 41, "at risk"),
        (2, 80, "at risk"),
        (9, 81, "lapsed"),
    ],
)
def test_the_stages_by_hand(orders, since, stage):
    marks = Yardsticks(0, 15.0, 40.0, 99, 5, 10)
    (place,) = stages(np.array([orders]), np.array([float(since)]), marks)
    assert STAGES[place] == stage


def test_the_shop_sets_its_own_pace():
    # Forty shoppers order every ten days, four of them after 50 once: nine in ten come within 10.
    lines: list[Line] = []
    for who in range(40):
        lines += [(10.0 * k, BUY, who, 0, -1, 100) for k in range(3)]
    lines += [(70.0, BUY, who, 0, -1, 100) for who in range(4)]
    marks = ShopNorms.of(log_of(lines, 40), COLUMNS, 100 * DAY, currency="EUR").yardsticks
    assert (marks.usual_gap_days, marks.late_gap_days, marks.gaps) == (10.0, 10.0, 84)
    assert (marks.buyers, marks.loyal_orders) == (40, 3)
    young = ShopNorms.of(log_of(lines[:3], 40), COLUMNS, 100 * DAY, currency="EUR").yardsticks
    assert (young.usual_gap_days, young.late_gap_days, young.gaps) == (30.0, 90.0, 0)


def test_fifths_part_the_buyers_evenly():
    lines: list[Line] = [(float(who), BUY, who, 0, -1, 100 * (10 - who)) for who in range(10)]
    log = log_of(lines, 10)
    norms = ShopNorms.of(log, COLUMNS, 100 * DAY, currency="EUR")
    frame = portrait_columns(log, COLUMNS, norms, 100 * DAY, currency="EUR")
    assert frame["recency"].to_list() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert frame["value"].to_list() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert frame["frequency"].to_list() == [1] * 10


def test_norms_are_kept(tmp_path):
    norms = ShopNorms.of(log_of(ANNA), COLUMNS, 100 * DAY, currency="EUR")
    norms.save(tmp_path)
    again = ShopNorms.load(tmp_path)
    assert again.yardsticks == norms.yardsticks
    np.testing.assert_array_equal(again.price_level, norms.price_level)


lines_of_a_shop = st.lists(
    st.tuples(
        st.floats(0, 300, allow_nan=False).map(lambda day: round(day, 2)),
        st.sampled_from([BUY, BUY, VIEW, CART, ActionKind.page_view, ActionKind.not_interested]),
        st.integers(-1, 4),
        st.integers(-1, N_ITEMS - 1),
        st.integers(-1, 3),
        st.integers(0, 5000),
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(lines_of_a_shop, st.integers(100, 320))
def test_the_columns_of_all_say_what_each_portrait_says(lines, now):
    lines = [  # an order is one shopper's
        (day, kind, who, item, order if order < 0 else 4 * (who + 1) + order, minor)
        for day, kind, who, item, order, minor in lines
    ]
    log, now_ms = log_of(lines), now * DAY
    config = PortraitConfig(interests=2, least_gaps=3, half_life_days=30.0)
    norms = ShopNorms.of(log, COLUMNS, now_ms, currency="EUR", config=config)
    frame = portrait_columns(log, COLUMNS, norms, now_ms, currency="EUR", config=config)
    counted = (log.at_ms < now_ms) & (log.shopper_row >= 0) & (log.item_row >= 0)
    acted = np.unique(log.shopper_row[counted])
    assert frame["shopper_row"].to_list() == acted.tolist()
    for row in frame.iter_rows(named=True):
        own = log.take(log.shopper_row == row["shopper_row"])
        one = portrait_of(
            "x", own, COLUMNS, IDS.__getitem__, norms, now_ms, currency="EUR", config=config
        )
        assert one.lifecycle is not None
        assert (row["stage"], row["n_orders"]) == (one.lifecycle.stage, one.lifecycle.orders)
        assert row["n_actions"] == one.actions
        if one.rfv is None:
            assert row["recency"] is row["value_minor"] is row["last_order_ms"] is None
        else:
            assert row["recency_days"] == pytest.approx(one.rfv.recency_days)
            assert row["value_minor"] == one.rfv.value_minor
            said = (one.rfv.recency_fifth, one.rfv.frequency_fifth, one.rfv.value_fifth)
            assert (row["recency"], row["frequency"], row["value"]) == said
            assert one.lifecycle.first_order_at == at(row["first_order_ms"] / DAY)
        if one.price is None:
            assert row["price_level"] is row["price_band"] is None
        else:
            assert row["price_level"] == pytest.approx(one.price.level)
        for name in ("categories", "brands"):
            told = getattr(one, name)
            assert [x["name"] for x in row[name]] == [x.name for x in told]
            assert [x["count"] for x in row[name]] == [x.count for x in told]
            assert [x["strength"] for x in row[name]] == pytest.approx([x.strength for x in told])
            assert [x["share"] for x in row[name]] == pytest.approx([x.share for x in told])


def test_a_shop_without_actions_has_the_same_columns():
    empty, some = log_of([]), log_of(ANNA)
    frames = [
        portrait_columns(
            log,
            COLUMNS,
            ShopNorms.of(log, COLUMNS, 100 * DAY, currency="EUR"),
            100 * DAY,
            currency="EUR",
        )
        for log in (empty, some)
    ]
    assert frames[0].height == 0
    assert frames[0].schema == frames[1].schema
