"""Why is this here? The cause whose removal lowers an item's score most, in a shopper's words.

Nothing is said that was not tried: each cause is taken out of the request, the chosen items are
scored again by the same features and the same trees, and the largest drop names the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from habitue.facts import MS_PER_DAY, NO_ROW, Context
from habitue.portraits import ItemColumns, pick
from habitue.ranking.causes import KINDS, concerned, take_away
from habitue.ranking.contract import Ranker
from habitue.ranking.feature_kernels import request_norms
from habitue.ranking.lambdamart import FeatureRanker

__all__ = ["Chosen", "Reason", "Reasons", "ReasonsConfig"]

_DEMAND: Final = ("item_bought_", "item_new_buyers_", "item_viewed_", "item_carted_")
_COUNTING: Final = ("popular", "popular_now", "new_buyers")
_SHOPS: Final = ("popular", "new")
_NAMING: Final = ("looked", "carted", "bought", "anchors")
_LOG_NOTHING: Final = np.float32(np.log(0.1))
_LONG_DAYS: Final = np.float32(365.0)


class ReasonsConfig(BaseModel):
    """How reasons are looked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recents: int = Field(4, ge=0, le=50, description="Recent items tried as causes.")
    least_drop: NonNegativeFloat = Field(
        0.02, description="Score an item must lose without a cause for the cause to be named."
    )
    broad_share: float = Field(
        0.3,
        gt=0,
        le=1,
        description="Share of their drop at which brand and category compete with a single item: "
        "they take away more at once, and say less.",
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
class _Columns:
    """Which features speak of demand and of novelty, by place."""

    demand: NDArray[np.int64]  # logs of decayed counts
    trend: NDArray[np.int64]  # and shares of sources that only count
    standard: NDArray[np.int64]  # standardised scores of those sources
    source: NDArray[np.int64]  # whose they are
    known_days: int
    new_gap: int

    @classmethod
    def of(cls, names: tuple[str, ...]) -> _Columns:
        def where(wanted: Callable[[str], bool]) -> NDArray[np.int64]:
            return np.array([at for at, name in enumerate(names) if wanted(name)], np.int64)

        standard = where(lambda name: name.removesuffix("_z") in _COUNTING and name.endswith("_z"))
        return cls(
            where(lambda name: name.startswith(_DEMAND) and not name.endswith("_ever")),
            where(
                lambda name: (
                    name.startswith("item_trend_") or name.removesuffix("_share") in _COUNTING
                )
            ),
            standard,
            standard // 3,
            names.index("item_known_days"),
            names.index("pair_new_gap"),
        )


class Reasons:
    """Finds the reasons of slates by removing causes and scoring again."""

    def __init__(self, rankers: Mapping[str, Ranker], config: ReasonsConfig | None = None) -> None:
        self.rankers = rankers
        self.config = config or ReasonsConfig()
        self._columns: dict[tuple[str, ...], _Columns] = {}
        self._shares = np.ones(len(KINDS))
        self._shares[[KINDS.index("brand"), KINDS.index("category")]] = self.config.broad_share
        # What the shopper did is told before what the shop does: every popular item is popular.
        self._tiers = np.where(np.isin(KINDS, _SHOPS), 0.0, 1e6)

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
        items = np.ascontiguousarray(item_row[there], np.int32)
        features = ranker.features
        brand, category = features.columns.brand, features.columns.category
        code, named, variants = take_away(context, items, brand, category, self.config.recents)
        score = self._scores(ranker, variants, items, norms)
        drop = score[0] - score[1:]  # (C + 2, n)
        young = float(context.now_ms[0]) - self.config.new_days * MS_PER_DAY
        may = concerned(
            code, named, items, context.owned.item, brand, category, features.stats.first_ms, young
        )
        drop[~may] = -np.inf
        code = np.append(code, [KINDS.index("popular"), KINDS.index("new")])
        told = np.where(drop > self.config.least_drop, drop * self._shares[code][:, None], -np.inf)
        told += self._tiers[code][:, None]
        best = told.argmax(axis=0)
        for x, slot in enumerate(there.tolist()):
            which = int(best[x])
            if drop[which, x] > self.config.least_drop:
                kind = KINDS[code[which]]
                cause = int(named[which]) if which < len(named) else NO_ROW
                causes = (cause,) if kind in _NAMING and cause >= 0 else ()
                surface = context.surface
                text = _words(kind, cause, surface, title, features.columns)
                reasons[slot] = Reason(text, causes, kind, float(drop[which, x]))
        return reasons

    def _scores(
        self,
        ranker: FeatureRanker,
        variants: Context,
        items: NDArray[np.int32],
        norms: NDArray[np.float32] | None,
    ) -> NDArray[np.float32]:
        """Scores of the items as they are, without each cause, unwanted and long known."""
        n, features = len(items), ranker.features
        rows = np.ascontiguousarray(np.broadcast_to(items, (len(variants), n)))
        score = features.source_scores(variants, rows)
        if norms is None:
            norms = request_norms(score[:1], rows[:1])
        x = features.make(
            variants,
            rows,
            source_score=score,
            norms=np.repeat(norms, len(rows), axis=0),
        ).x
        popular, new = self._reworked(ranker.trees.names, x[:n], norms)
        every = np.concatenate([x, popular, new])
        return ranker.trees.forest.predict(every).reshape(len(variants) + 2, n)

    def _reworked(
        self, names: tuple[str, ...], x: NDArray[np.float32], norms: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The items as if nobody had wanted them lately, and as if they had long been there."""
        columns = self._columns.get(names)
        if columns is None:
            columns = self._columns[names] = _Columns.of(names)
        popular, new = x.copy(), x.copy()
        popular[:, columns.demand] = _LOG_NOTHING
        popular[:, columns.trend] = 0.0
        mean, spread = norms[0, columns.source, 0], norms[0, columns.source, 1]
        popular[:, columns.standard] = -mean / (spread + np.float32(1e-9))
        gap = np.log1p(_LONG_DAYS) - np.log1p(new[:, columns.known_days])
        new[:, columns.new_gap] += gap
        new[:, columns.known_days] = _LONG_DAYS
        return popular, new


def _words(
    kind: str, cause: int, surface: str, title: Callable[[int], str], columns: ItemColumns
) -> str:
    """The sentence a shopper reads."""
    match kind:
        case "looked":
            return f"Because you looked at {title(cause)}"
        case "carted":
            return f"Goes with {title(cause)} in your cart"
        case "bought":
            return f"Often bought with {title(cause)}"
        case "anchors":
            return "Goes with your cart" if surface == "cart" else f"Goes with {title(cause)}"
        case "brand":
            return f"{columns.brand_name(cause)}, a brand you return to"
        case "category":
            return f"From {columns.category_name(cause)}, where you often look"
        case "again":
            return "Time to buy it again"
        case "new":
            return "New in the shop"
        case _:
            return "Popular this week"
