"""Why is this here? The cause whose removal lowers an item's score most, in a shopper's words.

Nothing is said that was not tried: each cause is taken out of the request, the chosen items it may
be named of are scored again by the same ranker, and the largest drop names the reason. What the
shopper did is told before what the shop does: every popular item is popular.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from habitue.candidates.layout import plain
from habitue.candidates.paths import PathSource
from habitue.facts import MS_PER_DAY, Context
from habitue.portraits import ItemColumns, pick
from habitue.ranking.causes import KINDS, Trials, newcomers, strongest, take_away
from habitue.ranking.contract import Explainable, Known, Ranker
from habitue.ranking.tied import Path, Tied

__all__ = ["Chosen", "Reason", "Reasons", "ReasonsConfig"]

_NAMING: Final = ("looked", "carted", "bought", "anchors")
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


class Reason(NamedTuple):
    """Why an item stands in its slot. ``kind`` is empty where there is nothing to say."""

    text: str = ""
    causes: tuple[int, ...] = ()  # rows of the items the text names
    kind: str = ""
    drop: float = 0.0  # score the item loses without the cause
    path: Path | None = None  # what ties the item to what the shopper has


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

    def __init__(
        self,
        rankers: Mapping[str, Ranker],
        config: ReasonsConfig | None = None,
        *,
        bought: str = "bought",
        graph: PathSource | None = None,
    ) -> None:
        """``bought`` says what shoppers do with items, where they do not buy them.

        ``graph`` knows what items have in common, where that is to be told.
        """
        self.rankers = {
            name: ranker if isinstance(ranker, Explainable) else None
            for name, ranker in rankers.items()
        }
        self.config = config or ReasonsConfig()
        self._bought = bought
        self._tied = None if graph is None else Tied(graph)
        self._shares = np.ones(len(KINDS))
        self._shares[[KINDS.index("brand"), KINDS.index("category")]] = self.config.broad_share

    def explain(
        self, context: Context, slates: Chosen, title: Callable[[int], str]
    ) -> list[list[Reason]]:
        """One reason for each slot of each context; ``title`` names items before a shopper."""
        ranker = self.rankers.get(context.surface, self.rankers["home"])
        reasons = [[Reason()] * slates.item_row.shape[1] for _ in range(len(context))]
        for b, told in enumerate(reasons):
            there = (slates.item_row[b] >= 0).nonzero()[0]
            if ranker is None or not len(there):
                continue
            one = context if len(context) == 1 else pick(context, np.array([b]))
            norms = None if slates.norms is None else slates.norms[b : b + 1]
            known = ranker.known(one, slates.item_row[b, there], norms)
            for slot, reason in zip(
                there.tolist(), self._found(ranker, one, known, title), strict=True
            ):
                told[slot] = reason
        return reasons

    def _found(
        self, ranker: Explainable, context: Context, known: Known, title: Callable[[int], str]
    ) -> list[Reason]:
        """The reason of each item of a single request, in order."""
        features, items, least = ranker.features, known.item_row, self.config.least_drop
        columns, owned = features.columns, plain(context.owned.item, np.int32)
        trials = take_away(context, items, columns.brand, columns.category, self.config.recents)
        code, named, variants, variant, place = trials
        score = features.variants_scores(known.batch, variants, items)
        without, unwanted = ranker.without(known, variants, score, variant, place)
        best, drop = strongest(
            code, variant, place, known.score, without, unwanted, self._shares, least
        )
        since = float(context.now_ms[0]) - self.config.new_days * MS_PER_DAY
        young = newcomers(best, len(code), items, owned, features.stats.first_ms, since)
        new = self._new(ranker, known, young, drop) if len(young) else {}
        said: dict[int, tuple[str, tuple[int, ...], str]] = {
            len(code): ("Popular this week", (), "popular"), len(code) + 1: ("", (), ""),
        }  # fmt: skip
        reasons = []
        for x, (which, lost) in enumerate(zip(best.tolist(), drop.tolist(), strict=True)):
            if which not in said:
                kind, cause = KINDS[code[which]], int(named[which])
                text = _words(kind, cause, context.surface, title, columns, self._bought)
                said[which] = (text, (cause,) if kind in _NAMING else (), kind)
            reasons.append(new[x] if x in new else Reason(*said[which], lost))
        if self._tied is not None:
            self._tie(self._tied, ranker, context, known, trials, best, score[0], title, reasons)
        return reasons

    def _tie(
        self,
        tied: Tied,
        ranker: Explainable,
        context: Context,
        known: Known,
        trials: Trials,
        best: NDArray[np.int32],
        score: NDArray[np.float32],
        title: Callable[[int], str],
        reasons: list[Reason],
    ) -> None:
        """Name the paths that reasons go, and make reasons of paths where nothing else is one."""
        own = next((s for s, x in enumerate(ranker.features.sources) if x.name == tied.name), None)
        if own is None:
            return
        for x, path in tied.of_causes(context, known, trials, best, score[:, own]).items():
            reasons[x] = _over(reasons[x], path, int(known.item_row[x]), title)
        rest = np.flatnonzero(best >= len(trials.code))
        found = tied.of_taste(context, ranker, known, rest, score, own) if len(rest) else {}
        for x, (path, lost) in found.items():
            if lost > self.config.least_drop:
                words = path.words(int(known.item_row[x]), title)
                reasons[x] = Reason(words, (path.from_row,), "known", lost, path)

    def _new(
        self,
        ranker: Explainable,
        known: Known,
        young: NDArray[np.int64],
        popular: NDArray[np.float32],
    ) -> dict[int, Reason]:
        """Which of the young items are there for being new rather than ``popular`` (n,)."""
        drop = known.score[young] - ranker.long_known(known, young)
        told = drop > np.maximum(popular[young], self.config.least_drop)
        found = zip(young[told].tolist(), drop[told].tolist(), strict=True)
        return {x: Reason(_NEW, (), "new", lost) for x, lost in found}


def _over(reason: Reason, path: Path, item: int, title: Callable[[int], str]) -> Reason:
    """The reason with the path that it goes over, told where it names an item."""
    text = path.words(item, title) if reason.kind in _NAMING else reason.text
    return reason._replace(text=text, path=path)


def _words(
    kind: str,
    cause: int,
    surface: str,
    title: Callable[[int], str],
    columns: ItemColumns,
    bought: str,
) -> str:
    """The sentence a shopper reads."""
    match kind:
        case "looked":
            return f"Because you looked at {title(cause)}"
        case "carted":
            return f"Goes with {title(cause)} in your cart"
        case "bought":
            return f"Often {bought} with {title(cause)}"
        case "anchors":
            return "Goes with your cart" if surface == "cart" else f"Goes with {title(cause)}"
        case "brand":
            return f"{columns.brand_name(cause)}, a brand you return to"
        case "category":
            return f"From {columns.category_name(cause)}, where you often look"
        case _:
            return "Time to buy it again" if bought == "bought" else "Once more?"
