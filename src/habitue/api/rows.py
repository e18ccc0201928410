"""Reading bodies: batches of facts with what is wrong of each row, and single objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from habitue.api.problems import Problem
from habitue.api.wire import RejectedRow
from habitue.facts import Action, Alias, Consent, Fact, Item, Link, Shopper
from habitue.facts.feeds.ga4 import decode_ga4
from habitue.facts.feeds.habitue_json import Decoded, NotJson, Sent
from habitue.facts.feeds.habitue_json import decode as decode_facts
from habitue.facts.time import ClockConfig

__all__ = ["Batch", "batch_of", "decode", "read_batch"]

Body = TypeVar("Body")

_NUL_ESCAPE: Final = b"\\u0000"  # the only way a NUL can stand in JSON
_OWN: Final = (b'{"actions"', b"[")  # no GA4 body begins so
_FIRST_MS: Final = -(10**14)  # before the year 1200
_LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999
_TYPES: Final[dict[Sent, frozenset[type]]] = {
    "action": frozenset({Action}),
    "item": frozenset({Item}),
    "shopper": frozenset({Shopper}),
    "link": frozenset({Link}),
    "alias": frozenset({Alias}),
    "consent": frozenset({Consent}),
}
_FROM_GA4: Final[frozenset[type]] = frozenset({Action, Alias, Consent})


@dataclass(frozen=True, slots=True)
class Batch:
    """What could be read: ``rows[i]`` is the place of ``facts[i]`` in what was sent."""

    facts: Sequence[Fact]
    rows: Sequence[int]
    rejected: list[RejectedRow]
    late: int = 0  # accepted, but older on arrival than clock.late_after_seconds


def read_batch(
    body: bytes, expect: Sent, *, now_ms: int, clock: ClockConfig, most_rows: int
) -> Batch:
    """The facts of a body that may hold facts of one kind only; raises ``Problem``.

    Where actions are expected a GA4 body may stand as well, with what it says of the shopper.
    """
    skew = clock.max_future_seconds * 1000, clock.late_after_seconds * 1000
    allowed = _TYPES[expect]
    try:
        own = body.startswith(_OWN)  # no need to look through all of it
        if expect == "action" and not own and b'"events"' in body and _is_ga4(body):
            decoded, allowed = _read_ga4(body, now_ms, *skew), _FROM_GA4
        else:
            decoded = _read_own(body, expect, now_ms, *skew)
    except NotJson as error:
        raise Problem(400, "not-json", error.message, remedy=error.remedy) from None
    _check_batch(decoded, allowed, expect, most_rows)
    plain = expect == "action" and allowed is not _FROM_GA4
    return _told(decoded) if plain else batch_of(decoded)


def batch_of(decoded: Decoded) -> Batch:
    """What a feed decoded, without times no calendar holds."""
    return _without_odd_times(_told(decoded))


def _told(decoded: Decoded) -> Batch:
    rejected = [
        RejectedRow(bad.row, bad.problem, bad.reason, _short(bad.id), bad.field)
        for bad in decoded.rejected
    ]
    rows = decoded.rows if decoded.rows is not None else range(len(decoded.facts))
    return Batch(decoded.facts, rows, rejected, decoded.late)


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
        raise Problem(
            400, "not-json", f"The body is no JSON: {error}.", remedy="Send UTF-8 JSON."
        ) from None
    if _NUL_ESCAPE in body and _holds_nul(msgspec.to_builtins(value)):
        raise Problem(422, "bad-input", "A text holds a NUL character, which no store can keep.")
    return value


def _read_own(body: bytes, expect: Sent, now_ms: int, ahead_ms: int, late_ms: int) -> Decoded:
    return decode_facts(
        body, now_ms=now_ms, expect=expect, max_future_ms=ahead_ms, late_after_ms=late_ms
    )


def _read_ga4(body: bytes, now_ms: int, ahead_ms: int, late_ms: int) -> Decoded:
    return decode_ga4(body, now_ms=now_ms, max_future_ms=ahead_ms, late_after_ms=late_ms)


def _is_ga4(body: bytes) -> bool:
    try:
        said = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return "events" in said and "actions" not in said


def _check_batch(decoded: Decoded, allowed: frozenset[type], expect: Sent, most_rows: int) -> None:
    if decoded.sent > most_rows:
        raise Problem(
            413,
            "too-many-rows",
            f"{decoded.sent} rows in one request; {most_rows} are allowed.",
            remedy="Send fewer at a time, or raise limits.batch_rows.",
        )
    other = any(bad.fact != expect for bad in decoded.rejected)
    if other or not allowed.issuperset(map(type, decoded.facts)):
        raise Problem(422, "bad-input", f"Only facts of kind {expect} may be sent here.")


def _without_odd_times(batch: Batch) -> Batch:
    """The batch without times no calendar holds; an action's time is looked at when it is read."""
    facts: list[Fact] = []
    rows: list[int] = []
    rejected = list(batch.rejected)
    for fact, row in zip(batch.facts, batch.rows, strict=True):
        field = _odd_time(fact)
        if field is None:
            facts.append(fact)
            rows.append(row)
        else:
            reason = "is out of bounds: send UTC milliseconds since 1970"
            rejected.append(RejectedRow(row, "invalid", reason, getattr(fact, "id", None), field))
    rejected.sort(key=lambda one: one.row)
    return Batch(facts, rows, rejected, batch.late)


def _odd_time(fact: Fact) -> str | None:
    for name in ("at", "valid_from", "published_at"):
        at: object = getattr(fact, name, None)
        if isinstance(at, int) and not _FIRST_MS <= at <= _LAST_MS:
            return name
    return None


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(_holds_nul(part) for part in value)


def _short(identity: str | None) -> str | None:
    return identity[:200].replace("\0", "") if identity else None
