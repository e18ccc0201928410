"""The access log: one JSON line a request, without personal data.

No ids of shoppers, no query strings, no bodies, no addresses, no keys: a line holds the request id,
the method, the route's pattern, the status, the time taken and the name of the key.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import BinaryIO

import msgspec
import structlog

from habitue.api.ask import Ask

__all__ = ["AccessLog"]

_encode = msgspec.json.Encoder().encode
_FRAMES = 4  # of a failure's traceback that are written down


class _Line(msgspec.Struct, omit_defaults=True):
    at: datetime
    event: str
    request_id: str
    method: str
    route: str
    status: int
    ms: float
    key: str
    shop: str = ""


class AccessLog:
    """Writes to ``stream``; without one, nothing is written."""

    def __init__(self, stream: BinaryIO | None, *, requests: bool, shop: str = "") -> None:
        """``shop`` stands in every line, where a server has several."""
        self._shop = shop
        self._write = structlog.BytesLogger(stream).msg if stream is not None else None
        self._requests = requests

    def request(self, ask: Ask, route: str, status: int, seconds: float) -> None:
        """A request was answered. No chain of processors: it would cost more than some answers."""
        if self._requests and self._write is not None:
            self._write(
                _encode(
                    _Line(
                        datetime.fromtimestamp(ask.now_ms / 1000, UTC),
                        "request",
                        ask.request_id.decode(),
                        ask.scope["method"],
                        route,
                        status,
                        round(seconds * 1000, 3),
                        ask.caller.name,
                        self._shop,
                    )
                )
            )

    def refused(self, ask: Ask, feed: str, fields: Mapping[str, int]) -> None:
        """Rows of a feed that is told nothing were refused: how many, by the field at fault."""
        if self._write is None:
            return
        line = {
            "at": datetime.fromtimestamp(ask.now_ms / 1000, UTC),
            "event": "refused",
            "request_id": ask.request_id.decode(),
            "feed": feed,
            "fields": fields,
            "key": ask.caller.name,
        }
        self._write(_encode(self._named(line)))

    def failure(self, request_id: bytes, error: BaseException) -> None:
        """Something failed inside. Messages may name shoppers: only places are told."""
        if self._write is None:
            return
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        line = {
            "at": datetime.now(UTC),
            "event": "failure",
            "request_id": request_id.decode(),
            "error": type(error).__qualname__,
            "where": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        }
        self._write(_encode(self._named(line)))

    def _named(self, line: dict[str, object]) -> dict[str, object]:
        return {**line, "shop": self._shop} if self._shop else line
