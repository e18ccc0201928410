"""What shoppers like this one wanted: user-based nearest neighbours.

Neighbours are found anew for each request, by the cosine of its profile with everyone's, so they
know the last action. Herlocker et al., An Algorithmic Framework for Performing Collaborative
Filtering (1999). A request costs about a nanosecond for each of the profile's items and each
shopper who had it (``shoppers_per_item`` at most), and each item of the neighbours found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.contract import PreparingSource, TrainingFacts
from habitue.candidates.interactions import interactions
from habitue.candidates.neighbours import NeighbourTable, Walk, strongest
from habitue.candidates.profile import ProfileConfig, Weigher
from habitue.candidates.saved import Saved, read, write
from habitue.facts import NO_ROW, Context
from habitue.facts.kind_names import KindName

__all__ = ["UserKnnConfig", "UserKnnLearner", "UserKnnSource"]


class UserKnnConfig(BaseModel):
    """How shoppers are compared, and how many are listened to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["user_knn"] = "user_knn"
    name: str = Field(
        default="user_knn", min_length=1, description="its name in slates and features"
    )
    kind_weight: dict[KindName, float] = Field(
        default={"view_item": 1.0, "add_to_cart": 2.0, "purchase": 4.0},
        description="weight of others' actions by kind; kinds not named count nothing",
    )
    counts: bool = Field(default=True, description="weights are summed; else an item is there: 1")
    half_life_days: float | None = Field(
        default=None, gt=0, description="age at which an action counts half; with counts"
    )
    neighbours: int = Field(default=100, ge=1, description="nearest shoppers listened to")
    shoppers_per_item: int = Field(
        default=2_000,
        ge=1,
        description="shoppers an item leads to at most: those whose want it is most",
    )
    items_per_shopper: int = Field(
        default=200, ge=1, description="items a shopper leads to at most: the most wanted"
    )
    profile: ProfileConfig = Field(
        default=ProfileConfig(position_decay=1.0, half_life_days=1e6),
        description="how a request's profile is weighed",
    )


class UserKnnSource(PreparingSource):
    """Scores an item by the mean weight it has among the nearest shoppers, by their cosine."""

    def __init__(self, config: UserKnnConfig, who: NeighbourTable, what: NeighbourTable) -> None:
        self.config = config
        self.name = config.name
        self.who = who  # from items to shoppers, by the item's share of a shopper's vector
        self.what = what  # from shoppers to items, by weight
        self.measured: dict[str, float] = {"pairs": float(len(what.edge))}
        self._weigher = Weigher.of(config.profile)

    def prepare(self, context: Context) -> Walk:
        """Each request's nearest shoppers, to be followed to what they wanted."""
        return Walk(self.what, *self.neighbours(context))

    def neighbours(self, context: Context) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The nearest other shoppers (B, K) and their shares of 1; ``NO_ROW`` and 0 for none."""
        near, cosine = self.who.top(*self._weigher.weigh(context), self.config.neighbours + 1)
        cosine[near == context.shopper_row[:, None]] = 0.0
        crowded = (cosine > 0).all(axis=1)
        cosine[crowded, -1] = 0.0  # oneself was not among them: one too many
        near[cosine <= 0] = NO_ROW
        whole = cosine.sum(axis=1, keepdims=True)
        whole[whole == 0] = 1.0
        return near, np.asarray(cosine / whole, np.float32)

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        saved = Saved(
            source="user_knn",
            config=self.config.model_dump(),
            numbers={"n_shoppers": self.what.n_items, "n_items": self.who.n_items},
            measured=self.measured,
        )
        who, what = self.who.arrays(), self.what.arrays()
        arrays = {f"who_{name}": array for name, array in who.items()}
        write(path, saved, arrays | {f"what_{name}": array for name, array in what.items()})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, memory-mapped."""
        saved, arrays = read(path, "user_knn")
        tables = [
            NeighbourTable.of_arrays(
                {name: arrays[f"{part}_{name}"] for name in ("indptr", "edge")},
                n_targets=saved.numbers[targets],
            )
            for part, targets in (("who", "n_shoppers"), ("what", "n_items"))
        ]
        return cls(UserKnnConfig.model_validate(saved.config), *tables)


class UserKnnLearner:
    """Writes down who wanted what, from both sides."""

    def __init__(self, config: UserKnnConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> UserKnnSource:  # noqa: ARG002
        """The shoppers in these facts; nothing is drawn."""
        config = self.config
        wants = interactions(
            facts,
            config.kind_weight,
            half_life_days=config.half_life_days,
            counts=config.counts,
        )
        length = np.sqrt(np.asarray(wants.multiply(wants).sum(axis=1)).ravel())
        share = sp.diags(1.0 / np.where(length > 0, length, 1.0)) @ wants
        return UserKnnSource(
            config,
            strongest(share.T.tocsr(), config.shoppers_per_item),
            strongest(wants, config.items_per_shopper),
        )
