"""How large a behaviour model is, what it reads, and how it is trained."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from habitue.facts import Side, code_of
from habitue.facts.kind_names import KindName

__all__ = [
    "SIZES",
    "BehaviourConfig",
    "HeadWeights",
    "ListingConfig",
    "LossConfig",
    "MaskingConfig",
    "ScheduleConfig",
    "StudentConfig",
    "sized",
]


class LossConfig(BaseModel):
    """What the next item is told apart from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    against: Literal["sample", "all"] = Field(
        default="sample", description="a sample of items shared by a batch, or all items"
    )
    negatives: int = Field(default=1024, ge=1, description="items drawn for each batch")
    popular_share: float = Field(
        default=0.5, ge=0, le=1, description="share drawn by popularity; the rest uniformly"
    )
    temperature: float = Field(
        default=0.07, ge=0.02, le=1, description="cosines are divided by it: smaller is sharper"
    )
    smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of certainty spread over all items"
    )
    own_past: Literal["auto", "competes", "left out"] = Field(
        default="auto",
        description="whether what a window holds already competes with what comes next; "
        "'auto' leaves it out where it is not asked about either",
    )


class MaskingConfig(BaseModel):
    """What is hidden of a stretch that is read both ways, to be foretold from the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(default=0.4, gt=0, le=1, description="share of the actions hidden")
    last: float = Field(
        default=0.3, ge=0, le=1,
        description="share of the stretches that are cut somewhere, the last action left hidden",
    )  # fmt: skip


class ListingConfig(BaseModel):
    """The list that an encoder and decoder generate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ahead: int = Field(default=5, ge=1, le=100, description="actions ahead it is taught")
    slots: int = Field(
        default=5, ge=1, le=100,
        description="items generated one after the other when asked; the rest stand by the score "
        "they had for the first place",
    )  # fmt: skip


class HeadWeights(BaseModel):
    """How much the losses of other heads count beside that of the next item; 0 leaves one out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    next_kind: float = Field(default=0.0, ge=0, description="of which kind the next action is")
    comes_back: float = Field(default=0.0, ge=0, description="after how long a purchase comes")
    shape: bool = Field(
        default=True, description="whether their losses move what reads the actions, too"
    )

    @property
    def any(self) -> bool:
        """Whether any is learnt."""
        return bool(self.next_kind or self.comes_back)


class ScheduleConfig(BaseModel):
    """How long training goes on, and how large its steps are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=20, ge=1, description="passes over all streams, at most")
    tokens: int = Field(default=1500, ge=16, description="actions in a batch, about")
    rate: float = Field(default=3e-3, gt=0, description="highest learning rate")
    warm_up: float = Field(
        default=0.05, ge=0, lt=1, description="share of the steps in which the rate rises"
    )
    floor: float = Field(
        default=0.02, ge=0, le=1, description="share of the rate that is left at the end"
    )
    decay: float = Field(default=0.0, ge=0, description="weight decay of all but the item vectors")
    clip: float = Field(default=0.0, ge=0, description="largest norm of a gradient; 0 for any")
    averaging: float = Field(
        default=0.0, ge=0, lt=1,
        description="share kept of the running mean of weights each step; less in short trainings",
    )  # fmt: skip
    patience: int = Field(
        default=3, ge=1, description="validations without a better figure before training ends"
    )
    first_validation: float = Field(
        default=0.3, ge=0, le=1, description="share of the epochs before the first validation"
    )
    validate_every: int = Field(default=3, ge=1, description="epochs between validations")
    validation_shoppers: int = Field(
        default=5_000, ge=1, description="shoppers asked in a validation, at most"
    )
    threads: int = Field(default=1, ge=1, description="processor threads of the training")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where it is trained: a GPU where there is one"
    )
    half: Literal["auto", "yes", "no"] = Field(
        default="auto", description="products against many items in bfloat16, where that is quick"
    )
    further_epochs: int = Field(
        default=6, ge=1, description="passes, at most, where training goes on from an earlier one"
    )
    further_rate: float = Field(default=1e-3, gt=0, description="highest learning rate there")
    further_replay: float = Field(
        default=0.3, ge=0, description="older stretches read again there beside each new one"
    )
    item_steps: Literal["auto", "all", "own"] = Field(
        default="auto",
        description="item vectors that a step moves: all by Adam's memory, or the batch's own, "
        "which costs as much however many items there are; 'auto' from 100,000 items on",
    )
    checkpoint_minutes: float = Field(
        default=3.0, gt=0, description="minutes between what a killed training goes on from"
    )


