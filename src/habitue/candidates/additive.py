"""The additive click model: how likely a shopper takes an item, by sides of both added up.

    P(i | u) = σ(W₁ x(u) + W₂ y(i) + b)

What a shopper adds, W₁ x(u), is the same for every item: it moves all chances up or down and
changes no order. So this source ranks alike for everybody, whatever it knows of them; it says how
willing a shopper is at all, and what is taken on the whole. Personal it would be by products of the
two (``als``, ``factor``) or hidden layers that see both (``two_tower``). Logistic regression of
what was taken against pairs drawn by lot (Cox, The Regression Analysis of Binary Sequences, 1958).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numba as nb
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize

from habitue.candidates.contract import Prepared, PreparingSource, Proposals, TrainingFacts
from habitue.candidates.interactions import interactions
from habitue.candidates.layout import sealed
from habitue.candidates.profile import ProfileConfig, Weigher
from habitue.candidates.saved import Saved, read, write
from habitue.candidates.sides import Sides
from habitue.facts import NO_ROW, Context
from habitue.facts.kind_names import KindName

__all__ = ["AdditiveConfig", "AdditiveLearner", "AdditiveSource"]

_LEAST = 1e-30  # a chance below is told as this: 0 would say that nothing is known
_MOST_STEPS = 100


class AdditiveConfig(BaseModel):
    """What is a click, and how it is regressed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["additive"] = "additive"
    name: str = Field(
        default="additive", min_length=1, description="its name in slates and features"
    )
    kinds: tuple[KindName, ...] = Field(
        default=("view_item", "select_item", "add_to_cart", "purchase", "like"),
        description="kinds of action that are clicks",
    )
    negatives: int = Field(default=4, ge=1, description="pairs drawn by lot beside each click")
    penalty: float = Field(default=1.0, gt=0, description="ridge penalty on the weights")
    side_items: int = Field(default=2, ge=1, description="items a side must be shared by")
    side_marks: int = Field(default=10, ge=2, description="marks on the scale of a number")
    profile: ProfileConfig = Field(
        default=ProfileConfig(), description="how a request's shopper is read"
    )


