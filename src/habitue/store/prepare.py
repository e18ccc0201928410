"""From a batch of action structs to columns, checked: everything that needs no database.

Checks run over whole columns; only when one of them fails is each fact looked at alone, to say
which row is wrong and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, compress, repeat
from typing import Any, Final

import msgspec

from habitue.errors import BadInput
from habitue.facts import ITEM_KINDS, NAMES, Action, ActionKind, Fact, code_of
from habitue.facts.ids import uuid7s
from habitue.facts.time import to_ms
from habitue.store.contract import Rejection

__all__ = ["ActionBatch", "Unsound", "body_json", "clean", "columns_of", "joined", "time_of"]

_FIELDS: Final = Action.__struct_fields__
_CODES: Final = {name: int(code_of(name)) for name in NAMES.values()}
_NEEDS_ITEM: Final = frozenset(int(kind) for kind in ITEM_KINDS)
_REFUND: Final = int(ActionKind.refund)  # of a whole order where it names no item
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999  # years 1 to 9999
_NUMBER: Final = frozenset({int, float})
_TYPES: Final[dict[str, frozenset[type]]] = {
    "quantity": _NUMBER,
    "rating": _NUMBER,
    "seconds": _NUMBER,
    "score": _NUMBER,
    "price_micros": frozenset({int}),
    "value_minor": frozenset({int}),
    "slot": frozenset({int}),
    "extra": frozenset({dict}),
}
_AT_ONCE: Final = 100
_ENCODE: Final = msgspec.json.Encoder(order="deterministic").encode
PLAIN: Final = tuple(f for f in _FIELDS if f not in ("kind", "shopper", "id", "at", "item"))


@dataclass(slots=True)
class ActionBatch:
    """N actions as columns. Fields nobody filled are absent from ``said``."""

    id: Sequence[str]  # made up where not said
    made_up: bool  # whether any id was
    kind: list[int]
    shopper: Sequence[str]
    item: Sequence[str | None]
    at_ms: Sequence[int]
    at_said: list[bool] | None  # None: all were
    received_at_ms: list[int]
    said: dict[str, Sequence[Any]]  # plain field → values, None where not said

    def __len__(self) -> int:
        return len(self.id)


class Unsound(Exception):
    """A check over a column failed: look at each row."""


def columns_of(actions: Sequence[Action], received_at_ms: Sequence[int]) -> ActionBatch:
    """The actions as columns; raises ``Unsound`` when one of them cannot be stored."""
    values = _by_field(actions)
    n = len(actions)
    kinds: list[Any] = list(map(_CODES.get, values["kind"]))
    items: Sequence[str | None] = values["item"]
    if None in kinds:
        raise Unsound
    if None in items and any(
        item is None and kind in _NEEDS_ITEM and not (kind == _REFUND and order)
        for item, kind, order in zip(items, kinds, values["order_id"], strict=True)
    ):
        raise Unsound
    at_ms, at_said = _times(values["at"], received_at_ms)
    _check_names(values["shopper"], values["id"], items)
    ids, made_up = _ids(values["id"], received_at_ms)
    said = {
        f: _checked(column, _TYPES.get(f))
        for f in PLAIN
        if any(column := values[f]) or column.count(None) < n
    }
    if "extra" in said:
        said["extra"] = [None if e is None else _ENCODE(e).decode() for e in said["extra"]]
    return ActionBatch(
        ids, made_up, kinds, values["shopper"], items, at_ms, at_said, list(received_at_ms), said
    )


def joined(parts: Sequence[ActionBatch]) -> ActionBatch:
    """The actions of all parts, in their order."""
    if len(parts) == 1:
        return parts[0]
    whole = chain.from_iterable
    filled = {name for part in parts for name in part.said}
    said_at = [part.at_said for part in parts]
    return ActionBatch(
        id=list(whole(part.id for part in parts)),
        made_up=any(part.made_up for part in parts),
        kind=list(whole(part.kind for part in parts)),
        shopper=list(whole(part.shopper for part in parts)),
        item=list(whole(part.item for part in parts)),
        at_ms=list(whole(part.at_ms for part in parts)),
        at_said=None
        if said_at.count(None) == len(parts)
        else list(whole(part.at_said or repeat(True, len(part)) for part in parts)),
        received_at_ms=list(whole(part.received_at_ms for part in parts)),
        said={
            name: list(whole(part.said.get(name) or repeat(None, len(part)) for part in parts))
            for name in PLAIN
            if name in filled
        },
    )


def _by_field(actions: Sequence[Action]) -> dict[str, Sequence[Any]]:
    """The columns of the actions, turned a few rows at a time: those stay in the near cache."""
    turned = [
        tuple(zip(*map(msgspec.structs.astuple, actions[since : since + _AT_ONCE]), strict=True))
        for since in range(0, len(actions), _AT_ONCE)
    ]
    if len(turned) == 1:
        return dict(zip(_FIELDS, turned[0], strict=True))
    return {
        name: list(chain.from_iterable(parts))
        for name, parts in zip(_FIELDS, zip(*turned, strict=True), strict=True)
    }


def _times(
    said: Sequence[int | datetime | None], received_at_ms: Sequence[int]
) -> tuple[Sequence[int], list[bool] | None]:
    types = set(map(type, said))
    if types == {int}:
        at_ms: Sequence[int] = said  # type: ignore[assignment]
        missing = None
    else:
        missing = None if type(None) not in types else [at is not None for at in said]
        at_ms = [
            received if at is None else time_of(at)
            for at, received in zip(said, received_at_ms, strict=True)
        ]
    if min(at_ms) < FIRST_MS or max(at_ms) > LAST_MS:
        raise Unsound
    return at_ms, missing


def time_of(at: int | datetime) -> int:
    """A time as UTC milliseconds; an ``int`` is that already."""
    if type(at) is int:
        return at
    if isinstance(at, datetime):
        return to_ms(at)
    raise Unsound


def _ids(said: Sequence[str | None], received_at_ms: Sequence[int]) -> tuple[Sequence[str], bool]:
    missing = said.count(None)
    if not missing:
        return said, False  # type: ignore[return-value]
    fresh = iter(uuid7s(max(received_at_ms[-1], 0), missing))
    return [next(fresh) if i is None else i for i in said], True


def _check_names(shoppers: Sequence[Any], ids: Sequence[Any], items: Sequence[Any]) -> None:
    """Every action has a shopper, and no name is empty."""
    if not all(shoppers):
        raise Unsound
    _check_texts(shoppers)
    for column in (ids, items):
        if all(column):
            _check_texts(column)
        elif "" in column:
            raise Unsound
        else:
            _check_texts([name for name in column if name is not None])


def _checked(column: Sequence[Any], types: frozenset[type] | None) -> Sequence[Any]:
    """The column of a plain field, of these types or (``None``) of texts.

    An empty text says nothing.
    """
    some = column if all(column) else [value for value in column if value is not None]
    if types is None:
        _check_texts(some)
        if some is not column and "" in column:
            return [None if value == "" else value for value in column]
    elif not set(map(type, some)) <= types:
        raise Unsound
    elif types is not _TYPES["extra"]:
        mean = sum(some) / len(some)  # none where one of them is none
        if not all(-(10**18) < value < 10**18 for value in (min(some), max(some), mean)):
            raise Unsound
    return column


def _check_texts(texts: Sequence[Any]) -> None:
    try:
        whole = "".join(texts)
    except TypeError:
        raise Unsound from None
    if not _storable(whole):
        raise Unsound


def _storable(text: str) -> bool:
    """Whether every store can keep the text: no NUL, no half of a surrogate pair."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return "\0" not in text


