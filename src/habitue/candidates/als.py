"""Matrix factorisation: shoppers and items as vectors whose product says what is wanted.

Hu, Koren and Volinsky, Collaborative Filtering for Implicit Feedback Datasets (2008), fitted by
``implicit``. A shopper the model does not know, or who has acted since it was fitted, is folded in.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.contract import Prepared, PreparingSource, Proposals, TrainingFacts
from habitue.candidates.descent import Descent
from habitue.candidates.foldin import vectors_now
from habitue.candidates.layout import plain, sealed
from habitue.candidates.products import dot_score, dot_top
from habitue.candidates.profile import ProfileConfig, Weigher
from habitue.candidates.saved import Saved, read, write
from habitue.candidates.vectors import VectorConfig, VectorIndex
from habitue.facts import MS_PER_DAY, Context, code_of
from habitue.facts.kind_names import KindName

__all__ = ["AlsConfig", "AlsLearner", "AlsSource"]

_ASKED = 64  # shoppers a search is tried with
_DESCEND_SHARE = 0.4  # of the items looked at, up to which descending beats FAISS's codes


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
        default={
            "view_item": 0.3,
            "select_item": 0.3,
            "add_to_wishlist": 0.5,
            "add_to_cart": 0.7,
            "purchase": 1.0,
            "like": 0.7,
        },
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
        item: NDArray[np.float32],
        index: VectorIndex,
        *,
        fitted_until_ms: int,
    ) -> None:
        self.config = config
        self.name = config.name
        self.fitted_until_ms = fitted_until_ms
        self.item_factors = sealed(item, np.float32)  # (n_items, factors)
        self.shopper_factors = sealed(shopper, np.float32)  # (n_shoppers, factors)
        self.index = index
        self.no_tail = sealed(np.empty((0, item.shape[1]), np.float32), np.float32)
        whole = self.item_factors.astype(np.float64)
        self._gram = whole.T @ whole + config.regularisation * np.eye(item.shape[1])
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
        asked = self.shopper_factors[:: max(1, len(self.shopper_factors) // _ASKED)]
        descent = Descent(self.item_factors, index.row, asked)
        self._descent = descent if descent.share <= _DESCEND_SHARE else None
        self.measured: dict[str, float] = {
            "recall_at_100": index.recall,
            "items": float(len(index)),
        }

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

    def prepare(self, context: Context) -> _Shoppers:
        """The vectors of the requests' shoppers."""
        return _Shoppers(self, self.vectors(context))

    def nearest(self, query: NDArray[np.float32], n: int) -> Proposals:
        """The ``n`` items with the largest positive product with each vector (B, factors)."""
        if self._descent is not None:
            return self._descent.top(query, n)
        wanted = self.index.candidates(query, n)
        row = np.empty((len(query), n), np.int32)
        score = np.empty((len(query), n), np.float32)
        dot_top(query, self.item_factors, self.no_tail, wanted, 0.0, row, score)
        return Proposals(row, score)

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        path.mkdir(parents=True, exist_ok=True)
        self.index.save(path / "items.faiss")
        saved = Saved(
            source="als",
            config=self.config.model_dump(),
            numbers={
                "fitted_until_ms": self.fitted_until_ms,
                "coded": int(self.index.coded),
                "refine_factor": self.index.refine_factor,
            },
            measured=self.measured,
        )
        arrays = {
            "shopper": self.shopper_factors,
            "item": self.item_factors,
            "indexed": self.index.row,
        }
        write(path, saved, arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, its factors memory-mapped."""
        saved, arrays = read(path, "als")
        index = VectorIndex.load(
            path / "items.faiss",
            arrays["indexed"],
            coded=bool(saved.numbers["coded"]),
            refine_factor=saved.numbers["refine_factor"],
            recall=saved.measured["recall_at_100"],
        )
        return cls(
            AlsConfig.model_validate(saved.config),
            arrays["shopper"],
            arrays["item"],
            index,
            fitted_until_ms=saved.numbers["fitted_until_ms"],
        )


class _Shoppers(Prepared):
    """The shoppers of a batch as vectors."""

    __slots__ = ("_query", "_source")

    def __init__(self, source: AlsSource, query: NDArray[np.float32]) -> None:
        self._source = source
        self._query = query  # (B, factors)

    def propose(self, n: int) -> Proposals:
        """The ``n`` items with the largest positive product."""
        return self._source.nearest(self._query, n)

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """The product for any items."""
        source = self._source
        dot_score(self._query, source.item_factors, source.no_tail, item_row, scores, place)


class AlsLearner:
    """Factorises the weighted actions, on one thread: the same rng gives the same model."""

    def __init__(self, config: AlsConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> AlsSource:
        """The factors of these facts."""
        config = self.config
        wanted = _confidence(facts, config)
        shopper, item = _factorise(wanted, config, seed=int(rng.integers(2**31 - 1)))
        acted_on = np.flatnonzero(np.bincount(wanted.indices, minlength=wanted.shape[1]))
        acting = np.flatnonzero(np.diff(wanted.indptr))
        asked = rng.permutation(acting)[: config.vectors.measured_queries]
        index = VectorIndex.build(
            item[acted_on], acted_on.astype(np.int32), shopper[asked], config.vectors
        )
        return AlsSource(config, shopper, item, index, fitted_until_ms=facts.now_ms)


def _confidence(facts: TrainingFacts, config: AlsConfig) -> sp.csr_matrix:
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


def _factorise(
    wanted: sp.csr_matrix, config: AlsConfig, *, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Shopper and item factors; rows without an action are 0."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    n_shoppers, n_items = wanted.shape
    if wanted.nnz == 0:
        empty = np.zeros((n_shoppers, config.factors), np.float32)
        return empty, np.zeros((n_items, config.factors), np.float32)
    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularisation,
            alpha=1.0,
            iterations=config.iterations,
            num_threads=1,
            random_state=seed,
        )
        model.fit(wanted, show_progress=False)
    shopper = np.array(model.user_factors, np.float32)
    item = np.array(model.item_factors, np.float32)
    shopper[np.diff(wanted.indptr) == 0] = 0
    item[np.bincount(wanted.indices, minlength=n_items) == 0] = 0
    return shopper, item
