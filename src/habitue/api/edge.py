"""The outermost layer: every request gets an id, an answer, a line in the log and a measurement."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from habitue.api.ask import (
    ASK,
    Ask,
    Disconnected,
    Message,
    Receive,
    Reply,
    Scope,
    Send,
    problem_reply,
    send_reply,
)
from habitue.api.gate import Gate
from habitue.api.log import AccessLog
from habitue.api.meters import Meters
from habitue.api.operation import Operation
from habitue.api.problems import Problem, problem_of

__all__ = ["Edge"]

_Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
_GONE: Final = 499  # as nginx writes it: the caller left

_PREFLIGHT: Final = (
    (b"access-control-allow-methods", b"GET, POST, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type, x-api-key, x-shopper-token"),
    (b"access-control-max-age", b"600"),
)


class Edge:
    """Pure ASGI around the application. ``hot`` operations are answered here, without a router."""

    def __init__(
        self,
        inner: _Asgi,
        hot: Mapping[tuple[str, str], Operation],
        gate: Gate,
        meters: Meters,
        log: AccessLog,
        *,
        most_bytes: int,
    ) -> None:
        """``most_bytes`` bounds the bodies that others behind the router read."""
        self._inner = inner
        self._hot = hot
        self._gate = gate
        self._meters = meters
        self._log = log
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        started = time.perf_counter()
        ask = Ask(scope, receive, time.time_ns() // 1_000_000)
        extra = [(b"x-request-id", ask.request_id)]
        if b"origin" in ask.headers:
            extra += self._cors(ask)
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        operation = self._hot.get((scope["method"], scope["path"]))
        try:
            if operation is not None:
                reply = await operation.run(ask)
                status = reply.status
                await send_reply(send, reply, extra)
            elif scope["method"] == "OPTIONS" and b"access-control-request-method" in ask.headers:
                await send_reply(watched, self._preflight(ask), [])
            else:
                scope[ASK] = ask
                await self._inner(scope, ask.bounded(self._most_bytes), watched)
        except Disconnected:
            status = _GONE
        except Exception as error:  # noqa: BLE001 - the last line: nothing leaves without an answer
            begun, problem = status, problem_of(error)
            status = problem.status
            if status >= 500:
                self._log.failure(ask.request_id, error)
            if not begun:
                await send_reply(send, problem_reply(problem, ask.request_id), extra)
        finally:
            seconds = time.perf_counter() - started
            route = operation.path if operation is not None else _route(scope)
            self._meters.request(route, status, seconds)
            self._log.request(ask, route, status, seconds)

    def _cors(self, ask: Ask) -> list[tuple[bytes, bytes]]:
        if not self._gate.origin_allowed(ask):
            return [(b"vary", b"origin")]
        return [
            (b"vary", b"origin"),
            (b"access-control-allow-origin", ask.headers[b"origin"]),
            (b"access-control-expose-headers", b"retry-after, x-request-id"),
        ]

    def _preflight(self, ask: Ask) -> Reply:
        if not self._gate.origin_allowed(ask):
            raise Problem(
                403,
                "refused",
                "This page's site may not call the shop.",
                remedy="Name the site in server.cors_origins.",
            )
        return Reply(204, b"", b"text/plain", _PREFLIGHT)


def _route(scope: Scope) -> str:
    """The route's pattern: a path would carry ids into the log and the measurements."""
    endpoint = scope.get("endpoint")
    if isinstance(endpoint, Operation):
        return endpoint.path
    return str(getattr(scope.get("route"), "path", "") or "other")
