"""A shop's rules for one surface: what may be shown, how often, where, and how much is tried."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from habitue.facts import Availability
from habitue.policy.reading import parse_filter

__all__ = ["Boost", "Pin", "SurfaceRules"]


def _readable(expression: str | None) -> str | None:
    """The expression, once it has been read; raises ``BadFilter``."""
    if expression is not None:
        parse_filter(expression)
    return expression


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pin(_Frozen):
    """One item that always stands in one slot.

    It gives way only where it cannot be had or the shopper has said ``not_interested``.
    """

    item: str = Field(description="The item's id.")
    slot: int = Field(ge=0, le=200, description="The slot it stands in, counted from 0.")


class Boost(_Frozen):
    """Items the shop wants to see more (or less) of."""

    filter: str = Field(description="Which items: a filter expression over item fields.")
    factor: float = Field(
        gt=0,
        le=1_000,
        description="Multiplies the odds of an item; below 1 it stands further down.",
    )

    _read = field_validator("filter")(_readable)


Cap = Annotated[int, Field(ge=1)]


class SurfaceRules(_Frozen):
    """What the policy of one surface obeys. The defaults suit a home page."""

    availability: tuple[Availability, ...] = Field(
        default=("in_stock", "limited_availability", "preorder", "backorder"),
        description="States of availability in which an item may be shown; stock 0 never is.",
    )
    unposted: bool = Field(
        default=True,
        description="Show items known from actions alone, whose fields nobody has sent.",
    )
    bought: Literal["hide", "rebuy", "show"] = Field(
        default="rebuy",
        description=(
            "What the shopper has already bought: never again (hide), once it is due to be bought "
            "again (rebuy), or always (show)."
        ),
    )
    rebuy_share: float = Field(
        default=0.7,
        ge=0,
        le=10,
        description="An item is due after this share of the usual time between purchases of it.",
    )
    rebuy_days: float | None = Field(
        default=None,
        gt=0,
        description="Days after which an item is due where no usual time is known; none: never.",
    )
    not_interested_days: float = Field(
        default=365,
        ge=0,
        description="Days for which an item stays away after the shopper said not_interested.",
    )
    not_interested_damping: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Multiplies the odds of other items of the refused one's brand or category.",
    )
    include: str | None = Field(default=None, description="Only items this filter holds of.")
    exclude: str | None = Field(default=None, description="No items this filter holds of.")
    brand_cap: Cap | None = Field(
        default=None, description="Most items of one brand on a page of a slate."
    )
    category_cap: Cap | None = Field(
        default=None, description="Most items of one category (product_type) on a page of a slate."
    )
    fresh_beyond_caps: int = Field(
        default=0,
        ge=0,
        le=200,
        description="Fresh items of a brand or category that a page holds beyond its cap.",
    )
    diversity: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Weight of being unlike what the page already shows: 0 best first, 1 unlike.",
    )
    fresh_floor: int = Field(
        default=0, ge=0, le=200, description="Least slots of a page that hold fresh items."
    )
    fresh_days: float = Field(
        default=30.0, gt=0, description="Days after it entered the shop for which an item is fresh."
    )
    exposure_floor: int = Field(
        default=0, ge=0, le=200, description="Least slots of a page for items hardly shown so far."
    )
    exposure_shows: int = Field(
        default=100, ge=1, description="An item is hardly shown while it was shown less often."
    )
    fatigue_shows: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Ignored showings after which an item tires a shopper; none: never.",
    )
    fatigue_days: float = Field(
        default=7.0, gt=0, description="Days for which an ignored showing counts."
    )
    fatigue_damping: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Multiplies the odds of a tiring item, for each such showing; 0 leaves it out.",
    )
    pins: tuple[Pin, ...] = Field(default=(), description="Items that stand in fixed slots.")
    boosts: tuple[Boost, ...] = Field(default=(), description="Items shown more or less often.")
    epsilon: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Probability with which a slot tries out a candidate instead of the best one.",
    )
    explore_pool: int = Field(
        default=100,
        ge=1,
        description="A slot that tries out draws from this many of the best candidates left.",
    )

    _read = field_validator("include", "exclude")(_readable)

    @field_validator("pins")
    @classmethod
    def _one_a_slot(cls, pins: tuple[Pin, ...]) -> tuple[Pin, ...]:
        if len({pin.slot for pin in pins}) < len(pins) or len({pin.item for pin in pins}) < len(
            pins
        ):
            raise ValueError("pin one item to a slot, and an item to one slot")
        return pins
