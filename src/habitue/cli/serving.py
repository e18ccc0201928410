"""``habitue serve``: the HTTP interface and the console over one shop, until a signal."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from habitue.errors import BadSetting

if TYPE_CHECKING:
    from fastapi import FastAPI

    from habitue.api.several import SeveralShops
    from habitue.app import RunningShop
    from habitue.settings import Settings

__all__ = ["application", "run", "serve", "worker"]

_HANDED_ON: Final = "_HABITUE_WORKER"
"""Environment variable in which the first process tells its workers what they serve."""
_FACTORY: Final = "habitue.cli.serving:worker"


def serve(
    store: str | None,
    settings: Path | None,
    overrides: Mapping[str, object],
    shops: Sequence[str] = (),
) -> None:
    """Serve until Ctrl-C or a signal; then finish what is in flight and return.

    ``shops`` are several, each as ``NAME=STORE``.
    """
    named = {"shops": _named(shops)} if shops else {}
    handed: dict[str, object] = {
        "store": store,
        "settings": str(settings) if settings else None,
        **overrides,
        **named,
    }
    os.environ[_HANDED_ON] = msgspec.json.encode(handed).decode()
    _serve_as_told(handed, _say)


def _named(shops: Sequence[str]) -> dict[str, dict[str, str]]:
    made: dict[str, dict[str, str]] = {}
    for said in shops:
        name, is_, store = said.partition("=")
        if not (name and is_ and store) or name in made:
            raise BadSetting(
                f"--shop {said} names no shop.", remedy="Write NAME=STORE, each NAME once."
            )
        made[name] = {"store": store}
    return made


def _serve_as_told(handed: Mapping[str, object], on_ready: Callable[[str], None]) -> None:
    settings, several = _settings_of(handed)
    if several:
        _run_several(settings, several, on_ready=on_ready)
    else:
        run(settings, on_ready=on_ready)


def _settings_of(handed: Mapping[str, object]) -> tuple[Settings, dict[str, Settings]]:
    """The settings of the server, and of each shop where there are several."""
    with _nothing_collected():
        from habitue.app import settings_for, shops_of
        from habitue.settings import Settings

    overrides = dict(handed)
    store, file = overrides.pop("store"), overrides.pop("settings")
    path = None if file is None else Path(str(file))
    if store is None:
        common = Settings.load(path, overrides)
        if common.shops:
            return common, shops_of(common)
    return settings_for(None if store is None else str(store), path, overrides), {}


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
        serve_(running, settings, app=app, factory=_FACTORY, on_ready=on_ready)


def _run_several(
    settings: Settings, shops: Mapping[str, Settings], *, on_ready: Callable[[str], None]
) -> None:
    with _nothing_collected():
        from habitue.api.serve import check_workers, serve_app

    for one in (settings, *shops.values()):
        check_workers(one)
    with ExitStack() as opened:
        app = _several(opened, settings, shops)
        serve_app(app, settings, factory=_FACTORY, on_ready=on_ready)


def _several(opened: ExitStack, settings: Settings, shops: Mapping[str, Settings]) -> SeveralShops:
    """The shops, open until ``opened`` is closed and alive, behind one application."""
    with _nothing_collected():
        from habitue.api.app import program_version
        from habitue.api.several import Door, SeveralShops, check_keyed
        from habitue.app import RunningShop, Shop, build, check_lineages

    running = {
        name: RunningShop(opened.enter_context(Shop(build(one)))) for name, one in shops.items()
    }
    check_keyed(running)
    check_lineages({name: one.shop.stored().lineage for name, one in running.items()})
    with _nothing_collected():
        for one in running.values():
            one.start()
        doors = {
            name: Door(one, application(one, shops[name], named=name), shops[name])
            for name, one in running.items()
        }
    return SeveralShops(doors, settings, version=program_version(), log=sys.stdout.buffer)


def application(running: RunningShop, settings: Settings, *, named: str = "") -> FastAPI:
    """The interface with the console's pages on it."""
    from habitue.api import create_app
    from habitue.app.clock import clock_ms
    from habitue.console import create_console
    from habitue.console.backroom import Backroom

    app = create_app(running, settings, log=sys.stdout.buffer, named=named)
    app.include_router(
        create_console(
            Backroom(running),
            keyed=lambda: len(running.keys) > 0,
            admits=lambda key: (
                (found := running.keys.find(key, clock_ms())) is not None and found.scope == "admin"
            ),
        )
    )
    return app


def worker() -> FastAPI | SeveralShops:
    """One of several processes: its own shops over the same stores and live state."""
    handed = msgspec.json.decode(os.environ[_HANDED_ON], type=dict[str, object])
    settings, several = _settings_of(handed)
    with _nothing_collected():
        from habitue.api.serve import calm_collector
        from habitue.app import RunningShop, Shop, build

    app: FastAPI | SeveralShops
    if several:
        app = _several(ExitStack(), settings, several)  # open as long as the process lives
    else:
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
