"""Matrix factorisation: shoppers and items as vectors whose product says what is wanted.

Hu, Koren and Volinsky, Collaborative Filtering for Implicit Feedback Datasets (2008), fitted by
``implicit``. A shopper the model does not know, or who has acted since it was fitted, is folded in.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.contract import PreparingSource, TrainingFacts
from habitue.candidates.foldin import vectors_now
from habitue.candidates.interactions import KIND_WEIGHT
from habitue.candidates.layout import plain, sealed
from habitue.candidates.profile import ProfileConfig, Weigher
from habitue.candidates.saved import Saved, read, write
from habitue.candidates.search import ItemSearch, Sought
from habitue.candidates.vectors import VectorConfig
from habitue.facts import MS_PER_DAY, Context, code_of
from habitue.facts.kind_names import KindName

__all__ = [
    "AlsConfig",
    "AlsLearner",
    "AlsSource",
    "confidence",
    "factorised",
    "shoppers_of",
]


class AlsConfig(BaseModel):
    """The factorisation, and what an action says about a want."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["als"] = "als"
    name: str = Field(default="als", min_length=1, description="its name in slates and features")
    factors: int = Field(default=64, ge=1, le=1024, description="length of a vector")
    regularisation: float = Field(default=3.0, gt=0, description="penalty on the vectors")
    alpha: float = Field(default=2.0, gt=0, description="confidence of an action: 1 + alpha * w")
    iterations: int = Field(default=15, ge=1, description="alternations of the fit")
    logarithmic: bool = Field(
        default=True, description="w is log(1 + summed weight) instead of the summed weight"
    )
    kind_weight: dict[KindName, float] = Field(
        default=KIND_WEIGHT,
        description="weight of an action by its kind; kinds not named count nothing",
    )
    half_life_days: float = Field(
        default=120.0, gt=0, description="age at which an action counts half"
    )
    anchor_weight: float = Field(
        default=1.0, ge=0, description="weight of an anchor item, as if just acted on"
    )
    max_recent: int = Field(default=50, ge=1, description="recent actions folded in")
    vectors: VectorConfig = Field(default=VectorConfig(), description="how items are searched")


