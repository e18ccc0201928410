"""The optional pieces tests rest on: where each is found, and what brings it when it is not.

A test that needs one takes the fixture of ``tests/conftest.py`` (``postgres_dsn``, ``redis_url``,
``chromium``, ``public_data``) or calls ``require`` here. Where the piece is missing the test is
skipped with the reason; with ``HABITUE_REQUIRE_ALL=1`` it fails instead.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

__all__ = [
    "CHROMIUM",
    "NODE",
    "PIECES",
    "POSTGRES",
    "PUBLIC_DATA",
    "REDIS",
    "Piece",
    "admin_dsn",
    "chromium_path",
    "data_folder",
    "redis_address",
    "require",
    "require_all",
    "table",
]

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Piece:
    """Something a laptop may lack: its name, how it is got, and what is wrong with it now."""

    name: str
    remedy: str
    problem: Callable[[], str | None]  # None when it is there

    def missing(self) -> str | None:
        """Why it cannot be used and how it is got; None when it can."""
        problem = self.problem()
        return None if problem is None else f"needs {self.name}: {problem}; {self.remedy}"


def require_all() -> bool:
    """Whether a missing piece is a failure (continuous integration) or a skip (a laptop)."""
    return os.environ.get("HABITUE_REQUIRE_ALL", "") not in ("", "0")


def require(piece: Piece) -> None:
    """Go on when the piece is there; else skip the test, or fail it where all are required."""
    reason = piece.missing()
    if reason is None:
        return
    if require_all():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def data_folder() -> Path:
    """Where the public data sets lie, whether or not anything is there."""
    return Path(os.environ.get("HABITUE_DATA") or ROOT.parent / "shared" / "data")


def table(name: str) -> Path:
    """A folder or file of the public data, by its path below ``data_folder``; skips without it."""
    require(PUBLIC_DATA)
    path = data_folder() / name
    if not path.exists():
        reason = f"needs public data: {name} is not in {data_folder()}; see docs/guides/data.md"
        if require_all():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return path


def admin_dsn() -> str:
    """A PostgreSQL address that may create databases."""
    return os.environ.get("HABITUE_TEST_POSTGRES") or (
        "postgresql://postgres@127.0.0.1:5432/postgres"
    )


def redis_address() -> str:
    """A Redis address tests may write to, each under a prefix of its own."""
    return os.environ.get("HABITUE_TEST_REDIS") or "redis://127.0.0.1:6379/0"


def chromium_path() -> str | None:
    """The browser the console is looked at in."""
    named = os.environ.get("HABITUE_TEST_CHROMIUM")
    if named:
        return named
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def _data_problem() -> str | None:
    if not data_folder().is_dir():
        return f"no folder {data_folder()}"
    return None


def _listens(address: str, default_port: int) -> str | None:
    parts = urlsplit(address)
    host, port = parts.hostname or "127.0.0.1", parts.port or default_port
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        return f"nothing answers at {host}:{port} ({error.strerror or error})"
    return None


@cache
def _postgres_problem() -> str | None:
    unreachable = _listens(admin_dsn(), 5432)
    if unreachable:
        return unreachable
    try:
        import psycopg

        with psycopg.connect(admin_dsn(), connect_timeout=5, autocommit=True) as connection:
            row = connection.execute(
                "select rolcreatedb or rolsuper from pg_roles where rolname = current_user"
            ).fetchone()
    except ImportError:
        return "the driver is not installed (pip install 'habitue[postgres]')"
    except psycopg.Error as error:
        return f"{admin_dsn()} refuses: {str(error).strip().splitlines()[0]}"
    return None if row and row[0] else "its user may not create databases"


@cache
def _redis_problem() -> str | None:
    unreachable = _listens(redis_address(), 6379)
    if unreachable:
        return unreachable
    try:
        import redis

        redis.Redis.from_url(redis_address(), socket_timeout=2).ping()
    except ImportError:
        return "the driver is not installed (pip install 'habitue[redis]')"
    except redis.RedisError as error:
        return f"{redis_address()} refuses: {error}"
    return None


@cache
def _chromium_problem() -> str | None:
    path = chromium_path()
    if path is None:
        return "no chromium on the PATH"
    return None if Path(path).exists() else f"{path} is not there"


def _node_problem() -> str | None:
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    return f"no {' and no '.join(missing)} on the PATH" if missing else None


PUBLIC_DATA = Piece(
    "public data",
    "point HABITUE_DATA at the folder that holds online_retail/ and its fellows",
    _data_problem,
)
POSTGRES = Piece(
    "PostgreSQL",
    "apt-get install postgresql, then set HABITUE_TEST_POSTGRES to an address that may create "
    "databases",
    _postgres_problem,
)
REDIS = Piece(
    "Redis",
    "apt-get install redis-server, or set HABITUE_TEST_REDIS",
    _redis_problem,
)
CHROMIUM = Piece(
    "Chromium",
    "apt-get install chromium, or set HABITUE_TEST_CHROMIUM",
    _chromium_problem,
)
NODE = Piece("Node", "apt-get install nodejs npm", _node_problem)

PIECES = (PUBLIC_DATA, POSTGRES, REDIS, CHROMIUM, NODE)
