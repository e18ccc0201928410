"""Features mean one thing, for one request as for many, and by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from habitue.errors import BadInput
from habitue.facts import MS_PER_DAY, NO_ROW, ActionKind, Rated
from habitue.portraits import ItemColumns, ItemStats, contexts_as_of, pick
from habitue.ranking.causes import take_away
from habitue.ranking.features import FeatureMaker
from tests.portraits.logs import log_of
from tests.ranking import shop

ITEMS = np.array([[0, 1, 2, 3, 5], [7, 4, 3, 2, NO_ROW], [1, 9, 8, 11, 20]], np.int32)
WHO = [0, 1, 2]


def value(maker: FeatureMaker, x: np.ndarray, row: int, name: str) -> float:
    return float(x[row, maker.names.index(name)])


def test_every_column_has_one_name() -> None:
    maker = shop.shop_features()
    x = maker.make(shop.contexts(WHO), ITEMS).x
    assert x.shape == (15, len(maker.names))
    assert len(set(maker.names)) == len(maker.names)


def test_no_feature_is_ever_missing() -> None:
    maker = shop.shop_features()
    context = shop.contexts([*WHO, NO_ROW, 999], surface="item", anchors=[0, 3, 5, 7, NO_ROW])
    items = np.array([[0, 1, 23], [3, 4, 999], [5, 6, NO_ROW], [7, 8, 9], [1, 2, 3]], np.int32)
    assert np.isfinite(maker.make(context, items).x).all()


def test_one_request_and_a_batch_agree() -> None:
    maker = shop.shop_features()
    context = shop.contexts(WHO, surface="item", anchors=[4, 6, 8])
    whole = maker.make(context, ITEMS).x.reshape(3, 5, -1)
    for b in range(3):
        alone = maker.make(pick(context, np.array([b])), ITEMS[b : b + 1]).x
        np.testing.assert_allclose(alone[ITEMS[b] >= 0], whole[b][ITEMS[b] >= 0], rtol=2e-5,
                                   atol=1e-6)  # fmt: skip


def test_the_order_of_candidates_changes_nothing() -> None:
    maker = shop.shop_features()
    context = shop.contexts(WHO)
    backwards = maker.make(context, ITEMS[:, ::-1].copy()).x.reshape(3, 5, -1)[:, ::-1]
    whole = maker.make(context, ITEMS).x.reshape(3, 5, -1)
    np.testing.assert_allclose(backwards[ITEMS >= 0], whole[ITEMS >= 0], rtol=2e-5, atol=1e-5)


def test_given_norms_keep_a_part_comparable() -> None:
    """A few of the candidates, scored with the norms of all, look as they did among all."""
    maker = shop.shop_features()
    context = shop.contexts(WHO)
    whole = maker.make(context, ITEMS)
    part = maker.make(context, ITEMS[:, :2].copy(), norms=whole.norms)
    expected = whole.x.reshape(3, 5, -1)[:, :2]
    np.testing.assert_allclose(part.x.reshape(3, 2, -1), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("anchors", [None, [4]], ids=["home", "item"])
@pytest.mark.parametrize("shopper", [*range(6), NO_ROW])
def test_a_request_with_less_in_it_has_the_features_it_would_have_had(
    shopper: int, anchors: list[int] | None
) -> None:
    """What is left is read off the whole request; making everything anew says the same."""
    maker = shop.shop_features()
    columns, items = maker.columns, np.array([0, 3, 8, 11, 999], np.int32)
    surface = "home" if anchors is None else "item"
    context = shop.contexts([shopper], surface=surface, anchors=anchors)
    known = maker.make(context, items[None])
    variants = take_away(context, items, columns.brand, columns.category, 4).variants
    n = len(variants)
    rows = np.repeat(items[None], n, axis=0)
    score = maker.source_scores(variants, rows)
    norms = np.repeat(known.norms, n, axis=0)
    expected = maker.make(variants, rows, source_score=score, norms=norms).x
    variant, place = np.divmod(np.arange(n * len(items), dtype=np.int32), len(items))
    x = np.empty_like(expected)
    maker.changed(known, items, variants, score, variant, place, x)
    np.testing.assert_allclose(x, expected, rtol=2e-6, atol=2e-6)
    assert shopper == NO_ROW or np.ptp(expected.reshape(n, len(items), -1), axis=0).any()


def test_a_rating_goes_with_the_item_that_is_taken_away() -> None:
    columns = shop.shop_features().columns
    context = shop.contexts([0])
    looked_at = int(context.recent_item[0, 0])
    others = [item for item in range(12) if item not in context.recent_item[0]]
    rated = Rated(
        np.array([0, 2]), np.array([looked_at, others[0]], np.int32),
        np.array([5.0, 2.0], np.float32), np.array([1.0, 3.0], np.float32),
    )  # fmt: skip
    items = np.array(others[:3], np.int32)
    tried = take_away(replace(context, rated=rated), items, columns.brand, columns.category, 4)
    left = tried.variants.rated
    assert left is not None
    for v in range(len(tried.variants)):
        gone = v > 0 and tried.code[v - 1] <= 2 and tried.named[v - 1] == looked_at
        mine = slice(left.indptr[v], left.indptr[v + 1])
        assert left.item[mine].tolist() == ([others[0]] if gone else [looked_at, others[0]])
        assert left.rating[mine].tolist() == ([2.0] if gone else [5.0, 2.0])
    assert take_away(context, items, columns.brand, columns.category, 4).variants.rated is None


NOW = 100 * MS_PER_DAY
NAN = float("nan")


def by_hand() -> tuple[FeatureMaker, np.ndarray]:
    """Shopper 0 bought item 1 twice (28 and 14 days ago) and looked at item 2 a week ago."""
    day = MS_PER_DAY
    log = log_of(
        [
            (NOW - 28 * day, ActionKind.purchase, 0, 1, 0, 1.0, NAN),
            (NOW - 14 * day, ActionKind.purchase, 0, 1, 1, 3.0, 5.0),
            (NOW - 7 * day, ActionKind.view_item, 0, 2, -1, 1.0, NAN),
            (NOW - 7 * day, ActionKind.purchase, 1, 2, 2, 1.0, NAN),
        ]
    )
    maker = FeatureMaker((), ItemStats.as_of(log, NOW), ItemColumns())
    context = contexts_as_of(
        log, np.array([0], np.int32), np.array([NOW]), surface="home", length=10
    )
    return maker, maker.make(context, np.array([[1, 2, 3]], np.int32)).x


@pytest.mark.parametrize(
    ("item", "name", "expected"),
    [
        (0, "item_bought_14d", math.log(0.5 + 0.25 + 0.1)),
        (0, "item_new_buyers_28d", math.log(0.5 + 0.1)),
        (1, "item_bought_7d", math.log(0.5 + 0.1)),
        (1, "item_viewed_7d", math.log(0.5 + 0.1)),
        (0, "item_bought_ever", math.log1p(2)),
        (0, "item_unbought_days", 14.0),
        (2, "item_unbought_days", 999.0),
        (0, "item_known_days", 28.0),
        (0, "item_repeat_rate", 2.0),
        (0, "item_rating", 5.0),
        (0, "item_log_price", math.log(2.0)),
        (0, "shopper_idle_days", 7.0),
        (0, "shopper_unbought_days", 14.0),
        (0, "shopper_orders", math.log1p(2)),
        (0, "shopper_order_gap_days", 14.0),
        (0, "shopper_views_share", 1 / 3),
        (0, "shopper_novelty", 1 / 2),
        (0, "pair_owned_count", 2.0),
        (0, "pair_owned_days", 14.0),
        (1, "pair_owned_days", -1.0),
        (0, "pair_gap_days", 14.0),
        (0, "pair_due", 1.0),
        (0, "pair_order_rate", 1.0),
        (0, "pair_bought_15d", 2 ** (-14 / 15) + 2 ** (-28 / 15)),
        (1, "pair_viewed_days", 7.0),
        (1, "pair_viewed_weight", 0.5),
        (0, "pair_price_gap", 0.0),
    ],
)
def test_features_by_hand(item: int, name: str, expected: float) -> None:
    maker, x = by_hand()
    assert value(maker, x, item, name) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_brand_and_category_share_attention() -> None:
    """Everything shopper 0 did was on even items, which are all of one brand."""
    maker = shop.shop_features()
    x = maker.make(shop.contexts([0]), np.array([[0, 1]], np.int32)).x
    assert value(maker, x, 0, "pair_brand_share") == pytest.approx(1.0, rel=1e-4)
    assert value(maker, x, 1, "pair_brand_share") == 0.0
    assert value(maker, x, 0, "shopper_brand_focus") == pytest.approx(1.0)


def test_anchors_are_measured_beside() -> None:
    """Item 5 costs 1 and item 1 costs 2; both are of the odd brand; kinds 2 and 1 differ."""
    maker = shop.shop_features()
    context = shop.contexts([0], surface="item", anchors=[5])
    x = maker.make(context, np.array([[1, 11]], np.int32)).x
    assert value(maker, x, 0, "anchor_price_gap") == pytest.approx(math.log(2.0), rel=1e-5)
    assert value(maker, x, 0, "anchor_same_brand") == 1.0
    assert value(maker, x, 0, "anchor_same_category") == 0.0
    assert value(maker, x, 1, "anchor_same_category") == 1.0  # 11 % 3 == 5 % 3


def test_what_a_shopper_does_next_moves_her_features_and_nobody_elses() -> None:
    maker = shop.shop_features()
    early, late = shop.contexts([0, 1]), shop.contexts([0, 1], now_ms=shop.CUT + 20 * shop.DAY)
    items = np.tile(np.arange(6, dtype=np.int32), (2, 1))
    moved = maker.make(early, items).x != maker.make(late, items).x
    assert moved.any()


def test_a_ranker_refuses_features_it_did_not_learn() -> None:
    ranker = shop.shop_ranker()
    other = FeatureMaker(shop.shop_sources()[:2], shop.shop_features().stats, ItemColumns())
    with pytest.raises(BadInput, match="bought_bought"):
        ranker.bound(other)
