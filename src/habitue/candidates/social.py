"""What friends and trusted people wanted, and what their friends did.

A shopper listens to whom they know, a little to whom those know, and each of them says what they
took, the less of each thing the more they took. Ma et al., Recommender Systems with Social
Regularization (2011), found that tastes of friends are near; here they are heard directly, so a
newcomer with friends has a slate before they have a history. Jamali and Ester, TrustWalker (2009),
walk the ties as far as here: two steps.

Fitting costs a product of the ties with themselves (about ties times their mean number a shopper),
``shoppers_at_once`` at a time; a request the items of the ``neighbours`` listened to.
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
from habitue.candidates.saved import Saved, read, write
from habitue.facts import Context
from habitue.facts.kind_names import KindName

__all__ = ["SocialConfig", "SocialLearner", "SocialSource"]


class SocialConfig(BaseModel):
    """Who is listened to, and what they say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["social"] = "social"
    name: str = Field(default="social", min_length=1, description="its name in slates and features")
    kind_weight: dict[KindName, float] = Field(
        default={
            "view_item": 0.25, "add_to_cart": 0.5, "add_to_wishlist": 1.0, "purchase": 1.0,
            "rate": 1.0, "review": 1.0, "like": 1.0,
        },
        description="weight of others' actions by kind; kinds not named count nothing",
    )  # fmt: skip
    half_life_days: float | None = Field(
        default=None, gt=0, description="age at which what others did counts half"
    )
    further: float = Field(
        default=1.0, ge=0, description="weight of whom one's friends know, beside one's friends"
    )
    crowd: float = Field(
        default=0.5, ge=0, le=1,
        description="exponent by which one of many friends, or of many things taken, counts less",
    )  # fmt: skip
    neighbours: int = Field(default=500, ge=1, description="people listened to at most")
    items_per_shopper: int = Field(default=200, ge=1, description="things each says at most")
    shoppers_at_once: int = Field(
        default=20_000, ge=1, description="shoppers whose further ties are in memory at once"
    )


class SocialSource(PreparingSource):
    """Scores an item by who took it among those a shopper listens to."""

    def __init__(self, config: SocialConfig, who: NeighbourTable, what: NeighbourTable) -> None:
        self.config = config
        self.name = config.name
        self.who = who  # from shoppers to those they listen to
        self.what = what  # from shoppers to items
        self.measured = {"ties": float(len(who.edge)), "pairs": float(len(what.edge))}

    def prepare(self, context: Context) -> Walk:
        """Whom each request's shopper listens to, to be followed to what they took."""
        return Walk(self.what, *self.listened_to(context))

    def listened_to(self, context: Context) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Those each shopper listens to (B, K), and how much; ``NO_ROW`` and 0 for nobody.

        Whoever has not allowed personalisation listens to nobody.
        """
        asker = context.shopper_row[:, None].copy()
        if len(context.personal):
            asker[~context.personal] = -1
        return self.who.top(asker, np.ones(asker.shape, np.float32), self.config.neighbours)

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        saved = Saved(
            source="social",
            config=self.config.model_dump(),
            numbers={"n_shoppers": self.who.n_targets, "n_items": self.what.n_targets},
            measured=self.measured,
        )
        tables = {"who": self.who.arrays(), "what": self.what.arrays()}
        write(
            path,
            saved,
            {f"{part}_{name}": array for part in tables for name, array in tables[part].items()},
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, memory-mapped."""
        saved, arrays = read(path, "social")
        who, what = (
            NeighbourTable.of_arrays(
                {name: arrays[f"{part}_{name}"] for name in ("indptr", "edge")},
                n_targets=saved.numbers[targets],
            )
            for part, targets in (("who", "n_shoppers"), ("what", "n_items"))
        )
        return cls(SocialConfig.model_validate(saved.config), who, what)


class SocialLearner:
    """Writes down who listens to whom, and what each took."""

    def __init__(self, config: SocialConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> SocialSource:  # noqa: ARG002
        """The ties in these facts; nothing is drawn, and without ties it says nothing."""
        config = self.config
        taken = interactions(facts, config.kind_weight, half_life_days=config.half_life_days)
        taken.data = np.sqrt(taken.data)
        count = np.diff(taken.indptr)
        said = sp.diags_array(_damped(count, config.crowd)) @ taken
        return SocialSource(
            config,
            self._listeners(facts),
            strongest(sp.csr_matrix(said), config.items_per_shopper),
        )

    def _listeners(self, facts: TrainingFacts) -> NeighbourTable:
        """Whom each shopper listens to: those they know, and those whom these know."""
        n, config = facts.log.n_shoppers, self.config
        shape = (n, n)
        links = facts.links
        if links is None or not len(links):
            return strongest(sp.csr_matrix(shape, dtype=np.float32), 1)
        inside = (links.shopper_row < n) & (links.known_row < n)
        ties = sp.csr_matrix(
            (links.weight[inside], (links.shopper_row[inside], links.known_row[inside])), shape
        )
        near = sp.csr_matrix(sp.diags_array(_damped(np.diff(ties.indptr), config.crowd)) @ ties)
        parts = []
        for first in range(0, n, config.shoppers_at_once):
            mine = near[first : first + config.shoppers_at_once]
            reach = (mine + config.further * (mine @ near) if config.further else mine).tocsr()
            rows = np.repeat(np.arange(reach.shape[0]), np.diff(reach.indptr)) + first
            reach.data[reach.indices == rows] = 0  # nobody listens to oneself
            reach.eliminate_zeros()
            parts.append(strongest(reach, config.neighbours))
        return NeighbourTable.of_parts(parts, n_targets=n)


def _damped(count: NDArray[np.integer], exponent: float) -> NDArray[np.float32]:
    return np.asarray(np.maximum(count, 1) ** -float(exponent), np.float32)
