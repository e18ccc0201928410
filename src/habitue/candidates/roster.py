"""The sources there are: from config to learner, from folder to model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from pydantic import Field

from habitue.candidates.additive import AdditiveConfig, AdditiveLearner, AdditiveSource
from habitue.candidates.again import AgainConfig, AgainLearner, AgainSource
from habitue.candidates.als import AlsConfig, AlsLearner, AlsSource
from habitue.candidates.bpr import BprConfig, BprLearner, BprSource
from habitue.candidates.cold import ColdConfig, ColdLearner, ColdSource
from habitue.candidates.content import ContentConfig, ContentLearner, ContentSource
from habitue.candidates.contract import Learner, Source
from habitue.candidates.covisit import CovisitConfig, CovisitLearner, CovisitSource
from habitue.candidates.factor import FactorConfig, FactorLearner, FactorSource
from habitue.candidates.fresh import FreshConfig, FreshLearner, FreshSource
from habitue.candidates.graph import GraphConfig, GraphLearner, GraphSource
from habitue.candidates.item_knn import ItemKnnConfig, ItemKnnLearner, ItemKnnSource
from habitue.candidates.knowledge import KnowledgeConfig, KnowledgeLearner, KnowledgeSource
from habitue.candidates.linear import LinearConfig, LinearLearner, LinearSource
from habitue.candidates.popular import PopularConfig, PopularLearner, PopularSource
from habitue.candidates.profile import ProfileConfig
from habitue.candidates.sequence import SequenceConfig, SequenceLearner, SequenceSource
from habitue.candidates.social import SocialConfig, SocialLearner, SocialSource
from habitue.candidates.trending import TrendingConfig, TrendingLearner, TrendingSource
from habitue.candidates.two_tower import TwoTowerConfig, TwoTowerLearner, TwoTowerSource
from habitue.candidates.user_knn import UserKnnConfig, UserKnnLearner, UserKnnSource
from habitue.errors import SnapshotError

__all__ = ["DEFAULT_SOURCES", "SourceConfig", "learner_of", "load_source", "warm"]

SourceConfig = Annotated[
    PopularConfig
    | TrendingConfig
    | FreshConfig
    | CovisitConfig
    | LinearConfig
    | ItemKnnConfig
    | UserKnnConfig
    | AlsConfig
    | BprConfig
    | ContentConfig
    | AgainConfig
    | SequenceConfig
    | GraphConfig
    | SocialConfig
    | ColdConfig
    | FactorConfig
    | AdditiveConfig
    | KnowledgeConfig
    | TwoTowerConfig,
    Field(discriminator="source"),
]
"""Any source's config; ``source`` says whose."""

_BUYS = ProfileConfig(
    kind_weight={"purchase": 1.0, "add_to_cart": 0.7, "add_to_wishlist": 0.5}, position_decay=0.95
)
_LOOKS = ProfileConfig(kind_weight={"view_item": 1.0, "select_item": 1.0, "add_to_cart": 2.0})

DEFAULT_SOURCES: tuple[SourceConfig, ...] = (
    PopularConfig(name="popular"),
    PopularConfig(name="popular_now", half_life_days=7.0),
    PopularConfig(name="new_buyers", counts="new_buyers", window_days=7.0),
    CovisitConfig(name="viewed_viewed", profile=_LOOKS),
    CovisitConfig(name="viewed_bought", kinds_to=("purchase",), profile=_LOOKS),
    CovisitConfig(
        name="bought_bought",
        kinds_from=("purchase",),
        kinds_to=("purchase",),
        window_moments=3,
        forward_weight=0.3,
        backward_weight=0.15,
        gap_half_life_days=30.0,
        half_life_days=60.0,
        crowd_damping=1.0,
        damping_to=0.5,
        profile=_BUYS,
    ),
    AlsConfig(),
    ContentConfig(),
    AgainConfig(),
)
"""What a shop gets that says nothing.

Chosen on Online Retail, September and October 2011: what an order holds together says most, and a
line of a large order little. With the settings co-visitation has for views, NDCG@10 of
``bought_bought`` alone is 0.058; with these 0.087.
"""


def learner_of(config: SourceConfig) -> Learner[Source]:
    """The learner that fits a source of this config."""
    match config:
        case PopularConfig():
            return PopularLearner(config)
        case TrendingConfig():
            return TrendingLearner(config)
        case FreshConfig():
            return FreshLearner(config)
        case BprConfig():
            return BprLearner(config)
        case CovisitConfig():
            return CovisitLearner(config)
        case LinearConfig():
            return LinearLearner(config)
        case ItemKnnConfig():
            return ItemKnnLearner(config)
        case UserKnnConfig():
            return UserKnnLearner(config)
        case AlsConfig():
            return AlsLearner(config)
        case ContentConfig():
            return ContentLearner(config)
        case AgainConfig():
            return AgainLearner(config)
        case SequenceConfig():
            return SequenceLearner(config)
        case GraphConfig():
            return GraphLearner(config)
        case SocialConfig():
            return SocialLearner(config)
        case ColdConfig():
            return ColdLearner(config)
        case FactorConfig():
            return FactorLearner(config)
        case AdditiveConfig():
            return AdditiveLearner(config)
        case KnowledgeConfig():
            return KnowledgeLearner(config)
        case TwoTowerConfig():
            return TwoTowerLearner(config)


def load_source(path: Path) -> Source:
    """The source saved in the folder ``path``, whatever its kind."""
    kinds: dict[str, type[Source]] = {
        "popular": PopularSource,
        "covisit": CovisitSource,
        "linear": LinearSource,
        "item_knn": ItemKnnSource,
        "user_knn": UserKnnSource,
        "als": AlsSource,
        "bpr": BprSource,
        "trending": TrendingSource,
        "fresh": FreshSource,
        "content": ContentSource,
        "again": AgainSource,
        "sequence": SequenceSource,
        "graph": GraphSource,
        "social": SocialSource,
        "cold": ColdSource,
        "factor": FactorSource,
        "additive": AdditiveSource,
        "knowledge": KnowledgeSource,
        "two_tower": TwoTowerSource,
    }
    try:
        source = msgspec.json.decode((path / "source.json").read_bytes())["source"]
    except (FileNotFoundError, msgspec.DecodeError, KeyError, TypeError) as error:
        raise SnapshotError(
            f"{path} holds no readable source ({error}).", remedy="Activate another snapshot."
        ) from None
    if source not in kinds:
        raise SnapshotError(f"{path} holds a source of an unknown kind: {source!r}.")
    return kinds[source].load(path)


def warm() -> None:
    """Compile every kernel that serves requests, or read it from the cache on disk."""
    from habitue.behaviour import requests
    from habitue.candidates import (
        additive,
        again,
        descent,
        everybody,
        factor_step,
        foldin,
        graph_step,
        neighbours,
        paths,
        products,
        profile,
        two_tower_step,
    )

    for module in (
        profile, neighbours, products, descent, foldin, graph_step, everybody, again, requests,
        factor_step, additive, paths, two_tower_step,
    ):  # fmt: skip
        module.warm()
