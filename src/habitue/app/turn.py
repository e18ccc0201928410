"""One training at a time: several on one machine would fight over its memory and its cores."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["turn"]


@contextmanager
def turn(lock: Path | None, progress: Callable[[str, float, float], object]) -> Iterator[None]:
    """Wait until no other process is inside with this lock file; without one, go on at once."""
    if lock is None:
        yield
        return
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another training", 0, 1)
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
