"""Trackers that were made for other receivers: Segment, RudderStack, PostHog, GA4, Matomo.

Each speaks its own protocol at its own paths and is answered as it expects, so that only its host
has to change. What cannot be understood is dropped as the protocol allows, counted and logged; the
rest is stored as if our own clients had sent it.
"""

from __future__ import annotations

import binascii
import time
import zlib
from base64 import b64decode
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from habitue.api.ask import Ask, Reply
from habitue.api.contract import Shop
from habitue.api.gate import Gate
from habitue.api.log import AccessLog
from habitue.api.meters import Meters
from habitue.api.operation import Operation
from habitue.api.problems import Problem
from habitue.api.rows import Batch, batch_of
from habitue.api.wire import RejectedRow
from habitue.errors import BadInput, Unauthorised
from habitue.facts import Alias, Fact, Item
from habitue.facts.feeds.ga4 import decode_measurement
from habitue.facts.feeds.habitue_json import Decoded
from habitue.facts.feeds.matomo import decode_matomo, parameters, requests_of
from habitue.facts.feeds.posthog import decode_posthog, project_key
from habitue.facts.feeds.segment import CALLS, decode_segment
from habitue.facts.feeds.tracked import Terms
from habitue.settings import Settings
from habitue.store.contract import Appended

__all__ = ["tracker_operations"]

_encode = msgspec.json.Encoder().encode
_GZIP: Final = b"\x1f\x8b"
_GZIP_OR_ZLIB: Final = 47  # for zlib: by what the data begins with
_FORM: Final = b"application/x-www-form-urlencoded"
_BROWSER_KEY: Final = "hb_browser_"
_BATCHES: Final = ("/v1/batch", "/v1/b", "/v1/import")
_CAPTURES: Final = ("/batch", "/capture", "/e", "/i/v0/e", "/track", "/engage")
_FLAGS: Final = ("/flags", "/decide")
_GIF: Final = bytes.fromhex(
    "47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b"
)
_NO_FEATURES: Final = _encode(
    {
        "featureFlags": {}, "featureFlagPayloads": {}, "flags": {}, "quotaLimited": [],
        "errorsWhileComputingFlags": False, "config": {"enable_collect_everything": False},
        "supportedCompression": ["gzip", "gzip-js"], "sessionRecording": False, "surveys": False,
        "heatmaps": False, "capturePerformance": False, "autocapture_opt_out": True,
        "autocaptureExceptions": False, "hasFeatureFlags": False, "isAuthenticated": False,
        "toolbarParams": {}, "siteApps": [], "defaultIdentifiedOnly": True,
    }
)  # fmt: skip
"""What PostHog's SDKs ask when they start: nothing is switched on."""


def tracker_operations(
    shop: Shop, settings: Settings, gate: Gate, meters: Meters, log: AccessLog
) -> tuple[Operation, ...]:
    """Every route a tracker knows, named for the protocol it belongs to."""
    desk = _Desk(shop, settings, gate, meters, log)
    Answer = Callable[[Ask], Awaitable[Reply]]  # noqa: N806
    table: list[tuple[str, str, str, Answer]] = [
        ("segment", "POST", path, partial(_segment, desk, None)) for path in _BATCHES
    ]
    for call in CALLS:
        answer = partial(_segment, desk, call)
        table += [("segment", "POST", f"/v1/{name}", answer) for name in (call, call[0])]
    table.append(("segment", "GET", "/v1/projects/{key}/settings", _segment_settings))
    for path in _CAPTURES:
        answer = partial(_posthog, desk)
        table += [("posthog", "POST", name, answer) for name in (path, f"{path}/")]
    for path in _FLAGS:
        table += [("posthog", "POST", name, _no_features) for name in (path, f"{path}/")]
    table += [
        ("posthog", "GET", "/array/{token}/config", _no_features),
        ("ga4", "POST", "/mp/collect", partial(_measure, desk)),
        ("ga4", "POST", "/debug/mp/collect", partial(_check_measurement, desk)),
    ]
    for path in ("/matomo.php", "/piwik.php"):
        table += [("matomo", method, path, partial(_matomo, desk)) for method in ("GET", "POST")]
    return tuple(
        Operation(
            name=f"{tracker}_{method.lower()}_{path.strip('/')}",
            method=method,
            path=path,
            summary=_SUMMARY[tracker],
            answer=answer,
            gate=gate,
            needs=None,  # the key stands where the protocol puts it: the answers let callers in
            gives={200: None},
            tag=tracker,
        )
        for tracker, method, path, answer in table
    )


