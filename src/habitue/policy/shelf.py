"""The shelf: what the policy knows of every item now, as columns that grow as items are posted."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import attrgetter
from typing import Any, Final, Protocol, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.facts import Item
from habitue.policy.filters import (
    NUMBER,
    All,
    AnyOf,
    Compare,
    Expression,
    FieldCompare,
    Missing,
    Not,
    Scalar,
    holds,
    matches,
)
from habitue.policy.reading import parse_filter
from habitue.portraits.item_columns import Priced, coded, leading_steps

__all__ = [
    "AVAILABILITY",
    "DELETED",
    "SOLD_OUT",
    "UNPOSTED",
    "Listed",
    "Shelf",
    "item_fields",
    "read_listed",
]

UNPOSTED: Final = 0
DELETED: Final = 1
SOLD_OUT: Final = 2
AVAILABILITY: Final[dict[str, int]] = {
    "in_stock": 3,
    "out_of_stock": SOLD_OUT,
    "preorder": 4,
    "limited_availability": 5,
    "backorder": 6,
}
"""The state of an item as one byte; stock 0 counts as sold out whatever the shop says."""

MAX_MASKS: Final = 256
"""Filter masks held at a time: one byte an item each, the least recently used leave first."""

_MICROS: Final = {
    "price": "price_micros",
    "sale_price": "sale_price_micros",
    "cost": "cost_micros",
}
_NOTHING: Final[Mapping[str, Scalar]] = {}
_FEW: Final = 64  # versions that are taken in one by one
_SKIPPED: Final = frozenset(
    {"published_at", "valid_from", "link", "image_link", "additional_image_link", "description"}
)
_TOLD: Final = tuple(name for name in Item.__struct_fields__ if name not in _SKIPPED)
_FIELDS: Final = frozenset(_TOLD) - {"attributes", "deleted", *_MICROS.values()}


class Listed(Priced, Protocol):
    """A version of an item without its long texts and links: what is held of every item."""

    @property
    def title(self) -> str | None:
        """What to call it."""
        ...

    @property
    def availability(self) -> str:
        """One of ``AVAILABILITY``."""
        ...

    @property
    def stock(self) -> int | None:
        """Pieces left."""
        ...

    @property
    def deleted(self) -> bool:
        """Whether this version is the tombstone."""
        ...

    @property
    def attributes(self) -> Mapping[str, Scalar] | None:
        """The shop's own fields."""
        ...


_Listed: Final[Callable[..., Listed]] = cast(
    "Any",
    msgspec.defstruct(
        "_Listed",
        [
            (one.name, one.type)
            if one.default is msgspec.NODEFAULT
            else (one.name, one.type, one.default)
            for one in msgspec.structs.fields(Item)
            if one.name in _TOLD
        ],
        frozen=True,
        gc=False,
    ),
)
_values_of = attrgetter(*_TOLD)
read_listed: Final[Callable[[str], Listed]] = msgspec.json.Decoder(cast("Any", _Listed)).decode
"""A stored body, the JSON of an ``Item``, as it is listed."""


def item_fields(item: Item | Listed) -> dict[str, Scalar]:
    """An item's fields as filters read them: prices in currency units, attributes by dotted name.

    >>> item_fields(Item(id="mug", price_micros=4_500_000))["price"]
    4.5
    """
    fields: dict[str, Scalar] = {
        name: value
        for name, value in zip(_TOLD, _values_of(item), strict=True)
        if value is not None and name in _FIELDS
    }
    for name, source in _MICROS.items():
        micros = getattr(item, source)
        if micros is not None:
            fields[name] = micros / 1e6
    for name, value in (item.attributes or {}).items():
        fields[f"attributes.{name}"] = cast("Scalar", value)
    return fields


