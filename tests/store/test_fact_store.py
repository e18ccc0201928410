"""The contract of fact stores, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from habitue.facts import Action, Consent, Item, Link
from habitue.store.contract import FactStore
from tests.store.emptied import emptied, new_sqlite
from tests.store.fact_store_contract import FactStoreContract


class TestSqliteFactStore(FactStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[FactStore]:
        store = new_sqlite(tmp_path / "shop.db")
        yield store
        store.close()


class TestPostgresFactStore(FactStoreContract):
    @pytest.fixture
    def store(self, postgres_dsn: str) -> Iterator[FactStore]:
        store = emptied(postgres_dsn)
        yield store
        store.close()

    def test_much_at_once_reads_as_little_by_little_does(
        self, store: FactStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from habitue.store import postgres

        facts = [
            Item(id="cup", title="Cup"),
            Action(kind="search", shopper="ana", id="018bcfe5-6800-7000-8000-00000000abcd"),
            Action(kind="review", shopper="bob", item="cup", id="b", rating=4.5, text="杯"),
            Link(kind="friend", head="ana", tail="bob", deleted=True),
            Consent(shopper="ana", granted=["messages"]),
        ]
        store.append(facts, received_at_ms=1_700_000_000_000)

        def read() -> dict[str, list[object]]:
            kinds = ("action", "item", "link", "consent", "shown")
            return {
                kind: [row for table in store.scan(kind) for row in table.to_pylist()]  # type: ignore[arg-type]
                for kind in kinds
            }

        few = read()
        monkeypatch.setattr(postgres, "_BULK", 1)
        monkeypatch.setattr(postgres, "_WINDOW", 2)
        assert read() == few
