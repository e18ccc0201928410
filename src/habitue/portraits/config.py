"""What a portrait is told: how interests fade, and what stands in where a shop is too young."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from habitue.facts import code_of

__all__ = ["PortraitConfig"]


def _known_kind(name: str) -> str:
    try:
        code_of(name)
    except KeyError:
        raise ValueError(f"no such kind of action: {name!r}") from None
    return name


class PortraitConfig(BaseModel):
    """How shoppers are portrayed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    half_life_days: PositiveFloat = Field(
        60.0, description="Age at which an action says half as much of an interest."
    )
    kind_weight: dict[Annotated[str, AfterValidator(_known_kind)], float] = Field(
        {
            "view_item": 1.0,
            "select_item": 1.0,
            "add_to_wishlist": 2.0,
            "add_to_cart": 3.0,
            "purchase": 4.0,
            "like": 2.0,
            "review": 1.0,
            "rate": 1.0,
        },
        description="What an action of each kind says of an interest; others say nothing.",
    )
    interests: PositiveInt = Field(10, description="Categories, and brands, a portrait names.")
    evidence: PositiveInt = Field(3, description="Actions named under each thing a portrait says.")
    most_actions: PositiveInt = Field(
        20_000, description="Latest actions of a shopper that their portrait rests on."
    )
    usual_gap_days: PositiveFloat = Field(
        30.0, description="Days between orders, until the shop has shown its own."
    )
    late_gap_days: PositiveFloat = Field(
        90.0, description="Days after which the next order is late, until the shop has shown it."
    )
    least_gaps: PositiveInt = Field(
        30, description="Gaps between orders before the shop's own are believed."
    )
