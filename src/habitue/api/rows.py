"""Reading bodies: batches of facts with what is wrong of each row, and single objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from habitue.api.problems import Problem
from habitue.api.wire import RejectedRow
from habitue.facts import Action, Alias, Consent, Fact, Item, Link, Shopper
from habitue.facts.feeds.habitue_json import NotJson, Sent
from habitue.facts.feeds.habitue_json import decode as decode_facts
from habitue.facts.time import ClockConfig

__all__ = ["Batch", "decode", "read_batch", "refuse_nul"]

Body = TypeVar("Body")

_NUL_ESCAPE: Final = b"\\u0000"  # the only way a NUL can stand in JSON
_FIRST_MS: Final = -(10**14)  # before the year 1200
_LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999
_TYPES: Final[dict[Sent, type[Fact]]] = {
    "action": Action,
    "item": Item,
    "shopper": Shopper,
    "link": Link,
    "alias": Alias,
    "consent": Consent,
}


@dataclass(frozen=True, slots=True)
class Batch:
    """What could be read: ``rows[i]`` is the place of ``facts[i]`` in what was sent."""

    facts: Sequence[Fact]
    rows: Sequence[int]
    rejected: list[RejectedRow]


def read_batch(
    body: bytes, expect: Sent, *, now_ms: int, clock: ClockConfig, most_rows: int
) -> Batch:
    """The facts of a body that may hold facts of one kind only; raises ``Problem``."""
    try:
        decoded = decode_facts(
            body,
            now_ms=now_ms,
            expect=expect,
            max_future_ms=clock.max_future_seconds * 1000,
            late_after_ms=clock.late_after_seconds * 1000,
        )
    except NotJson as error:
        raise Problem(400, "not-json", error.message, remedy=error.remedy) from None
    if decoded.sent > most_rows:
        raise _too_many(decoded.sent, most_rows)
    facts: Sequence[Fact] = decoded.facts
    if {type(fact) for fact in facts} - {_TYPES[expect]} or any(
        row.fact != expect for row in decoded.rejected
    ):
        raise Problem(422, "bad-input", f"Only {expect}s may be sent here.")
    rejected = [
        RejectedRow(row.row, row.problem, row.reason, _short(row.id), row.field)
        for row in decoded.rejected
    ]
    rows: Sequence[int] = range(len(facts))
    if rejected:
        bad = {row.row for row in rejected}
        rows = [row for row in range(decoded.sent) if row not in bad]
    batch = Batch(facts, rows, rejected)
    if expect != "action" or _NUL_ESCAPE in body:
        batch = _look_closer(batch, nul=_NUL_ESCAPE in body)
    return _whole_orders(batch, body) if batch.rejected and expect == "action" else batch


def decode(decoder: msgspec.json.Decoder[Body], body: bytes) -> Body:
    """A body by its decoder; whatever is wrong with it is a ``Problem``."""
    try:
        value = decoder.decode(body)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `")
        field = place.rstrip("`").lstrip("$.") or None
        if field is None and "field `" in text:
            field = text.rsplit("`", 2)[1]
        raise Problem(422, "bad-input", f"{text}.", field=field) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error) from None
    refuse_nul(body, value)
    return value


def refuse_nul(body: bytes, value: object) -> None:
    """Refuse a decoded body that holds a NUL: no store can keep one."""
    if _NUL_ESCAPE in body:
        wrong = _nul(msgspec.to_builtins(value))
        if wrong is not None:
            raise Problem(422, "bad-input", wrong[1], field=wrong[0])


def _not_json(error: Exception) -> Problem:
    return Problem(400, "not-json", f"The body is no JSON: {error}.", remedy="Send UTF-8 JSON.")


def _look_closer(batch: Batch, *, nul: bool) -> Batch:
    """Refuse rows with a NUL in a text, or a time no calendar holds."""
    facts: list[Fact] = []
    rows: list[int] = []
    rejected = list(batch.rejected)
    for fact, row in zip(batch.facts, batch.rows, strict=True):
        wrong = _time_of(fact) or (_nul(msgspec.to_builtins(fact)) if nul else None)
        if wrong is None:
            facts.append(fact)
            rows.append(row)
        else:
            rejected.append(RejectedRow(row, "invalid", wrong[1], None, wrong[0]))
    rejected.sort(key=lambda one: one.row)
    return Batch(facts, rows, rejected)


def _time_of(fact: Fact) -> tuple[str, str] | None:
    for name in ("at", "valid_from", "published_at"):
        at: object = getattr(fact, name, None)
        if isinstance(at, datetime):
            continue
        if isinstance(at, int) and not _FIRST_MS <= at <= _LAST_MS:
            return name, "is out of bounds: send UTC milliseconds since 1970"
    return None


def _nul(value: object, field: str = "") -> tuple[str, str] | None:
    if isinstance(value, str):
        return (field, "holds a NUL character") if "\0" in value else None
    inner: list[tuple[str, object]] = []
    if isinstance(value, dict):
        inner = [(str(key), part) for key, part in value.items()]
        inner += [(field, key) for key in value]
    elif isinstance(value, list | tuple):
        inner = [(field, part) for part in value]
    return next((wrong for key, part in inner if (wrong := _nul(part, field or key))), None)


def _whole_orders(batch: Batch, body: bytes) -> Batch:
    """The batch without the good lines of orders that have a bad one: an order is whole or not."""
    try:
        sent: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error) from None
    if isinstance(sent, dict):
        sent = sent.get("actions", [sent])
    bad_rows = [sent[one.row] for one in batch.rejected]
    broken = {row.get("order_id") for row in bad_rows if isinstance(row, dict)}
    broken = {order for order in broken if isinstance(order, str)}
    if not broken:
        return batch
    rejected = list(batch.rejected)
    kept: list[tuple[Fact, int]] = []
    for fact, row in zip(batch.facts, batch.rows, strict=True):
        if isinstance(fact, Action) and fact.order_id in broken:
            message = "another line of this order is wrong, and an order is stored whole"
            rejected.append(RejectedRow(row, "order_incomplete", message, fact.id, "order_id"))
        else:
            kept.append((fact, row))
    rejected.sort(key=lambda one: one.row)
    return Batch([fact for fact, _ in kept], [row for _, row in kept], rejected)


def _short(identity: str | None) -> str | None:
    return identity[:200].replace("\0", "") if identity else None


def _too_many(n: int, most: int) -> Problem:
    return Problem(
        413,
        "too-many-rows",
        f"{n} rows in one request; {most} are allowed.",
        remedy="Send fewer at a time, or raise limits.batch_rows.",
    )