class AdditiveSource(PreparingSource):
    """Scores an item by the chance that it is taken: the same order for every shopper."""

    def __init__(
        self,
        config: AdditiveConfig,
        of_shopper: NDArray[np.float32],
        of_item: NDArray[np.float32],
        known: NDArray[np.bool_],
        measured: dict[str, float],
    ) -> None:
        """``of_shopper`` (n_items,) is what an item in a profile adds.

        ``of_item`` (n_items,) is what an item is worth, with the constant; ``known`` (n_items,) are
        the items that were learnt of.
        """
        self.config = config
        self.name = config.name
        self.measured = measured
        self.of_shopper = sealed(of_shopper, np.float32)
        self.of_item = sealed(of_item, np.float32)
        self.known = sealed(known, np.bool_)
        rows = np.flatnonzero(known)
        best = rows[np.argsort(-self.of_item[rows], kind="stable")]
        self.best = sealed(best, np.int32)
        self._weigher = Weigher.of(config.profile)

    def willing(self, context: Context) -> NDArray[np.float64]:
        """What each request's shopper (B,) adds to every item alike; 0 for a stranger."""
        item, weight = self._weigher.weigh(context)
        known = (item >= 0) & (item < len(self.known)) & (weight > 0)
        weight = np.where(known, weight, 0.0).astype(np.float64)
        told = (weight * self.of_shopper[np.where(known, item, 0)]) if len(self.known) else weight
        mass = weight.sum(axis=1)
        whole: NDArray[np.float64] = told.sum(axis=1) / np.where(mass > 0, mass, 1.0)
        return whole

    def prepare(self, context: Context) -> _Shoppers:
        """How willing each is."""
        return _Shoppers(self, self.willing(context))

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        saved = Saved(source="additive", config=self.config.model_dump(), measured=self.measured)
        arrays: dict[str, NDArray[Any]] = {
            "of_shopper": self.of_shopper, "of_item": self.of_item, "known": self.known
        }  # fmt: skip
        write(path, saved, arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, memory-mapped."""
        saved, arrays = read(path, "additive")
        return cls(
            AdditiveConfig.model_validate(saved.config),
            arrays["of_shopper"],
            arrays["of_item"],
            arrays["known"],
            saved.measured,
        )


class _Shoppers(Prepared):
    """A batch of shoppers, each a number."""

    __slots__ = ("_source", "_willing")

    def __init__(self, source: AdditiveSource, willing: NDArray[np.float64]) -> None:
        self._source = source
        self._willing = willing

    def propose(self, n: int) -> Proposals:
        """The items worth most, with the chances that each shopper takes them."""
        best = self._source.best[:n]
        row = np.full((len(self._willing), n), NO_ROW, np.int32)
        row[:, : len(best)] = best
        return Proposals(row, self.score(row))

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """The chance of any items; 0: unknown."""
        source = self._source
        _chances(self._willing, source.of_item, source.known, item_row, scores, place)


@nb.njit(cache=True, nogil=True)
def _chances(
    willing: NDArray[np.float64],
    of_item: NDArray[np.float32],
    known: NDArray[np.bool_],
    wanted: NDArray[np.int32],
    scores: NDArray[np.float32],
    place: int,
) -> None:
    """Fill σ(shopper + item) of the ``wanted`` rows (B, n) at ``scores[:, :, place]``."""
    for b in range(wanted.shape[0]):
        for c in range(wanted.shape[1]):
            i = wanted[b, c]
            scores[b, c, place] = 0.0
            if 0 <= i < known.shape[0] and known[i]:
                chance = 1.0 / (1.0 + np.exp(-willing[b] - of_item[i]))
                scores[b, c, place] = max(chance, _LEAST)


class AdditiveLearner:
    """Regresses what was taken; the same rng gives the same model."""

    def __init__(self, config: AdditiveConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> AdditiveSource:
        """The weights of these facts.

        A shopper is their profile's sides, an item its own and the logarithm of how many took it.
        """
        config = self.config
        taken = interactions(facts, dict.fromkeys(config.kinds, 1.0), counts=False)
        n_items = taken.shape[1]
        sides = Sides.of(
            facts.catalogue, n_items, min_items=config.side_items, marks=config.side_marks
        )
        takers = np.bincount(taken.indices, minlength=n_items)
        known = takers > 0
        nothing = np.zeros(n_items, np.float32)
        if not taken.nnz:
            return AdditiveSource(config, nothing, nothing, known, {"clicks": 0.0})
        item = sp.hstack([sides.matrix, np.log1p(takers)[:, None], np.ones((n_items, 1))]).tocsr()
        read = sides.matrix.astype(np.float64)
        mean = sp.diags(1.0 / np.maximum(np.diff(taken.indptr), 1)) @ taken @ read
        weight, surprise = self._regress(taken, mean.tocsr(), item, rng)
        at = read.shape[1]
        measured = {"clicks": float(taken.nnz), "log_loss": surprise}
        return AdditiveSource(
            config,
            (read @ weight[:at]).astype(np.float32),
            (item @ weight[at:]).astype(np.float32),
            known,
            measured,
        )

    def _regress(
        self,
        taken: sp.csr_matrix,
        shopper: sp.csr_matrix,
        item: sp.csr_matrix,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float64], float]:
        """Weights of the shopper's sides, then of the item's features, and the mean surprise."""
        config = self.config
        who = np.repeat(np.arange(taken.shape[0]), np.diff(taken.indptr))
        n_drawn = len(who) * config.negatives  # of all pairs: so that the willing take more of them
        rows = np.concatenate([who, rng.choice(np.unique(who), n_drawn)])
        columns = np.concatenate([taken.indices, rng.choice(np.unique(taken.indices), n_drawn)])
        x = sp.hstack([shopper[rows], item[columns]]).tocsr()
        y = np.where(np.arange(len(rows)) < len(who), 1.0, -1.0)
        free = np.full(x.shape[1], config.penalty)
        free[-1] = 0.0  # the constant

        def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            margin = y * (x @ w)
            surprise = np.logaddexp(0.0, -margin)
            slope = -y * np.exp(-margin - surprise)  # of the surprise, by the product
            return (
                float(surprise.sum() + 0.5 * (free * w**2).sum()),
                np.asarray(x.T @ slope) + free * w,
            )

        found = minimize(
            loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B",
            options={"maxiter": _MOST_STEPS},
        )  # fmt: skip
        return found.x, float(np.logaddexp(0.0, -y * (x @ found.x)).mean())


def warm() -> None:
    """Compile this module's kernel for the types requests bring, or read it from disk."""
    one = sealed(np.ones(1), np.float32)
    _chances(
        np.zeros(1), one, sealed(np.ones(1), np.bool_), np.zeros((1, 1), np.int32),
        np.ones((1, 1, 1), np.float32), 0,
    )  # fmt: skip
