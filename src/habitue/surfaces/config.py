"""The surfaces a shop has: which sources, objective and rules each uses."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from habitue.policy import SurfaceRules
from habitue.ranking.fusion import FusionConfig

__all__ = ["MessagesConfig", "SurfaceConfig", "SurfaceKind", "SurfacesConfig"]

SurfaceKind = Literal["home", "item", "cart", "fresh", "popular", "rebuy", "people", "messages"]
"""The surfaces of the house. A shop may name others that work like one of them."""


class SurfaceConfig(BaseModel):
    """One place where slates are shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    built_on: SurfaceKind | None = Field(
        default=None,
        description="For a surface of the shop's own: which of the house's it works like.",
    )
    sources: dict[str, int] | None = Field(
        default=None,
        description="How many candidates each trained source may propose, by name; none: its own.",
    )
    objective: str | None = Field(
        default=None,
        description="The trained ranker that orders this surface; none: its own order.",
    )
    fuse: Literal["learned", "sum", "zscore"] = Field(
        default="learned",
        description="Its own order: learned (LambdaMART), sum (scores of sources as they are) or "
        "zscore (measured by mean and spread first). It counts from the next training on.",
    )
    weights: dict[str, float] = Field(
        default={}, description="Weight of each source in the sum; those not named count nothing."
    )
    rules: SurfaceRules = Field(
        default=SurfaceRules(), description="What may be shown here, and how much is tried out."
    )

    @model_validator(mode="after")
    def _one_order(self) -> Self:
        if self.fuse == "learned" and self.weights:
            raise ValueError("weights are of a sum, and fuse is learned; say fuse too")
        if self.fuse == "sum" and not any(self.weights.values()):
            raise ValueError("it is a sum and says no weights")
        if self.fuse != "learned" and self.objective is not None:
            raise ValueError("fuse and objective are two orders; leave one of them out")
        return self


class SurfacesConfig(BaseModel):
    """Every surface, by name; ``[surfaces.<a name>]`` with ``built_on`` makes one more."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, SurfaceConfig]

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
    fresh: SurfaceConfig = Field(
        default=SurfaceConfig(), description="What came into the shop last, the newest first."
    )
    popular: SurfaceConfig = Field(
        default=SurfaceConfig(rules=SurfaceRules(bought="show", epsilon=0.0)),
        description="What sells best now, the same for everyone.",
    )
    rebuy: SurfaceConfig = Field(
        default=SurfaceConfig(rules=SurfaceRules(rebuy_days=30, epsilon=0.0)),
        description="What this shopper is due to buy again.",
    )
    people: SurfaceConfig = Field(
        default=SurfaceConfig(rules=SurfaceRules(bought="show", epsilon=0.0)),
        description="Persons and groups near to this shopper's friends and taste.",
    )
    messages: SurfaceConfig = Field(
        default=SurfaceConfig(rules=SurfaceRules(brand_cap=2, category_cap=3)),
        description="Mail, push and other messages: for this shopper, as home.",
    )

    @model_validator(mode="after")
    def _own_surfaces_say_what_they_are(self) -> Self:
        for name in type(self).model_fields:
            if getattr(self, name).built_on not in (None, name):
                raise ValueError(f"{name} is a surface of the house; give yours another name")
        for name, one in self.__pydantic_extra__.items():
            if one.built_on is None:
                near = get_close_matches(name, list(type(self).model_fields), 1)
                raise ValueError(
                    f"{name} is no surface of the house, and one of your own says built_on"
                    + (f". Did you mean {near[0]}?" if near else f": {', '.join(_KINDS)}")
                )
        return self

    def by_name(self) -> dict[str, SurfaceConfig]:
        """The surfaces by name; one of the shop's own has what it does not say from its kind."""
        house = {name: getattr(self, name) for name in type(self).model_fields}
        return house | {
            name: _over(house[str(one.built_on)], one)
            for name, one in self.__pydantic_extra__.items()
        }

    def fusion(self) -> dict[str, FusionConfig]:
        """The orders that are written down rather than learnt, by surface."""
        return {
            name: FusionConfig(fuse=one.fuse, weights=one.weights)
            for name, one in self.by_name().items()
            if one.fuse != "learned"
        }

    def named_sources(self) -> tuple[str, ...]:
        """The sources that surfaces name as their own, in order of their names."""
        named = (one.sources or {} for one in self.by_name().values())
        return tuple(sorted({name for said in named for name, n in said.items() if n > 0}))

    def kinds(self) -> dict[str, str]:
        """Which of the house's surfaces each works like, by name."""
        return {name: one.built_on or name for name, one in self.by_name().items()}


_KINDS = get_args(SurfaceKind)


def _over(kind: SurfaceConfig, own: SurfaceConfig) -> SurfaceConfig:
    """A surface's own settings over those of its kind, rule by rule."""
    said = {name: getattr(own.rules, name) for name in own.rules.model_fields_set}
    return SurfaceConfig(
        built_on=own.built_on,
        sources=kind.sources if own.sources is None else own.sources,
        objective=own.objective if own.objective or own.fuse != "learned" else kind.objective,
        fuse=own.fuse,
        weights=own.weights,
        rules=kind.rules.model_copy(update=said),
    )


class MessagesConfig(BaseModel):
    """Messages to shoppers: who may get how many, when, and how they leave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: Literal["outbox", "smtp", "webhook"] = Field(
        default="outbox",
        description="The way out: files for your own mailer, a mail server, or a webhook.",
    )
    outbox: Path = Field(
        default=Path("var/outbox"), description="Folder where messages wait until they have left."
    )
    address_trait: str = Field(
        default="email", description="Trait of a shopper that says where messages go."
    )
    per_week: int = Field(
        default=3, ge=1, le=100, description="Most messages a shopper gets within seven days."
    )
    repeat_days: float = Field(
        default=30, ge=0, le=3650, description="Days before an item is sent to a shopper again."
    )
    quiet_from: int = Field(
        default=21, ge=0, le=23, description="Hour of the shop's day from which nothing leaves."
    )
    quiet_until: int = Field(
        default=8,
        ge=0,
        le=23,
        description="Hour until which nothing leaves; as above: none.",
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        description="Where shoppers reach this server: links to unsubscribe begin with it.",
    )
    sender: str = Field(default="", description="Whom mail is from, e.g. Shop <news@example.com>.")
    smtp_host: str = Field(default="localhost", description="The mail server.")
    smtp_port: int = Field(default=587, ge=1, le=65_535, description="Its port.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection to it is secured."
    )
    smtp_user: str = Field(default="", description="Who signs in there; empty: nobody.")
    smtp_password: SecretStr = Field(default=SecretStr(""), description="The password for it.")
    webhook_url: str = Field(default="", description="Where messages are posted as JSON.")
    seconds: float = Field(
        default=10, gt=0, le=300, description="How long a mail server or webhook may take."
    )

    def quiet(self, hour: int) -> bool:
        """Whether nothing leaves in this hour of the shop's day.

        >>> MessagesConfig().quiet(23), MessagesConfig().quiet(8)
        (True, False)
        """
        start, end = self.quiet_from, self.quiet_until
        return start <= hour < end if start <= end else hour >= start or hour < end
