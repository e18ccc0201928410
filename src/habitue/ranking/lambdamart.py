"""LambdaMART: boosted trees that learn the order of a list, best first.

Burges, "From RankNet to LambdaRank to LambdaMART" (2010); trained by LightGBM, scored without it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from habitue.errors import BadInput, SnapshotError
from habitue.facts import Context
from habitue.ranking.contract import Known
from habitue.ranking.demand import DemandColumns
from habitue.ranking.features import FeatureBatch, FeatureMaker
from habitue.ranking.proposed import Proposed
from habitue.ranking.trees import Forest

__all__ = ["LambdaMartConfig", "LambdaMartLearner", "LambdaMartRanker", "RankingSet"]


class LambdaMartConfig(BaseModel):
    """How the ranker learns. Gains say how much more one kind of answer is worth than another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gain_view: NonNegativeFloat = Field(1.0, description="Gain of a candidate that was looked at.")
    gain_cart: NonNegativeFloat = Field(3.0, description="Gain of a candidate put into the cart.")
    gain_purchase: NonNegativeFloat = Field(7.0, description="Gain of a candidate bought.")
    rounds: PositiveInt = Field(150, description="Number of trees.")
    leaves: int = Field(15, ge=2, le=256, description="Leaves of each tree.")
    learning_rate: PositiveFloat = Field(0.05, description="Weight of each tree.")
    min_leaf_rows: PositiveInt = Field(100, description="Candidates a leaf must hold at least.")
    feature_share: float = Field(0.4, gt=0, le=1, description="Features each tree may use.")
    row_share: float = Field(0.7, gt=0, le=1, description="Candidates each tree is shown.")
    l2: NonNegativeFloat = Field(10.0, description="Penalty on the leaves' values.")
    truncation: PositiveInt = Field(20, description="How far down the list pairs are compared.")
    bins: int = Field(127, ge=7, le=255, description="Histogram bins of each feature.")
    threads: PositiveInt = Field(
        1, description="Threads used while training; more than one suffers when cores are shared."
    )

    @property
    def gains(self) -> tuple[float, float, float, float]:
        """The gain of each grade: nothing, view, cart, purchase."""
        return (0.0, self.gain_view, self.gain_cart, self.gain_purchase)


