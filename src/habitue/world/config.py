"""How large the simulated shop is and how its people behave."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["WorldConfig"]


class WorldConfig(BaseModel):
    """The size and temper of a simulated shop; the defaults are the demo shop's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_items: int = Field(3600, ge=62, le=200_000, description="Items the shop ever offers.")
    n_shoppers: int = Field(4000, ge=2, le=1_000_000, description="People who ever come by.")
    days: int = Field(182, ge=14, le=1000, description="Days of history before `now`.")
    visits_per_day: float = Field(
        0.15, gt=0, le=5, description="Mean visits a day of a shopper while the shop is in favour."
    )
    views_per_visit: float = Field(4.6, ge=1, le=20, description="Mean items looked at in a visit.")
    established_share: float = Field(
        0.45, ge=0, le=1, description="Share of shoppers who came before the history begins."
    )
    lifetime_days: float = Field(
        120, gt=1, description="Mean days a shopper stays before drifting away."
    )
    return_share: float = Field(
        0.4, ge=0, le=1, description="Share of those who drift away that return after a while."
    )
    friend_share: float = Field(0.35, ge=0, le=1, description="Share of shoppers who name friends.")
    currency: str = Field("EUR", pattern="^[A-Z]{3}$", description="ISO currency of all prices.")
