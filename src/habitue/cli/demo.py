"""``habitue demo``: a shop at once, answering from popularity, and trained while you look at it.

One store for each data set, by content: a second run finds the first one's shop as it was left.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from habitue.errors import BadInput, BadSetting

if TYPE_CHECKING:
    from habitue.app import Shop

__all__ = ["demo"]

_DEMO_SEED: Final = 7
_DEMO_EDITION: Final = 1
"""Raised when the demo shop's data changes, so that an older one is not mistaken for it."""


def demo(data: Path | None, mapping: str | None, *, host: str, port: int, folder: Path) -> None:
    """Bring up a shop from ``data`` (or a made one), serve it and train beside, until Ctrl-C."""
    from habitue.api.serve import listen
    from habitue.app import settings_for
    from habitue.cli.serving import run

    console = Console(stderr=True)
    if mapping is not None and data is None:
        raise BadSetting("A mapping needs the data it reads.", remedy="Give --data as well.")
    listen(host, port).close()  # a busy port is told now, not after the work
    place = folder / _name(data, mapping)
    store = place / "shop.db"
    overrides = {
        "server.host": host,
        "server.port": port,
        "server.access_log": "off",
        "shop.name": "A shop of ours" if data is None else data.stem.replace("_", " ").title(),
    }
    _bring_up(store, data, mapping, console)
    settings = settings_for(store, None, overrides)
    trainer = _Trainer(store, console)
    try:
        run(settings, on_ready=trainer.start)
    finally:
        trainer.stop()
    console.print("The shop is closed; what was learnt and stored stays for the next run.")


def _name(data: Path | None, mapping: str | None) -> str:
    if data is None:
        return f"demo-{_DEMO_EDITION}"
    try:
        with data.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise BadInput(f"{data} cannot be read: {error.strerror}.", remedy="Check DATA.") from None
    if mapping is None:
        raise BadInput(
            "A file of your own needs a mapping that says what its columns mean.",
            remedy="Give MAPPING: the name of a shipped one (online-retail) or a TOML file.",
        )
    told = Path(mapping)
    digest.update(told.read_bytes() if told.is_file() else mapping.encode())
    return f"{data.stem}-{digest.hexdigest()[:12]}"


def _bring_up(store: Path, data: Path | None, mapping: str | None, console: Console) -> None:
    """Fill the store, unless an earlier run did; a run that broke off is taken up again."""
    from habitue.app import open_shop
    from habitue.cli.progress import bars

    done = store.with_name("imported")
    if done.exists():
        console.print(f"Found the shop of an earlier run in {store.parent}.")
        return
    store.parent.mkdir(parents=True, exist_ok=True)
    with open_shop(store) as shop:
        if data is None:
            _tell_demo(shop, store.with_name("started"), console)
        else:
            with bars(console) as progress:
                found = shop.ingest(
                    data,
                    mapping=mapping,
                    rejects=store.with_name("rejects.jsonl"),
                    progress=progress,
                )
            console.print(found.to_table())
    done.touch()


def _tell_demo(shop: Shop, started: Path, console: Console) -> None:
    from habitue.app.clock import clock_ms
    from habitue.cli.progress import bars
    from habitue.world import build_world

    if not started.exists():  # the same history again if the first telling broke off
        started.write_text(str(clock_ms()), "utf-8")
    with bars(console) as progress:
        progress("making up a shop", 0, 1)
        world = build_world(int(started.read_text("utf-8")), seed=_DEMO_SEED)
        progress("making up a shop", 1, 1)
        told = [*world.items(), *world.shoppers(), *world.links()]
        shop.ingest(told)
        shop.ingest(world.action_table, progress=progress)


class _Trainer:
    """Trains in a process of its own, so that answers do not wait for it."""

    def __init__(self, store: Path, console: Console) -> None:
        self._store = store
        self._console = console
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: threading.Thread | None = None

    def start(self, address: str) -> None:
        """Tell where the shop is, and train it unless an earlier run did."""
        from habitue.store.snapshots import SnapshotStore

        self._console.print(f"[bold]Open {address}[/] (Ctrl-C ends it).")
        if SnapshotStore(self._store.with_suffix(".snapshots")).active_id() is not None:
            self._console.print("It answers from the snapshot of an earlier run.")
            return
        self._console.print("It answers from popularity; training runs beside.")
        command = [sys.executable, "-m", "habitue", "train", "--store", str(self._store)]
        self._process = subprocess.Popen(command, preexec_fn=_gently)  # noqa: S603, PLW1509
        self._watch = threading.Thread(target=self._wait, daemon=True)
        self._watch.start()

    def _wait(self) -> None:
        assert self._process is not None
        code = self._process.wait()
        if code == 0:
            self._console.print("Trained: the next slate comes from the snapshot.")
        elif code > 0:
            self._console.print(f"[red]Training ended with code {code};[/] popularity goes on.")

    def stop(self) -> None:
        """End the training, if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


def _gently() -> None:
    """Let those who serve go first."""
    os.nice(5)
