"""What every test may ask for: the optional pieces, a fresh database, a Redis prefix."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import needs

# One core shared by several workers: a slow example is not a wrong one.
settings.register_profile(
    "habitue", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("habitue")

# Libraries with thread pools of their own would fight over the cores with pytest-xdist.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(name, "1")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say before anything runs which optional pieces are missing."""
    if hasattr(session.config, "workerinput"):  # a worker of pytest-xdist; the controller said it
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    missing = [reason for piece in needs.PIECES if (reason := piece.missing())]
    consequence = "fail" if needs.require_all() else "are skipped"
    for reason in missing:
        reporter.write_line(f"optional piece missing: {reason}")
    if missing:
        reporter.write_line(
            f"tests that need {'it' if len(missing) == 1 else 'them'} {consequence}"
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`@pytest.mark.needs("Redis")` says the same as taking the fixture."""
    by_name = {piece.name: piece for piece in needs.PIECES}
    for item in items:
        for mark in item.iter_markers("needs"):
            if mark.args[0] not in by_name:
                raise pytest.UsageError(
                    f"{item.nodeid}: no optional piece is named {mark.args[0]!r}"
                )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail a test whose marked piece is missing."""
    for mark in item.iter_markers("needs"):
        needs.require(next(piece for piece in needs.PIECES if piece.name == mark.args[0]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the skips by the piece that was missing."""
    counts: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        found = re.search(r"needs ([^:]+):", reason)
        name = found.group(1) if found else "something else"
        counts[name] = counts.get(name, 0) + 1
    for name, count in sorted(counts.items()):
        terminalreporter.write_line(f"skipped for want of {name}: {count}")


@pytest.fixture(scope="session")
def public_data() -> Path:
    """The folder of the public data sets; ``needs.table(name)`` checks for one of them."""
    needs.require(needs.PUBLIC_DATA)
    return needs.data_folder()


def _new_database() -> Iterator[str]:
    needs.require(needs.POSTGRES)
    import psycopg
    from psycopg import sql

    name = f"habitue_test_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(needs.admin_dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    base, _, query = needs.admin_dsn().partition("?")
    yield base.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")
    with psycopg.connect(needs.admin_dsn(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """The address of an empty PostgreSQL database that this worker's tests share."""
    yield from _new_database()


@pytest.fixture
def fresh_postgres_dsn() -> Iterator[str]:
    """The address of an empty PostgreSQL database for this test alone."""
    yield from _new_database()


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The address of a Redis that other tests write to at the same time."""
    needs.require(needs.REDIS)
    return needs.redis_address()


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """A key prefix of this test's own; keys under it are deleted afterwards."""
    import redis

    prefix = f"habitue-test-{uuid.uuid4().hex[:16]}:"
    yield prefix
    client = redis.Redis.from_url(redis_url)
    for key in client.scan_iter(match=prefix + "*", count=1000):
        client.delete(key)
    client.close()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium that Playwright can drive (``executable_path=``)."""
    needs.require(needs.CHROMIUM)
    path = needs.chromium_path()
    assert path is not None
    return path
