"""Habitué's own JSON: batches of facts, decoded whole, and row by row only when a row is wrong.

A body is an object of lists (``{"actions": [...], "items": [...]}``), a bare list, or one fact.
The whole body is decoded and checked in one pass; only when that fails is each row read alone, so
that one bad row costs the sender that row and nothing else.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from habitue.errors import BadInput
from habitue.facts.cleaning.rejects import BadRow
from habitue.facts.facts import Action, Alias, Consent, Fact, Item, Link, Shopper
from habitue.facts.kinds import ITEM_KINDS, ActionKind
from habitue.facts.money import is_currency
from habitue.facts.time import EARLIEST_MS, to_ms, why_not_at

__all__ = ["Decoded", "NotJson", "Sent", "decode", "decode_lines"]

Sent = Literal["action", "item", "shopper", "link", "alias", "consent"]
"""The kinds of fact a sender may send. ``Shown`` is written by the surfaces themselves."""

_LISTS: Final[dict[str, Sent]] = {
    "items": "item",
    "shoppers": "shopper",
    "links": "link",
    "aliases": "alias",
    "consents": "consent",
    "actions": "action",
}
_TYPES: Final[dict[Sent, type[msgspec.Struct]]] = {
    "action": Action,
    "item": Item,
    "shopper": Shopper,
    "link": Link,
    "alias": Alias,
    "consent": Consent,
}
_KIND_NAMES: Final = frozenset(kind.name for kind in ActionKind)
_ITEM_KIND_NAMES: Final = frozenset(kind.name for kind in ITEM_KINDS)
_PATH: Final = re.compile(r" - at `(?:key in )?\$(.*)`$")
_UNKNOWN_FIELD: Final = re.compile(r"unknown field `(.*)`")
_MISSING_FIELD: Final = re.compile(r"missing required field `(.*)`")


class _Batch(msgspec.Struct, forbid_unknown_fields=True):
    items: list[Item] = []
    shoppers: list[Shopper] = []
    links: list[Link] = []
    aliases: list[Alias] = []
    consents: list[Consent] = []
    actions: list[Action] = []


class _RawBatch(msgspec.Struct, forbid_unknown_fields=True):
    items: list[msgspec.Raw] = []
    shoppers: list[msgspec.Raw] = []
    links: list[msgspec.Raw] = []
    aliases: list[msgspec.Raw] = []
    consents: list[msgspec.Raw] = []
    actions: list[msgspec.Raw] = []


_batch = msgspec.json.Decoder(_Batch)
_raw_batch = msgspec.json.Decoder(_RawBatch)
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_one: Final[dict[Sent, Any]] = {kind: msgspec.json.Decoder(_TYPES[kind]) for kind in _TYPES}
_many: Final[dict[Sent, Any]] = {
    "action": msgspec.json.Decoder(list[Action]),
    "item": msgspec.json.Decoder(list[Item]),
    "shopper": msgspec.json.Decoder(list[Shopper]),
    "link": msgspec.json.Decoder(list[Link]),
    "alias": msgspec.json.Decoder(list[Alias]),
    "consent": msgspec.json.Decoder(list[Consent]),
}
_anything = msgspec.json.Decoder()


class NotJson(BadInput):
    """The body as a whole is not JSON, so that no row of it can be told from another."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a body held: the good facts in the order sent, and the rows that were refused.

    Within a body of several lists items and people come before actions, so that an action finds
    the item it names. ``row`` of a ``BadRow`` counts within the list of its kind.
    """

    facts: list[Fact]
    rejected: list[BadRow] = field(default_factory=list)
    late: int = 0  # accepted actions that arrived later than ``late_after_ms``
    skipped: dict[str, int] = field(default_factory=dict)  # GA4 events without a meaning here
    rows: Sequence[int] | None = None  # each fact's place among the rows sent; None: 0, 1, 2, ...
    events: int = 0  # GA4 events the body held

    @property
    def sent(self) -> int:
        """Rows a body of our own held: every one is in ``facts`` or in ``rejected``."""
        return len(self.facts) + len(self.rejected)


def decode(
    body: bytes,
    *,
    now_ms: int,
    expect: Sent = "action",
    max_future_ms: int = 300_000,
    late_after_ms: int = 86_400_000,
) -> Decoded:
    """Read a JSON body; ``expect`` says what a bare list or a bare object holds.

    Raises ``BadInput`` only when the body as a whole cannot be read (it is no JSON, or neither an
    object nor a list): then no row of it can be told from another.

    >>> body = b'{"actions": [{"kind": "view_item", "shopper": "s1", "item": "i1"}]}'
    >>> [(action.kind, action.item) for action in decode(body, now_ms=1_700_000_000_000).facts]
    [('view_item', 'i1')]
    """
    try:
        lists = _lists_of(body, expect)
    except (msgspec.ValidationError, UnicodeDecodeError):
        lists = None
    except (msgspec.DecodeError, RecursionError) as error:
        raise _no_json(error) from None
    clock = (now_ms, max_future_ms, late_after_ms)
    if lists is not None:
        actions = lists[-1] if lists and lists[-1] and type(lists[-1][0]) is Action else []
        late = _late_if_all_sound(actions, *clock)
        if late is not None:
            facts = lists[0] if len(lists) == 1 else [fact for rows in lists for fact in rows]
            return Decoded(facts, [], late)
    return _row_by_row(_raw_rows(body, expect), *clock)


def decode_lines(
    lines: Iterable[bytes],
    *,
    now_ms: int,
    expect: Sent = "action",
    max_future_ms: int = 300_000,
    late_after_ms: int = 86_400_000,
) -> Decoded:
    """Read JSON lines, one fact a line; blank lines are skipped and keep their number."""
    rows = [(expect, row, line) for row, line in enumerate(lines) if line.strip()]
    return _row_by_row(rows, now_ms, max_future_ms, late_after_ms)


def _lists_of(body: bytes, expect: Sent) -> list[list[Any]]:
    """The typed lists of a body that is right throughout, actions last."""
    start = body.lstrip()[:1]
    if start == b"[":
        return [_many[expect].decode(body)]
    batch = _batch.decode(body)
    lists: list[list[Any]] = [
        batch.items,
        batch.shoppers,
        batch.links,
        batch.aliases,
        batch.consents,
        batch.actions,
    ]
    return [rows for rows in lists if rows]


def _late_if_all_sound(
    actions: list[Action], now_ms: int, max_future_ms: int, late_after_ms: int
) -> int | None:
    """How many of the actions are late; ``None`` when any of them must be refused."""
    latest, late_before, late = now_ms + max_future_ms, now_ms - late_after_ms, 0
    currencies: set[str | None] = {None}
    for action in actions:
        if action.currency not in currencies:
            if not is_currency(action.currency or ""):
                return None
            currencies.add(action.currency)
        kind = action.kind
        if kind not in _KIND_NAMES or (action.item is None and kind in _ITEM_KIND_NAMES):
            return None
        at = action.at
        if at is not None:
            at_ms = at if type(at) is int else to_ms(at)
            if not EARLIEST_MS <= at_ms <= latest:
                return None
            late += at_ms < late_before
    return late


def _raw_rows(body: bytes, expect: Sent) -> list[tuple[Sent, int, bytes]]:
    """Every row of the body, unread, with its kind and its place in its list."""
    try:
        if body.lstrip()[:1] == b"[":
            return [(expect, row, bytes(raw)) for row, raw in enumerate(_raw_list.decode(body))]
        said = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if not said.keys() & _LISTS.keys():
            return [(expect, 0, body)]
        batch = _raw_batch.decode(body)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"The body cannot be read: {error}.", remedy=_shape(expect), field=None
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error) from None
    return [
        (kind, row, bytes(raw))
        for name, kind in _LISTS.items()
        for row, raw in enumerate(getattr(batch, name))
    ]


def _row_by_row(
    rows: list[tuple[Sent, int, bytes]], now_ms: int, max_future_ms: int, late_after_ms: int
) -> Decoded:
    good: list[tuple[Sent, int, Fact]] = []
    rejected: list[BadRow] = []
    broken_orders: dict[str, int] = {}  # order to the row that breaks it
    for kind, row, raw in rows:
        try:
            fact = _one[kind].decode(raw)
            wrong = _why_refused(fact, now_ms, max_future_ms) if kind == "action" else None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            wrong = _why(str(error), kind)
        if wrong is None:
            good.append((kind, row, fact))
            continue
        rejected.append(BadRow(row, wrong[0], wrong[1], _said(raw, "id"), kind))
        if kind == "action" and (order := _said(raw, "order_id")) is not None:
            broken_orders[order] = row
    facts: list[Fact] = []
    places: list[int] = []
    late = 0
    for _, row, fact in good:
        if isinstance(fact, Action):
            if fact.order_id in broken_orders:
                reason = f"row {broken_orders[fact.order_id]} of this order is wrong, and an order"
                reason += " is stored whole or not at all"
                rejected.append(
                    BadRow(row, "order_id", reason, fact.id, problem="order_incomplete")
                )
                continue
            late += fact.at is not None and to_ms(fact.at, "ms") < now_ms - late_after_ms
        facts.append(fact)
        places.append(row)
    rejected.sort(key=lambda bad: (bad.fact, bad.row))
    return Decoded(facts, rejected, late, rows=places)


def _why_refused(action: Action, now_ms: int, max_future_ms: int) -> tuple[str | None, str] | None:
    """Field and reason of a well-formed action that still cannot be a fact."""
    if action.kind not in _KIND_NAMES:
        return "kind", f"{action.kind!r} is no kind of action{_nearest(action.kind, _KIND_NAMES)}"
    whole_order = action.kind == "refund" and action.order_id
    if action.item is None and action.kind in _ITEM_KIND_NAMES and not whole_order:
        return "item", f"a {action.kind} must name the item"
    if action.currency is not None and not is_currency(action.currency):
        return "currency", f"{action.currency!r} is no currency: three capital letters (ISO 4217)"
    if action.at is not None:
        at_ms = action.at if isinstance(action.at, int) else to_ms(action.at, "ms")
        why = why_not_at(at_ms, now_ms, max_future_ms)
        if why is not None:
            return "at", why
    return None


def _why(message: str, kind: Sent) -> tuple[str | None, str]:
    """Field and reason out of the decoder's message, with the nearest known name."""
    names = _TYPES[kind].__struct_fields__
    if (unknown := _UNKNOWN_FIELD.search(message)) is not None:
        name = unknown.group(1)
        return name, f"{kind} has no field {name!r}{_nearest(name, names)}"
    if (missing := _MISSING_FIELD.search(message)) is not None:
        return missing.group(1), f"{kind} needs {missing.group(1)!r}"
    path = _PATH.search(message)
    place = path.group(1).lstrip(".") if path is not None else None
    return place or None, message[: path.start()] if path is not None else message


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _said(raw: bytes, name: str) -> str | None:
    """A text field of a row that could not be read as a fact."""
    try:
        said = _anything.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    found = said.get(name) if isinstance(said, dict) else None
    return found if isinstance(found, str) else None


def _no_json(error: Exception) -> NotJson:
    return NotJson(f"The body is no JSON: {error}.", remedy="Send UTF-8 JSON.")


def _shape(expect: Sent) -> str:
    return f'Send {{"{expect}s": [...]}} or a list of {expect}s.'
