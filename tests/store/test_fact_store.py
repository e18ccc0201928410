"""The contract of fact stores, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from habitue.store.contract import FactStore

pytest.register_assert_rewrite("tests.store.fact_store_contract")

from tests.store.fact_store_contract import FactStoreContract  # noqa: E402


class TestSqliteFactStore(FactStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[FactStore]:
        from habitue.store.sqlite import SqliteFactStore

        store = SqliteFactStore(tmp_path / "shop.db")
        yield store
        store.close()


class TestPostgresFactStore(FactStoreContract):
    @pytest.fixture
    def store(self, postgres_dsn: str) -> Iterator[FactStore]:
        from tests.store.emptied import emptied

        store = emptied(postgres_dsn)
        yield store
        store.close()
