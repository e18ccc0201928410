"""``habitue serve``: the HTTP interface and the console over one shop, until a signal."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from fastapi import FastAPI

    from habitue.app import RunningShop
    from habitue.settings import Settings

__all__ = ["application", "run", "serve", "worker"]

_HANDED_ON: Final = "_HABITUE_WORKER"
"""Environment variable in which the first process tells its workers what they serve."""


def serve(store: str | None, settings: Path | None, overrides: Mapping[str, object]) -> None:
    """Serve until Ctrl-C or a signal; then finish what is in flight and return."""
    with _nothing_collected():
        from habitue.app import settings_for

    said = settings_for(store, settings, overrides)
    handed = {"store": store, "settings": str(settings) if settings else None, **overrides}
    os.environ[_HANDED_ON] = msgspec.json.encode(handed).decode()
    run(said, on_ready=_say)


def run(settings: Settings, *, on_ready: Callable[[str], None]) -> None:
    """Serve the shop of these settings in this process, or in several."""
    with _nothing_collected():
        from habitue.api.serve import check_bind, check_workers
        from habitue.api.serve import serve as serve_
        from habitue.app import RunningShop, Shop, build
        from habitue.privacy.keys import Keyring

    check_bind(settings.server.host, Keyring(settings.server.keys_file))
    check_workers(settings)
    with Shop(build(settings)) as shop:
        with _nothing_collected():
            running = RunningShop(shop)
            running.start()
            app = application(running, settings)
        serve_(
            running,
            settings,
            app=app,
            factory="habitue.cli.serving:worker",
            on_ready=on_ready,
        )


def application(running: RunningShop, settings: Settings) -> FastAPI:
    """The interface with the console's pages on it."""
    from habitue.api import create_app
    from habitue.console import create_console
    from habitue.console.backroom import Backroom

    app = create_app(running, settings, log=sys.stdout.buffer)
    app.include_router(
        create_console(
            Backroom(running),
            keyed=lambda: len(running.keys) > 0,
            admits=lambda key: (
                (found := running.keys.find(key)) is not None and found.scope == "admin"
            ),
        )
    )
    return app


def worker() -> FastAPI:
    """One of several processes: its own shop over the same store and live state."""
    with _nothing_collected():
        from habitue.api.serve import calm_collector
        from habitue.app import RunningShop, Shop, build, settings_for

    handed = msgspec.json.decode(os.environ[_HANDED_ON], type=dict[str, object])
    store, path = handed.pop("store"), handed.pop("settings")
    settings = settings_for(
        None if store is None else str(store), None if path is None else Path(str(path)), handed
    )
    with _nothing_collected():
        running = RunningShop(Shop(build(settings)))
        running.start()
        app = application(running, settings)
    calm_collector()
    return app


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Look for no garbage on the way up, where everything made is kept: a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _say(address: str) -> None:
    print(f"Habitué listens on {address} (Ctrl-C ends it).", flush=True)