_SUMMARY: Final = {
    "segment": "Messages of Segment's and RudderStack's SDKs",
    "posthog": "Events of PostHog's SDKs, and what these ask when they start",
    "ga4": "Events of the GA4 Measurement Protocol",
    "matomo": "Requests of Matomo's trackers",
}


async def _segment(desk: _Desk, call: str | None, ask: Ask) -> Reply:
    key = _basic_user(ask)
    if key is not None:
        desk.admit(ask, key)
    said = _json(await desk.body(ask))
    if key is None:
        desk.admit(ask, _text_in(said, "writeKey"))
    decoded = decode_segment(said, desk.terms(ask), call=call)
    return _told({"success": True}, await desk.store(ask, "segment", decoded))


async def _segment_settings(ask: Ask) -> Reply:
    """What ``analytics.js`` asks before it sends: where to, and that nothing else is switched on.

    ``cdnURL`` is then all a page has to change.
    """
    here = {
        "apiKey": ask.scope["path_params"]["key"],
        "apiHost": f"{ask.header(b'host')}/v1",
        "protocol": ask.scope["scheme"],
    }
    said = {"integrations": {"Segment.io": here}, "plan": {}, "metrics": {"sampleRate": 0}}
    return Reply(200, _encode(said), headers=((b"cache-control", b"no-store"),))


async def _posthog(desk: _Desk, ask: Ask) -> Reply:
    said = _json(_captured(ask, await desk.body(ask)))
    desk.admit(ask, project_key(said) or None)
    decoded = decode_posthog(said, desk.terms(ask))
    return _told({"status": 1}, await desk.store(ask, "posthog", decoded))


async def _no_features(ask: Ask) -> Reply:
    del ask
    return Reply(200, _NO_FEATURES)


async def _measure(desk: _Desk, ask: Ask) -> Reply:
    desk.admit_by_address(ask, ask.query("api_secret"))
    body = await desk.body(ask)
    await desk.store(ask, "ga4", decode_measurement(body, desk.terms(ask)))
    return Reply(204, b"")


async def _check_measurement(desk: _Desk, ask: Ask) -> Reply:
    """What is wrong with a body, as Google's validation server says it; nothing is stored."""
    desk.admit_by_address(ask, ask.query("api_secret"))
    body = await desk.body(ask)
    messages = []
    try:
        decoded = decode_measurement(body, desk.terms(ask), skip_unknown=False)
    except BadInput as error:
        messages.append(_message(error.field or "", error.message))
    else:
        messages += [
            _message(f"events[{bad.row}].{bad.field or ''}", bad.reason) for bad in decoded.rejected
        ]
    return Reply(200, _encode({"validationMessages": messages}))


def _message(place: str, reason: str) -> dict[str, str]:
    return {"fieldPath": place, "description": reason, "validationCode": "VALUE_INVALID"}


async def _matomo(desk: _Desk, ask: Ask) -> Reply:
    shared = parameters(ask.scope.get("query_string", b"").decode("latin-1"))
    body = await desk.body(ask) if ask.scope["method"] == "POST" else b""
    if body.lstrip()[:1] == b"{":
        return await _matomo_bulk(desk, ask, shared, _json(body))
    request = {**shared, **parameters(body.decode("utf-8", "replace"))}
    _admit_matomo(desk, ask, request)
    rejected = await desk.store(ask, "matomo", decode_matomo([request], desk.terms(ask)))
    if rejected:
        raise Problem(400, "bad-input", rejected[0].message, field=rejected[0].field)
    if request.get("send_image") == "0":
        return Reply(204, b"")
    return Reply(200, _GIF, b"image/gif", ((b"cache-control", b"no-store"),))


