"""Nearest shoppers and nearest items: equal to going through everybody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.candidates.item_knn import ItemKnnConfig, ItemKnnLearner
from habitue.candidates.profile import ProfileConfig
from habitue.candidates.user_knn import UserKnnConfig, UserKnnLearner
from habitue.facts import NO_ROW, ActionLog
from tests.candidates.shop import BUY, VIEW, facts_of, log_of, requests

N_SHOPPERS, N_ITEMS = 13, 8
EVEN = ProfileConfig(
    kind_weight={"view_item": 1.0, "purchase": 2.0}, position_decay=1.0, half_life_days=1e9
)
EVERYTHING = np.arange(N_ITEMS, dtype=np.int32)[None]


def random_log(seed: int) -> ActionLog:
    rng = np.random.default_rng(seed)
    rows = [
        (
            float(rng.integers(300, 390)),
            (VIEW, BUY)[int(rng.integers(0, 2))],
            int(rng.integers(0, N_SHOPPERS)),
            int(rng.integers(0, N_ITEMS)),
            -1,
        )
        for _ in range(50)
    ]
    return log_of(rows, n_shoppers=N_SHOPPERS, n_items=N_ITEMS)


def wants(log: ActionLog, weight: dict[int, float]) -> NDArray[np.float64]:
    """What every shopper did with every item, added up."""
    out = np.zeros((N_SHOPPERS, N_ITEMS))
    for shopper, item, kind in zip(log.shopper_row, log.item_row, log.kind, strict=True):
        out[shopper, item] += weight[int(kind)]
    return out


@given(seed=st.integers(0, 10_000), neighbours=st.integers(1, 15), known=st.booleans())
def test_user_knn_is_going_through_everybody(seed: int, neighbours: int, known: bool) -> None:
    log = random_log(seed)
    config = UserKnnConfig(
        kind_weight={"view_item": 1.0, "purchase": 3.0}, neighbours=neighbours, profile=EVEN
    )
    source = UserKnnLearner(config).fit(facts_of(log), np.random.default_rng(0))
    shopper = seed % N_SHOPPERS if known else NO_ROW
    asked = requests([[(0, VIEW, 1.0), (3, BUY, 2.0), (0, BUY, 4.0)]], shoppers=[shopper])
    profile = np.zeros(N_ITEMS)
    profile[[0, 3]] = 3.0, 2.0
    others = wants(log, {VIEW: 1.0, BUY: 3.0})
    length = np.linalg.norm(others, axis=1)
    cosine = others @ profile / np.where(length > 0, length, 1)  # its own length is all the same
    if known:
        cosine[shopper] = 0
    near = np.argsort(-cosine, kind="stable")[:neighbours]
    if len(cosine) > neighbours:
        edge = np.sort(cosine)[::-1][neighbours - 1 : neighbours + 1]
        if np.isclose(edge[0], edge[1]) and edge[0] > 0:
            return  # a tie at the edge: either is right
    share = cosine[near] / cosine[near].sum() if cosine[near].sum() > 0 else cosine[near]
    np.testing.assert_allclose(
        source.score(asked, EVERYTHING)[0], share @ others[near], rtol=1e-4, atol=1e-6
    )


def cosine_of_items(log: ActionLog, weighting: str) -> NDArray[np.float64]:
    x = (wants(log, {VIEW: 1.0, BUY: 1.0}) > 0).astype(np.float64)
    if weighting == "tfidf":
        rarity = np.log(N_ITEMS) - np.log1p(x.sum(axis=1))
        x = np.sqrt(x) * rarity[:, None]
    length = np.linalg.norm(x, axis=0)
    likeness = x.T @ x / np.outer(np.where(length > 0, length, 1), np.where(length > 0, length, 1))
    np.fill_diagonal(likeness, 0)
    return np.asarray(likeness)


@pytest.mark.parametrize("weighting", ["cosine", "tfidf"])
@given(seed=st.integers(0, 10_000))
def test_item_knn_is_comparing_all_pairs(weighting: str, seed: int) -> None:
    log = random_log(seed)
    config = ItemKnnConfig.model_validate(
        {
            "weighting": weighting,
            "kind_weight": {"view_item": 1.0, "purchase": 1.0},
            "neighbours": N_ITEMS,
            "profile": EVEN,
        }
    )
    source = ItemKnnLearner(config).fit(facts_of(log), np.random.default_rng(0))
    likeness = cosine_of_items(log, weighting)
    asked = requests([[(0, VIEW, 1.0), (3, BUY, 2.0)]])
    expected = np.maximum(likeness, 0)[0] + 2 * np.maximum(likeness, 0)[3]
    np.testing.assert_allclose(source.score(asked, EVERYTHING)[0], expected, rtol=1e-4, atol=1e-6)


def test_item_knn_keeps_the_nearest() -> None:
    log = random_log(3)
    config = ItemKnnConfig(weighting="cosine", neighbours=2, kind_weight={"purchase": 1.0})
    source = ItemKnnLearner(config).fit(facts_of(log), np.random.default_rng(0))
    assert all(len(source.table.of(item)[0]) <= 2 for item in range(N_ITEMS))
    assert len(source.table.of(0)[0]) == 2


def test_a_shopper_is_no_neighbour_of_their_own() -> None:
    """Ann alone bought items 1 and 2: told of item 1, a stranger is led to item 2, she is not."""
    rows = [(390.0, BUY, 0, 1, -1), (391.0, BUY, 0, 2, -1), (392.0, BUY, 1, 3, -1)]
    source = UserKnnLearner(UserKnnConfig()).fit(facts_of(log_of(rows)), np.random.default_rng(0))
    history = [(1, BUY, 1.0)]
    stranger, ann = requests([history], shoppers=[NO_ROW]), requests([history], shoppers=[0])
    assert source.propose(stranger, 3).item_row.tolist() == [[1, 2, NO_ROW]]
    assert source.propose(ann, 3).item_row.tolist() == [[NO_ROW] * 3]


def test_who_an_item_leads_to_is_bounded() -> None:
    log = random_log(9)
    config = UserKnnConfig(shoppers_per_item=2, items_per_shopper=3)
    source = UserKnnLearner(config).fit(facts_of(log), np.random.default_rng(0))
    assert max(len(source.who.of(item)[0]) for item in range(N_ITEMS)) == 2
    assert max(len(source.what.of(shopper)[0]) for shopper in range(N_SHOPPERS)) == 3
