"""Several shops behind one address: the key that is sent chooses the shop.

Each shop has an application of its own, with its own gate, rates, log lines and measurements, so
that there is no way across: what a key does not open is not even asked. Without a key only what is
the same for everyone is answered: health, readiness, the documentation, the browser's snippet.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import msgspec

from habitue.api.ask import Ask, Disconnected, Message, Receive, Reply, Scope, Send, send_reply
from habitue.api.contract import Shop
from habitue.api.edge import Edge
from habitue.api.gate import Gate
from habitue.api.log import AccessLog
from habitue.api.meters import Meters
from habitue.api.operation import Operation
from habitue.api.problems import Problem
from habitue.api.wire import HealthAnswer, ReadyAnswer
from habitue.errors import BadSetting, Unauthorised
from habitue.privacy import Caller
from habitue.settings import Settings

__all__ = ["Door", "SeveralShops", "check_keyed"]

_Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
_KEY: Final = re.compile(rb"hb_(?:browser|server|admin)_[A-Za-z0-9_-]{43}")
_SAME_FOR_ALL: Final = frozenset({"/docs", "/openapi.json", "/habitue.js", "/habitue.d.ts"})
_GZIP: Final = b"\x1f\x8b"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Door:
    """One shop: what it answers with, and who may come in."""

    shop: Shop
    app: _Asgi
    settings: Settings


def check_keyed(shops: Mapping[str, Shop]) -> None:
    """Refuse a shop that has no key: nobody could choose it."""
    for name, shop in shops.items():
        if not len(shop.keys):
            raise BadSetting(
                f"Shop {name} has no API key, and its key is what chooses a shop.",
                remedy=f"Make one: habitue keys create backend --store {name}",
                field=f"shops.{name}",
            )


class SeveralShops:
    """An ASGI application over the applications of shops."""

    def __init__(
        self,
        doors: Mapping[str, Door],
        settings: Settings,
        *,
        version: str,
        log: BinaryIO | None = None,
    ) -> None:
        """``settings`` are the server's own; ``doors`` are by the shop's name."""
        self._doors = dict(doors)
        self._settings = settings
        self._version = version
        anybody = _Anybody([door.shop for door in doors.values()])
        gate = Gate(anybody, anybody, settings.server, settings.limits)
        self._gate = gate
        open_to_all = [
            self._operation("health", self._health, gate),
            self._operation("ready", self._ready, gate),
        ]
        hot = {(one.method, one.path): one for one in open_to_all}
        access = AccessLog(log, requests=settings.server.access_log == "json")
        most = settings.limits.body_bytes
        self._nobody = Edge(self._refuse, hot, gate, Meters(), access, most_bytes=most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request by the shop its key opens."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        found = self._same_for_all(scope) or self._opened(b" ".join(_said(scope)))
        if found is None and _may_hold_a_key(scope):
            body, receive = await self._read(scope, receive)
            found = self._opened(body)
        await (self._nobody if found is None else found.app)(scope, receive, send)

    def _opened(self, said: bytes) -> Door | None:
        """The shop that the first key in these bytes opens."""
        now_ms = time.time_ns() // 1_000_000
        for key in _KEY.findall(said)[:2]:
            for door in self._doors.values():
                if door.shop.keys.find(key.decode(), now_ms) is not None:
                    return door
        return None

    def _same_for_all(self, scope: Scope) -> Door | None:
        """Any shop, for what every one answers alike; for a preflight one that knows the site."""
        doors = list(self._doors.values())
        if scope["path"] in _SAME_FOR_ALL:
            return doors[0]
        if scope["method"] != "OPTIONS":
            return None
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1").lower()
        knowing = (
            d for d in doors if origin in {o.lower() for o in d.settings.server.cors_origins}
        )
        return next(knowing, doors[0])

    async def _read(self, scope: Scope, receive: Receive) -> tuple[bytes, Receive]:
        """A body in which a tracker may have put its key, and the way to read it once more.

        Nothing is found in one that is too long or too slow: it is refused as one without a key.
        """
        limits = self._settings.limits
        try:
            ask = Ask(scope, receive, 0)
            body = await ask.body(limits.body_bytes, limits.body_seconds)
        except (Disconnected, Problem):
            return b"", receive
        left = [body]

        async def again() -> Message:
            if left:
                return {"type": "http.request", "body": left.pop(), "more_body": False}
            return await receive()

        return _unpacked(body, limits.body_bytes), again

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer to who has no key of any shop; browsers are asked for one on the pages."""
        ask = Ask(scope, receive, time.time_ns() // 1_000_000)
        path = scope["path"]
        if scope["method"] == "GET" and (path == "/" or path.startswith("/console")):
            basic = (b"www-authenticate", b'Basic realm="Habitue console", charset="UTF-8"')
            told = b"The console needs an admin key of a shop as the password."
            await send_reply(send, Reply(401, told, b"text/plain", (basic,)), [])
            return
        self._gate.admit(ask, "browser", time.monotonic())
        raise Unauthorised("No API key of a shop was sent.")

    def _operation(
        self, name: str, answer: Callable[[Ask], Awaitable[Reply]], gate: Gate
    ) -> Operation:
        return Operation(
            name=name, method="GET", path=f"/{name}", summary=name, answer=answer, gate=gate,
            needs=None, gives={200: None},
        )  # fmt: skip

    async def _health(self, ask: Ask) -> Reply:
        del ask
        return Reply(200, _encode(HealthAnswer("ok", self._version)))

    async def _ready(self, ask: Ask) -> Reply:
        del ask
        checks = {
            f"{name}.{part}": said
            for name, door in self._doors.items()
            for part, said in (await asyncio.to_thread(door.shop.ready)).items()
        }
        ready = not any(checks.values())
        return Reply(200 if ready else 503, _encode(ReadyAnswer(ready, checks)))

    async def _live(self, receive: Receive, send: Send) -> None:
        """Begin with the server, and drain every shop when it ends."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await asyncio.gather(*(door.shop.drain() for door in self._doors.values()))
                await send({"type": "lifespan.shutdown.complete"})
                return


class _Anybody:
    """The keys of all shops, for the gate of those who have none; never without a key."""

    def __init__(self, shops: list[Shop]) -> None:
        self._shops = shops

    def find(self, key: str, now_ms: int) -> Caller | None:
        """Whose key this is."""
        found = (shop.keys.find(key, now_ms) for shop in self._shops)
        return next((caller for caller in found if caller is not None), None)

    def __len__(self) -> int:
        return max(1, sum(len(shop.keys) for shop in self._shops))

    def shopper_of(self, token: str, now_ms: int) -> str:
        """No token counts here."""
        del token, now_ms
        raise Unauthorised("A shopper token is read by the shop that signed it.")


def _said(scope: Scope) -> Iterator[bytes]:
    """Where a key may stand beside the body, the place that counts first, first."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    yield headers.get(b"x-api-key", b"")
    sent = headers.get(b"authorization", b"")
    yield sent
    if sent[:6].lower() == b"basic ":
        with suppress(ValueError):
            yield base64.b64decode(sent[6:])
    yield scope.get("query_string", b"")


def _may_hold_a_key(scope: Scope) -> bool:
    """Whether the body is where the sender's protocol puts its key."""
    return scope["method"] == "POST" and not _named_in_a_header(scope)


def _named_in_a_header(scope: Scope) -> bool:
    names: set[Any] = {name for name, _ in scope["headers"]}
    return b"x-api-key" in names or b"authorization" in names


def _unpacked(body: bytes, most_bytes: int) -> bytes:
    """The body as it was before it was compressed, as far as ``most_bytes`` go."""
    if not body.startswith(_GZIP):
        return body
    try:
        return zlib.decompressobj(31).decompress(body, most_bytes)
    except zlib.error:
        return b""
