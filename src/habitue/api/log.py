"""The access log: one JSON line a request, without personal data.

No ids of shoppers, no query strings, no bodies, no addresses, no keys: a line holds the request id,
the method, the route's pattern, the status, the time taken and the name of the key.
"""

from __future__ import annotations

import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

import msgspec
import structlog

from habitue.api.ask import Ask

__all__ = ["AccessLog"]

_FRAMES = 4  # of a failure's traceback that are written down


class AccessLog:
    """Writes to ``stream``; None writes failures nowhere and requests nowhere."""

    def __init__(self, stream: BinaryIO | None, *, requests: bool) -> None:
        self._requests = requests and stream is not None
        self._log = (
            None
            if stream is None
            else structlog.wrap_logger(structlog.BytesLogger(stream), processors=[_stamp, _render])
        )

    def request(self, ask: Ask, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        if self._requests and self._log is not None:
            self._log.info(
                "request",
                request_id=ask.request_id.decode(),
                method=ask.scope["method"],
                route=route,
                status=status,
                ms=round(seconds * 1000, 3),
                key=ask.caller.name,
            )

    def failure(self, request_id: bytes, error: BaseException) -> None:
        """Something failed inside. Messages may name shoppers: only places are told."""
        if self._log is None:
            return
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        self._log.error(
            "failure",
            request_id=request_id.decode(),
            error=type(error).__qualname__,
            at=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        )


def _stamp(logger: Any, method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    del logger
    return {"at": datetime.now(UTC), "level": method, **event}


def _render(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    del logger, method
    return msgspec.json.encode(event)
