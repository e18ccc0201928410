"""A load generator that costs little: raw sockets, bodies made beforehand, answers barely read.

Used by the HTTP benchmarks; it keeps ``clients`` connections busy with one request each.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

__all__ = ["Outcome", "drive", "request"]

Reader = Callable[[int, int, bytes], None]
"""Called with (number of the request, status, body) for every answer."""


@dataclass
class Outcome:
    """What came of a run."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)  # seconds, in order of answering
    unanswered: int = 0  # requests whose connection broke

    def quantile_ms(self, q: float) -> float:
        """A quantile of the latencies, in milliseconds."""
        return float(np.quantile(self.latencies, q) * 1000) if self.latencies else float("nan")


def request(path: str, body: bytes, *, key: str | None = None, host: str = "127.0.0.1") -> bytes:
    """A whole POST request, ready to be written to a socket."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if key is not None:
        lines.append(f"X-API-Key: {key}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class _Client(asyncio.Protocol):
    def __init__(
        self, requests: Iterator[tuple[int, bytes]], outcome: Outcome, reader: Reader | None
    ) -> None:
        self._requests = requests
        self._outcome = outcome
        self._reader = reader
        self._buffer = b""
        self._number = -1
        self._sent_at = 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._next()

    def _next(self) -> None:
        one = next(self._requests, None)
        if one is None:
            self._number = -1
            self._transport.close()
            return
        self._number, data = one
        self._sent_at = time.perf_counter()
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._buffer = buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = buffer.find(b"content-length: ", 0, end)
        length = int(buffer[at + 16 : buffer.index(b"\r\n", at)]) if at >= 0 else 0
        if len(buffer) < end + 4 + length:
            return
        self._outcome.latencies.append(time.perf_counter() - self._sent_at)
        status = int(buffer[9:12])
        self._outcome.statuses[status] += 1
        if self._reader is not None:
            self._reader(self._number, status, buffer[end + 4 : end + 4 + length])
        self._buffer = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        if self._number >= 0:
            self._outcome.unanswered += 1
        if not self.done.done():
            self.done.set_result(None)


async def drive(
    port: int,
    requests: Iterator[tuple[int, bytes]],
    *,
    clients: int,
    reader: Reader | None = None,
) -> Outcome:
    """Send every request over ``clients`` connections; the first free one sends the next."""
    loop, outcome = asyncio.get_running_loop(), Outcome()
    started = time.perf_counter()
    made = await asyncio.gather(
        *(
            loop.create_connection(lambda: _Client(requests, outcome, reader), "127.0.0.1", port)
            for _ in range(clients)
        ),
        return_exceptions=True,
    )
    await asyncio.gather(*(one[1].done for one in made if not isinstance(one, BaseException)))
    outcome.seconds = time.perf_counter() - started
    return outcome
