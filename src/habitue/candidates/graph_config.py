"""The graph, the networks over it, and how they are learnt."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from habitue.candidates.interactions import KIND_WEIGHT
from habitue.candidates.item_space import SpaceConfig
from habitue.candidates.vectors import VectorConfig
from habitue.facts.kind_names import KindName

__all__ = ["GatConfig", "GraphConfig", "GraphSageConfig", "LightGcnConfig"]


class LightGcnConfig(BaseModel):
    """Vectors of the items, spread over the edges and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["lightgcn"] = "lightgcn"
    hops: int = Field(
        default=2, ge=0, le=8, description="times an item's vector is spread to other items"
    )


class _LayeredConfig(BaseModel):
    """What is told of items and layers over it, by which items that come later have vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: int = Field(default=2, ge=1, le=4, description="times items hear their neighbours")
    neighbours: int = Field(
        default=10, ge=1, le=256, description="neighbours drawn for each item and step"
    )
    as_new: float = Field(
        default=0.2, ge=0, lt=1, description="share of items read in a step as if they just came"
    )
    space: SpaceConfig = Field(
        default=SpaceConfig(), description="what is told of items, as vectors"
    )


class GraphSageConfig(_LayeredConfig):
    """Items hear the mean of their neighbours."""

    kind: Literal["graphsage"] = "graphsage"


class GatConfig(_LayeredConfig):
    """Items attend to their neighbours."""

    kind: Literal["gat"] = "gat"
    heads: int = Field(default=4, ge=1, le=64, description="attentions side by side")


class GraphConfig(BaseModel):
    """The graph, the vectors on it, and how they are learnt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["graph"] = "graph"
    name: str = Field(default="graph", min_length=1, description="its name in slates and features")
    network: Annotated[
        LightGcnConfig | GraphSageConfig | GatConfig, Field(discriminator="kind")
    ] = Field(default=LightGcnConfig(), description="what runs over the graph, by its kind")
    dim: int = Field(default=64, ge=1, le=1024, description="length of a vector")
    kind_weight: dict[KindName, float] = Field(
        default=KIND_WEIGHT,
        description="weight of an edge by the kind of action; kinds not named count nothing",
    )
    half_life_days: float = Field(
        default=120.0, gt=0, description="age at which an action counts half"
    )
    position_decay: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="factor for each moment further back in a shopper's actions",
    )
    after_weight: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="in training, weight of what was done after an action beside what was before",
    )
    anchor_weight: float = Field(
        default=1.0, ge=0, description="weight of an anchor item, as if just acted on"
    )
    max_recent: int = Field(default=50, ge=1, description="recent actions folded in")
    temperature: float = Field(
        default=0.1, ge=0.0125, le=10, description="how sharply the loss tells cosines apart"
    )
    negatives: int = Field(default=1024, ge=1, description="items drawn a step to tell apart from")
    popular_share: float = Field(
        default=0.5, ge=0, le=1, description="share of those drawn by how often they are wanted"
    )
    rate: float = Field(default=0.02, gt=0, description="step of the gradient at first")
    batch: int = Field(default=8192, ge=1, description="edges asked about in a step")
    epochs: int = Field(default=10, ge=1, description="passes over the edges at most")
    patience: int = Field(default=3, ge=1, description="passes without a gain before it ends")
    validation_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="share of the shoppers whose last action is foretold to know when to stop",
    )
    threads: int = Field(
        default=1, ge=1, description="threads; with more a seed may not say everything"
    )
    vectors: VectorConfig = Field(default=VectorConfig(), description="how items are searched")

    @model_validator(mode="after")
    def _heads_share_the_vector(self) -> Self:
        if isinstance(self.network, GatConfig) and self.dim % self.network.heads:
            raise ValueError(
                f"dim {self.dim} is no multiple of heads {self.network.heads}: each attention "
                "reads an equal part of a vector"
            )
        return self
