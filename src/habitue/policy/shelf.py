"""The shelf: what the policy knows of every item now, as columns that grow as items are posted."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import attrgetter
from typing import Any, Final, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.facts import Catalogue, Item
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

__all__ = ["AVAILABILITY", "DELETED", "SOLD_OUT", "UNPOSTED", "Shelf", "item_fields"]

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
_SKIPPED: Final = frozenset(
    {"item_row", "first_seen_ms", "valid_from_ms", "received_at_ms", "seq", "published_at"}
    | {"valid_from", "link", "image_link", "additional_image_link", "description", "body"}
)
_TOLD: Final = tuple(
    name
    for name in Item.__struct_fields__
    if name not in _SKIPPED and name not in ("attributes", "deleted")
)
_values_of = attrgetter(*_TOLD)


def item_fields(item: Item) -> dict[str, Scalar]:
    """An item's fields as filters read them: prices in currency units, attributes by dotted name.

    >>> item_fields(Item(id="mug", price_micros=4_500_000))["price"]
    4.5
    """
    fields: dict[str, Scalar] = {
        name: value
        for name, value in zip(_TOLD, _values_of(item), strict=True)
        if value is not None
    }
    for name, source in _MICROS.items():
        micros = fields.pop(source, None)
        if micros is not None:
            fields[name] = cast("int", micros) / 1e6
    for name, value in (item.attributes or {}).items():
        fields[f"attributes.{name}"] = value
    return fields


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

    def __init__(self, catalogue: Catalogue | None = None, *, category_level: int = 2) -> None:
        """``category_level`` is how many levels of product_type ("A > B > C") make a category."""
        self._lock = threading.RLock()
        self._level = category_level
        self._brands = _Codes()
        self._categories = _Codes()
        self._fields: list[Mapping[str, Scalar] | None] = []
        self._masks: OrderedDict[str, tuple[Expression, NDArray[np.bool_]]] = OrderedDict()
        self._derived: list[Callable[[int | None], None]] = []
        self.version = 0
        self.n_items = 0
        self.state = np.zeros(0, np.uint8)
        self.brand = np.zeros(0, np.int32)
        self.category = np.zeros(0, np.int32)
        if catalogue is not None:
            self._fill(catalogue)

    def __len__(self) -> int:
        return self.n_items

    # ------------------------------------------------------------------ writing

    def put(self, row: int, item: Item) -> None:
        """Take in a version of the item in ``row``: seen by the next request."""
        self.put_many([row], [item])

    def put_many(self, rows: Sequence[int], items: Sequence[Item]) -> None:
        """Take in versions of several items."""
        with self._lock:
            self.reach(max(rows, default=-1) + 1)
            for row, item in zip(rows, items, strict=True):
                fields = item_fields(item)
                self._fields[row] = fields
                self._place(row, fields, deleted=item.deleted)
                self._renew(row)

    def reach(self, n_items: int) -> None:
        """Make rows up to ``n_items`` addressable; new ones are unposted."""
        with self._lock:
            if n_items <= self.n_items:
                return
            grown = n_items > len(self.state)
            if grown:
                self._grow(max(n_items, len(self.state) * 5 // 4, 1024))
            self._fields.extend([None] * (n_items - self.n_items))
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

    def _place(self, row: int, fields: Mapping[str, Scalar], *, deleted: bool) -> None:
        self.state[row] = _state(fields, deleted=deleted)
        self.brand[row] = self._brands.of(cast("str | None", fields.get("brand")))
        self.category[row] = self._categories.of(self._category(fields.get("product_type")))

    def _category(self, product_type: Scalar) -> str | None:
        if not isinstance(product_type, str):
            return None
        return " > ".join(part.strip() for part in product_type.split(">")[: self._level])

    def _renew(self, row: int) -> None:
        fields = self._fields[row] or _NOTHING
        for expression, mask in self._masks.values():
            mask[row] = matches(expression, fields)
        for renew in self._derived:
            renew(row)
        self.version += 1

    def _fill(self, catalogue: Catalogue) -> None:
        n = len(catalogue)
        self._grow(n)
        self._fields = [None] * n
        self.n_items = n
        for row, (fields, deleted) in enumerate(_rows(catalogue)):
            if fields is not None:
                self._fields[row] = fields
                self._place(row, fields, deleted=deleted)
        self.version += 1

    # ------------------------------------------------------------------ reading

    def fields(self, row: int) -> Mapping[str, Scalar]:
        """An item's fields as filters read them; empty where nothing was posted."""
        return (self._fields[row] if 0 <= row < self.n_items else None) or _NOTHING

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
        return _Columns(self._fields, len(self.state)).evaluate(expression)


def _longer(array: NDArray[Any], capacity: int, fill: Any) -> NDArray[Any]:
    longer = np.full(capacity, fill, array.dtype)
    longer[: len(array)] = array
    return longer


def _state(fields: Mapping[str, Scalar], *, deleted: bool) -> int:
    if deleted:
        return DELETED
    if fields.get("stock") == 0:
        return SOLD_OUT
    return AVAILABILITY.get(str(fields.get("availability", "in_stock")), SOLD_OUT)


class _Columns:
    """Evaluates an expression over the fields of all items, one column at a time.

    Numbers are compared by numpy; everything else once for each distinct value.
    """

    def __init__(self, fields: Sequence[Mapping[str, Scalar] | None], length: int) -> None:
        self.fields = fields
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
            column[: len(self.fields)] = [
                np.nan if (value := (row or _NOTHING).get(name)) is None else value
                for row in self.fields
            ]
            self._numbers[name] = column
        return self._numbers[name]

    def encoded(self, name: str) -> _Encoded:
        if name not in self._encoded:
            seen: dict[tuple[type, Scalar], int] = {(type(None), None): 0}
            code = np.zeros(self.length, np.int32)
            code[: len(self.fields)] = [
                seen.setdefault((type(value := (row or _NOTHING).get(name)), value), len(seen))
                for row in self.fields
            ]
            self._encoded[name] = _Encoded(code, [value for _, value in seen])
        return self._encoded[name]


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


_JSON = msgspec.json.Decoder()


def _rows(catalogue: Catalogue) -> Iterable[tuple[dict[str, Scalar] | None, bool]]:
    """The fields and the tombstone of each item; ``None`` for items known from actions alone."""
    frame = catalogue.frame
    wanted = [name for name in frame.columns if name not in _SKIPPED]
    posted = _posted(catalogue)
    for known, row in zip(posted, frame.select(wanted).iter_rows(named=True), strict=True):
        if not known:
            yield None, False
            continue
        deleted = bool(row.pop("deleted", False))
        attributes = row.pop("attributes", None)
        fields: dict[str, Scalar] = {k: v for k, v in row.items() if v is not None}
        for name, source in _MICROS.items():
            micros = fields.pop(source, None)
            if micros is not None:
                fields[name] = cast("int", micros) / 1e6
        if attributes:
            given = _JSON.decode(attributes) if isinstance(attributes, str) else attributes
            fields |= {f"attributes.{k}": v for k, v in given.items() if v is not None}
        yield fields, deleted


def _posted(catalogue: Catalogue) -> NDArray[np.bool_]:
    """Which items have a version: those of which anything besides the id is known."""
    frame = catalogue.frame
    telling = [
        name
        for name in frame.columns
        if name not in _SKIPPED and name not in ("id", "deleted", "adult")
    ]
    known = np.zeros(frame.height, np.bool_)
    for name in telling:
        known |= frame[name].is_not_null().to_numpy()
    return known
