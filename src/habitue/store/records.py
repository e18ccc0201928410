"""Appending what is not an action: versions of items and shoppers, ties, consent, slates shown.

These come in small numbers, so they are taken one by one. A version that says what is already
known is a duplicate: the same content at the same stated time, or, without a time, the same content
as the latest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from habitue.facts import Action, Alias, Consent, Fact, Item, Link, Shopper, Shown, ShownBody
from habitue.store.keying import Keying
from habitue.store.prepare import time_of
from habitue.store.session import Ledger, Session

if TYPE_CHECKING:
    from habitue.store.appending import Share

__all__ = ["append_records"]

_ENCODE: Final = msgspec.json.Encoder(order="deterministic").encode

Row = tuple[Any, ...]


def append_records(session: Session, keying: Keying, ledger: Ledger, share: Share) -> None:
    """Append every fact of the share's batch that is no action, in the batch's order."""
    facts = share.batch.facts
    _name_rows(keying, facts)
    writer = _Writer(session, keying, ledger, share)
    for kind, append in _KINDS.items():
        rows = [row for row, fact in enumerate(facts) if type(fact) is kind]
        if rows:
            append(writer, rows, [facts[row] for row in rows])


def _name_rows(keying: Keying, facts: Sequence[Fact]) -> None:
    """Hand out rows in order of appearance over all kinds of fact of the batch."""
    shoppers: list[str] = []
    items: list[str] = []
    for fact in facts:
        if isinstance(fact, Action):
            shoppers.append(fact.shopper)
            if fact.item is not None:
                items.append(fact.item)
        elif isinstance(fact, Item):
            items.append(fact.id)
        elif isinstance(fact, Shopper):
            shoppers.append(fact.id)
        elif isinstance(fact, Link):
            if fact.kind != "knowledge":
                shoppers += (fact.head, fact.tail)
        elif isinstance(fact, Alias):
            shoppers += (fact.shopper, fact.alias)
        elif fact.shopper is not None:
            shoppers.append(fact.shopper)
    keying.shoppers(shoppers)
    keying.items(items)


def _digest(body: bytes) -> bytearray:
    return bytearray(blake2b(body, digest_size=16).digest())


def _json(value: object) -> str:
    return _ENCODE(value).decode()


class _Writer:
    """What the kinds below write with."""

    def __init__(self, session: Session, keying: Keying, ledger: Ledger, share: Share) -> None:
        self.session, self.keying, self.ledger, self.share = session, keying, ledger, share
        self.received_at_ms = share.batch.received_at_ms

    def time(self, at: Any) -> int:
        """The stated time, or that of receipt."""
        return self.received_at_ms if at is None else time_of(at)

    def shoppers(self, names: Sequence[str]) -> list[int]:
        """Rows of shoppers."""
        rows: list[int] = self.keying.shoppers(names)[0].tolist()
        return rows

    def insert(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        """Insert rows behind fresh ``seq``s and count them."""
        first = self.ledger.last_seq + 1
        self.session.insert(
            table, ("seq", *columns), [(first + i, *row) for i, row in enumerate(rows)]
        )
        self.ledger.last_seq += len(rows)
        self.ledger.counts[table] += len(rows)
        self.share.new += len(rows)

    def versions(
        self, table: str, key: str, time: str, found: Sequence[tuple[Any, bool, int, bytearray]]
    ) -> list[bool]:
        """Which of (key, whether the time was said, time, digest) are not known yet."""
        stored = self.session.among(
            f"select {key}, {time}, digest, seq from {table} where {key}",
            _driver_values(found),
        )
        known: dict[Any, list[tuple[int, bytes]]] = {}
        for name, at_ms, digest, _ in sorted(stored, key=itemgetter(3)):  # in no order of their own
            known.setdefault(_plain(name), []).append((at_ms, bytes(digest)))
        fresh = []
        for name, said, at_ms, digest in found:
            history = known.setdefault(_plain(name), [])
            this = (at_ms, bytes(digest))
            duplicate = this in history if said else bool(history) and history[-1][1] == this[1]
            if not duplicate:
                history.append(this)
            fresh.append(not duplicate)
        self.share.duplicate += fresh.count(False)
        return fresh


def _plain(key: Any) -> Any:
    return bytes(key) if isinstance(key, (bytes, bytearray, memoryview)) else key


def _driver_values(found: Sequence[tuple[Any, bool, int, bytearray]]) -> list[Any]:
    """The keys asked for, each once."""
    keys = dict.fromkeys(_plain(key) for key, *_ in found)
    return [bytearray(key) if isinstance(key, bytes) else key for key in keys]


def _items(w: _Writer, _: list[int], facts: Sequence[Any]) -> None:
    item_rows = w.keying.items([fact.id for fact in facts]).tolist()
    found, lines = [], []
    for item_row, fact in zip(item_rows, facts, strict=True):
        at_ms = w.time(fact.valid_from)
        published = None if fact.published_at is None else time_of(fact.published_at)
        body = _ENCODE(msgspec.structs.replace(fact, valid_from=None, published_at=published))
        digest = _digest(body)
        found.append((item_row, fact.valid_from is not None, at_ms, digest))
        lines.append((item_row, at_ms, w.received_at_ms, int(fact.deleted), digest, body.decode()))
    fresh = w.versions("item", "item_row", "valid_from_ms", found)
    columns = ("item_row", "valid_from_ms", "received_at_ms", "deleted", "digest", "body")
    w.insert("item", columns, [line for line, new in zip(lines, fresh, strict=True) if new])


def _shoppers(w: _Writer, _: list[int], facts: Sequence[Any]) -> None:
    found, lines = [], []
    for shopper_row, fact in zip(w.shoppers([fact.id for fact in facts]), facts, strict=True):
        at_ms = w.time(fact.at)
        body = _ENCODE({"country": fact.country, "locale": fact.locale, "traits": fact.traits})
        digest = _digest(body)
        found.append((shopper_row, fact.at is not None, at_ms, digest))
        lines.append((shopper_row, at_ms, w.received_at_ms, digest, body.decode()))
    fresh = w.versions("shopper", "shopper_row", "at_ms", found)
    columns = ("shopper_row", "at_ms", "received_at_ms", "digest", "body")
    w.insert("shopper", columns, [line for line, new in zip(lines, fresh, strict=True) if new])


def _links(w: _Writer, _: list[int], facts: Sequence[Any]) -> None:
    found, lines = [], []
    for fact in facts:
        ends = [None, None] if fact.kind == "knowledge" else w.shoppers([fact.head, fact.tail])
        names = [fact.head, fact.tail] if fact.kind == "knowledge" else [None, None]
        edge = _digest(_ENCODE([fact.kind, *names, *ends, fact.relation]))
        at_ms = w.time(fact.at)
        digest = _digest(_ENCODE([fact.weight, fact.deleted]))
        found.append((edge, fact.at is not None, at_ms, digest))
        says = (float(fact.weight), int(fact.deleted), at_ms, w.received_at_ms, digest)
        lines.append((edge, fact.kind, names[0], ends[0], fact.relation, names[1], ends[1], *says))
    fresh = w.versions("link", "edge", "at_ms", found)
    columns = ["edge", "kind", "head", "head_row", "relation", "tail", "tail_row", "weight"]
    columns += ["deleted", "at_ms", "received_at_ms", "digest"]
    w.insert("link", columns, [line for line, new in zip(lines, fresh, strict=True) if new])


def _consents(w: _Writer, _: list[int], facts: Sequence[Any]) -> None:
    found, lines = [], []
    for shopper_row, fact in zip(w.shoppers([fact.shopper for fact in facts]), facts, strict=True):
        granted, denied = sorted(set(fact.granted)), sorted(set(fact.denied))
        at_ms, digest = w.time(fact.at), _digest(_ENCODE([granted, denied]))
        found.append((shopper_row, fact.at is not None, at_ms, digest))
        lines.append((shopper_row, at_ms, w.received_at_ms, *map(_json, (granted, denied)), digest))
    fresh = w.versions("consent", "shopper_row", "at_ms", found)
    columns = ("shopper_row", "at_ms", "received_at_ms", "granted", "denied", "digest")
    w.insert("consent", columns, [line for line, new in zip(lines, fresh, strict=True) if new])


def _aliases(w: _Writer, rows: list[int], facts: Sequence[Any]) -> None:
    """Each alias has at most one shopper; chains are allowed, rings are not."""
    lines: list[Row] = []
    for row, fact in zip(rows, facts, strict=True):
        shopper, alias = w.shoppers([fact.shopper, fact.alias])
        parent = w.keying.parent(alias)
        if fact.undo:
            if parent is None:
                w.share.duplicate += 1
                continue
            problem = None if parent == shopper else "is an alias of another shopper"
        elif parent == shopper:
            w.share.duplicate += 1
            continue
        elif parent is not None:
            problem = "is an alias of another shopper already; undo that first"
        else:
            ring = w.keying.root(shopper) == alias
            problem = "would stand for itself: these aliases form a ring" if ring else None
        if problem is not None:
            w.share.refuse(row, "invalid", "alias", f"{fact.alias!r} {problem}")
            continue
        w.keying.tie(alias, None if fact.undo else shopper)
        lines.append((shopper, alias, int(fact.undo), w.time(fact.at), w.received_at_ms))
    if lines:
        w.insert("alias", ("shopper_row", "alias_row", "undo", "at_ms", "received_at_ms"), lines)


def _shown(w: _Writer, rows: list[int], facts: Sequence[Any]) -> None:
    named = [fact.shopper for fact in facts if fact.shopper is not None]
    row_of = dict(zip(named, w.shoppers(named), strict=True))
    packed = w.session.pack([fact.id for fact in facts])
    stored = w.session.among("select id, digest from shown where id", packed)
    known = {w.session.unpack(key): bytes(digest) for key, digest in stored}
    lines: list[Row] = []
    for row, fact, key in zip(rows, facts, packed, strict=True):
        shopper_row = None if fact.shopper is None else row_of[fact.shopper]
        body = _ENCODE(ShownBody.of(fact))
        head = (fact.surface, fact.snapshot, fact.arm, fact.first_slot, fact.fallback)
        digest = _digest(_ENCODE([fact.at, shopper_row, head]) + body)
        if fact.id in known:
            if known[fact.id] == bytes(digest):
                w.share.duplicate += 1
            else:
                message = "another slate was stored under this id before"
                w.share.refuse(row, "conflict", "id", message, fact.id)
            continue
        known[fact.id] = bytes(digest)
        lines.append((key, fact.at, w.received_at_ms, shopper_row, *head, digest, body.decode()))
    columns = ("id", "at_ms", "received_at_ms", "shopper_row", "surface", "snapshot", "arm")
    w.insert("shown", (*columns, "first_slot", "fallback", "digest", "body"), lines)


_KINDS: Final[dict[type, Callable[[_Writer, list[int], Sequence[Any]], None]]] = {
    Item: _items,
    Shopper: _shoppers,
    Alias: _aliases,
    Consent: _consents,
    Link: _links,
    Shown: _shown,
}