class StudentConfig(BaseModel):
    """A smaller network that learns from the larger one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dim: int = Field(default=32, ge=8, le=2048, description="length of its vectors")
    layers: int = Field(default=1, ge=1, le=48, description="layers of its encoder")
    heads: int = Field(default=2, ge=1, le=64, description="heads of its attention")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share dropped in its layers")
    share: float = Field(
        default=1.0, gt=0, le=1,
        description="how much what the larger one says counts; the rest is what happened",
    )  # fmt: skip
    temperature: float = Field(
        default=0.05, ge=0.02, le=1,
        description="its cosines are divided by it: in few directions they must be sharper",
    )  # fmt: skip
    epochs: int = Field(default=12, ge=1, description="its passes over all streams, at most")

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is no multiple of heads {self.heads}")
        return self


class BehaviourConfig(BaseModel):
    """The model: its size, its inputs, its losses and its training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: tuple[KindName, ...] = Field(
        default=("view_item", "select_item", "add_to_wishlist", "add_to_cart", "purchase",
                 "like", "rate", "review"),
        description="kinds of action that are read and foretold",
    )  # fmt: skip
    encoder: Literal["transformer", "bidirectional", "gru", "lstm", "encoder-decoder"] = Field(
        default="transformer", description="what reads the actions"
    )
    attention: Literal["softmax", "pointwise"] = Field(
        default="softmax", description="weights that sum to one, or HSTU's that need not"
    )
    dim: int = Field(default=128, ge=8, le=2048, description="length of a vector")
    layers: int = Field(default=1, ge=1, le=48, description="layers of the encoder")
    heads: int = Field(default=2, ge=1, le=64, description="heads of an attention")
    widening: int = Field(default=2, ge=1, le=8, description="inner width of a layer, in vectors")
    length: int = Field(default=50, ge=1, le=2048, description="most recent actions that are read")
    dropout: float = Field(default=0.3, ge=0, lt=1, description="share dropped after each layer")
    input_dropout: float = Field(default=0.3, ge=0, lt=1, description="share dropped of the input")
    item_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of the actions read without their item"
    )
    asked_by: tuple[Side, ...] = Field(
        default=("platform", "words"),
        description="what a request says that is read, too: surface, platform, device, locale, "
        "words (those searched)",
    )
    asked_dropout: float = Field(
        default=0.2, ge=0, lt=1,
        description="share of it left out in training, so that a request may say nothing",
    )  # fmt: skip
    price_steps: int = Field(
        default=0, ge=0, le=255,
        description="steps of the items' prices that are read beside each action; 0 for none",
    )  # fmt: skip
    ties: Literal["kept", "drawn"] = Field(
        default="kept",
        description="actions of one moment are read as they are stored, or in another order in "
        "each pass of training",
    )
    unnamed: float = Field(
        default=0.1, ge=0, lt=1,
        description="share of items that a batch knows by their content alone",
    )  # fmt: skip
    content: bool = Field(default=True, description="items are known by what is told of them, too")
    start: Literal["co-occurrence", "random"] = Field(
        default="co-occurrence", description="where item vectors begin"
    )
    loss: LossConfig = Field(default=LossConfig(), description="how the next item is learnt")
    masking: MaskingConfig = Field(
        default=MaskingConfig(), description="what a bidirectional encoder learns to fill in"
    )
    listing: ListingConfig = Field(
        default=ListingConfig(), description="what an encoder and decoder generate"
    )
    head_weights: HeadWeights = Field(
        default=HeadWeights(), description="what else is foretold, and how much it counts"
    )
    schedule: ScheduleConfig = Field(default=ScheduleConfig(), description="how it is trained")
    student: StudentConfig | None = Field(
        default=None, description="a smaller network that learns from this one and serves for it"
    )

    @property
    def codes(self) -> tuple[int, ...]:
        """The codes of its kinds of action, ascending."""
        return tuple(sorted({int(code_of(kind)) for kind in self.kinds}))

    def served(self) -> Self:
        """The network that serves: the student, where there is one."""
        if self.student is None:
            return self
        said = self.student
        return self.model_copy(
            update={
                "dim": said.dim, "layers": said.layers, "heads": said.heads,
                "dropout": said.dropout, "input_dropout": said.dropout, "student": None,
                "loss": self.loss.model_copy(update={"temperature": said.temperature}),
                "schedule": self.schedule.model_copy(update={"epochs": said.epochs}),
            }
        )  # fmt: skip

    def going_on(self) -> Self:
        """The same, trained on from an earlier network: fewer passes, smaller steps."""
        schedule = self.schedule
        shorter = schedule.model_copy(
            update={
                "epochs": schedule.further_epochs,
                "rate": schedule.further_rate,
                "first_validation": 0.0,
                "validate_every": 1,
            }
        )
        return self.model_copy(update={"schedule": shorter})

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is no multiple of heads {self.heads}")
        return self


SIZES: dict[str, dict[str, int]] = {
    "tiny": {"dim": 64, "layers": 2, "heads": 2},
    "small": {"dim": 128, "layers": 2, "heads": 2},
    "medium": {"dim": 256, "layers": 4, "heads": 4},
    "big": {"dim": 512, "layers": 12, "heads": 8},
    "large": {"dim": 1024, "layers": 24, "heads": 16},
}
"""Sizes by name: ``tiny`` for a laptop, ``large`` for a GPU."""


def sized(size: str, config: BehaviourConfig | None = None) -> BehaviourConfig:
    """The config in one of the ``SIZES``; raises ``KeyError`` for another name.

    >>> sized("medium").dim
    256
    """
    return (config or BehaviourConfig()).model_copy(update=SIZES[size])
