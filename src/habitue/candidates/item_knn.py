"""Items wanted by the same shoppers: item-based nearest neighbours.

Sarwar et al., Item-Based Collaborative Filtering Recommendation Algorithms (2001); weights by
``implicit``. It is blind to order and to time: co-visitation is not.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.contract import PreparingSource, TrainingFacts
from habitue.candidates.interactions import interactions
from habitue.candidates.neighbours import NeighbourTable, Walk
from habitue.candidates.profile import ProfileConfig, Weigher
from habitue.candidates.saved import Saved, read, write
from habitue.facts import Context
from habitue.facts.kind_names import KindName

__all__ = ["ItemKnnConfig", "ItemKnnLearner", "ItemKnnSource"]


class ItemKnnConfig(BaseModel):
    """How items are compared, and how a profile is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["item_knn"] = "item_knn"
    name: str = Field(
        default="item_knn", min_length=1, description="its name in slates and features"
    )
    kind_weight: dict[KindName, float] = Field(
        default={"view_item": 1.0, "add_to_cart": 1.0, "purchase": 1.0},
        description="weight of an action by its kind; kinds not named count nothing",
    )
    counts: bool = Field(default=False, description="weights are summed; else an item is there: 1")
    weighting: Literal["cosine", "tfidf", "bm25"] = Field(
        default="tfidf", description="how common shoppers are weighed"
    )
    half_life_days: float | None = Field(
        default=None, gt=0, description="age at which an action counts half; with counts"
    )
    neighbours: int = Field(default=100, ge=1, description="nearest items kept for each item")
    profile: ProfileConfig = Field(
        default=ProfileConfig(), description="how a request's profile is weighed"
    )


class ItemKnnSource(PreparingSource):
    """Scores an item by the likeness of the profile's items to it, added up."""

    def __init__(self, config: ItemKnnConfig, table: NeighbourTable) -> None:
        self.config = config
        self.name = config.name
        self.table = table
        self.measured: dict[str, float] = {"neighbours": float(len(table.edge))}
        self._weigher = Weigher.of(config.profile)

    def prepare(self, context: Context) -> Walk:
        """Each request's profile, to be followed to its neighbours."""
        return Walk(self.table, *self._weigher.weigh(context))

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        saved = Saved(source="item_knn", config=self.config.model_dump(), measured=self.measured)
        write(path, saved, self.table.arrays())

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, memory-mapped."""
        saved, arrays = read(path, "item_knn")
        config = ItemKnnConfig.model_validate(saved.config)
        return cls(config, NeighbourTable.of_arrays(arrays))


class ItemKnnLearner:
    """Compares all pairs of items that share a shopper, on one thread."""

    def __init__(self, config: ItemKnnConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> ItemKnnSource:  # noqa: ARG002
        """The neighbours in these facts; nothing is drawn."""
        from implicit import nearest_neighbours as knn

        config = self.config
        matrix = interactions(
            facts,
            config.kind_weight,
            half_life_days=config.half_life_days,
            counts=config.counts,
        )
        n_items = matrix.shape[1]
        if matrix.nnz == 0:
            nothing = np.empty(0, np.int32)
            table = NeighbourTable.of_edges(
                nothing, nothing, nothing.astype(np.float32), n_items=n_items
            )
            return ItemKnnSource(config, table)
        kinds = {
            "cosine": knn.CosineRecommender,
            "tfidf": knn.TFIDFRecommender,
            "bm25": knn.BM25Recommender,
        }
        model = kinds[config.weighting](K=config.neighbours + 1, num_threads=1)  # itself is one
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own layout of its own matrices
            model.fit(matrix, show_progress=False)
        likeness = model.similarity.tocoo()
        other = likeness.row != likeness.col
        table = NeighbourTable.of_edges(
            likeness.row[other].astype(np.int32),
            likeness.col[other].astype(np.int32),
            likeness.data[other].astype(np.float32),
            n_items=n_items,
        )
        return ItemKnnSource(config, table)
