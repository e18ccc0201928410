"""One operation of the interface: how it is called, who may, what it takes and gives."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from habitue.api.ask import ASK, Ask, Receive, Reply, Scope, Send, send_reply
from habitue.api.gate import Gate
from habitue.privacy import Scope as KeyScope

__all__ = ["Example", "Operation"]


@dataclass(frozen=True, slots=True)
class Example:
    """A request one can send as it stands, and what it shows."""

    summary: str
    body: object


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """An ASGI application for one method of one path; ``needs`` None means anybody may."""

    name: str
    method: str
    path: str
    summary: str
    answer: Callable[[Ask], Awaitable[Reply]]
    gate: Gate
    needs: KeyScope | None
    gives: Mapping[int, object]
    """By status: the msgspec type of the JSON body, a media type of text, or None for plain."""
    description: str = ""
    takes: object = None  # msgspec type of the body, or None for no body
    examples: tuple[Example, ...] = ()
    parameters: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Of the path: what each means, and an example."""
    queries: Mapping[str, tuple[str, str, bool]] = field(default_factory=dict)
    """Of the query string: what each means, an example, and whether it must be there."""
    problems: tuple[int, ...] = ()  # statuses of its own beside those of every operation
    tag: str = "shop"

    async def run(self, ask: Ask) -> Reply:
        """Let the caller in, and answer."""
        if self.needs is not None:
            self.gate.admit(ask, self.needs, time.monotonic())
        return await self.answer(ask)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI, where the router found it."""
        ask = scope.get(ASK) or Ask(scope, receive, time.time_ns() // 1_000_000)
        await send_reply(send, await self.run(ask), [])
