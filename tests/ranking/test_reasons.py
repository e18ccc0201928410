"""A reason names a cause, and without the cause the item scores lower: anything else is a fault."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from habitue.facts import NO_ROW, ActionKind, Context, Owned
from habitue.ranking.blend import BlendRanker
from habitue.ranking.lambdamart import FeatureRanker
from habitue.ranking.reasons import Reason, Reasons, ReasonsConfig
from tests.ranking import shop

CONFIG = ReasonsConfig(least_drop=0.01)
EVERY = np.arange(shop.N_ITEMS, dtype=np.int32)


@dataclass(frozen=True)
class Shown:
    """A slate as the explainer sees it."""

    item_row: np.ndarray
    norms: np.ndarray | None


def slate_of(context: Context, n: int = 8) -> tuple[FeatureRanker, Shown]:
    """The best ``n`` items for each context."""
    ranker = shop.shop_ranker().bound(shop.shop_features())
    items = np.tile(EVERY, (len(context), 1))
    score, norms = ranker.rank(context, items)
    return ranker, Shown(np.argsort(-score, axis=1)[:, :n].astype(np.int32), norms)


def title(row: int) -> str:
    return f"thing {row}"


def removed(context: Context, row: int) -> Context:
    """A single request without one item in its past, built by hand."""
    keep = [x for x, i in enumerate(context.recent_item[0]) if i != row and i != NO_ROW]
    length = context.recent_item.shape[1]
    item = np.full((1, length), NO_ROW, np.int32)
    kind, age = np.zeros((1, length), np.uint8), np.zeros((1, length), np.float32)
    item[0, : len(keep)] = context.recent_item[0, keep]
    kind[0, : len(keep)] = context.recent_kind[0, keep]
    age[0, : len(keep)] = context.recent_age_days[0, keep]
    held = context.owned.item != row
    owned = Owned(
        np.array([0, held.sum()]), context.owned.item[held], context.owned.count[held],
        context.owned.age_days[held],
    )  # fmt: skip
    return replace(context, recent_item=item, recent_kind=kind, recent_age_days=age, owned=owned)


@pytest.mark.parametrize("shopper", range(12))
def test_without_the_named_item_the_score_is_lower_by_what_was_said(shopper: int) -> None:
    context = shop.contexts([shopper])
    ranker, slate = slate_of(context)
    reasons = Reasons({"home": ranker}, CONFIG).explain(context, slate, title)[0]
    features = ranker.features
    for slot, reason in enumerate(reasons):
        if not reason.causes or reason.kind not in ("looked", "bought", "carted"):
            continue
        item = slate.item_row[:, slot : slot + 1]
        before = features.make(context, item, norms=slate.norms)
        after = features.make(removed(context, reason.causes[0]), item, norms=slate.norms)
        lost = ranker.trees.forest.predict(before.x) - ranker.trees.forest.predict(after.x)
        assert lost[0] == pytest.approx(reason.drop, abs=1e-4)
        assert lost[0] > 0


def test_somebody_is_told_of_an_item_in_her_past() -> None:
    kinds: set[str] = set()
    for shopper in range(20):
        context = shop.contexts([shopper])
        ranker, slate = slate_of(context)
        for reason in Reasons({"home": ranker}, CONFIG).explain(context, slate, title)[0]:
            kinds.add(reason.kind)
            assert set(reason.causes) <= set(context.recent_item[0].tolist())
            assert all(title(row) in reason.text for row in reason.causes)
    assert kinds & {"looked", "bought"}


def test_a_stranger_is_told_of_the_shop_and_not_of_herself() -> None:
    context = shop.contexts([NO_ROW])
    ranker, slate = slate_of(context)
    for reason in Reasons({"home": ranker}, CONFIG).explain(context, slate, title)[0]:
        assert reason.kind in ("", "popular", "new")
        assert not reason.causes


def test_only_what_is_owned_is_due_again() -> None:
    for shopper in range(20):
        context = shop.contexts([shopper])
        ranker, slate = slate_of(context)
        reasons = Reasons({"home": ranker}, CONFIG).explain(context, slate, title)[0]
        owned = set(context.owned.item.tolist())
        for item, reason in zip(slate.item_row[0].tolist(), reasons, strict=True):
            assert reason.kind != "again" or item in owned


def test_a_high_bar_leaves_everything_unsaid() -> None:
    context = shop.contexts([3])
    ranker, slate = slate_of(context)
    silent = Reasons({"home": ranker}, ReasonsConfig(least_drop=1e6))
    assert silent.explain(context, slate, title)[0] == [Reason()] * 8


def test_the_item_looked_at_is_a_cause() -> None:
    context = shop.contexts([0], surface="item", anchors=[2])
    ranker, slate = slate_of(context)
    reasons = Reasons({"home": ranker}, CONFIG).explain(context, slate, title)[0]
    for reason in reasons:
        assert reason.kind != "anchors" or reason.causes == (2,)


def test_a_batch_is_explained_request_by_request() -> None:
    context = shop.contexts([0, 1])
    ranker, slate = slate_of(context)
    together = Reasons({"home": ranker}, CONFIG).explain(context, slate, title)
    alone = shop.contexts([1])
    single = Shown(slate.item_row[1:], slate.norms[1:])
    apart = Reasons({"home": ranker}, CONFIG).explain(alone, single, title)
    assert [r.text for r in together[1]] == [r.text for r in apart[0]]


def test_empty_slots_and_untrained_rankers_have_nothing_to_say() -> None:
    context = shop.contexts([0])
    ranker, slate = slate_of(context)
    none = Shown(np.full((1, 3), NO_ROW, np.int32), slate.norms)
    assert Reasons({"home": ranker}).explain(context, none, title) == [[Reason()] * 3]
    blend = Reasons({"home": BlendRanker(ranker.features)})
    assert blend.explain(context, slate, title) == [[Reason()] * 8]


def test_a_refusal_is_no_reason() -> None:
    context = shop.contexts([5])
    kind = np.full_like(context.recent_kind, int(ActionKind.not_interested))
    context = replace(context, recent_kind=kind, owned=Owned.nothing(1))
    ranker, slate = slate_of(context)
    for reason in Reasons({"home": ranker}, CONFIG).explain(context, slate, title)[0]:
        assert reason.kind in ("", "popular", "new")