class AlsSource(PreparingSource):
    """Scores an item by the product of the shopper's vector with the item's."""

    def __init__(
        self,
        config: AlsConfig,
        shopper: NDArray[np.float32],
        search: ItemSearch,
        *,
        fitted_until_ms: int,
    ) -> None:
        self.config = config
        self.name = config.name
        self.fitted_until_ms = fitted_until_ms
        self.search = search
        self.item_factors = search.vectors  # (n_items, factors)
        self.shopper_factors = sealed(shopper, np.float32)  # (n_shoppers, factors)
        whole = self.item_factors.astype(np.float64)
        self._gram = whole.T @ whole + config.regularisation * np.eye(search.dim)
        self._inverse = np.asarray(np.linalg.inv(self._gram), np.float64)
        self._weigher = Weigher(
            ProfileConfig(
                kind_weight=config.kind_weight,
                position_decay=1.0,
                half_life_days=config.half_life_days,
                max_actions=config.max_recent,
                anchor_weight=max(config.anchor_weight, 1e-9),
                beside_anchor=1.0,
                reads="both" if config.anchor_weight > 0 else "profile",
            )
        )
        self.measured = search.measured

    def with_items(self, factors: NDArray[np.float32]) -> Self:
        """The same with the factors (n_rows, factors) of newer items behind those it has."""
        longer = copy(self)
        longer.search = self.search.with_tail(factors[len(self.search.vectors) :])
        longer.item_factors = sealed(factors, np.float32)
        return longer

    def vectors(self, context: Context) -> NDArray[np.float32]:
        """The vector (B, factors) of each request's shopper as of now; 0 where nothing is known."""
        out = np.empty((len(context), self.item_factors.shape[1]), np.float32)
        config, weigher = self.config, self._weigher
        vectors_now(
            plain(context.recent_item, np.int32),
            plain(context.recent_kind, np.uint8),
            plain(context.recent_age_days, np.float32),
            plain(context.anchor_item, np.int32),
            plain(context.personal, np.bool_),
            plain(context.shopper_row, np.int32),
            plain(context.now_ms, np.int64),
            weigher.kind_weight,
            weigher.half_life_days,
            weigher.anchor_weight,
            config.max_recent,
            config.alpha,
            config.logarithmic,
            self.shopper_factors,
            self.fitted_until_ms,
            self.item_factors,
            self._gram,
            self._inverse,
            out,
        )
        return out

    def prepare(self, context: Context) -> Sought:
        """The vectors of the requests' shoppers."""
        return Sought(self.search, self.vectors(context))

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        self.search.save(path)
        saved = Saved(
            source="als",
            config=self.config.model_dump(),
            numbers={"fitted_until_ms": self.fitted_until_ms, **self.search.numbers()},
            measured=self.measured,
        )
        write(path, saved, {"shopper": self.shopper_factors, **self.search.arrays()})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, its factors memory-mapped."""
        saved, arrays = read(path, "als")
        return cls(
            AlsConfig.model_validate(saved.config),
            arrays["shopper"],
            ItemSearch.load(path, arrays, saved.numbers, saved.measured["recall_at_100"]),
            fitted_until_ms=saved.numbers["fitted_until_ms"],
        )


class AlsLearner:
    """Factorises the weighted actions, on one thread: the same rng gives the same model."""

    def __init__(self, config: AlsConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> AlsSource:
        """The factors of these facts."""
        config = self.config
        wanted = confidence(facts, config)
        shopper, item = factorised(wanted, config, seed=int(rng.integers(2**31 - 1)))
        acted_on = np.flatnonzero(np.bincount(wanted.indices, minlength=wanted.shape[1]))
        acting = np.flatnonzero(np.diff(wanted.indptr))
        asked = rng.permutation(acting)[: config.vectors.measured_queries]
        search = ItemSearch.build(item, acted_on.astype(np.int32), shopper[asked], config.vectors)
        return AlsSource(config, shopper, search, fitted_until_ms=facts.now_ms)


def confidence(facts: TrainingFacts, config: AlsConfig) -> sp.csr_matrix:
    """How sure the log makes us of each want, ``1 + alpha * w``: (n_shoppers, n_items), sparse."""
    log = facts.log
    by_kind = np.zeros(256)
    for name, value in config.kind_weight.items():
        by_kind[int(code_of(name))] = value
    weight = by_kind[log.kind]
    log = log.take((weight > 0) & (log.item_row >= 0) & (log.shopper_row >= 0))
    age_days = (facts.now_ms - log.at_ms) / MS_PER_DAY
    weight = by_kind[log.kind] * 0.5 ** (age_days / config.half_life_days)
    n_items = max(log.n_items, len(facts.catalogue))
    matrix = sp.csr_matrix(
        (weight, (log.shopper_row, log.item_row)), shape=(log.n_shoppers, n_items)
    )
    matrix.sum_duplicates()
    value = np.log1p(matrix.data) if config.logarithmic else matrix.data
    matrix.data = (1.0 + config.alpha * value).astype(np.float32)
    return matrix


def factorised(
    wanted: sp.csr_matrix, config: AlsConfig, *, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Shopper and item factors; rows without an action are 0."""
    n_shoppers, n_items = wanted.shape
    if wanted.nnz == 0:
        empty = np.zeros((n_shoppers, config.factors), np.float32)
        return empty, np.zeros((n_items, config.factors), np.float32)
    with _quietly():
        model = _alternating(config, seed)
        model.fit(wanted, show_progress=False)
    shopper = np.array(model.user_factors, np.float32)
    item = np.array(model.item_factors, np.float32)
    shopper[np.diff(wanted.indptr) == 0] = 0
    item[np.bincount(wanted.indices, minlength=n_items) == 0] = 0
    return shopper, item


def shoppers_of(
    wanted: sp.csr_matrix, item: NDArray[np.float32], config: AlsConfig
) -> NDArray[np.float32]:
    """The shopper factors that go with given item factors (n_items, factors), exactly."""
    with _quietly():
        model = _alternating(config, seed=0)
        model.item_factors = np.ascontiguousarray(item, np.float32)
        everyone = np.arange(wanted.shape[0])
        found = model.recalculate_user(everyone, wanted) if len(everyone) else None
    shopper = np.zeros((wanted.shape[0], config.factors), np.float32)
    if found is not None:
        acting = np.diff(wanted.indptr) > 0
        shopper[acting] = found[acting]
    return shopper


def _alternating(config: AlsConfig, seed: int) -> Any:
    from implicit.cpu.als import AlternatingLeastSquares

    return AlternatingLeastSquares(
        factors=config.factors,
        regularization=config.regularisation,
        alpha=1.0,
        iterations=config.iterations,
        num_threads=1,
        random_state=seed,
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """On one thread, and without a word about it."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
