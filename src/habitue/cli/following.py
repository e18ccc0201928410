"""``habitue import --follow``: until Ctrl-C or SIGTERM, with a line that says how far it is."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.status import Status

if TYPE_CHECKING:
    from habitue.app import Shop
    from habitue.app.following import Followed

__all__ = ["follow"]

_QUIET_SECONDS: Final = 10.0
"""In a log, as against on a terminal, a line at most so often."""


def follow(shop: Shop, source: str, mapping: str | None, rejects: Path | None) -> None:
    """Follow a file until told to stop, and say what became of its lines."""
    from habitue.app.following import follow as follow_

    console = Console(stderr=True)
    path = Path(source)
    with _stopped_by_signals() as stop, console.status(f"{path.name}: …") as status:
        tell = _Line(path.name, console, status)
        done = follow_(shop.parts, path, mapping, rejects, stop=stop, told=tell)
    console.print(f"{_words(path.name, done)}; stopped.", highlight=False)


class _Line:
    """The state of following: a line that changes on a terminal, now and then a line in a log."""

    def __init__(self, name: str, console: Console, status: Status) -> None:
        self._name, self._console, self._status = name, console, status
        self._said, self._at = "", float("-inf")

    def __call__(self, done: Followed) -> None:
        said = _words(self._name, done)
        if said == self._said:
            return
        if self._console.is_terminal:
            self._status.update(said)
        elif time.monotonic() - self._at >= _QUIET_SECONDS:
            self._console.print(said, highlight=False)
            self._at = time.monotonic()
        else:
            return
        self._said = said


def _words(name: str, done: Followed) -> str:
    stored = done.stored
    said = f"{name}: {done.rows:,} rows, {stored.new:,} new facts"
    for n, what in (
        (stored.duplicate, "there already"),
        (done.rejected, "rejected"),
        (stored.conflict, "in conflict"),
        (stored.refused, "refused"),
    ):
        said += f", {n:,} {what}" if n else ""
    said += f", {done.behind / 1e6:,.1f} MB behind" if done.behind else ""
    return said + (f" ({done.trouble})" if done.trouble else "")


@contextmanager
def _stopped_by_signals() -> Iterator[Event]:
    """An event that Ctrl-C and SIGTERM set: what is in hand is finished and noted first."""
    stop = Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
