"""One request and its answer, as the operations see them."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from habitue.api.problems import MEDIA_TYPE, Problem
from habitue.privacy import Caller

__all__ = [
    "ASK",
    "JSON",
    "Ask",
    "Disconnected",
    "Receive",
    "Reply",
    "Scope",
    "Send",
    "problem_reply",
    "send_reply",
]

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = b"application/json"
ASK = "habitue.ask"  # where the edge leaves the request for what lies behind the router
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}").fullmatch
_PROCESS = secrets.token_hex(6).encode()  # request ids: this process, then 0, 1, 2, ...
_count = itertools.count()
_MOST_PARAMETERS = 500
NOBODY = Caller("nobody", "browser")


class Disconnected(Exception):
    """The caller left before the body was complete."""


class Reply(NamedTuple):
    """An answer: its status, its body, and what the body is."""

    status: int
    body: bytes
    media: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Ask:
    """A request as it came in: headers by lower-case name, and who sent it once that is known."""

    __slots__ = (
        "_query",
        "_receive",
        "caller",
        "headers",
        "now_ms",
        "request_id",
        "scope",
        "shopper",
    )

    def __init__(self, scope: Scope, receive: Receive, now_ms: int) -> None:
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.now_ms = now_ms
        sent = self.headers.get(b"x-request-id")
        if sent is None or not _REQUEST_ID(sent):
            sent = b"%b-%x" % (_PROCESS, next(_count))
        self.request_id = sent
        self.caller = NOBODY
        self.shopper: str | None = None  # the one a token speaks for
        self._receive = receive
        self._query: dict[str, str] | None = None

    def header(self, name: bytes) -> str:
        """A header as text, empty when it is not there."""
        return self.headers.get(name, b"").decode("latin-1")

    def query(self, name: str) -> str:
        """A parameter of the query string, empty when it is not there."""
        if self._query is None:
            text = self.scope.get("query_string", b"").decode("latin-1")
            self._query = _parameters(text) if text else {}
        return self._query.get(name, "")

    @property
    def address(self) -> str:
        """The network address the request came from."""
        client = self.scope.get("client")
        return client[0] if client else ""

    async def body(self, most_bytes: int, seconds: float) -> bytes:
        """The whole body; a problem when it is too long or too slow."""
        announced = self.headers.get(b"content-length")
        if announced and announced.isdigit() and int(announced) > most_bytes:
            raise _too_long(most_bytes)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        first: bytes = message.get("body", b"")
        if not message.get("more_body"):
            if len(first) > most_bytes:
                raise _too_long(most_bytes)
            return first
        try:
            async with asyncio.timeout(seconds):
                return await self._rest(first, most_bytes)
        except TimeoutError:
            raise Problem(
                408, "too-slow", f"The body did not arrive within {seconds:g} seconds."
            ) from None

    def bounded(self, most_bytes: int) -> Receive:
        """What others may read the body through: a problem once it is too long."""
        length = 0

        async def receive() -> Message:
            nonlocal length
            message = await self._receive()
            length += len(message.get("body", b""))
            if length > most_bytes:
                raise _too_long(most_bytes)
            return message

        return receive

    async def _rest(self, first: bytes, most_bytes: int) -> bytes:
        parts, length = [first], len(first)
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            part: bytes = message.get("body", b"")
            parts.append(part)
            length += len(part)
            if length > most_bytes:
                raise _too_long(most_bytes)
            if not message.get("more_body"):
                return b"".join(parts)


def _parameters(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        raise Problem(
            400, "bad-input", f"The address has more than {_MOST_PARAMETERS} parameters."
        ) from None


def _too_long(most_bytes: int) -> Problem:
    return Problem(
        413,
        "body-too-long",
        f"The body is longer than {most_bytes} bytes.",
        remedy="Send fewer rows at a time, or raise limits.body_bytes.",
        headers=((b"connection", b"close"),),
    )


def problem_reply(problem: Problem, request_id: bytes) -> Reply:
    """The answer that a problem is."""
    return Reply(problem.status, problem.body(request_id), MEDIA_TYPE, problem.headers)


async def send_reply(send: Send, reply: Reply, extra: list[tuple[bytes, bytes]]) -> None:
    """Answer with ``reply``, and with ``extra`` headers beside its own."""
    headers = [
        (b"content-type", reply.media),
        (b"content-length", b"%d" % len(reply.body)),
        *reply.headers,
        *extra,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