def _reader(field: str) -> Callable[[Listed], Scalar]:
    """How one field is read of an item, as ``item_fields`` names it."""
    if field in _FIELDS:
        return attrgetter(field)
    if field in _MICROS:
        micros_of = attrgetter(_MICROS[field])
        return lambda item: None if (micros := micros_of(item)) is None else micros / 1e6
    if field.startswith("attributes."):
        name = field.removeprefix("attributes.")
        return lambda item: (item.attributes or {}).get(name)
    return lambda _: None


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A column as codes into its distinct values."""

    code: NDArray[np.int32]  # (n,)
    value: list[Scalar]


class _Codes:
    """Names to small numbers, in order of first appearance; -1 for nothing."""

    def __init__(self) -> None:
        self.code: dict[str, int] = {}

    def of(self, name: str | None) -> int:
        return -1 if name is None else self.code.setdefault(name.casefold(), len(self.code))


class Shelf:
    """Items by row: their state, brand and category as arrays, and masks of filter expressions.

    Reading takes no lock: arrays grow by being replaced. Writers (``put``) exclude each other.
    A mask, once asked for, is kept up to date item by item, so a filter costs nothing on a request.
    """

    def __init__(self, *, category_level: int = 2) -> None:
        """``category_level`` is how many levels of product_type ("A > B > C") make a category."""
        self._lock = threading.RLock()
        self._level = category_level
        self._brands = _Codes()
        self._categories = _Codes()
        self._items: list[Listed | None] = []
        self._masks: OrderedDict[str, tuple[Expression, NDArray[np.bool_]]] = OrderedDict()
        self._derived: list[Callable[[int | None], None]] = []
        self.version = 0
        self.n_items = 0
        self.state = np.zeros(0, np.uint8)
        self.brand = np.zeros(0, np.int32)
        self.category = np.zeros(0, np.int32)

    def __len__(self) -> int:
        return self.n_items

    # ------------------------------------------------------------------ writing

    def put(self, row: int, item: Item | Listed) -> None:
        """Take in a version of the item in ``row``: seen by the next request."""
        self.put_many(np.array([row], np.int32), [item])

    def put_many(self, rows: NDArray[np.int32], items: Sequence[Item | Listed]) -> None:
        """Take in versions of several items, each row once."""
        if not len(rows):
            return
        listed = [_Listed(*_values_of(one)) if isinstance(one, Item) else one for one in items]
        with self._lock:
            self.reach(int(rows.max()) + 1)
            held = self._items
            for row, item in zip(rows.tolist(), listed, strict=True):
                held[row] = item
            self.state[rows] = np.fromiter(map(_state, listed), np.uint8, len(listed))
            self.brand[rows] = coded([item.brand for item in listed], self._brands.of)
            self.category[rows] = coded(
                [item.product_type for item in listed],
                lambda steps: self._categories.of(leading_steps(steps, self._level)),
            )
            self._renew(rows)

    def reach(self, n_items: int) -> None:
        """Make rows up to ``n_items`` addressable; new ones are unposted."""
        with self._lock:
            if n_items <= self.n_items:
                return
            grown = n_items > len(self.state)
            if grown:
                self._grow(max(n_items, len(self.state) * 5 // 4, 1024))
            self._items.extend([None] * (n_items - self.n_items))
            first, self.n_items = self.n_items, n_items
            for renew in self._derived:
                for row in [None] if grown else range(first, n_items):
                    renew(row)
            self.version += 1

    def _grow(self, capacity: int) -> None:
        self.state = _longer(self.state, capacity, UNPOSTED)
        self.brand = _longer(self.brand, capacity, -1)
        self.category = _longer(self.category, capacity, -1)
        for text, (expression, mask) in self._masks.items():
            self._masks[text] = (expression, _longer(mask, capacity, matches(expression, _NOTHING)))

    def _renew(self, rows: NDArray[np.int32]) -> None:
        """Bring up to date what follows from the items: row by row, or whole where many changed."""
        if len(rows) > max(_FEW, self.n_items // 64):
            for expression, mask in self._masks.values():
                mask[:] = self.evaluate(expression)
            for renew in self._derived:
                renew(None)
        else:
            for row in rows.tolist():
                fields = self.fields(row)
                for expression, mask in self._masks.values():
                    mask[row] = matches(expression, fields)
                for renew in self._derived:
                    renew(row)
        self.version += 1

    # ------------------------------------------------------------------ reading

    def fields(self, row: int) -> Mapping[str, Scalar]:
        """An item's fields as filters read them; empty where nothing was posted."""
        item = self._items[row] if 0 <= row < self.n_items else None
        return _NOTHING if item is None else item_fields(item)

    def title(self, row: int) -> str | None:
        """An item's title, where it has one."""
        item = self._items[row] if 0 <= row < self.n_items else None
        return None if item is None else item.title

    def derive(self, renew: Callable[[int | None], None]) -> None:
        """Call ``renew(row)`` when an item changes, ``renew(None)`` now and when arrays grow."""
        with self._lock:
            self._derived.append(renew)
            renew(None)

    def underive(self, renew: Callable[[int | None], None]) -> None:
        """Stop calling ``renew``."""
        with self._lock:
            self._derived.remove(renew)

    def mask(self, expression: str) -> NDArray[np.bool_]:
        """Of which items a filter holds, by row (at least ``n_items`` long); raises ``BadFilter``.

        The array is live: later versions of items change it in place.
        """
        with self._lock:
            held = self._masks.get(expression)
            if held is not None:
                self._masks.move_to_end(expression)
                return held[1]
            parsed = parse_filter(expression)
            mask = self.evaluate(parsed)
            self._masks[expression] = (parsed, mask)
            if len(self._masks) > MAX_MASKS:
                self._masks.popitem(last=False)
            return mask

    def evaluate(self, expression: Expression) -> NDArray[np.bool_]:
        """Of which items an expression holds, column by column."""
        return _Columns(self._items, len(self.state)).evaluate(expression)


