"""What the cleaning looks for, and what it does with what it finds."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from habitue.facts.cleaning.robots import RobotConfig

__all__ = ["CleaningConfig", "Outcome"]

Outcome = Literal["reject", "flag", "ignore"]
"""What becomes of a row: refused with its reason, kept and marked, or kept."""


class CleaningConfig(BaseModel):
    """The ``[cleaning]`` table of a mapping file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duplicates: Outcome = Field(
        "flag",
        description="Rows identical to an earlier one in every column: two of a thing may be true.",
    )
    product_pattern: str | None = Field(
        None, description="Regular expression an item id matches when it is a product."
    )
    not_products: tuple[str, ...] = Field(
        (), description="Regular expressions of item ids that are fees, postage, adjustments."
    )
    non_products: Outcome = Field(
        "reject", description="Rows whose item the two patterns above say is no product."
    )
    looks_like_service: Outcome = Field(
        "flag", description="Rows whose item is named like a fee or postage, pattern or not."
    )
    zero_price: Outcome = Field(
        "reject", description="Purchases and refunds at a price of zero (gifts, stock corrections)."
    )
    price_outliers: Outcome = Field(
        "flag", description="Prices far from the item's own others, by the score below."
    )
    quantity_outliers: Outcome = Field(
        "flag", description="Quantities far from the item's own others, by the score below."
    )
    outlier_score: Annotated[float, Field(gt=0)] = Field(
        8.0,
        description="Robust z-score of the logarithm (median and MAD of the item) from which a "
        "value is an outlier.",
    )
    outlier_least_rows: Annotated[int, Field(ge=3)] = Field(
        8, description="Rows an item needs before its values are judged."
    )
    find_robots: bool = Field(
        True, description="Flag the rows of shoppers at rates no person has, by the bounds below."
    )
    robots: RobotConfig = RobotConfig()
    match_cancellations: bool = Field(
        True, description="Find the purchase each refund takes back, and mark both."
    )

    @field_validator("product_pattern", "not_products")
    @classmethod
    def _patterns_compile(cls, said: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for pattern in (said,) if isinstance(said, str) else said or ():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return said
