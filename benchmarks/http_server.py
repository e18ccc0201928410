"""A Habitué server in a process of its own, for the HTTP benchmarks.

    python -m benchmarks.http_server FOLDER STORE_ADDRESS [LIVE_ADDRESS]
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Server"]

ROOT = Path(__file__).resolve().parent.parent


class Server:
    """Starts the server and waits until it listens; ends it on the way out."""

    def __init__(
        self, folder: Path, address: str, live: str = "memory", *, access_log: bool = False
    ) -> None:
        self._command = [
            sys.executable, "-m", "benchmarks.http_server", str(folder), address, live,
            "json" if access_log else "off",
        ]  # fmt: skip
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
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def start(self) -> float:
        """Start it; the seconds until it listened."""
        started = time.perf_counter()
        path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("listening "):
                self.port = int(line.rsplit(":", 1)[1])
                return time.perf_counter() - started
        raise RuntimeError("the server ended before it listened")

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self.process.wait()

    def cpu_seconds(self) -> float:
        """Processor time the server has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(folder: str, store: str, live: str, access_log: str) -> None:
    from habitue.api import serve
    from habitue.app import RunningShop, Shop, build
    from habitue.settings import Settings

    settings = Settings.load(
        None,
        {
            "store.address": store,
            "live.address": live,
            "snapshots.path": f"{folder}/snapshots",
            "server.keys_file": f"{folder}/keys.json",
            "server.port": 0,
            "server.access_log": access_log,
            "limits.server_per_second": 1_000_000,
        },
    )
    running = RunningShop(Shop(build(settings)), seed=7)
    running.start()
    serve(running, settings, on_ready=lambda url: print("listening", url, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
