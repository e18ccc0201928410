"""A reason names a cause, and without the cause the item scores lower: anything else is a fault."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest

from habitue.facts import NO_ROW, ActionKind, Context, Owned
from habitue.ranking import causes
from habitue.ranking.blend import BlendRanker
from habitue.ranking.feature_kernels import fill_changed, fill_features
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


class OnlyScores:
    """A ranker that ranks, and no more."""

    def score(self, context: Context, item_row: np.ndarray) -> np.ndarray:
        return np.zeros(item_row.shape, np.float32)


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
        context.owned.age_days[held], context.owned.first_age_days[held],
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


def test_empty_slots_and_rankers_that_cannot_try_have_nothing_to_say() -> None:
    context = shop.contexts([0])
    ranker, slate = slate_of(context)
    none = Shown(np.full((1, 3), NO_ROW, np.int32), slate.norms)
    assert Reasons({"home": ranker}).explain(context, none, title) == [[Reason()] * 3]
    assert Reasons({"home": OnlyScores()}).explain(context, slate, title) == [[Reason()] * 8]


def test_without_norms_a_slate_is_measured_as_it_was_ranked() -> None:
    context = shop.contexts([2])
    ranker, slate = slate_of(context)
    expected = Reasons({"home": ranker}, CONFIG).explain(context, slate, title)
    bare = Shown(slate.item_row, None)
    assert Reasons({"home": ranker}, CONFIG).explain(context, bare, title) == expected


def test_a_request_that_was_not_the_last_is_explained_the_same() -> None:
    """Whether the ranker still knows how it scored the slate, or has to score it again."""
    context = shop.contexts([7])
    ranker, slate = slate_of(context)
    fresh = Reasons({"home": ranker}, CONFIG).explain(context, slate, title)[0]
    ranker.rank(shop.contexts([8]), EVERY[None])
    again = Reasons({"home": ranker}, CONFIG).explain(context, slate, title)[0]
    assert [r.text for r in again] == [r.text for r in fresh]
    np.testing.assert_allclose([r.drop for r in again], [r.drop for r in fresh], atol=1e-5)
    assert any(r.text for r in fresh)


def test_a_slot_that_was_not_ranked_is_explained_beside_those_that_were() -> None:
    """The shop may pin an item that no source proposed."""
    context = shop.contexts([4])
    ranker, slate = slate_of(context)
    _, norms = ranker.rank(context, np.delete(EVERY, slate.item_row[0, 0])[None])
    pinned = Shown(slate.item_row, norms)
    told = Reasons({"home": ranker}, CONFIG).explain(context, pinned, title)[0]
    forgetful = shop.shop_ranker().bound(ranker.features)
    expected = Reasons({"home": forgetful}, CONFIG).explain(context, pinned, title)[0]
    assert [r.text for r in told] == [r.text for r in expected]
    assert told[0].text


def variants_by_hand(context: Context, items: np.ndarray) -> list[tuple[str, int, Context]]:
    """Every cause of a single request: its kind, what it names, and the request without it."""
    recent, kinds = context.recent_item[0].tolist(), context.recent_kind[0].tolist()
    did = [(i, k) for i, k in zip(recent, kinds, strict=True) if i != NO_ROW]
    found: list[tuple[str, int, Context]] = []
    for row in list(dict.fromkeys(i for i, _ in did))[: CONFIG.recents]:
        kind = {ActionKind.purchase: "bought", ActionKind.add_to_cart: "carted"}.get(
            ActionKind(dict(reversed(did))[row]), "looked"
        )
        found.append((kind, row, removed(context, row)))
    columns = shop.shop_features().columns
    for name, code in (("brand", columns.brand), ("category", columns.category)):
        counts = Counter(int(code[i]) for i, _ in did)
        most = max(counts.values(), default=0)
        if most > 1:
            first = next(int(code[i]) for i, _ in did if counts[int(code[i])] == most)
            keep = [x for x, (i, _) in enumerate(did) if code[i] != first]
            found.append((name, first, only(context, keep, np.ones(len(context.owned.item), bool))))
    mine = np.isin(context.owned.item, items)
    if mine.any():
        keep = [x for x, (i, k) in enumerate(did) if not (k == ActionKind.purchase and i in items)]
        found.append(("again", NO_ROW, only(context, keep, ~mine)))
    if context.anchor_item.size:
        nowhere = np.full_like(context.anchor_item, NO_ROW)
        found.append(("anchors", NO_ROW, replace(context, anchor_item=nowhere)))
    return found


def only(context: Context, keep: list[int], held: np.ndarray) -> Context:
    """A single request with some of its recent actions and some of what is owned."""
    item = np.full_like(context.recent_item, NO_ROW)
    kind, age = np.zeros_like(context.recent_kind), np.zeros_like(context.recent_age_days)
    item[0, : len(keep)] = context.recent_item[0, keep]
    kind[0, : len(keep)] = context.recent_kind[0, keep]
    age[0, : len(keep)] = context.recent_age_days[0, keep]
    owned = Owned(
        np.array([0, held.sum()]), context.owned.item[held], context.owned.count[held],
        context.owned.age_days[held], context.owned.first_age_days[held],
    )  # fmt: skip
    return replace(context, recent_item=item, recent_kind=kind, recent_age_days=age, owned=owned)


@pytest.mark.parametrize("surface", ["home", "item"])
def test_what_is_told_is_what_trying_every_cause_of_every_item_tells(surface: str) -> None:
    """Every cause is taken away by hand and all features of the slate are made anew."""
    kinds = Counter[str]()
    for shopper in range(24):
        anchors = None if surface == "home" else [shopper % 5]
        context = shop.contexts([shopper], surface=surface, anchors=anchors)
        ranker, slate = slate_of(context)
        items, features = slate.item_row[0], ranker.features

        def score(
            variant: Context, slate: Shown = slate, ranker: FeatureRanker = ranker
        ) -> np.ndarray:
            x = ranker.features.make(variant, slate.item_row, norms=slate.norms).x
            return ranker.trees.forest.predict(x)

        as_it_is, tried = score(context), variants_by_hand(context, items)
        drops = [as_it_is - score(without) for _, _, without in tried]
        told = Reasons({"home": ranker}, CONFIG).explain(context, slate, title)[0]
        for slot, (item, reason) in enumerate(zip(items.tolist(), told, strict=True)):
            best, lost = "", 0.0
            for (kind, named, _), drop in zip(tried, drops, strict=True):
                share = CONFIG.broad_share if kind in ("brand", "category") else 1.0
                may = {
                    "brand": features.columns.brand[item] == named,
                    "category": features.columns.category[item] == named,
                    "again": item in context.owned.item,
                }.get(kind, item != named)
                if may and drop[slot] > CONFIG.least_drop and drop[slot] * share > lost + 1e-6:
                    best, lost = kind, drop[slot] * share
            assert reason.kind == best or (not best and reason.kind in ("", "popular", "new"))
            kinds[reason.kind] += 1
    assert len(kinds) > 3
    assert surface == "home" or kinds["anchors"] > 0


@pytest.mark.parametrize("shopper", range(6))
def test_a_blend_tells_the_cause_without_which_it_scores_lower(shopper: int) -> None:
    context = shop.contexts([shopper])
    blend = BlendRanker(shop.shop_features())
    score = blend.score(context, EVERY[None])
    slate = Shown(np.argsort(-score, axis=1)[:, :8].astype(np.int32), None)
    told = Reasons({"home": blend}, CONFIG).explain(context, slate, title)[0]
    sources = {one.name: s for s, one in enumerate(blend.features.sources)}
    before = blend.features.source_scores(context, EVERY[None])[0]
    measure = blend.weights / before.std(0)
    for item, reason in zip(slate.item_row[0].tolist(), told, strict=True):
        assert reason.text
        after = before[item].copy()
        if reason.kind in ("looked", "bought", "carted"):
            without = removed(context, reason.causes[0])
            after = blend.features.source_scores(without, np.array([[item]], np.int32))[0, 0]
        elif reason.kind == "popular":
            after[sources["popular_now"]] = 0.0
        else:
            continue
        assert (before[item] - after) @ measure == pytest.approx(reason.drop, abs=1e-3)


def test_no_layout_of_a_request_compiles_anything_anew() -> None:
    """A kernel met by another kind of array is compiled again: ten seconds of a first request."""
    context = shop.contexts([3], surface="item", anchors=[2])
    ranker, slate = slate_of(context)
    reasons = Reasons({"home": ranker}, CONFIG)
    usual = reasons.explain(context, slate, title)
    kernels = (fill_features, fill_changed, causes._take_away, causes.newcomers, causes.strongest)
    compiled = [len(one.signatures) for one in kernels]
    for array in (context.recent_item, context.owned.item, context.owned.count, context.now_ms):
        array.setflags(write=False)
    strided = replace(
        context, recent_age_days=np.repeat(context.recent_age_days, 2, axis=1)[:, ::2]
    )
    ranker.rank(strided, EVERY[None])
    assert reasons.explain(strided, slate, title) == usual
    assert [len(one.signatures) for one in kernels] == compiled


def test_a_refusal_is_no_reason() -> None:
    context = shop.contexts([5])
    kind = np.full_like(context.recent_kind, int(ActionKind.not_interested))
    context = replace(context, recent_kind=kind, owned=Owned.nothing(1))
    ranker, slate = slate_of(context)
    for reason in Reasons({"home": ranker}, CONFIG).explain(context, slate, title)[0]:
        assert reason.kind in ("", "popular", "new")
