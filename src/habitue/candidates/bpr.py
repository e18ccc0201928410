"""Factors learnt from pairs: what was chosen should stand above what was not.

Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback (2009), fitted by
``implicit``. A shopper the model knows is asked by the vector it was fitted with, whatever they did
since; anyone else by the weighted mean of the vectors of what they looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.contract import Prepared, PreparingSource, Proposals, TrainingFacts
from habitue.candidates.descent import Descent
from habitue.candidates.interactions import interactions
from habitue.candidates.layout import sealed
from habitue.candidates.products import dot_score, profile_vectors
from habitue.candidates.profile import ProfileConfig, Weigher
from habitue.candidates.saved import Saved, read, write
from habitue.facts import Context
from habitue.facts.kind_names import KindName

__all__ = ["BprConfig", "BprLearner", "BprSource"]

_ASKED = 64  # shoppers a search is tried with


class BprConfig(BaseModel):
    """The factorisation, and how a profile is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["bpr"] = "bpr"
    name: str = Field(default="bpr", min_length=1, description="its name in slates and features")
    factors: int = Field(default=64, ge=1, le=1024, description="length of a vector")
    learning_rate: float = Field(default=0.05, gt=0, description="step of the gradient")
    regularisation: float = Field(default=0.01, ge=0, description="penalty on the vectors")
    passes: int = Field(default=100, ge=1, description="times as many draws as there are wants")
    kind_weight: dict[KindName, float] = Field(
        default={"view_item": 1.0, "add_to_cart": 1.0, "purchase": 1.0},
        description="kinds of action that are choices, where above 0",
    )
    profile: ProfileConfig = Field(
        default=ProfileConfig(), description="how a request's profile is weighed"
    )


class BprSource(PreparingSource):
    """Scores an item by the product of the shopper's vector with its own, plus its bias."""

    def __init__(
        self, config: BprConfig, shopper: NDArray[np.float32], item: NDArray[np.float32]
    ) -> None:
        self.config = config
        self.name = config.name
        self.shopper_factors = sealed(shopper, np.float32)  # (n_shoppers, factors + 1), last is 1
        self.item_factors = sealed(item, np.float32)  # (n_items, factors + 1), last is the bias
        self.no_tail = sealed(np.empty((0, item.shape[1]), np.float32), np.float32)
        chosen = np.flatnonzero(item.any(axis=1)).astype(np.int32)
        asked = self.shopper_factors[:: max(1, len(shopper) // _ASKED)]
        self.descent = Descent(self.item_factors, chosen, asked)
        self.measured: dict[str, float] = {"items": float(len(chosen))}
        self._weigher = Weigher.of(config.profile)

    def prepare(self, context: Context) -> _Shoppers:
        """The vectors of the requests' shoppers."""
        return _Shoppers(self, self.queries(context))

    def queries(self, context: Context) -> NDArray[np.float32]:
        """The vector (B, factors + 1) of each request's shopper; 0 where nothing is known."""
        items, weights = self._weigher.weigh(context)
        query = np.empty((len(context), self.item_factors.shape[1]), np.float32)
        profile_vectors(items, weights, self.item_factors, self.no_tail, query)
        query[query.any(axis=1), -1] = 1.0
        row = context.shopper_row
        known = (row >= 0) & (row < len(self.shopper_factors))
        if len(context.personal):
            known &= context.personal
        known[known] = self.shopper_factors[row[known]].any(axis=1)
        query[known] = self.shopper_factors[row[known]]
        return query

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        saved = Saved(source="bpr", config=self.config.model_dump(), measured=self.measured)
        write(path, saved, {"shopper": self.shopper_factors, "item": self.item_factors})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, its factors memory-mapped."""
        saved, arrays = read(path, "bpr")
        return cls(BprConfig.model_validate(saved.config), arrays["shopper"], arrays["item"])


class _Shoppers(Prepared):
    """The shoppers of a batch as vectors."""

    __slots__ = ("_query", "_source")

    def __init__(self, source: BprSource, query: NDArray[np.float32]) -> None:
        self._source = source
        self._query = query

    def propose(self, n: int) -> Proposals:
        """The ``n`` items with the largest positive score."""
        return self._source.descent.top(self._query, n)

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """The score of any items."""
        source = self._source
        dot_score(self._query, source.item_factors, source.no_tail, item_row, scores, place)


class BprLearner:
    """Draws pairs and steps, on one thread: the same rng gives the same model."""

    def __init__(self, config: BprConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> BprSource:
        """The factors of these facts; shoppers and items without a choice are 0."""
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        config = self.config
        choices = interactions(facts, config.kind_weight, counts=False)
        n_shoppers, n_items = choices.shape
        shopper = np.zeros((n_shoppers, config.factors + 1), np.float32)
        item = np.zeros((n_items, config.factors + 1), np.float32)
        seed = int(rng.integers(2**31 - 1))
        if choices.nnz:
            model = BayesianPersonalizedRanking(
                factors=config.factors,
                learning_rate=config.learning_rate,
                regularization=config.regularisation,
                iterations=config.passes,
                num_threads=1,
                random_state=seed,
            )
            model.fit(choices, show_progress=False)
            acting = np.diff(choices.indptr) > 0
            acted_on = np.bincount(choices.indices, minlength=n_items) > 0
            shopper[acting] = np.asarray(model.user_factors)[acting]
            item[acted_on] = np.asarray(model.item_factors)[acted_on]
        return BprSource(config, shopper, item)
