"""Why is this here? The cause whose removal lowers an item's score most, in a shopper's words.

Nothing is said that was not tried: each cause is taken out of the request, the chosen items are
scored again by the same features and the same trees, and the largest drop names the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from habitue.facts import NO_ROW, ActionKind, Context, Owned
from habitue.portraits import ItemColumns, pick
from habitue.ranking.contract import Ranker
from habitue.ranking.lambdamart import FeatureRanker

__all__ = ["Chosen", "Reason", "Reasons", "ReasonsConfig"]

_NOTHING: Final = np.empty(0, np.int64)
_DEMAND: Final = ("item_bought_", "item_new_buyers_", "item_viewed_", "item_carted_")
_DEMAND_SOURCES: Final = ("popular", "popular_now", "new_buyers")


class ReasonsConfig(BaseModel):
    """How reasons are looked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recents: int = Field(6, ge=0, le=50, description="Recent items tried as causes.")
    least_drop: NonNegativeFloat = Field(
        0.02, description="Score an item must lose without a cause for the cause to be named."
    )
    broad_share: float = Field(
        0.3,
        gt=0,
        le=1,
        description="Share of their drop at which brand, category and popularity compete with a "
        "single item: they take away more at once, and say less.",
    )
    new_days: float = Field(30.0, gt=0, description="Days an item counts as new.")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item stands in its slot. ``kind`` is empty where there is nothing to say."""

    text: str = ""
    causes: tuple[int, ...] = ()  # rows of the items the text names
    kind: str = ""
    drop: float = 0.0  # score the item loses without the cause


class Chosen(Protocol):
    """The slots of a slate, and what the ranker normalised their sources' scores with."""

    @property
    def item_row(self) -> NDArray[np.int32]:
        """(B, n)."""
        ...

    @property
    def norms(self) -> NDArray[np.float32] | None:
        """(B, n_sources, 3); without them the slate is measured against itself."""
        ...


@dataclass(frozen=True, slots=True)
class _Cause:
    """Something that may be taken out of a request."""

    kind: str
    items: tuple[int, ...]  # what the text names
    recents: NDArray[np.int64]  # places among the recent actions that go
    owned: NDArray[np.int64]  # places among what is owned that go
    anchors: bool = False  # whether the anchors go


