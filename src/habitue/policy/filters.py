"""The small language in which a shop says which items are meant.

An expression reads item fields, compares them with written values, and joins the comparisons with
``and``, ``or``, ``not`` and parentheses. Here stand what an expression is made of and what it
means; ``reading`` turns text into one. Nothing is ever executed.

=============================  =====================================================================
``price < 50``                 ``price``, ``sale_price``, ``cost`` in currency units, ``stock``
``10 <= price <= 20``          comparisons may be chained
``sale_price < price``         two number fields
``brand == "Acme"``            text, letter case ignored
``brand in ("Acme", "Bolt")``  one of several
``"red" in color``             text that contains text
``adult``                      a flag
``attributes.season == "w"``   the shop's own attributes: number, text or true/false
``gtin == none``               nothing was said
=============================  =====================================================================

A comparison with a field nobody filled in is false; ``!=`` and ``not in`` are the opposites of
``==`` and ``in``, hence true of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

__all__ = [
    "FIELDS",
    "FLAG",
    "ITEM_FIELDS",
    "NUMBER",
    "SHOPPER_FIELDS",
    "TEXT",
    "All",
    "AnyOf",
    "Compare",
    "Contains",
    "Expression",
    "FieldCompare",
    "Fields",
    "Missing",
    "Not",
    "OneOf",
    "Scalar",
    "Truth",
    "fields_of",
    "holds",
    "matches",
]

NUMBER: Final = frozenset({"price", "sale_price", "cost", "stock"})
FLAG: Final = frozenset({"adult"})
TEXT: Final = frozenset(
    {
        "id",
        "title",
        "currency",
        "availability",
        "condition",
        "brand",
        "product_type",
        "google_product_category",
        "gtin",
        "mpn",
        "item_group_id",
        "color",
        "size",
        "material",
        "pattern",
        "gender",
        "age_group",
        "item_type",
    }
)
FIELDS: Final = NUMBER | FLAG | TEXT
"""Every field an expression may name, besides ``attributes.<name>``."""


class Fields(NamedTuple):
    """What an expression may be about: fields by type, and a prefix of others of any type."""

    number: frozenset[str]
    flag: frozenset[str]
    text: frozenset[str]
    free: str

    @property
    def named(self) -> frozenset[str]:
        """The fields that have a name of their own."""
        return self.number | self.flag | self.text


ITEM_FIELDS: Final = Fields(NUMBER, FLAG, TEXT, "attributes.")
"""An item's."""

SHOPPER_FIELDS: Final = Fields(
    frozenset({"days_since_action", "days_since_purchase", "purchases"}),
    frozenset(),
    frozenset({"id", "country", "locale"}),
    "traits.",
)
"""A shopper's: how long ago they did anything, and bought; order lines bought; what was told."""

Scalar = str | float | bool | None
Op = Literal["==", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Compare:
    """``field op value``."""

    field: str
    op: Op
    value: str | float | bool


@dataclass(frozen=True, slots=True)
class OneOf:
    """``field in (values)``; text already without letter case."""

    field: str
    values: tuple[str | float | bool, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """``"text" in field``; ``text`` already without letter case."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Truth:
    """A flag that is set."""

    field: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A field nobody filled in."""

    field: str


@dataclass(frozen=True, slots=True)
class FieldCompare:
    """Two number fields compared."""

    left: str
    op: Op
    right: str


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: Expression


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Expression, ...]


Leaf = Compare | OneOf | Contains | Truth | Missing
Expression = Leaf | FieldCompare | Not | All | AnyOf

_ORDER: Final[dict[str, Callable[[float, float], bool]]] = {
    "==": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def holds(leaf: Leaf, value: Scalar) -> bool:
    """Whether ``leaf`` holds of one field's value: the one meaning rows and columns share."""
    match leaf:
        case Missing():
            return value is None
        case Truth():
            return value is True
        case Contains(text=text):
            return isinstance(value, str) and text in value.casefold()
        case OneOf(values=values):
            return any(_compare(value, "==", wanted) for wanted in values)
        case Compare(op=op, value=wanted):
            return _compare(value, op, wanted)


def _plain(value: Scalar) -> tuple[type, Scalar]:
    """A value with its type, so that ``True`` is not ``1``, and text without letter case."""
    if isinstance(value, str):
        return str, value.casefold()
    if isinstance(value, bool):
        return bool, value
    return float, value


def _compare(value: Scalar, op: Op, wanted: str | float | bool) -> bool:
    if value is None:
        return False
    (kind, left), (wanted_kind, right) = _plain(value), _plain(wanted)
    if kind is not wanted_kind:
        return False
    return bool(_ORDER[op](left, right))  # type: ignore[arg-type]


def matches(expression: Expression, fields: Mapping[str, Scalar]) -> bool:
    """Whether one item, given as its fields by name, is meant.

    >>> matches(Contains("color", "red"), {"price": 9.5, "color": "Dark red"})
    True
    """
    match expression:
        case All(parts=parts):
            return all(matches(part, fields) for part in parts)
        case AnyOf(parts=parts):
            return any(matches(part, fields) for part in parts)
        case Not(part=part):
            return not matches(part, fields)
        case FieldCompare(left=left, op=op, right=right):
            a, b = fields.get(left), fields.get(right)
            return isinstance(a, (int, float)) and isinstance(b, (int, float)) and _ORDER[op](a, b)
        case _:
            return holds(expression, fields.get(expression.field))


def fields_of(expression: Expression) -> Iterator[str]:
    """The names of the fields an expression reads, as they come."""
    match expression:
        case All(parts=parts) | AnyOf(parts=parts):
            for part in parts:
                yield from fields_of(part)
        case Not(part=part):
            yield from fields_of(part)
        case FieldCompare(left=left, right=right):
            yield left
            yield right
        case _:
            yield expression.field
