"""Copies of a store, put back whole, on either database; and the erased stay erased."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from habitue.errors import BadInput, SchemaTooNew, Unavailable
from habitue.facts import Action, Alias, Consent, Item, Link, Shopper, Shown
from habitue.store.backups import restore
from habitue.store.session import FACT_TABLES
from habitue.store.sql_store import SqlFactStore
from habitue.store.sqlite import SqliteFactStore, journal_of

NOON = 1_700_000_000_000
UUID = "018bcfe5-6800-7000-8000-00000000abcd"


def fill(store: SqlFactStore, who: str = "ana") -> None:
    store.append(
        [
            Item(id="cup", title="Cup", valid_from=NOON),
            Action(kind="view_item", shopper=who, item="cup", id=f"{who}-1", rating=0.1),
            Action(kind="search", shopper=who, id=UUID, query="杯\t\\"),
            Shopper(id=who, country="DE"),
            Link(kind="friend", head=who, tail="bob"),
            Alias(shopper=who, alias="cookie"),
            Consent(shopper=who, granted=["messages"]),
            Shown(
                id="s1", at=NOON, shopper=who, surface="home", snapshot="", arm="", items=["cup"],
                scores=[1.0], propensities=[1.0], sources=["popular"],
            ),
        ],
        received_at_ms=NOON,
    )  # fmt: skip


def everything(store: SqlFactStore) -> dict[str, Any]:
    found: dict[str, Any] = {
        kind: [row for table in store.scan(kind) for row in table.to_pylist()]  # type: ignore[arg-type]
        for kind in FACT_TABLES
    }
    stored = store.stored()
    return {
        **found,
        "shoppers": store.shopper_ids(),
        "items": store.item_ids(),
        "people": store.canonical_shoppers().tolist(),
        "erased": store.erased_shoppers().tolist(),
        "counts": (stored.seq, stored.facts, stored.n_items, stored.n_shoppers),
    }


Open = Callable[[str], SqlFactStore]


@pytest.fixture
def at() -> Iterator[Open]:
    """Open the store at an address."""
    opened: list[SqlFactStore] = []

    def open_store(address: str) -> SqlFactStore:
        if address.startswith("sqlite:///"):
            opened.append(SqliteFactStore(address.removeprefix("sqlite:///")))
        else:
            from habitue.store.postgres import PostgresFactStore

            opened.append(PostgresFactStore(address))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shop.db'}"
    dsn: str = request.getfixturevalue("postgres_dsn")
    from tests.store.emptied import emptied

    emptied(dsn).close()
    return dsn


def test_a_copy_put_back_holds_everything(address: str, at: Open, tmp_path: Path) -> None:
    store = at(address)
    fill(store)
    before = everything(store)
    store.backup(tmp_path / "copy")
    store.append([Action(kind="login", shopper="eve")], received_at_ms=NOON)
    lineage = store.stored().lineage
    store.close()
    assert restore(tmp_path / "copy", address) == 0
    again = at(address)
    assert everything(again) == before
    assert again.stored().lineage != lineage
    again.append([Action(kind="login", shopper="joe")], received_at_ms=NOON)
    assert again.stored().seq == before["counts"][0] + 1


def test_who_was_erased_after_the_copy_is_erased_in_it(
    address: str, at: Open, tmp_path: Path
) -> None:
    store = at(address)
    fill(store)
    store.backup(tmp_path / "copy")
    store.forget("ana", now_ms=NOON + 5)
    store.append([Action(kind="login", shopper="ana", id="new")], received_at_ms=NOON + 9)
    store.close()
    assert restore(tmp_path / "copy", address) == 2  # the shopper and the alias
    again = at(address)
    assert again.shopper_ids() == [None, "bob", None]
    assert again.stored().facts["action"] == 0
    assert again.erased_shoppers().tolist() == [0, 2]


def test_a_tombstone_does_not_touch_whoever_has_the_row_in_another_life(
    address: str, at: Open, tmp_path: Path
) -> None:
    store = at(address)
    store.backup(tmp_path / "empty")
    fill(store, "ana")
    store.forget("ana", now_ms=NOON)
    store.close()
    restore(tmp_path / "empty", address)
    second = at(address)
    second.append([Action(kind="login", shopper="eve")], received_at_ms=NOON + 1)
    second.backup(tmp_path / "second")
    second.close()
    assert restore(tmp_path / "second", address) == 0
    assert at(address).shopper_ids() == ["eve"]


def test_a_shop_moves_from_sqlite_to_postgresql_and_back(
    postgres_dsn: str, at: Open, tmp_path: Path
) -> None:
    from tests.store.emptied import emptied

    emptied(postgres_dsn).close()
    small = at(f"sqlite:///{tmp_path / 'small.db'}")
    fill(small)
    small.backup(tmp_path / "copy.db")
    restore(tmp_path / "copy.db", postgres_dsn)
    large = at(postgres_dsn)
    assert everything(large) == everything(small)
    resent = large.append(
        [Action(kind="view_item", shopper="ana", item="cup", id="ana-1", rating=0.1)],
        received_at_ms=NOON + 1,
    )
    assert (resent.new, resent.duplicate) == (0, 1)
    large.backup(tmp_path / "tables")
    restore(tmp_path / "tables", f"sqlite:///{tmp_path / 'back.db'}")
    assert everything(at(f"sqlite:///{tmp_path / 'back.db'}")) == everything(large)


def test_a_store_that_is_open_is_not_replaced(at: Open, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'shop.db'}"
    store = at(address)
    fill(store)
    store.backup(tmp_path / "copy.db")
    with pytest.raises(Unavailable):
        restore(tmp_path / "copy.db", address)
    assert store.append([Action(kind="login", shopper="x")], received_at_ms=NOON).new == 1


def test_what_is_no_copy_is_refused_and_the_store_stays(at: Open, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'shop.db'}"
    store = at(address)
    fill(store)
    store.backup(tmp_path / "copy.db")
    before = everything(store)
    store.close()
    (tmp_path / "text.db").write_text("not a database at all, but long enough to be looked at")
    (tmp_path / "folder").mkdir()
    sqlite3.connect(tmp_path / "other.db").execute("create table t(x)").connection.close()
    damaged = bytearray((tmp_path / "copy.db").read_bytes())
    damaged[4096 * 3 : 4096 * 5] = b"\x55" * 8192
    (tmp_path / "damaged.db").write_bytes(damaged)
    for wrong in ("text.db", "folder", "other.db", "damaged.db"):
        with pytest.raises(BadInput):
            restore(tmp_path / wrong, address)
    newer = sqlite3.connect(tmp_path / "copy.db")
    newer.execute("update alembic_version set version_num = '9999'")
    newer.commit()
    newer.close()
    with pytest.raises(SchemaTooNew, match="9999"):
        restore(tmp_path / "copy.db", address)
    assert everything(at(address)) == before


def test_erased_text_is_gone_from_every_file(tmp_path: Path) -> None:
    """Not only unlinked: grep finds nothing in the database, its log, or the journal."""
    store = SqliteFactStore(tmp_path / "shop.db")
    secret, name = "unheard-of-diagnosis", "ana.kovac@example.com"
    for n in range(300):
        shopper = name if n % 3 == 0 else f"other-{n}"
        text = (secret if n % 3 == 0 else "harmless") * 20
        store.append(
            [Action(kind="review", shopper=shopper, item="cup", text=text, id=f"{shopper}/{n}")],
            received_at_ms=NOON,
        )

    def found(what: str) -> list[str]:
        return [f.name for f in tmp_path.iterdir() if what.encode() in f.read_bytes()]

    assert found(secret)
    assert found(name)
    store.forget(name, now_ms=NOON)
    assert found(secret) == []
    assert found(name) == []
    assert found("harmless")
    store.close()
    assert found(name) == []
    assert journal_of(tmp_path / "shop.db").read_text().count("\n") == 1
