"""What a training run is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from habitue.behaviour.outlook import OutlookConfig
from habitue.candidates.roster import DEFAULT_SOURCES, SourceConfig
from habitue.facts.cleaning.robots import RobotConfig
from habitue.facts.kind_names import KindName
from habitue.portraits import ItemStatsConfig
from habitue.ranking.blend import DEFAULT_WEIGHTS
from habitue.ranking.fusion import TIES, FusionConfig
from habitue.ranking.lambdamart import LambdaMartConfig

__all__ = [
    "DEFAULT_QUOTAS",
    "GateConfig",
    "PruneConfig",
    "TrainingConfig",
    "TrainingSettings",
    "WarmStartConfig",
]

DEFAULT_QUOTAS: Mapping[str, Mapping[str, int]] = {
    "home": {
        "again": 40, "als": 60, "bought_bought": 60, "viewed_viewed": 40, "viewed_bought": 40,
        "content": 40, "new_buyers": 60, "popular_now": 60, "popular": 20,
    },
    "item": {
        "viewed_viewed": 60, "viewed_bought": 60, "bought_bought": 60, "content": 60, "als": 40,
        "popular_now": 20,
    },
    "cart": {
        "bought_bought": 80, "viewed_bought": 40, "als": 40, "content": 20, "popular_now": 20,
    },
}  # fmt: skip
"""How many candidates each source proposes, by surface; other surfaces go by ``home``."""


class GateConfig(BaseModel):
    """When a new snapshot is refused beside the one that serves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_share: float = Field(
        0.7, ge=0, le=1, description="Share of the last snapshot's metric that must be reached."
    )
    metric: str = Field("home/ndcg@10", description="The metric compared.")
    least_questions: PositiveInt = Field(
        50, description="Below so many questions a metric says too little to refuse for."
    )
    most_gap: PositiveFloat = Field(
        2.0,
        description="How many times as good a span learnt from may be answered as one held out.",
    )


class WarmStartConfig(BaseModel):
    """When a training goes on from what the last snapshot knows, instead of beginning anew.

    Of the sources, a network can. One whose config has changed begins anew, and so do all where the
    last training was refused, a shopper was erased since, or other kinds of action stand for a
    purchase now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="Go on from the last snapshot, where a source can.")
    at_most: PositiveInt = Field(
        6, description="Trainings in a row that go on; the next one begins anew."
    )


class PruneConfig(BaseModel):
    """When a source that adds nothing is switched off by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    silent: bool = Field(
        True, description="Switch sources off that have nothing to say, which costs no judging."
    )
    enabled: bool = Field(
        False, description="Switch sources off that add nothing, judged anew at each training."
    )
    least_gain: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of a surface's NDCG@10 a source must add; off is what surely adds less.",
    )
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="How sure, as the level of the interval of what it adds."
    )
    questions: PositiveInt = Field(
        1500, description="Requests of each surface it is judged on, at most."
    )
    least_questions: PositiveInt = Field(
        200, description="Below so many a surface says too little to switch off for."
    )


