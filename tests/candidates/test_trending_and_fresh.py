"""What rises and what is new, counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from habitue.candidates.bpr import BprConfig, BprLearner
from habitue.candidates.fresh import FreshConfig, FreshLearner
from habitue.candidates.trending import TrendingConfig, TrendingLearner
from habitue.errors import BadSetting
from habitue.facts import MS_PER_DAY, NO_ROW, ActionKind
from tests.candidates.shop import (
    BUY,
    NOW_MS,
    VIEW,
    catalogue_of,
    facts_of,
    log_of,
    requests,
    two_tastes,
)

LN2 = float(np.log(2.0))
LIST = int(ActionKind.view_item_list)

# Day 400 is now. Tea (0) is viewed evenly, coffee (1) only lately, cake (2) only long ago.
STEADY = [(400.0 - age, VIEW, 0, 0, -1) for age in range(1, 100)]
LATELY = [(399.5, VIEW, shopper, 1, -1) for shopper in range(6)]
LONG_AGO = [(300.0, VIEW, 0, 2, -1)]


def trends(rows: list[Any], n: int, catalogue: Any = None, **settings: Any) -> list[float]:
    config = TrendingConfig(short_half_life_days=2, long_half_life_days=20, doubt=3, **settings)
    facts = facts_of(log_of(rows), catalogue)
    source = TrendingLearner(config).fit(facts, np.random.default_rng(0))
    score: list[float] = source.score(requests([[]]), np.arange(n, dtype=np.int32)[None])[
        0
    ].tolist()
    return score


def test_a_trend_is_the_short_rate_over_the_long_one() -> None:
    rows = [*STEADY, *LATELY, *LONG_AGO]

    def rate(item: int, half_life: float) -> float:
        mine = (0.5 ** ((400.0 - row[0]) / half_life) for row in rows if row[3] == item)
        return float(sum(mine)) * LN2 / half_life

    doubt = 3 * LN2 / 2
    whole = [sum(rate(item, days) for item in range(3)) for days in (2, 20)]
    usual = whole[0] / whole[1]
    expected = [
        max(0.0, np.log((rate(item, 2) / usual + doubt) / (rate(item, 20) + doubt)))
        for item in range(3)
    ]
    expected[2] = max(expected[2], 0.0)
    assert trends(rows, 3) == pytest.approx(expected, rel=1e-5)
    assert expected[1] > 0.2
    assert expected[0] == 0, "what is wanted as ever does not trend"
    assert expected[2] == 0


def test_within_its_category_an_item_must_rise_more_than_the_rest() -> None:
    """All tea rises alike, and so no tea trends among tea; the one coffee that rises does."""
    tea = [(399.5, VIEW, s, item, -1) for s in range(4) for item in (0, 1)]
    tea += [(370.0, VIEW, s, item, -1) for s in range(4) for item in (0, 1)]
    coffee = [(370.0, VIEW, s, item, -1) for s in range(4) for item in (2, 3)]
    coffee += [(399.5, VIEW, s, 2, -1) for s in range(4)]
    shelf = catalogue_of(4, product_type=["tea", "tea", "coffee", "coffee"])
    found = trends([*tea, *coffee], 4, shelf, within_category=True)
    assert found[:2] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert found[2] > 0.02
    assert found[3] == 0


def test_a_short_rate_is_the_shorter() -> None:
    with pytest.raises(BadSetting, match="short half-life below the long one"):
        TrendingLearner(TrendingConfig(short_half_life_days=30))


def fresh(rows: list[Any], n: int, catalogue: Any = None) -> list[float]:
    config = FreshConfig(half_life_days=10, oldest_days=30, allowance=4)
    facts = facts_of(log_of(rows), catalogue)
    source = FreshLearner(config).fit(facts, np.random.default_rng(0))
    score: list[float] = source.score(requests([[]]), np.arange(n, dtype=np.int32)[None])[
        0
    ].tolist()
    return score


def test_the_newest_come_first_and_those_shown_to_few_before() -> None:
    came = [NOW_MS - days * MS_PER_DAY for days in (10, 10, 31, 0)]
    shown = [(399.0, LIST, s, 1, -1) for s in range(4)]
    bought = [(399.0, BUY, 0, 0, -1)]  # buying is no sign of having been shown
    assert fresh([*shown, *bought], 4, catalogue_of(4, first_seen_ms=came)) == pytest.approx(
        [0.5, 0.25, 0.0, 1.0]
    )


def test_an_item_nobody_posted_came_with_its_first_action() -> None:
    rows = [(390.0, BUY, 0, 0, -1), (399.0, BUY, 0, 0, -1), (200.0, BUY, 0, 1, -1)]
    came: list[int | None] = [None, None, None]
    assert fresh(rows, 3, catalogue_of(3, first_seen_ms=came)) == pytest.approx([0.5, 0.0, 0.0])


def test_bpr_asks_a_stranger_by_the_mean_of_what_they_looked_at() -> None:
    shop = two_tastes(60, 14)
    source = BprLearner(BprConfig(factors=8, passes=50)).fit(shop.facts, np.random.default_rng(0))
    asked = requests([[(0, VIEW, 0.0), (2, VIEW, 0.0)], [(0, VIEW, 0.0)], []], shoppers=[-1, 5, -1])
    found = source.queries(asked)
    mean = source.item_factors[[0, 2]].mean(axis=0)
    np.testing.assert_allclose(found[0], [*mean[:-1], 1.0], rtol=1e-5)
    np.testing.assert_array_equal(found[1], source.shopper_factors[5])
    assert found[1, -1] == 1.0
    assert not found[2].any()
    assert (source.propose(asked, 3).item_row[2] == NO_ROW).all()
