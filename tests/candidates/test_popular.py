"""What most people want, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.candidates.popular import PopularConfig, PopularLearner
from tests.candidates.shop import BUY, NOW_MS, VIEW, facts_of, log_of, requests

# Day 400 is now. Ann (0) buys tea (0) again and again, Bob (1) and Cat (2) coffee (1) once each;
# Cat looked at cake (2) just now. Dan (3) bought tea long ago.
LOG = log_of(
    [
        (100, BUY, 3, 0, -1),
        (380, BUY, 0, 0, -1),
        (390, BUY, 0, 0, -1),
        (390, BUY, 1, 1, -1),
        (396, BUY, 0, 0, -1),
        (398, BUY, 2, 1, -1),
        (399, VIEW, 2, 2, -1),
    ]
)


def counts(**config: object) -> list[float]:
    """The count behind each of the three items' scores."""
    learner = PopularLearner(PopularConfig(**config))  # type: ignore[arg-type]
    source = learner.fit(facts_of(LOG), np.random.default_rng(0))
    score = source.score(requests([[]]), np.array([[0, 1, 2]], np.int32))
    return np.expm1(score[0]).tolist()


def test_actions_count_every_time() -> None:
    assert counts(counts="actions") == pytest.approx([4, 2, 0])


def test_buyers_count_once_an_item() -> None:
    assert counts(counts="buyers") == pytest.approx([2, 2, 0])


def test_a_window_forgets_what_came_before() -> None:
    assert counts(counts="buyers", window_days=7) == pytest.approx([1, 1, 0])
    assert counts(counts="actions", window_days=12) == pytest.approx([2, 2, 0])


def test_new_buyers_had_never_bought_it() -> None:
    """Ann is no new buyer of tea last week; Cat is one of coffee."""
    assert counts(counts="new_buyers", window_days=7) == pytest.approx([0, 1, 0], abs=1e-6)


def test_half_lives_halve() -> None:
    expected = [2 ** (-300 / 10) + 2 ** (-20 / 10) + 2 ** (-10 / 10) + 2 ** (-4 / 10)]
    expected += [2 ** (-10 / 10) + 2 ** (-2 / 10), 0]
    assert counts(counts="actions", half_life_days=10) == pytest.approx(expected, rel=1e-5)


def test_a_buyer_counts_at_the_last_time() -> None:
    faded = counts(counts="buyers", half_life_days=10)
    assert faded == pytest.approx([2 ** (-30) + 2 ** (-0.4), 2 ** (-1) + 2 ** (-0.2), 0], rel=1e-5)


def test_kinds_are_chosen() -> None:
    assert counts(kinds=("view_item", "purchase")) == pytest.approx([2, 2, 1])


def test_ties_go_to_the_item_known_longer() -> None:
    source = PopularLearner(PopularConfig()).fit(facts_of(LOG), np.random.default_rng(0))
    assert source.propose(requests([[], []]), 3).item_row.tolist() == [[0, 1, -1], [0, 1, -1]]
    assert int(LOG.at_ms.max()) < NOW_MS
