"""Running the server: where it may listen, how many processes, how it ends."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from habitue.api.app import create_app
from habitue.api.contract import Keys, Shop
from habitue.api.gate import is_loopback
from habitue.errors import BadSetting
from habitue.settings import Settings

__all__ = [
    "calm_collector",
    "check_bind",
    "check_workers",
    "listen",
    "options",
    "serve",
    "serve_app",
]

Asgi = Callable[..., Any]

_BACKLOG: Final = 2048
_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM)
_KEEP_ALIVE_SECONDS: Final = 75
_COLLECT: Final = (20_000, 20, 50)  # new objects before the collector looks at the young


def check_bind(host: str, keys: Keys) -> None:
    """Refuse to listen beyond this machine while anybody could do anything (no key is set)."""
    if not is_loopback(host) and not len(keys):
        raise BadSetting(
            f"Without an API key the server listens on this machine only, not on {host}.",
            remedy="Make a key with `habitue keys create`, or set server.host to 127.0.0.1.",
            field="server.host",
        )


def check_workers(settings: Settings) -> None:
    """Refuse several processes that would each remember other shoppers."""
    if settings.server.workers > 1 and settings.live.address == "memory":
        raise BadSetting(
            f"{settings.server.workers} workers cannot share live state kept in memory.",
            remedy="Set live.address to a Redis address, or server.workers to 1.",
            field="server.workers",
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises ``BadSetting`` when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BadSetting(
            f"The server cannot listen on {host}:{port}: {reason}.",
            remedy="Stop what listens there, or choose another server.port.",
            field="server.port",
        ) from None


def serve(
    shop: Shop,
    settings: Settings,
    *,
    app: FastAPI | None = None,
    factory: str | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until a signal; then finish what is in flight, drain the queue, and return.

    ``app`` is ``create_app(shop, settings)`` unless the caller has added pages to it. Several
    workers each make their own: ``factory`` names a function (``"module:function"``) that does.
    ``on_ready`` is told the address once the server listens.
    """
    check_bind(settings.server.host, shop.keys)
    app = app or create_app(shop, settings, log=sys.stdout.buffer)
    serve_app(app, settings, factory=factory, on_ready=on_ready)


def serve_app(
    app: Asgi,
    settings: Settings,
    *,
    factory: str | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """As ``serve``, of an application that knows by itself who may call."""
    check_workers(settings)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    taken = listen(settings.server.host, settings.server.port)
    with taken:
        if settings.server.workers > 1:
            if factory is None:
                raise BadSetting("Several workers need a factory that makes the application.")
            _several(factory, settings, taken)
            return
        server = _Server(uvicorn.Config(app, **options(settings)), on_ready)
        calm_collector()
        with _signals_end_here():
            server.run(sockets=[taken])


@contextmanager
def _signals_end_here() -> Iterator[None]:
    """An orderly end is the whole answer to a signal: uvicorn raises it again when it is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, lambda *_: None) for one in _ENDINGS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def calm_collector() -> None:
    """Look for garbage seldom, and never again at what was there before the first request.

    For a process that is about to serve; a worker's factory calls it when its shop is alive.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)


class _Server(uvicorn.Server):
    """Says when it listens, and where."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        if self.started and sockets and self._on_ready is not None:
            host, port = sockets[0].getsockname()[:2]
            self._on_ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


def options(settings: Settings) -> dict[str, Any]:
    """How uvicorn runs: fast loop and parser, no log of its own, an orderly end."""
    server = settings.server
    return {
        "loop": "uvloop",
        "http": "httptools",
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "proxy_headers": True,
        "forwarded_allow_ips": list(server.trusted_proxies),
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": server.drain_seconds,
        "backlog": _BACKLOG,
    }


def _several(factory: str, settings: Settings, taken: socket.socket) -> None:
    from uvicorn.supervisors import Multiprocess

    config = uvicorn.Config(
        factory, factory=True, workers=settings.server.workers, **options(settings)
    )
    Multiprocess(config, sockets=[taken]).run()