async def _matomo_bulk(desk: _Desk, ask: Ask, shared: dict[str, Any], said: Any) -> Reply:
    requests = requests_of(said)
    first = next((one for one in requests if isinstance(one, dict)), {})
    _admit_matomo(desk, ask, {**shared, **first, **said})
    decoded = decode_matomo(requests, desk.terms(ask))
    invalid = sorted({row.row for row in await desk.store(ask, "matomo", decoded)})
    answer = {
        "status": "success",
        "tracked": decoded.events - len(invalid),
        "invalid": len(invalid),
        "invalid_indices": invalid,
    }
    return Reply(200, _encode(answer))


def _admit_matomo(desk: _Desk, ask: Ask, said: dict[str, Any]) -> None:
    """By ``token_auth``, or by a browser key in the place of the site's number."""
    site = _text_in(said, "idsite") or ""
    token = _text_in(said, "token_auth")
    desk.admit_by_address(ask, token or (site if site.startswith(_BROWSER_KEY) else ""))


@dataclass(frozen=True, slots=True)
class _Desk:
    """What all protocols share: letting in, reading, storing, and noting what was dropped."""

    shop: Shop
    settings: Settings
    gate: Gate
    meters: Meters
    log: AccessLog

    def admit(self, ask: Ask, key: str | None) -> None:
        """Let the caller in by a key of a body or a header."""
        self.gate.admit(ask, "browser", time.monotonic(), key)

    def admit_by_address(self, ask: Ask, key: str) -> None:
        """Let the caller in by a key of the address: where logs may hold it, none of an admin."""
        self.admit(ask, key or None)
        if key and ask.caller.scope == "admin" and len(self.shop.keys):
            raise Unauthorised(
                "An admin key may not stand where a tracker puts it.",
                remedy="Addresses end up in logs: make a server key, and replace this one.",
            )

    async def body(self, ask: Ask) -> bytes:
        """The body, unpacked where it is packed; a problem when it is too long either way."""
        limits = self.settings.limits
        body = await ask.body(limits.body_bytes, limits.body_seconds)
        packed = ask.headers.get(b"content-encoding", b"identity") in (b"gzip", b"deflate")
        if not packed and body[:2] != _GZIP:
            return body
        return _unpacked(body, limits.body_bytes)

    def terms(self, ask: Ask) -> Terms:
        """On what terms the caller's word is taken."""
        said, clock = self.settings, self.settings.clock
        trusted = ask.caller.scope != "browser" or said.trackers.trust_browsers
        return Terms(
            now_ms=ask.now_ms,
            currency=said.shop.base_currency,
            max_future_ms=clock.max_future_seconds * 1000,
            late_after_ms=clock.late_after_seconds * 1000,
            prefix=said.server.anonymous_prefix,
            with_items=said.trackers.create_items,
            speaks_for=None if trusted else partial(self.gate.speaks_for, ask),
        )

    async def store(self, ask: Ask, tracker: str, decoded: Decoded) -> list[RejectedRow]:
        """Append what could be read; the rows that were refused, counted and logged."""
        most = self.settings.limits.batch_rows
        if max(decoded.events, decoded.sent) > most:
            raise Problem(413, "too-many-rows", f"{most} rows in one request are allowed.")
        batch = self._new_items_only(batch_of(decoded))
        rejected = list(batch.rejected)
        if batch.facts:
            appended = await self.shop.append(batch.facts, received_at_ms=ask.now_ms)
            rejected += _refused(batch, appended)
            self._count_new(appended, batch.late)
        rejected.sort(key=lambda one: one.row)
        self._count_events(ask, tracker, decoded, rejected)
        return rejected

    def _new_items_only(self, batch: Batch) -> Batch:
        """An item that somebody described is not described again by what a page says of it."""
        named = [fact.id for fact in batch.facts if isinstance(fact, Item)]
        if not named:
            return batch
        unknown = self.shop.undescribed(named)
        kept = [
            (fact, row)
            for fact, row in zip(batch.facts, batch.rows, strict=True)
            if not isinstance(fact, Item) or fact.id in unknown
        ]
        facts: list[Fact] = [fact for fact, _ in kept]
        return Batch(facts, [row for _, row in kept], batch.rejected, batch.late)

    def _count_new(self, appended: Appended, late: int) -> None:
        """As for our own clients, but that an id sent again is no conflict: it was sent again."""
        count = self.meters.facts
        count("action", "new", appended.new)
        count("action", "duplicate", appended.duplicate + appended.conflict)
        count("action", "late", late)
        self.meters.last_seq.set(appended.last_seq)

    def _count_events(
        self, ask: Ask, tracker: str, decoded: Decoded, rejected: list[RejectedRow]
    ) -> None:
        self.meters.facts("action", "rejected", len(rejected))
        ignored = sum(decoded.skipped.values())
        wrong = len({row.row for row in rejected})
        self.meters.tracked(tracker, "ignored", ignored)
        self.meters.tracked(tracker, "rejected", wrong)
        self.meters.tracked(tracker, "taken", decoded.events - ignored - wrong)
        if rejected:
            fields = Counter(row.field or "" for row in rejected)
            self.log.refused(ask, tracker, fields)


