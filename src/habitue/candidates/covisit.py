"""Who looked at this looked at that, bought that, bought that with it: co-visitation.

Two actions of one shopper tie their items together: more strongly the fewer moments lie between
them, forwards more than backwards. Popularity is damped on both sides. A moment is one order (its
lines have no order among themselves) or one instant; everything else stands in order of time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.contract import PreparingSource, TrainingFacts
from habitue.candidates.neighbours import NeighbourTable, Walk
from habitue.candidates.profile import ProfileConfig, Reads, Weigher, codes_of
from habitue.candidates.saved import Saved, read, write
from habitue.candidates.sequences import Sequences, sequences_of
from habitue.candidates.ties import tie
from habitue.facts import Context
from habitue.facts.kind_names import KindName

__all__ = ["CovisitConfig", "CovisitLearner", "CovisitSource"]


class CovisitConfig(BaseModel):
    """Which actions are tied, how strongly, and how a profile is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["covisit"] = "covisit"
    name: str = Field(
        default="covisit", min_length=1, description="its name in slates and features"
    )
    kinds_from: tuple[KindName, ...] = Field(
        default=("view_item",), description="kinds of the action a tie starts at"
    )
    kinds_to: tuple[KindName, ...] = Field(
        default=("view_item",), description="kinds of the action a tie leads to"
    )
    window_moments: int = Field(default=10, ge=0, description="moments apart at most; 0: one order")
    moment_decay: float = Field(
        default=0.9, gt=0, le=1, description="factor for each further moment between the two"
    )
    forward_weight: float = Field(default=1.0, ge=0, description="weight of what came later")
    backward_weight: float = Field(default=0.5, ge=0, description="weight of what came earlier")
    together_weight: float = Field(
        default=1.0, ge=0, description="weight within one moment, such as one order"
    )
    gap_half_life_days: float | None = Field(
        default=None, gt=0, description="time between the two at which a tie counts half"
    )
    half_life_days: float | None = Field(
        default=None, gt=0, description="age of the later action at which a tie counts half"
    )
    crowd_damping: float = Field(
        default=0.0, ge=0, le=2, description="exponent of the size of a moment: big orders say less"
    )
    damping_from: float = Field(
        default=0.5, ge=0, le=2, description="exponent of the popularity of the item started at"
    )
    damping_to: float = Field(
        default=0.3, ge=0, le=2, description="exponent of the popularity of the item led to"
    )
    neighbours: int = Field(default=100, ge=1, description="neighbours kept for each item")
    max_actions_per_shopper: int = Field(
        default=2000, ge=2, description="most recent actions of a shopper that are read"
    )
    max_reach_actions: int = Field(
        default=500,
        ge=1,
        description="actions looked at on each side of one: bounds heavy shoppers",
    )
    profile: ProfileConfig = Field(
        default=ProfileConfig(), description="how a request's profile is weighed"
    )


class CovisitSource(PreparingSource):
    """Scores an item by the weighted ties that lead to it from the profile."""

    def __init__(self, config: CovisitConfig, table: NeighbourTable) -> None:
        self.config = config
        self.name = config.name
        self.table = table
        self._weigher = Weigher.of(config.profile)
        self.measured: dict[str, float] = {"ties": float(len(table.edge))}

    def prepare(self, context: Context) -> Walk:
        """Each request's profile, to be followed along the ties."""
        return Walk(self.table, *self._weigher.weigh(context))

    def reading(self, reads: Reads, name: str) -> CovisitSource:
        """The same ties asked of another part of the request; shares the table."""
        profile = self.config.profile.model_copy(update={"reads": reads})
        config = self.config.model_copy(update={"profile": profile, "name": name})
        return CovisitSource(config, self.table)

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        saved = Saved(source="covisit", config=self.config.model_dump(), measured=self.measured)
        write(path, saved, self.table.arrays())

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, memory-mapped."""
        saved, arrays = read(path, "covisit")
        table = NeighbourTable.of_arrays(arrays)
        return cls(CovisitConfig.model_validate(saved.config), table)


class CovisitLearner:
    """Ties the items of each shopper's sequence together."""

    def __init__(self, config: CovisitConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> CovisitSource:  # noqa: ARG002
        """The ties in these facts; nothing is drawn."""
        config = self.config
        n_items = max(facts.log.n_items, len(facts.catalogue))
        sequences = sequences_of(
            facts.log,
            codes_of(config.kinds_from),
            codes_of(config.kinds_to),
            now_ms=facts.now_ms,
            half_life_days=config.half_life_days,
            crowd_damping=config.crowd_damping,
            max_actions_per_shopper=config.max_actions_per_shopper,
        )
        table = tie(
            sequences,
            damp_from=_damping(sequences, sequences.starts, n_items, config.damping_from),
            damp_to=_damping(sequences, sequences.ends, n_items, config.damping_to),
            decay=np.power(
                config.moment_decay, np.arange(max(config.window_moments, 1), dtype=np.float64)
            ),
            forward=config.forward_weight,
            backward=config.backward_weight,
            together=config.together_weight,
            window=config.window_moments,
            reach=config.max_reach_actions,
            gap_half_life_days=config.gap_half_life_days,
            neighbours=config.neighbours,
        )
        return CovisitSource(config, table)


def _damping(
    sequences: Sequences, counted: NDArray[np.bool_], n_items: int, exponent: float
) -> NDArray[np.float64]:
    """``(1 + popularity) ** -exponent`` of every item, popularity being its faded actions."""
    weight = np.where(counted, sequences.fade, 0.0)
    popularity = np.bincount(sequences.item, weight, minlength=n_items).astype(np.float64)
    return np.power(1.0 + popularity, -exponent)