@dataclass(frozen=True, slots=True)
class RankingSet:
    """Requests with their candidates' features and how each was answered.

    Grades are 0 nothing, 1 looked at, 2 put into the cart, 3 bought.
    """

    x: NDArray[np.float32]  # (n_rows, n_features)
    grade: NDArray[np.int8]  # (n_rows,)
    group: NDArray[np.int64]  # (n_requests,) rows of each request, in order
    names: tuple[str, ...]
    weight: NDArray[np.float32] | None = None  # (n_requests,) how much each request counts
    proposed: Proposed | None = None  # who proposed the candidates, where that was kept

    def weighted(self, weight: float) -> RankingSet:
        """The same requests, each counting ``weight``."""
        return replace(self, weight=np.full(len(self.group), weight, np.float32))

    def without(self, names: Collection[str]) -> RankingSet:
        """As if the sources ``names`` were not there: without their candidates and their scores.

        What others say is measured within what is left of each request; a request with no answer
        left is left out. Shown items stay, whoever proposed them. Needs ``proposed``.
        """
        assert self.proposed is not None, "who proposed the candidates was not kept"
        owner = np.repeat(np.arange(len(self.group)), self.group)
        row = self.proposed.by_others(names)
        answered = np.bincount(owner[row & (self.grade > 0)], minlength=len(self.group)) > 0
        row &= answered[owner]
        x, columns = self.seen_without(names, row)
        return RankingSet(
            x,
            self.grade[row],
            np.bincount(owner[row], minlength=len(self.group))[answered],
            columns,
            None if self.weight is None else self.weight[answered],
        )

    def seen_without(
        self, names: Collection[str], row: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """The features of the rows marked (n_rows,) without the sources ``names``; their names."""
        assert self.proposed is not None, "who proposed the candidates was not kept"
        places, bits = self.proposed.left(names)
        owner = np.repeat(np.arange(len(self.group)), self.group)[row]
        column = [3 * s + part for s in places for part in range(3)]
        column += range(3 * len(self.proposed.sources), len(self.names))
        x = self.x[np.flatnonzero(row)[:, None], np.array(column)]
        norms = self.proposed.norms(places, bits)
        small = np.float32(1e-9)
        for place in range(len(places)):
            value, (mean, sd, most) = x[:, 3 * place], norms[owner, place].T
            x[:, 3 * place + 1] = (value - mean) / (sd + small)
            x[:, 3 * place + 2] = value / (most + small)
        return x, tuple(self.names[c] for c in column)

    def unsaid(self, names: Collection[str]) -> RankingSet:
        """Without the sources ``names``, none of which proposed or scored anything."""
        gone = {name + part for name in names for part in ("", "_z", "_share")}
        kept = [c for c, name in enumerate(self.names) if name not in gone]
        return replace(
            self,
            x=self.x[:, kept],
            names=tuple(self.names[c] for c in kept),
            proposed=None if self.proposed is None else self.proposed.unsaid(names),
        )

    @classmethod
    def joined(cls, parts: list[RankingSet]) -> RankingSet:
        """Several sets as one."""
        weights = [
            np.ones(len(p.group), np.float32) if p.weight is None else p.weight for p in parts
        ]
        proposed = [p.proposed for p in parts if p.proposed is not None]
        return cls(
            np.concatenate([p.x for p in parts]),
            np.concatenate([p.grade for p in parts]),
            np.concatenate([p.group for p in parts]),
            parts[0].names,
            np.concatenate(weights),
            Proposed.joined(proposed) if len(proposed) == len(parts) else None,
        )


class LambdaMartLearner:
    """Learns an order from answered requests."""

    def __init__(self, config: LambdaMartConfig | None = None) -> None:
        self.config = config or LambdaMartConfig()

    def fit(self, data: RankingSet, rng: np.random.Generator) -> LambdaMartRanker:
        """The ranker learnt from ``data``; raises ``BadInput`` if no request holds an answer."""
        import lightgbm as lgb

        if not (data.grade > 0).any():
            raise BadInput(
                "The ranker has no answered request to learn from.",
                remedy="Train on a longer time, or wait for more actions.",
            )
        c = self.config
        parameters = {
            "objective": "lambdarank",
            "num_threads": c.threads,
            "verbosity": -1,
            "learning_rate": c.learning_rate,
            "num_leaves": c.leaves,
            "min_data_in_leaf": c.min_leaf_rows,
            "feature_fraction": c.feature_share,
            "bagging_fraction": c.row_share,
            "bagging_freq": 1,
            "lambda_l2": c.l2,
            "lambdarank_truncation_level": c.truncation,
            "label_gain": list(c.gains),
            "max_bin": c.bins,
            "seed": int(rng.integers(1 << 31)),
            "deterministic": True,
            "force_row_wise": True,
        }
        weight = None if data.weight is None else np.repeat(data.weight, data.group)
        table = lgb.Dataset(data.x, data.grade, group=data.group, weight=weight, free_raw_data=True)
        booster = lgb.train(parameters, table, c.rounds)
        forest = Forest.of_dump(booster.dump_model())
        gain = booster.feature_importance("gain")
        return LambdaMartRanker(forest, data.names, np.asarray(gain, np.float64))


@dataclass(frozen=True, slots=True)
class LambdaMartRanker:
    """The trees, the names of the features they read, and how much each feature was worth."""

    forest: Forest
    names: tuple[str, ...]
    gain: NDArray[np.float64]  # (n_features,) loss the splits on each feature took away

    def score_features(
        self, batch: FeatureBatch, item_row: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Scores of candidates with these features: (B, m), ``-inf`` beside ``NO_ROW``."""
        scores = self.forest.predict(batch.x).reshape(item_row.shape)
        scores[item_row < 0] = -np.inf
        return scores

    def bound(self, features: FeatureMaker) -> FeatureRanker:
        """This ranker over live features; ``BadInput`` if they are not the ones it learnt."""
        return FeatureRanker(self, features)

    def save(self, path: Path) -> None:
        """Write trees and names into the folder ``path``."""
        path.mkdir(parents=True, exist_ok=True)
        self.forest.save(path / "trees.npz")
        body = {"names": list(self.names), "gain": self.gain.tolist()}
        (path / "features.json").write_bytes(msgspec.json.encode(body))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The ranker written in ``path``; raises ``SnapshotError`` if it is not there."""
        try:
            body = msgspec.json.decode((path / "features.json").read_bytes())
            names, gain = tuple(body["names"]), np.array(body["gain"], np.float64)
        except (OSError, KeyError, msgspec.MsgspecError) as problem:
            raise SnapshotError(
                f"The ranker in {path} cannot be read: {problem}.",
                remedy="Train again, or activate another snapshot.",
            ) from problem
        return cls(Forest.load(path / "trees.npz"), names, gain)


class FeatureRanker:
    """A ranker bound to the features it reads: what the pipeline calls.

    The last single request is kept as it was ranked: who asks for a slate asks for its reasons.
    """

    def __init__(self, trees: LambdaMartRanker, features: FeatureMaker) -> None:
        if trees.names != features.names:
            odd = sorted(set(trees.names) ^ set(features.names))[:5]
            raise BadInput(
                f"The ranker learnt other features than these sources give: {', '.join(odd)}.",
                remedy="Train again: sources or features have changed since.",
            )
        self.trees = trees
        self.features = features
        self._demand = DemandColumns.of(trees.names)
        self._last: tuple[Context, Known] | None = None

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of ``item_row`` (B, m); ``-inf`` beside ``NO_ROW``."""
        return self.rank(context, item_row)[0]

    def rank(
        self,
        context: Context,
        item_row: NDArray[np.int32],
        source_score: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """``score``, and the norms (B, n_sources, 3) that later re-scoring of a few needs.

        ``source_score`` (B, m, n_sources) spares asking the sources where their scores of these
        candidates are already known; 0 beside ``NO_ROW``.
        """
        batch = self.features.make(context, item_row, source_score=source_score)
        score = self.trees.score_features(batch, item_row)
        if len(context) == 1:
            self._last = (context, Known(item_row[0], batch, score[0]))
        return score, batch.norms

    # ------------------------------------------------------------------ with something taken away

    def known(
        self, context: Context, item_row: NDArray[np.int32], norms: NDArray[np.float32] | None
    ) -> Known:
        """Items (n,) of a single request: as they were ranked if that was the last, else anew."""
        last = self._last
        if last is not None and last[0] is context:
            found = last[1].some(item_row, norms)
            if found is not None:
                return found
        batch = self.features.make(context, item_row[None, :], norms=norms)
        return Known(item_row, batch, self.trees.forest.predict(batch.x))

    def without(
        self,
        known: Known,
        variants: Context,
        source_score: NDArray[np.float32],
        variant: NDArray[np.int32],
        place: NDArray[np.int32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores (P,) of items in requests with less in them, and (n,) as if nobody wanted them.

        As ``Explainable`` says.
        """
        n = len(variant)
        x = np.empty((n + len(known.item_row), len(self.features.names)), np.float32)
        self.features.changed(
            known.batch, known.item_row, variants, source_score, variant, place, x[:n]
        )
        self._demand.unwanted(known.batch, x[n:])
        score = self.trees.forest.predict(x)
        return score[:n], score[n:]

    def long_known(self, known: Known, place: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores (P,) of the items at ``place`` as if they had long been in the shop."""
        return self.trees.forest.predict(self._demand.long_known(known.batch, place))