def _refused(batch: Batch, appended: Appended) -> list[RejectedRow]:
    """What the store refused. That a visitor is somebody else's costs a message only the tie."""
    n_facts = Counter(batch.rows)
    refused = []
    for one in appended.rejected:
        row = batch.rows[one.row]
        beside = isinstance(batch.facts[one.row], Alias) and n_facts[row] > 1
        if one.problem != "conflict" and not beside:
            refused.append(RejectedRow(row, one.problem, one.message, one.id, one.field))
    return refused


def _told(answer: dict[str, object], rejected: list[RejectedRow]) -> Reply:
    """The answer an SDK expects, and for whoever reads it the rows that were refused."""
    return Reply(200, _encode({**answer, "rejected": rejected} if rejected else answer))


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(
            400, "not-json", f"The body is no JSON: {error}.", remedy="Send UTF-8 JSON."
        ) from None


def _captured(ask: Ask, body: bytes) -> bytes:
    """The JSON of a body that may be a form with a field ``data``, in base64 or not."""
    kind = ask.headers.get(b"content-type", b"")
    if not kind.startswith(_FORM) and body[:5] != b"data=":
        return body
    try:
        data = dict(parse_qsl(body.decode("latin-1"), max_num_fields=20)).get("data", "")
        return data.encode() if data[:1] in ("{", "[") else b64decode(data.replace(" ", "+"))
    except (ValueError, binascii.Error):
        raise Problem(400, "not-json", "The form's data is neither JSON nor base64.") from None


def _unpacked(body: bytes, most_bytes: int) -> bytes:
    unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        whole = unpacking.decompress(body, most_bytes + 1)
    except zlib.error as error:
        raise Problem(400, "not-packed", f"The body cannot be unpacked: {error}.") from None
    if len(whole) > most_bytes:
        raise Problem(413, "body-too-long", f"The body unpacks to over {most_bytes} bytes.")
    if not unpacking.eof:
        raise Problem(400, "not-packed", "The packed body is cut off.")
    return whole


def _basic_user(ask: Ask) -> str | None:
    """The user name of HTTP basic authentication, where a tracker puts its write key."""
    kind, _, said = ask.header(b"authorization").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        return b64decode(said).decode().partition(":")[0]
    except (ValueError, binascii.Error):
        return ""


def _text_in(said: object, name: str) -> str | None:
    value = said.get(name) if isinstance(said, dict) else None
    return value if isinstance(value, str) and value else None
