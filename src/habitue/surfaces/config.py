"""The surfaces a shop has: which sources, objective and rules each uses."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from habitue.policy import SurfaceRules

__all__ = ["SurfaceConfig", "SurfacesConfig"]


class SurfaceConfig(BaseModel):
    """One place where slates are shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: dict[str, int] | None = Field(
        default=None,
        description="How many candidates each source may propose, by name; none: as trained.",
    )
    objective: str | None = Field(
        default=None,
        description="The trained ranker that orders this surface; none: its own, else home's.",
    )
    rules: SurfaceRules = Field(
        default=SurfaceRules(), description="What may be shown here, and how much is tried out."
    )


class SurfacesConfig(BaseModel):
    """Every surface, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: SurfaceConfig = Field(
        default=SurfaceConfig(rules=SurfaceRules(brand_cap=4, category_cap=6)),
        description="The first page: for this shopper.",
    )
    item: SurfaceConfig = Field(
        default=SurfaceConfig(rules=SurfaceRules(bought="show")),
        description="An item's page: similar items.",
    )
    cart: SurfaceConfig = Field(
        default=SurfaceConfig(rules=SurfaceRules(bought="show", category_cap=4)),
        description="The cart: what goes with it.",
    )

    def by_name(self) -> dict[str, SurfaceConfig]:
        """The surfaces by name."""
        return {name: getattr(self, name) for name in type(self).model_fields}
