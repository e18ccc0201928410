"""What follows from all of a shopper's items together: item-to-item regression in closed form.

In its plainest setting EASE (Steck, Embarrassingly Shallow Autoencoders for Sparse Data, 2019).
Sequences say more than sets: with ``closeness`` below 1 two items have the more to do with each
other the closer they stand, and with ``transitions`` what came later is regressed on what came
before (Choi et al., Session-aware Linear Item-Item Models for Session-based Recommendation, 2021).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.contract import PreparingSource, TrainingFacts
from habitue.candidates.neighbours import NeighbourTable, Walk
from habitue.candidates.profile import ProfileConfig, Weigher, codes_of
from habitue.candidates.regression import Kernels, regress
from habitue.candidates.saved import Saved, read, write
from habitue.candidates.sequences import sequences_of
from habitue.facts import Context
from habitue.facts.kind_names import KindName

__all__ = ["LinearConfig", "LinearLearner", "LinearSource"]


class LinearConfig(BaseModel):
    """What is regressed on what, and how a profile is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["linear"] = "linear"
    name: str = Field(default="linear", min_length=1, description="its name in slates and features")
    kinds: tuple[KindName, ...] = Field(
        default=("view_item", "select_item", "add_to_wishlist", "add_to_cart", "purchase", "like"),
        description="kinds of action that are read",
    )
    repeats: bool = Field(
        default=False, description="an item acted on again counts again; else at the last time"
    )
    penalty: float = Field(default=100.0, gt=0, description="ridge penalty, in actions")
    closeness: float = Field(
        default=1.0, gt=0, le=1, description="what two items share, for each moment between them"
    )
    transitions: float = Field(
        default=0.0, ge=0, lt=1, description="share of what came later in what is explained"
    )
    past: float = Field(
        default=0.8, gt=0, lt=1, description="factor for each moment further back, in transitions"
    )
    future: float = Field(
        default=0.9, gt=0, le=1, description="factor for each moment further on, in transitions"
    )
    itself: bool = Field(
        default=False, description="an item may lead to itself: for shops of repeated clicks"
    )
    half_life_days: float | None = Field(
        default=None, gt=0, description="age of an action at which it counts half"
    )
    crowd_damping: float = Field(
        default=0.0, ge=0, le=2, description="exponent of the size of a moment: big orders say less"
    )
    exact_items: int = Field(
        default=8_000,
        ge=1,
        le=40_000,
        description="most active items regressed exactly: 8 bytes a pair, time by the cube",
    )
    neighbours: int = Field(default=300, ge=1, description="strongest weights kept for each item")
    max_actions_per_shopper: int = Field(
        default=500, ge=2, description="most recent actions of a shopper that are read"
    )
    profile: ProfileConfig = Field(
        default=ProfileConfig(), description="how a request's profile is weighed"
    )


class LinearSource(PreparingSource):
    """Scores an item by what the profile's items say of it together."""

    def __init__(
        self, config: LinearConfig, table: NeighbourTable, measured: dict[str, float]
    ) -> None:
        self.config = config
        self.name = config.name
        self.table = table
        self.measured = measured
        self._weigher = Weigher.of(config.profile)

    def prepare(self, context: Context) -> Walk:
        """Each request's profile, to be followed along the weights."""
        return Walk(self.table, *self._weigher.weigh(context))

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        saved = Saved(source="linear", config=self.config.model_dump(), measured=self.measured)
        write(path, saved, self.table.arrays())

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, memory-mapped."""
        saved, arrays = read(path, "linear")
        config = LinearConfig.model_validate(saved.config)
        return cls(config, NeighbourTable.of_arrays(arrays, signed=True), saved.measured)


class LinearLearner:
    """Solves the regression; the same facts give the same model."""

    def __init__(self, config: LinearConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> LinearSource:  # noqa: ARG002
        """The weights these facts ask for; nothing is drawn.

        Raises ``BadSetting`` where the penalty is too small.
        """
        config = self.config
        kinds = codes_of(config.kinds)
        sequences = sequences_of(
            facts.log,
            kinds,
            kinds,
            now_ms=facts.now_ms,
            half_life_days=config.half_life_days,
            crowd_damping=config.crowd_damping,
            max_actions_per_shopper=config.max_actions_per_shopper,
            repeats=config.repeats,
        )
        found = regress(
            sequences,
            max(facts.log.n_items, len(facts.catalogue)),
            Kernels.of(
                config.max_actions_per_shopper,
                closeness=config.closeness,
                past=config.past,
                future=config.future,
            ),
            transitions=config.transitions,
            penalty=config.penalty,
            itself=config.itself,
            exact_items=config.exact_items,
            neighbours=config.neighbours,
        )
        measured = {"exact_items": float(found.n_exact), "weights": float(len(found.table.edge))}
        return LinearSource(config, found.table, measured)
