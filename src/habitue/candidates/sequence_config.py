"""The network as a source: what it reads, how it is trained and how items are searched."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from habitue.behaviour.config import BehaviourConfig
from habitue.behaviour.curves import CurvesConfig
from habitue.candidates.item_space import SpaceConfig
from habitue.candidates.vectors import VectorConfig

__all__ = ["SequenceConfig"]


class SequenceConfig(BaseModel):
    """The network, what it knows of items, and how they are searched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["sequence"] = "sequence"
    name: str = Field(
        default="sequence", min_length=1, description="its name in slates and features"
    )
    behaviour: BehaviourConfig = Field(default=BehaviourConfig(), description="the network")
    space: SpaceConfig = Field(
        default=SpaceConfig(), description="what is told of items, as vectors"
    )
    vectors: VectorConfig = Field(default=VectorConfig(), description="how items are searched")
    precision: Literal["full", "int8"] = Field(
        default="full",
        description="numbers of the network and the item vectors that serve: int8 takes a fifth",
    )
    begin_from: Path | None = Field(
        default=None,
        description="folder of this source in another shop's snapshot, whose network is adapted",
    )
    checkpoints: Path | None = Field(
        default=None, description="folder that a training killed on the way goes on from"
    )
    curves: CurvesConfig | None = Field(
        default=None,
        description="where curves of each training go: a folder, for TensorBoard, or a table with "
        '`to` ("tensorboard", "mlflow")',
    )
    validation_share: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="share of the shoppers whose last action is foretold to know when to stop",
    )