class TrainingSettings(BaseModel):
    """Which sources are fitted, and from what the ranker learns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[SourceConfig, ...] = Field(
        DEFAULT_SOURCES, description="The sources of candidates."
    )
    quotas: dict[str, dict[str, int]] = Field(
        {surface: dict(quota) for surface, quota in DEFAULT_QUOTAS.items()},
        description="Candidates each source proposes, by surface.",
    )
    recent_length: int = Field(
        100, ge=10, le=1000, description="Recent actions of a shopper that a request sees."
    )
    item_stats: ItemStatsConfig = Field(ItemStatsConfig(), description="How counters forget.")
    ranker: LambdaMartConfig = Field(LambdaMartConfig(), description="How the order is learnt.")
    rebuy: bool = Field(
        True, description="Learn about items bought before, too; the policy says when they show."
    )
    leave_out_robots: bool = Field(
        True, description="Do not learn from shoppers at rates no person has; they are kept."
    )
    robots: RobotConfig = Field(RobotConfig(), description="From where on a rate is no person's.")
    threads: PositiveInt = Field(
        2, description="Spans, and then rankers and measuring, worked on at once."
    )
    windows: int = Field(3, ge=1, le=12, description="Spans of the past the ranker learns from.")
    window_days: PositiveFloat = Field(28.0, description="Length of such a span, in days.")
    window_fade: float = Field(
        0.8, gt=0, le=1, description="Weight of a span relative to the one after it."
    )
    visit_days: PositiveFloat = Field(
        7.0, description="Days after a visit's moment whose actions answer it."
    )
    visits: int = Field(
        500, ge=0, description="Moments in visits of each span; 0 asks at the span's start only."
    )
    starts: int = Field(
        4000, ge=0, description="Shoppers of each span asked at its start; 0 asks in visits only."
    )
    slates: int = Field(
        2000, ge=0, description="Slates of each surface in each span that are learnt from."
    )
    kept: int = Field(120, ge=10, description="Candidates of each request the ranker learns from.")
    surfaces: tuple[Literal["home", "item", "cart"], ...] = Field(
        ("home", "item", "cart"),
        description="Surfaces that learn an order of their own; the others take home's.",
    )
    least_answered: PositiveInt = Field(
        100, description="Answered requests a surface needs for a ranker of its own."
    )
    best_source: bool = Field(
        True,
        description="Let the best source alone order home where it is above the learnt order.",
    )
    outlook: OutlookConfig = Field(OutlookConfig(), description="How outlooks are learnt.")
    evaluate: bool = Field(True, description="Hold the last span out first, and measure on it.")
    gate: GateConfig = Field(GateConfig(), description="When a new snapshot is refused.")
    prune: PruneConfig = Field(PruneConfig(), description="When a source is switched off.")
    warm_start: WarmStartConfig = Field(
        WarmStartConfig(), description="When a training goes on from the last one."
    )

    def quota(self, surface: str) -> dict[str, int]:
        """The quotas of a surface, of the sources there are."""
        names = {source.name for source in self.sources}
        asked = self.quotas.get(surface, self.quotas["home"])
        return {name: n for name, n in asked.items() if name in names}


class TrainingConfig(TrainingSettings):
    """What a training run is told: the settings, and the orders that are written down."""

    fusion: dict[str, FusionConfig] = Field(
        {},
        description="How surfaces make one order of their sources, by name: learned if not said. "
        "A shop says it as ``surfaces.<name>.fuse``.",
    )
    needed: tuple[str, ...] = Field(
        (), description="Sources that surfaces name, as ``surfaces.<name>.sources``: never off."
    )
    taken: tuple[KindName, ...] = Field(
        (), description="Kinds of action that were read as purchases, for they stand for them."
    )

    @model_validator(mode="after")
    def _fusion_names_sources(self) -> Self:
        names = {source.name for source in self.sources}
        for surface, one in self.fusion.items():
            unknown = sorted(set(one.weights) - names)
            if unknown:
                raise ValueError(
                    f"surfaces.{surface} weighs {', '.join(unknown)}, and there is no such source; "
                    f"there are {', '.join(sorted(names))}"
                )
            if one.fuse == "sum" and not any(one.weights.values()):
                raise ValueError(f"surfaces.{surface} is a sum and says no weights")
        return self

    def without(self, names: Collection[str]) -> TrainingConfig:
        """The same without these sources: neither their candidates nor their scores."""
        return self.model_copy(
            update={
                "sources": tuple(one for one in self.sources if one.name not in names),
                "fusion": {surface: one.without(names) for surface, one in self.fusion.items()},
            }
        )

    def weighed(self) -> set[str]:
        """The sources that orders which are written down read, ties and defaults too."""
        found: set[str] = set()
        for surface in self.written_down():
            said = self.fusion[surface].weights or DEFAULT_WEIGHTS
            found |= {name for name, weight in said.items() if weight}
            found |= set(TIES)
        return found & {one.name for one in self.sources}

    def can_spare(self, name: str, surface: str) -> bool:
        """Whether anybody proposes anything on a surface without this source."""
        return any(n for other, n in self.quota(surface).items() if other != name)

    def written_down(self) -> tuple[str, ...]:
        """The surfaces whose order is not learnt."""
        return tuple(name for name, one in self.fusion.items() if one.fuse != "learned")
