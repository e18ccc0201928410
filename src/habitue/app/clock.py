"""The clock, read at the edge of the house: no room below ``app`` does."""

from __future__ import annotations

import time

__all__ = ["clock_ms"]


def clock_ms() -> int:
    """Now, in UTC milliseconds."""
    return time.time_ns() // 1_000_000
