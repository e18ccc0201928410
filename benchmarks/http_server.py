"""A Habitué server in a process of its own, for the HTTP benchmarks and the tests that kill it.

The heavy imports are done once, in a process that then forks a server whenever one is asked for:
a hundred starts cost a hundred openings of the store, not a hundred loadings of numpy.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Server", "served_settings"]

_PATIENCE_SECONDS = 120
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    ["habitue.api", "habitue.app", "habitue.store.sqlite", "habitue.store.live_memory"]
)


def served_settings(folder: Path, overrides: Mapping[str, object]) -> dict[str, object]:
    """What a server of this module is told, before the caller's own overrides."""
    return {
        "store.address": f"sqlite:///{folder}/shop.db",
        "snapshots.path": f"{folder}/snapshots",
        "server.keys_file": f"{folder}/keys.json",
        "server.port": 0,
        "server.access_log": "off",
        "limits.server_per_second": 1_000_000,
        **overrides,
    }


class Server:
    """Starts the server and waits until it listens; ends it on the way out."""

    def __init__(self, folder: Path, overrides: Mapping[str, object] | None = None) -> None:
        self.said = served_settings(folder, overrides or {})
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.is_alive():
            self.end(signal.SIGTERM)

    def start(self) -> float:
        """Start it; the seconds until it listened."""
        started = time.perf_counter()
        here, there = _forks.Pipe(duplex=False)
        self.process = _forks.Process(target=_run, args=(self.said, there))
        self.process.start()
        there.close()
        if not here.poll(_PATIENCE_SECONDS):
            raise RuntimeError("the server did not listen in time")
        self.port = here.recv()  # EOFError: it ended before it listened
        return time.perf_counter() - started

    def end(self, by: signal.Signals) -> int:
        """Send a signal and wait; the exit code."""
        assert self.process.pid is not None
        os.kill(self.process.pid, by)
        self.process.join(_PATIENCE_SECONDS)
        code = self.process.exitcode
        assert code is not None, "the server did not end in time"
        return code

    def cpu_seconds(self) -> float:
        """Processor time the server has used so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = stat.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _run(said: dict[str, object], listening: Connection) -> None:
    from habitue.api import serve
    from habitue.app import RunningShop, Shop, build
    from habitue.settings import Settings

    settings = Settings.load(None, said)
    running = RunningShop(Shop(build(settings)), seed=7)
    running.start()
    serve(
        running,
        settings,
        on_ready=lambda url: listening.send(int(url.rsplit(":", 1)[1])),
    )
