"""Why is this here? The cause whose removal lowers an item's score most, in a shopper's words.

Nothing is said that was not tried: each cause is taken out of the request, the chosen items it may
be named of are scored again by the same features and the same trees, and the largest drop names the
reason. What the shopper did is told before what the shop does, so the shop's causes are tried only
of items that no cause of hers explains.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from habitue.facts import MS_PER_DAY, Context
from habitue.portraits import ItemColumns, pick
from habitue.ranking.causes import KINDS, concerned, strongest, take_away
from habitue.ranking.contract import Explainable, Known, Ranker

__all__ = ["Chosen", "Reason", "Reasons", "ReasonsConfig"]

_NAMING: Final = ("looked", "carted", "bought", "anchors")
_POPULAR: Final = "Popular this week"
_NEW: Final = "New in the shop"


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


class Reasons:
    """Finds the reasons of slates by removing causes and scoring again."""

    def __init__(self, rankers: Mapping[str, Ranker], config: ReasonsConfig | None = None) -> None:
        self.rankers = rankers
        self.config = config or ReasonsConfig()
        self._shares = np.ones(len(KINDS))
        self._shares[[KINDS.index("brand"), KINDS.index("category")]] = self.config.broad_share

    def explain(
        self, context: Context, slates: Chosen, title: Callable[[int], str]
    ) -> list[list[Reason]]:
        """One reason for each slot of each context; ``title`` names items before a shopper."""
        ranker = self.rankers.get(context.surface, self.rankers["home"])
        reasons = [[Reason()] * slates.item_row.shape[1] for _ in range(len(context))]
        if not isinstance(ranker, Explainable):
            return reasons
        for b, told in enumerate(reasons):
            one = context if len(context) == 1 else pick(context, np.array([b]))
            norms = None if slates.norms is None else slates.norms[b : b + 1]
            there = np.flatnonzero(slates.item_row[b] >= 0)
            if not len(there):
                continue
            items = np.ascontiguousarray(slates.item_row[b, there], np.int32)
            known = ranker.known(one, items, norms)
            found = self._personal(ranker, one, known, title)
            found |= self._of_the_shop(ranker, one, known, found)
            for x, reason in found.items():
                told[there[x]] = reason
        return reasons

    def _personal(
        self, ranker: Explainable, context: Context, known: Known, title: Callable[[int], str]
    ) -> dict[int, Reason]:
        """The reasons that lie with the shopper or the place she is in, by place in ``known``."""
        columns, items = ranker.features.columns, known.item_row
        brand, category = columns.brand, columns.category
        code, named, variants = take_away(context, items, brand, category, self.config.recents)
        variant, place = concerned(code, named, items, context.owned.item, brand, category)
        if not len(variant):
            return {}
        rows = np.repeat(items[None, :], len(variants), axis=0)
        score = ranker.features.source_scores(variants, rows)
        drop = known.score[place] - ranker.rescored(known, variants, score, variant, place)
        least = self.config.least_drop
        best = strongest(variant, place, drop, self._shares[code], least, len(items))
        found = {}
        for x, pair in enumerate(best.tolist()):
            if pair >= 0:
                which = variant[pair] - 1
                kind, cause = KINDS[code[which]], int(named[which])
                text = _words(kind, cause, context.surface, title, columns)
                causes = (cause,) if kind in _NAMING and cause >= 0 else ()
                found[x] = Reason(text, causes, kind, float(drop[pair]))
        return found

    def _of_the_shop(
        self, ranker: Explainable, context: Context, known: Known, told: Collection[int]
    ) -> dict[int, Reason]:
        """The reasons that lie with the shop, of items not ``told`` of: every item is popular."""
        items = known.item_row
        left = np.array([x for x in range(len(items)) if x not in told], np.int64)
        if not len(left):
            return {}
        drop = known.score[left] - ranker.unwanted(known, left)
        found = {
            x: Reason(_POPULAR, kind="popular", drop=lost)
            for x, lost in zip(left.tolist(), drop.tolist(), strict=True)
            if lost > self.config.least_drop
        }
        young = self._young(ranker.features.stats.first_ms, context, items[left])
        if young.any():
            left = left[young]
            drop = known.score[left] - ranker.long_known(known, left)
            for x, lost in zip(left.tolist(), drop.tolist(), strict=True):
                if lost > max(self.config.least_drop, found[x].drop if x in found else 0.0):
                    found[x] = Reason(_NEW, kind="new", drop=lost)
        return found

    def _young(
        self, first_ms: NDArray[np.int64], context: Context, items: NDArray[np.int32]
    ) -> NDArray[np.bool_]:
        """Which items (n,) are new in the shop, and to the shopper."""
        since = float(context.now_ms[0]) - self.config.new_days * MS_PER_DAY
        there = items < len(first_ms)
        young = np.zeros(len(items), np.bool_)
        young[there] = first_ms[items[there]] >= since
        return young & ~np.isin(items, context.owned.item)


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
        case _:
            return "Time to buy it again"
