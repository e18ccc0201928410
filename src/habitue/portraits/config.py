"""What a portrait is told: how interests fade, and what stands in where a shop is too young."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from habitue.facts.kind_names import INTEREST, KindName

__all__ = ["PortraitConfig"]


class PortraitConfig(BaseModel):
    """How shoppers are portrayed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    half_life_days: PositiveFloat = Field(
        60.0, description="Age at which an action says half as much of an interest."
    )
    kind_weight: dict[KindName, float] = Field(
        dict(INTEREST),
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
