"""How long until an item is bought again, read off a log by hand."""

from __future__ import annotations

import numpy as np

from habitue.facts import MS_PER_DAY, ActionKind, ActionLog
from habitue.policy.rebuy import usual_gap_days


def make_log(bought: list[tuple[int, int, float]], n_items: int) -> ActionLog:
    """Purchases (shopper, item, day) as a log."""
    bought = sorted(bought, key=lambda one: one[2])
    n = len(bought)
    return ActionLog(
        seq=np.arange(1, n + 1),
        at_ms=np.array([int(day * MS_PER_DAY) for _, _, day in bought], np.int64),
        kind=np.full(n, ActionKind.purchase, np.uint8),
        shopper_row=np.array([shopper for shopper, _, _ in bought], np.int32),
        item_row=np.array([item for _, item, _ in bought], np.int32),
        order_row=np.full(n, -1, np.int32),
        quantity=np.ones(n, np.float32),
        price_micros=np.zeros(n, np.int64),
        value_minor=np.zeros(n, np.int64),
        rating=np.full(n, np.nan, np.float32),
        n_shoppers=3,
        n_items=n_items,
    )


def test_an_items_own_median_then_its_categorys_then_none() -> None:
    log = make_log(
        [
            *[(0, 0, 0), (0, 0, 10), (0, 0, 30), (1, 0, 5), (1, 0, 17)],  # gaps 10, 20, 12
            *[(2, 1, 0), (2, 1, 40)],  # one gap: too few of its own
            *[(2, 3, 1), (2, 3, 1.5)],  # the same day is not again
        ],
        n_items=5,
    )
    gaps = usual_gap_days(log, np.array([0, 0, 0, 1, -1], np.int32), min_gaps=3)
    np.testing.assert_allclose(gaps, [12, 16, 16, np.nan, np.nan])


def test_an_empty_log_knows_nothing() -> None:
    assert np.isnan(usual_gap_days(make_log([], 2), np.array([0, -1], np.int32))).all()