def _longer(array: NDArray[Any], capacity: int, fill: Any) -> NDArray[Any]:
    longer = np.full(capacity, fill, array.dtype)
    longer[: len(array)] = array
    return longer


def _state(item: Listed) -> int:
    if item.deleted:
        return DELETED
    if item.stock == 0:
        return SOLD_OUT
    return AVAILABILITY.get(item.availability, SOLD_OUT)


class _Columns:
    """Evaluates an expression over the fields of all items, one column at a time.

    Numbers are compared by numpy; everything else once for each distinct value.
    """

    def __init__(self, items: Sequence[Listed | None], length: int) -> None:
        self.items = items
        self.length = length
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._encoded: dict[str, _Encoded] = {}

    def evaluate(self, expression: Expression) -> NDArray[np.bool_]:
        match expression:
            case All(parts=parts):
                return reduce(np.logical_and, [self.evaluate(part) for part in parts])
            case AnyOf(parts=parts):
                return reduce(np.logical_or, [self.evaluate(part) for part in parts])
            case Not(part=part):
                return ~self.evaluate(part)
            case FieldCompare(left=left, op=op, right=right):
                return _ordered(self.number(left), op, self.number(right))
            case Compare(field=field, op=op, value=value) if field in NUMBER:
                return _ordered(self.number(field), op, float(value))
            case Missing(field=field) if field in NUMBER:
                return np.isnan(self.number(field))
            case _:
                column = self.encoded(expression.field)
                answer = [holds(expression, value) for value in column.value]
                return np.array(answer, np.bool_)[column.code]

    def number(self, name: str) -> NDArray[np.float64]:
        if name not in self._numbers:
            column = np.full(self.length, np.nan)
            values = self._values(name)
            column[: len(values)] = [np.nan if value is None else value for value in values]
            self._numbers[name] = column
        return self._numbers[name]

    def encoded(self, name: str) -> _Encoded:
        if name not in self._encoded:
            seen: dict[tuple[type, Scalar], int] = {(type(None), None): 0}
            code = np.zeros(self.length, np.int32)
            values = self._values(name)
            code[: len(values)] = [
                seen.setdefault((type(value), value), len(seen)) for value in values
            ]
            self._encoded[name] = _Encoded(code, [value for _, value in seen])
        return self._encoded[name]

    def _values(self, name: str) -> list[Scalar]:
        read = _reader(name)
        return [None if item is None else read(item) for item in self.items]


def _ordered(
    left: NDArray[np.float64], op: str, right: NDArray[np.float64] | float
) -> NDArray[np.bool_]:
    """NaN, the missing number, compares false with everything."""
    match op:
        case "==":
            return np.asarray(left == right)
        case "<":
            return np.asarray(left < right)
        case "<=":
            return np.asarray(left <= right)
        case ">":
            return np.asarray(left > right)
        case _:
            return np.asarray(left >= right)
