"""How large the two towers are, what they read, and how they are taught."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.item_space import SpaceConfig
from habitue.candidates.vectors import VectorConfig
from habitue.facts.kind_names import KindName

__all__ = ["TowerScheduleConfig", "TwoTowerConfig"]


class TowerScheduleConfig(BaseModel):
    """How long training goes on, and how large its steps are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=6, ge=1, description="passes over all moments, at most")
    batch: int = Field(default=1024, ge=2, description="moments in a batch")
    rate: float = Field(default=3e-3, gt=0, description="highest learning rate")
    warm_up: float = Field(
        default=0.05, ge=0, lt=1, description="share of the steps in which the rate rises"
    )
    floor: float = Field(
        default=0.02, ge=0, le=1, description="share of the rate that is left at the end"
    )
    averaging: float = Field(
        default=0.99, ge=0, lt=1, description="share kept of the running mean of weights each step"
    )
    first_validation: float = Field(
        default=0.5, ge=0, le=1,
        description="share of the passes before the first validation: steps are large until then",
    )  # fmt: skip
    patience: int = Field(
        default=2, ge=1, description="passes without a better figure before training ends"
    )
    validation_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="share of the shoppers whose last action is foretold to know when to stop",
    )
    validation_shoppers: int = Field(
        default=3_000, ge=1, description="shoppers asked in a validation, at most"
    )
    further_epochs: int = Field(
        default=2, ge=1, description="passes, at most, where training goes on from an earlier one"
    )
    further_rate: float = Field(default=1e-3, gt=0, description="highest learning rate there")
    further_replay: float = Field(
        default=1.0, ge=0, description="older moments read there beside each new one, in each pass"
    )
    threads: int = Field(
        default=1, ge=1, description="threads; with more a seed may not say everything"
    )


class TwoTowerConfig(BaseModel):
    """The tower of shoppers, the tower of items, and what brings them together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["two_tower"] = "two_tower"
    name: str = Field(
        default="two_tower", min_length=1, description="its name in slates and features"
    )
    kinds: tuple[KindName, ...] = Field(
        default=("view_item", "select_item", "add_to_wishlist", "add_to_cart", "purchase",
                 "like", "rate", "review"),
        description="kinds of action that are read and foretold",
    )  # fmt: skip
    length: int = Field(default=50, ge=1, le=2048, description="most recent actions that are read")
    dim: int = Field(default=128, ge=8, le=2048, description="length of a vector")
    pools: int = Field(
        default=4, ge=1, le=32, description="weighted means of the items acted on that are read"
    )
    hidden: tuple[int, ...] = Field(
        default=(256,), description="widths of the layers of the shoppers' tower"
    )
    dropout: float = Field(default=0.3, ge=0, lt=1, description="share dropped after each layer")
    input_dropout: float = Field(default=0.3, ge=0, lt=1, description="share dropped of the input")
    unnamed: float = Field(
        default=0.1, ge=0, lt=1,
        description="share of items that a batch knows by their content alone",
    )  # fmt: skip
    content: bool = Field(default=True, description="items are known by what is told of them, too")
    sentiment: bool = Field(
        default=True, description="shoppers are read from their ratings, too, where there are any"
    )
    start: Literal["co-occurrence", "random"] = Field(
        default="co-occurrence", description="where item vectors begin"
    )
    temperature: float = Field(
        default=0.07, ge=0.02, le=1, description="cosines are divided by it: smaller is sharper"
    )
    negatives: int = Field(
        default=1024, ge=1, description="items drawn beside those of the batch to tell apart from"
    )
    popular_share: float = Field(
        default=0.5, ge=0, le=1, description="share of those drawn by popularity; others uniformly"
    )
    own_past: Literal["auto", "competes", "left out"] = Field(
        default="auto",
        description="whether what a shopper had competes with what comes next; 'auto' leaves it "
        "out where nobody comes back to it",
    )
    schedule: TowerScheduleConfig = Field(
        default=TowerScheduleConfig(), description="how it is trained"
    )
    space: SpaceConfig = Field(
        default=SpaceConfig(), description="what is told of items, as vectors"
    )
    vectors: VectorConfig = Field(default=VectorConfig(), description="how items are searched")

    def going_on(self) -> Self:
        """The same, trained on from earlier towers: fewer passes, smaller steps."""
        schedule = self.schedule
        shorter = schedule.model_copy(
            update={
                "epochs": schedule.further_epochs,
                "rate": schedule.further_rate,
                "first_validation": 0.0,
            }
        )
        return self.model_copy(update={"schedule": shorter})