class Reasons:
    """Finds the reasons of slates by removing causes and scoring again."""

    def __init__(self, rankers: Mapping[str, Ranker], config: ReasonsConfig | None = None) -> None:
        self.rankers = rankers
        self.config = config or ReasonsConfig()

    def explain(
        self, context: Context, slates: Chosen, title: Callable[[int], str]
    ) -> list[list[Reason]]:
        """One reason for each slot of each context; ``title`` names items before a shopper."""
        ranker = self.rankers.get(context.surface, self.rankers["home"])
        if not isinstance(ranker, FeatureRanker):
            return [[Reason()] * slates.item_row.shape[1] for _ in range(len(context))]
        out = []
        for b in range(len(context)):
            one = context if len(context) == 1 else pick(context, np.array([b]))
            norms = None if slates.norms is None else slates.norms[b : b + 1]
            out.append(self._explain(ranker, one, slates.item_row[b], norms, title))
        return out

    def _explain(
        self,
        ranker: FeatureRanker,
        context: Context,
        item_row: NDArray[np.int32],
        norms: NDArray[np.float32] | None,
        title: Callable[[int], str],
    ) -> list[Reason]:
        there = np.flatnonzero(item_row >= 0)
        reasons = [Reason()] * len(item_row)
        if not len(there):
            return reasons
        items = item_row[there]
        causes = self._causes(context, ranker.features.columns, items)
        score, kinds = self._scores(ranker, context, items, causes, norms)
        drop = score[0] - score[1:]  # (n_causes, n)
        drop[~self._concerned(kinds, ranker, context, items)] = -np.inf
        broad = np.array([kind in _BROAD for kind in kinds])
        told = np.where(broad[:, None], drop * self.config.broad_share, drop)
        best = np.where(drop > self.config.least_drop, told, -np.inf).argmax(axis=0)
        for x, slot in enumerate(there.tolist()):
            lost = float(drop[best[x], x])
            if lost > self.config.least_drop:
                which = int(best[x])
                named = causes[which].items if which < len(causes) else ()
                text = _words(kinds[which], named, int(items[x]), title, ranker.features.columns)
                reasons[slot] = Reason(text, named, kinds[which], lost)
        return reasons

    def _causes(
        self, context: Context, columns: ItemColumns, items: NDArray[np.int32]
    ) -> list[_Cause]:
        """What this request could be explained by."""
        recent, kind = context.recent_item[0], context.recent_kind[0]
        owned = context.owned.item
        causes = []
        good = (recent >= 0) & ~np.isin(kind, _UNWANTED)
        _, first = np.unique(recent, return_index=True)
        first = np.sort(first[good[first]])[: self.config.recents]
        for at in first.tolist():
            row = int(recent[at])
            where, held = np.flatnonzero(recent == row), np.flatnonzero(owned == row)
            causes.append(_Cause(_RECENT.get(int(kind[at]), "looked"), (row,), where, held))
        for name, code in (("brand", columns.brand), ("category", columns.category)):
            place = _most_common(code, recent, good)
            if len(place) >= 2:
                causes.append(_Cause(name, (), place, _NOTHING))
        if np.isin(items, owned).any():
            mine = np.flatnonzero(np.isin(recent, items) & (kind == int(ActionKind.purchase)))
            causes.append(_Cause("again", (), mine, np.flatnonzero(np.isin(owned, items))))
        anchors = context.anchor_item[0]
        if (anchors >= 0).any():
            named = tuple(int(row) for row in anchors[anchors >= 0][:1])
            surface = "cart" if context.surface == "cart" else "beside"
            causes.append(_Cause(surface, named, _NOTHING, _NOTHING, anchors=True))
        return causes

    def _scores(
        self,
        ranker: FeatureRanker,
        context: Context,
        items: NDArray[np.int32],
        causes: Sequence[_Cause],
        norms: NDArray[np.float32] | None,
    ) -> tuple[NDArray[np.float32], list[str]]:
        """Scores of the items as they are, and without each cause: (1 + n_causes + 2, n)."""
        n = len(items)
        variants = _without(context, causes)
        rows = np.tile(items, (len(causes) + 1, 1))
        features = ranker.features
        score = features.source_scores(variants, rows)
        if norms is None:
            norms = features.make(context, items[None], source_score=score[:1]).norms
        shared = np.repeat(norms, len(rows), axis=0)
        x = features.make(variants, rows, source_score=score, norms=shared).x
        popular, new = self._reworked(features.names, x[:n], norms)
        every = np.concatenate([x, popular, new])
        out = ranker.trees.forest.predict(every).reshape(len(causes) + 3, n)
        return out, [*(cause.kind for cause in causes), "popular", "new"]

    def _reworked(
        self, names: tuple[str, ...], x: NDArray[np.float32], norms: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The items as if nobody had wanted them lately, and as if they had long been there."""
        popular, new = x.copy(), x.copy()
        for at, name in enumerate(names):
            if name.startswith(_DEMAND) and not name.endswith("_ever"):
                popular[:, at] = np.log(0.1)
            elif name.startswith("item_trend_") or name.removesuffix("_share") in _DEMAND_SOURCES:
                popular[:, at] = 0.0
            elif name.removesuffix("_z") in _DEMAND_SOURCES:
                mean, spread, _ = norms[0, at // 3]
                popular[:, at] = -mean / (spread + 1e-9)
        known, gap = names.index("item_known_days"), names.index("pair_new_gap")
        longer = np.float32(365.0)
        new[:, gap] += np.log1p(longer) - np.log1p(new[:, known])
        new[:, known] = longer
        return popular, new

    def _concerned(
        self,
        kinds: Sequence[str],
        ranker: FeatureRanker,
        context: Context,
        items: NDArray[np.int32],
    ) -> NDArray[np.bool_]:
        """Which causes may be named of which items: (n_causes, n)."""
        may = np.ones((len(kinds), len(items)), np.bool_)
        owned = np.isin(items, context.owned.item)
        columns, stats = ranker.features.columns, ranker.features.stats
        recent = context.recent_item[0]
        young = context.now_ms[0] - self.config.new_days * 86_400_000.0
        first = np.where(items < len(stats.first_ms), stats.first_ms[np.minimum(
            items, len(stats.first_ms) - 1)], 0)  # fmt: skip
        for at, kind in enumerate(kinds):
            if kind == "again":
                may[at] = owned
            elif kind == "new":
                may[at] = (first >= young) & ~owned
            elif kind in ("brand", "category"):
                code = columns.brand if kind == "brand" else columns.category
                place = _most_common(code, recent, recent >= 0)
                common = code[recent[place[0]]] if len(place) else NO_ROW
                may[at] = code[np.minimum(items, len(code) - 1)] == common
        return may


_BROAD: Final = ("brand", "category", "popular")
_UNWANTED: Final = (
    int(ActionKind.not_interested), int(ActionKind.remove_from_cart), int(ActionKind.refund)
)  # fmt: skip
_RECENT: Final = {int(ActionKind.purchase): "bought", int(ActionKind.add_to_cart): "carted"}


def _most_common(
    code: NDArray[np.int32], recent: NDArray[np.int32], good: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Places of the recent actions on the code most of them share."""
    known = np.flatnonzero(good & (recent < len(code)))
    codes = code[recent[known]]
    known, codes = known[codes >= 0], codes[codes >= 0]
    if not len(codes):
        return _NOTHING
    return np.asarray(known[codes == np.bincount(codes).argmax()])


def _without(context: Context, causes: Sequence[_Cause]) -> Context:
    """The request as it is, and once without each cause: (1 + n_causes,)."""
    n = len(causes) + 1
    length = context.recent_item.shape[1]
    keep = np.ones((n, length), np.bool_)
    owned = context.owned
    holds = np.ones((n, len(owned.item)), np.bool_)
    anchor = np.tile(context.anchor_item, (n, 1))
    for row, cause in enumerate(causes, start=1):
        keep[row, cause.recents] = False
        holds[row, cause.owned] = False
        if cause.anchors:
            anchor[row] = NO_ROW
    order = np.argsort(~keep, axis=1, kind="stable")
    gone = np.arange(length) >= keep.sum(axis=1)[:, None]
    item = np.where(gone, NO_ROW, context.recent_item[0][order]).astype(np.int32)
    indptr = np.concatenate([[0], np.cumsum(holds.sum(axis=1))])
    entry = np.nonzero(holds)[1]
    personal = context.personal
    return Context(
        context.surface,
        np.repeat(context.now_ms, n),
        np.repeat(context.shopper_row, n),
        item,
        context.recent_kind[0][order],
        context.recent_age_days[0][order],
        anchor,
        Owned(indptr, owned.item[entry], owned.count[entry], owned.age_days[entry]),
        personal=np.repeat(personal, n) if len(personal) else personal,
    )


def _words(
    kind: str, named: tuple[int, ...], item: int, title: Callable[[int], str], columns: ItemColumns
) -> str:
    """The sentence a shopper reads."""
    what = title(named[0]) if named else ""
    match kind:
        case "looked":
            return f"Because you looked at {what}"
        case "carted":
            return f"Goes with {what} in your cart"
        case "bought":
            return f"Often bought with {what}"
        case "beside":
            return f"Goes with {what}"
        case "cart":
            return "Goes with your cart"
        case "brand":
            return f"{columns.brand_name(int(columns.brand[item]))}, a brand you return to"
        case "category":
            return (
                f"From {columns.category_name(int(columns.category[item]))}, where you often look"
            )
        case "again":
            return "Time to buy it again"
        case "new":
            return "New in the shop"
        case _:
            return "Popular this week"