def clean(
    facts: Sequence[Fact], received_at_ms: int
) -> tuple[list[tuple[int, Fact]], list[Rejection]]:
    """The facts that can be stored, with their places, and why the others cannot."""
    wrong: dict[int, Rejection] = {}
    for row, fact in enumerate(facts):
        problem = _problem(fact, received_at_ms)
        if problem is not None:
            wrong[row] = Rejection(row, _id_of(fact), "invalid", *problem)
    broken = {
        fact.order_id
        for fact in compress(facts, [row in wrong for row in range(len(facts))])
        if isinstance(fact, Action) and fact.order_id is not None
    }
    for row, fact in enumerate(facts):
        if row not in wrong and isinstance(fact, Action) and fact.order_id in broken:
            wrong[row] = Rejection(
                row,
                fact.id,
                "order_incomplete",
                "order_id",
                "another line of this order is wrong, and an order is stored whole; "
                "mend that line and send the order again",
            )
    good = [(row, fact) for row, fact in enumerate(facts) if row not in wrong]
    return good, [wrong[row] for row in sorted(wrong)]


def _id_of(fact: Fact) -> str | None:
    found = getattr(fact, "id", None)
    return found if isinstance(found, str) else None


def _problem(fact: Fact, received_at_ms: int) -> tuple[str | None, str] | None:
    """The field and what is wrong with it; ``None`` when the fact can be stored."""
    try:
        body = msgspec.to_builtins(fact, builtin_types=(datetime,))
        msgspec.convert(body, type(fact), builtin_types=(datetime,))
        if isinstance(fact, Action):
            if fact.kind not in _CODES:
                return "kind", f"{fact.kind!r} is no kind of action"
            whole_order = fact.kind == ActionKind.refund.name and fact.order_id
            if fact.item is None and _CODES[fact.kind] in _NEEDS_ITEM and not whole_order:
                return "item", f"{fact.kind} means nothing without an item; name one"
            columns_of([fact], [received_at_ms])
        elif not _storable(_ENCODE(fact).decode().replace("\\u0000", "\0")):
            return None, "holds a NUL character, which no store can keep"
    except msgspec.ValidationError as error:
        return _field_of(str(error)), str(error)
    except (BadInput, UnicodeEncodeError, TypeError, ValueError) as error:
        return getattr(error, "field", None), str(error)
    except Unsound:
        return None, "holds a number out of range, a NUL or half a character"
    return None


def _field_of(message: str) -> str | None:
    _, found, path = message.partition("at `$.")
    return path.rstrip("`").partition("[")[0] if found else None


def body_json(body: dict[str, Any]) -> str:
    """The body of a fact as JSON, the same text for the same content."""
    return _ENCODE({field: value for field, value in body.items() if value is not None}).decode()
