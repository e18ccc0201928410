"""The additive model: one order for everybody, and chances that differ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.candidates.additive import AdditiveConfig, AdditiveLearner, AdditiveSource
from habitue.facts import NO_ROW
from tests.candidates.shop import (
    BUY,
    CART,
    VIEW,
    catalogue_of,
    facts_of,
    log_of,
    requests,
    two_tastes,
)

SHOP = two_tastes(30, 16)


@pytest.fixture(scope="module")
def source() -> AdditiveSource:
    return AdditiveLearner(AdditiveConfig()).fit(SHOP.facts, np.random.default_rng(2))


ACTIONS = st.lists(
    st.tuples(st.integers(0, 15), st.sampled_from([VIEW, CART, BUY]), st.floats(0.0, 300.0)),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS, ACTIONS, st.integers(NO_ROW, 40), st.integers(NO_ROW, 40))
def test_the_order_is_the_same_for_every_shopper(
    source: AdditiveSource, mine: list, yours: list, me: int, you: int
) -> None:
    """Whatever each has done, what is better for the one is better for the other."""
    context = requests([sorted(mine, key=_age), sorted(yours, key=_age)], shoppers=[me, you])
    found = source.propose(context, 16)
    np.testing.assert_array_equal(found.item_row[0], found.item_row[1])
    everything = np.tile(np.arange(16, dtype=np.int32), (2, 1))
    first, second = source.score(context, everything).astype(np.float64)
    apart = np.sign(first[:, None] - first) * np.sign(second[:, None] - second)
    assert (apart >= 0).all()


def _age(action: tuple[int, int, float]) -> float:
    return action[2]


def test_the_chance_is_the_logistic_of_a_sum(source: AdditiveSource) -> None:
    context = SHOP.contexts()
    items = np.array([[0, 3, 7]] * 2, np.int32)
    odds = source.willing(context)[:, None] + source.of_item[items]
    np.testing.assert_allclose(source.score(context, items), 1 / (1 + np.exp(-odds)), rtol=1e-5)


def test_it_knows_who_is_willing() -> None:
    """Who takes mugs takes all of them; who takes pots takes a pot and one thing more."""
    rows = []
    for shopper in range(40):
        mine = range(12) if shopper % 2 else (12 + shopper % 4 // 2, shopper % 12)
        rows += [(10.0 + shopper + n / 100, VIEW, shopper, item, -1) for n, item in enumerate(mine)]
    brands = ["Mug"] * 12 + ["Pot"] * 3
    facts = facts_of(log_of(rows, n_items=15), catalogue_of(15, brand=brands))
    source = AdditiveLearner(AdditiveConfig(penalty=0.1)).fit(facts, np.random.default_rng(2))
    assert source.measured["log_loss"] < np.log(2)
    assert not source.known[14], "nobody took it"
    mugs, pots, nobody = source.willing(requests([[(0, VIEW, 1.0)], [(12, VIEW, 1.0)], []]))
    assert mugs > pots
    assert nobody == 0.0
