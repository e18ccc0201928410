"""Taking facts in: events, items, shoppers, links, consents, aliases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from habitue.api.ask import Ask, Reply
from habitue.api.contract import Shop
from habitue.api.gate import Gate
from habitue.api.meters import Meters
from habitue.api.problems import Problem
from habitue.api.rows import Batch, read_batch
from habitue.api.wire import AppendedAnswer, RejectedRow
from habitue.facts import Alias, Fact
from habitue.facts.feeds.habitue_json import Sent
from habitue.facts.time import ClockConfig
from habitue.settings import LimitSettings
from habitue.store.contract import Appended, Rejection

__all__ = ["FactsDoor", "JsonBody"]

_encode = msgspec.json.Encoder().encode
_JSON_TYPES: Final = frozenset({"application/json", "text/plain", ""})
_UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii"})


@dataclass(frozen=True, slots=True)
class JsonBody:
    """Reads bodies that ought to be JSON. ``text/plain`` is JSON too: ``sendBeacon`` says so."""

    limits: LimitSettings

    async def read(self, ask: Ask) -> bytes:
        """The body, when its type, its length and its encoding are fit to be read."""
        kind = ask.headers.get(b"content-type", b"")
        if kind != b"application/json":
            _check_type(kind.decode("latin-1"))
        encoding = ask.headers.get(b"content-encoding", b"identity")
        if encoding != b"identity":
            raise Problem(
                415,
                "unknown-content-encoding",
                f"Content-Encoding {encoding.decode('latin-1')[:50]} is not read here.",
                remedy="Send the body as it is.",
            )
        return await ask.body(self.limits.body_bytes, self.limits.body_seconds)


@dataclass(frozen=True, slots=True)
class FactsDoor:
    """Answers a batch of one kind of fact: what was stored, what was not, and why."""

    kind: Sent
    body: JsonBody
    shop: Shop
    gate: Gate
    meters: Meters
    clock: ClockConfig

    async def answer(self, ask: Ask) -> Reply:
        """Acknowledge only what is durable and known to live state."""
        body = await self.body.read(ask)
        batch = read_batch(
            body,
            self.kind,
            now_ms=ask.now_ms,
            clock=self.clock,
            most_rows=self.body.limits.batch_rows,
        )
        return await self.store(ask, batch)

    async def store(self, ask: Ask, batch: Batch) -> Reply:
        """Append what could be read, and say what became of every row."""
        if ask.caller.scope == "browser":
            for shopper in _shoppers(batch.facts):
                self.gate.check_shopper(ask, shopper)
        rejected = batch.rejected
        if not batch.facts:
            if rejected:
                raise _nothing_stored(rejected)
            return Reply(200, _encode(AppendedAnswer(0, 0, 0, 0)))
        appended = await self.shop.append(batch.facts, received_at_ms=ask.now_ms)
        if appended.rejected:
            rejected = rejected + [_row(one, batch.rows) for one in appended.rejected]
            rejected.sort(key=lambda one: one.row)
        self._count(appended, len(rejected), batch.late)
        accepted = appended.new + appended.duplicate
        if rejected and not accepted:
            raise _nothing_stored(rejected)
        answer = AppendedAnswer(
            accepted, appended.new, appended.duplicate, appended.last_seq, rejected
        )
        return Reply(207 if rejected else 200, _encode(answer))

    def _count(self, appended: Appended, rejected: int, late: int) -> None:
        count = self.meters.facts
        count(self.kind, "new", appended.new)
        count(self.kind, "duplicate", appended.duplicate)
        count(self.kind, "rejected", rejected)
        count(self.kind, "late", late)
        self.meters.last_seq.set(appended.last_seq)


def _check_type(header: str) -> None:
    kind, *parameters = (part.strip().lower() for part in header.split(";"))
    charset = next((p[8:].strip('"') for p in parameters if p.startswith("charset=")), "utf-8")
    if kind not in _JSON_TYPES or charset not in _UTF8:
        raise Problem(
            415,
            "unknown-content-type",
            f"A body of type {header[:100]!r} is not read here.",
            remedy="Send JSON in UTF-8 as application/json.",
        )


def _shoppers(facts: Sequence[Fact]) -> Iterable[str | None]:
    said = {getattr(fact, "shopper", None) for fact in facts}
    return said | {fact.alias for fact in facts if isinstance(fact, Alias)}


def _row(rejection: Rejection, rows: Sequence[int]) -> RejectedRow:
    return RejectedRow(
        rows[rejection.row],
        rejection.problem,
        rejection.message,
        rejection.id,
        rejection.field,
    )


def _nothing_stored(rejected: list[RejectedRow]) -> Problem:
    conflicts = all(row.problem == "conflict" for row in rejected)
    return Problem(
        409 if conflicts else 422,
        "conflict" if conflicts else "bad-input",
        f"None of the rows was stored; {len(rejected)} are listed with their reasons.",
        rejected=rejected,
    )
