"""Friends: what the source says is what going through everybody by hand says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.candidates.social import SocialConfig, SocialLearner
from habitue.facts import NO_ROW
from tests.candidates.shop import BUY, RATE, facts_of, friends, log_of, requests

N_SHOPPERS, N_ITEMS = 7, 5
PAIRS = st.lists(
    st.tuples(st.integers(0, N_SHOPPERS - 1), st.integers(0, N_SHOPPERS - 1)), max_size=12
)
TAKEN = st.lists(st.tuples(st.integers(0, N_SHOPPERS - 1), st.integers(0, N_ITEMS - 1)), min_size=1)


def by_hand(
    pairs: list[tuple[int, int]], taken: list[tuple[int, int]], further: float, crowd: float
) -> NDArray[np.float64]:
    """The score of every item for every shopper, by loops."""
    knows = np.zeros((N_SHOPPERS, N_SHOPPERS))
    for one, other in pairs:
        if one != other:
            knows[one, other] = knows[other, one] = 1
    near = knows / np.maximum(knows.sum(axis=1, keepdims=True), 1) ** crowd
    reach = near + further * near @ near
    np.fill_diagonal(reach, 0)
    times = np.zeros((N_SHOPPERS, N_ITEMS))
    for shopper, item in taken:
        times[shopper, item] += 1
    said = np.sqrt(times) / np.maximum((times > 0).sum(axis=1, keepdims=True), 1) ** crowd
    return reach @ said


@given(
    pairs=PAIRS, taken=TAKEN, further=st.sampled_from([0.0, 0.5, 1.0]),
    crowd=st.sampled_from([0.0, 0.5, 1.0]),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_it_is_going_through_everybody_s_friends(
    pairs: list[tuple[int, int]], taken: list[tuple[int, int]], further: float, crowd: float
) -> None:
    rows = [(1.0 + x, BUY, shopper, item, x) for x, (shopper, item) in enumerate(taken)]
    log = log_of(rows, n_shoppers=N_SHOPPERS, n_items=N_ITEMS)
    told = friends([one for one, _ in pairs], [other for _, other in pairs])
    config = SocialConfig(further=further, crowd=crowd, shoppers_at_once=3)
    source = SocialLearner(config).fit(replace(facts_of(log), links=told), np.random.default_rng(0))
    asked = requests([[] for _ in range(N_SHOPPERS)], shoppers=list(range(N_SHOPPERS)))
    every = np.tile(np.arange(N_ITEMS, dtype=np.int32), (N_SHOPPERS, 1))
    np.testing.assert_allclose(
        source.score(asked, every), by_hand(pairs, taken, further, crowd), rtol=1e-5, atol=1e-6
    )


def test_a_newcomer_hears_of_what_friends_took_and_no_one_else() -> None:
    """Shopper 3 did nothing, knows 0, who knows 1; nobody knows 2."""
    log = log_of(
        [(1.0, BUY, 0, 0, 0), (2.0, RATE, 1, 1, -1), (3.0, BUY, 2, 2, 1)], n_shoppers=4, n_items=3
    )
    facts = replace(facts_of(log), links=friends([3, 0], [0, 1]))
    source = SocialLearner(SocialConfig()).fit(facts, np.random.default_rng(0))
    found = source.propose(requests([[]], shoppers=[3]), 3)
    assert found.item_row[0].tolist() == [0, 1, NO_ROW]
    assert not source.propose(requests([[]], shoppers=[2]), 3).score.any()
    silent = requests([[]], shoppers=[3], personal=[False])
    assert not source.propose(silent, 3).score.any()


def test_ties_made_later_are_not_known_earlier() -> None:
    told = friends([0], [1])
    later = replace(told, at_ms=np.array([0, 10], np.int64))
    assert later.before(10).shopper_row.tolist() == told.shopper_row[:1].tolist()


@pytest.mark.parametrize("setting", [{"neighbours": 0}, {"crowd": 2.0}, {"kind_weight": {"x": 1}}])
def test_settings_that_mean_nothing_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        SocialConfig.model_validate(setting)
