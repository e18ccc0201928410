"""Mapping files: which column of a shop's table says what, written in TOML.

A mapping names the columns that hold an action's, an item's and a shopper's fields::

    name = "my-orders"
    time_zone = "Europe/Berlin"
    currency = "EUR"

    [action]
    kind = "purchase"
    shopper = "customer_no"
    item = { column = "sku", case = "upper" }
    at = { column = "ordered_at", format = "%d.%m.%Y %H:%M" }
    price = "unit_price"

    [item]
    title = "product_name"
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from habitue.errors import BadMapping
from habitue.facts.cleaning.config import CleaningConfig
from habitue.facts.kind_names import known_kind
from habitue.facts.time import ClockConfig, EpochUnit

__all__ = [
    "ActionMap",
    "FieldMap",
    "ItemMap",
    "KindRule",
    "LinkMap",
    "Mapping",
    "ReadHints",
    "ShopperMap",
    "load_mapping",
    "shipped_mappings",
]

_BRACES = re.compile(r"\{([^{}]+)\}")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FieldMap(_Table):
    """Where one field comes from. A bare string in TOML is ``{ column = "..." }``."""

    column: str | None = Field(None, description="The column that holds it.")
    value: str | int | float | bool | None = Field(None, description="The same for every row.")
    template: str | None = Field(None, description='Columns put together: "{store}-{till}".')
    or_else: str | None = Field(
        None,
        description="A template for rows where the column is empty; such rows count as mended.",
    )
    translate: dict[str, str] = Field({}, description="Words of the source and what we call them.")
    case: Literal["keep", "upper", "lower"] = Field("keep", description="Letters made one case.")
    format: str | None = Field(None, description="How a time is written, as in strftime.")
    unit: EpochUnit | Literal["units", "minor", "micros", "price"] | None = Field(
        None,
        description="Of a time since 1970: s, ms, us, ns. Of money: units (2.55), minor (255), "
        'micros (2550000), or price ("2.55 GBP").',
    )
    between: str = Field(" ", description="Put between the texts of a column of lists.")
    optional: bool = Field(
        False,
        description="A table without the column says nothing of it, and is read all the same.",
    )

    @model_validator(mode="before")
    @classmethod
    def _bare_column(cls, said: Any) -> Any:
        return {"column": said} if isinstance(said, str) else said

    @model_validator(mode="after")
    def _one_origin(self) -> FieldMap:
        origins = [self.column, self.value, self.template]
        if sum(origin is not None for origin in origins) != 1:
            raise ValueError("say exactly one of column, value and template")
        return self

    def columns(self) -> set[str]:
        """The columns of the table this field is made of."""
        named = {self.column} if self.column is not None else set()
        for template in (self.template, self.or_else):
            named |= set(_BRACES.findall(template or ""))
        return named


class KindRule(_Table):
    """Rows in which every named column matches its pattern are of this kind."""

    kind: str
    when: dict[str, str] = Field({}, description="Column to regular expression; all must match.")
    negate: tuple[str, ...] = Field(
        (), description="Columns whose sign this kind of row turns: a refund written as -6 is of 6."
    )

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        return known_kind(kind)


class _Fields(_Table):
    def fields(self) -> dict[str, FieldMap]:
        """The fields this table maps, by name."""
        said = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: field for name, field in said if isinstance(field, FieldMap)}

    def columns(self, *, needed: bool = False) -> set[str]:
        """The columns of the source this table reads; ``needed``: those it cannot do without."""
        named: set[str] = set()
        said = [*self.fields().values()]
        for name in ("extra", "attributes", "traits"):
            said += getattr(self, name, {}).values()
        for field in said:
            if not (needed and field.optional):
                named |= field.columns()
        rules = getattr(self, "kind", ())
        for rule in rules if isinstance(rules, tuple) else ():
            named |= set(rule.when) | set(rule.negate)
        return named


class ActionMap(_Fields):
    """One row, one action."""

    kind: FieldMap | tuple[KindRule, ...]
    shopper: FieldMap
    at: FieldMap
    id: FieldMap | None = None
    item: FieldMap | None = None
    quantity: FieldMap | None = None
    price: FieldMap | None = None
    value: FieldMap | None = None
    currency: FieldMap | None = None
    order_id: FieldMap | None = None
    surface: FieldMap | None = None
    slate_id: FieldMap | None = None
    slot: FieldMap | None = None
    session_id: FieldMap | None = None
    platform: FieldMap | None = None
    device: FieldMap | None = None
    locale: FieldMap | None = None
    query: FieldMap | None = None
    rating: FieldMap | None = None
    text: FieldMap | None = None
    seconds: FieldMap | None = None
    score: FieldMap | None = None
    coupon: FieldMap | None = None
    extra: dict[str, FieldMap] = {}

    @field_validator("kind", mode="before")
    @classmethod
    def _constant_kind(cls, said: Any) -> Any:
        return {"value": known_kind(said)} if isinstance(said, str) else said

    @field_validator("kind")
    @classmethod
    def _known_kinds(cls, kind: FieldMap | tuple[KindRule, ...]) -> FieldMap | tuple[KindRule, ...]:
        if isinstance(kind, FieldMap):
            for name in kind.translate.values():
                known_kind(name)
        return kind


class ItemMap(_Fields):
    """Item versions: one a row of a catalogue, or gathered from the lines of orders."""

    id: FieldMap | None = Field(None, description="Only without an action table, whose item it is.")
    title: FieldMap | None = None
    description: FieldMap | None = None
    link: FieldMap | None = None
    image_link: FieldMap | None = None
    additional_image_link: FieldMap | None = Field(
        None, description="Several addresses in one text, parted by commas; or a list."
    )
    price: FieldMap | None = None
    sale_price: FieldMap | None = None
    sale_price_effective_date: FieldMap | None = Field(
        None, description='When the sale price holds: "2024-05-01T00:00Z/2024-05-08T00:00Z".'
    )
    cost: FieldMap | None = None
    currency: FieldMap | None = None
    availability: FieldMap | None = None
    stock: FieldMap | None = None
    condition: FieldMap | None = None
    brand: FieldMap | None = None
    product_type: FieldMap | None = None
    google_product_category: FieldMap | None = None
    gtin: FieldMap | None = None
    mpn: FieldMap | None = None
    item_group_id: FieldMap | None = None
    color: FieldMap | None = None
    size: FieldMap | None = None
    material: FieldMap | None = None
    pattern: FieldMap | None = None
    gender: FieldMap | None = None
    age_group: FieldMap | None = None
    adult: FieldMap | None = None
    item_type: FieldMap | None = None
    published_at: FieldMap | None = None
    valid_from: FieldMap | None = Field(
        None, description="Left out, it is the time of the action, or of the import."
    )
    attributes: dict[str, FieldMap] = {}
    new_version: Literal["row", "day", "week", "month"] = Field(
        "week",
        description="With an action table: how often at most an item gets a new version when what "
        "its lines say has changed.",
    )


class ShopperMap(_Fields):
    """What the rows say of the people in them."""

    id: FieldMap | None = Field(
        None, description="Only without an action table, whose shopper it is."
    )
    at: FieldMap | None = Field(
        None, description="Left out, it is the time of the action, or of the import."
    )
    country: FieldMap | None = None
    locale: FieldMap | None = None
    traits: dict[str, FieldMap] = {}


class LinkMap(_Fields):
    """Ties of two named things: friends, whom people trust, or what is known of things."""

    kind: Literal["friend", "trust", "knowledge"]
    head: FieldMap
    tail: FieldMap
    relation: FieldMap | None = Field(None, description="Knowledge needs one.")
    weight: FieldMap | None = None
    at: FieldMap | None = Field(None, description="Left out, a tie holds from the import on.")
    both_ways: bool = Field(
        False, description="A row says its reverse too: a friendship that is told once."
    )

    @model_validator(mode="after")
    def _relation_where_it_belongs(self) -> LinkMap:
        if (self.kind == "knowledge") != (self.relation is not None):
            raise ValueError("a relation is what knowledge needs, and nothing else has")
        if self.kind == "knowledge" and self.both_ways:
            raise ValueError("knowledge runs one way: name the reverse relation in rows of its own")
        return self


class ReadHints(_Table):
    """How the file is written; only for CSV."""

    separator: str = Field(",", min_length=1, max_length=1)
    quote: str = Field('"', max_length=1)
    encoding: str = Field("utf-8", description="Such as utf-8, iso-8859-1, gb18030.")
    missing: tuple[str, ...] = Field(("",), description="Texts that mean nothing was said.")
    columns: tuple[str, ...] = Field(
        (), description="Names of the columns, for files whose first line does not name them."
    )


class Mapping(_Table):
    """A mapping file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="Begins the rows' ids.")
    about: str = ""
    time_zone: str = Field("UTC", description="Zone of times written without one.")
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", description="Of all amounts.")
    also_called: dict[str, tuple[str, ...]] = Field(
        {}, description="Other names a column has in some editions of the same data."
    )
    read: ReadHints = ReadHints()
    action: ActionMap | None = None
    item: ItemMap | None = None
    shopper: ShopperMap | None = None
    link: LinkMap | None = None
    cleaning: CleaningConfig = CleaningConfig()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return ClockConfig(time_zone=name).time_zone

    @model_validator(mode="after")
    def _maps_something(self) -> Mapping:
        if not self.tables():
            raise ValueError("a mapping needs [action], [item], [shopper] or [link]")
        if self.link is not None and len(self.tables()) > 1:
            raise ValueError("[link] stands alone: read the other facts by a mapping of their own")
        for name in ("item", "shopper"):
            table: ItemMap | ShopperMap | None = getattr(self, name)
            if table is None:
                continue
            if self.action is None and table.id is None:
                raise ValueError(f"without [action], [{name}] must say where its id is")
            if self.action is not None and table.id is not None:
                raise ValueError(f"with [action], the id of [{name}] is the action's: leave it out")
        if self.action is not None and self.item is not None and self.action.item is None:
            raise ValueError("[item] needs the action to name its item")
        return self

    def tables(self) -> list[ActionMap | ItemMap | ShopperMap | LinkMap]:
        """The tables it has."""
        all_of_them = (self.action, self.item, self.shopper, self.link)
        return [table for table in all_of_them if table is not None]

    def shopper_columns(self) -> set[str]:
        """The columns of the source that say who a shopper is."""
        said = self.action.shopper.columns() if self.action is not None else set()
        if self.shopper is not None and self.shopper.id is not None:
            said |= self.shopper.id.columns()
        if self.link is not None and self.link.kind != "knowledge":
            said |= self.link.head.columns() | self.link.tail.columns()
        return said

    def columns(self) -> set[str]:
        """The columns of the source the mapping reads."""
        return set().union(*(table.columns() for table in self.tables()))

    def optional_columns(self) -> set[str]:
        """Those of them that a source may lack."""
        needed: set[str] = set()
        for table in self.tables():
            needed |= table.columns(needed=True)
        return self.columns() - needed


def shipped_mappings() -> list[str]:
    """Names of the mappings that come with Habitué."""
    folder = resources.files("habitue.facts.feeds") / "mappings"
    return sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml"))


def load_mapping(name_or_path: str | Path) -> Mapping:
    """The mapping of a TOML file, or a shipped one by its name.

    Raises ``BadMapping`` with the key that is wrong.

    >>> load_mapping("online-retail").currency
    'GBP'
    """
    name = str(name_or_path)
    if name in shipped_mappings():
        text = (resources.files("habitue.facts.feeds") / "mappings" / f"{name}.toml").read_text()
    else:
        try:
            text = Path(name_or_path).read_text(encoding="utf-8")
        except OSError as error:
            raise BadMapping(
                f"There is no mapping {name!r} ({error.strerror}).",
                remedy=f"Give a TOML file, or one of: {', '.join(shipped_mappings())}.",
            ) from None
    try:
        return Mapping.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadMapping(f"{name} is no TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise BadMapping(f"{name}: [{place}] {said}.", field=place) from None
