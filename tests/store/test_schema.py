"""One schema on two databases, which moves forward by itself and never backward."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from habitue.errors import SchemaTooNew
from habitue.facts import Action
from habitue.store import sqlite
from habitue.store.schema import HEAD, KNOWN, MIGRATIONS, migrate, refuse_newer
from habitue.store.sqlite import SqliteFactStore
from habitue.store.tables import METADATA

NOON = 1_700_000_000_000
VIEW = Action(kind="view_item", shopper="ana", item="cup", id="1")

LATER = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.add_column("item", sa.Column("shelf", sa.Text))
    op.execute("update ledger set epoch = epoch + 1")
    {fail}
"""


# Neither SQLAlchemy nor Alembic reads indexes over expressions back from SQLite.
pytestmark = pytest.mark.filterwarnings("ignore:.*expression-based index")


def differences(address: str) -> list[Any]:
    with create_engine(address).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, METADATA)


def test_the_migrations_lead_to_the_tables_of_today_on_sqlite(tmp_path: Path) -> None:
    SqliteFactStore(tmp_path / "shop.db").close()
    assert differences(f"sqlite:///{tmp_path / 'shop.db'}") == []


def test_the_migrations_lead_to_the_tables_of_today_on_postgresql(fresh_postgres_dsn: str) -> None:
    from habitue.store.postgres import PostgresFactStore

    PostgresFactStore(fresh_postgres_dsn).close()
    assert differences(fresh_postgres_dsn.replace("postgresql:", "postgresql+psycopg:")) == []


def test_every_revision_is_known_and_the_last_is_the_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == KNOWN
    assert scripts.get_current_head() == HEAD


def test_a_store_of_the_first_schema_opens_today(tmp_path: Path) -> None:
    """``stored_0001.sql`` was written by the first version and is never changed."""
    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    old.executescript(Path(__file__).with_name("stored_0001.sql").read_text(encoding="utf-8"))
    old.close()
    store = SqliteFactStore(path)
    assert store.shopper_ids() == ["ana", "bob", "cookie"]
    assert store.item_ids() == ["cup"]
    assert store.shopper_rows(["cookie"]).tolist() == [0]
    stored = store.stored()
    assert set(stored.facts.values()) - {1} == {2}  # one of each kind, two actions
    rows = [row for table in store.scan("action") for row in table.to_pylist()]
    assert [row["id"] for row in rows] == ["018bcfe5-6800-7000-8000-00000000abcd", "ana-1"]
    assert store.append([VIEW], received_at_ms=NOON).new == 1
    store.close()
    assert differences(f"sqlite:///{path}") == []


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that knows one revision more."""
    versions = tmp_path / "later" / "versions"
    versions.mkdir(parents=True)
    for file in (MIGRATIONS / "versions").glob("v*.py"):
        (versions / file.name).write_bytes(file.read_bytes())
    (versions / "v0002_later.py").write_text(LATER.format(fail="pass"))
    monkeypatch.setattr(sqlite, "HEAD", "0002")
    monkeypatch.setattr(sqlite, "migrate", partial(migrate, folder=tmp_path / "later"))
    monkeypatch.setattr(sqlite, "refuse_newer", partial(refuse_newer, known=("0001", "0002")))
    return versions / "v0002_later.py"


def old_store(path: Path) -> None:
    """A store of today, made before the later revision was known."""
    connection = sqlite3.connect(path)
    connection.executescript(
        Path(__file__).with_name("stored_0001.sql").read_text(encoding="utf-8")
    )
    connection.close()


def revision_of(path: Path) -> str:
    connection = sqlite3.connect(path)
    found = connection.execute("select version_num from alembic_version").fetchone()[0]
    connection.close()
    return str(found)


def test_an_older_store_is_brought_forward_after_a_copy_was_made(
    tmp_path: Path, later: Path
) -> None:
    path = tmp_path / "shop.db"
    old_store(path)
    store = SqliteFactStore(path)
    assert store.append([VIEW], received_at_ms=NOON).new == 1
    store.close()
    assert revision_of(path) == "0002"
    assert revision_of(tmp_path / "shop.db.before-0002") == "0001"
    SqliteFactStore(path).close()  # the second opening has nothing to do


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, later: Path) -> None:
    path = tmp_path / "shop.db"
    old_store(path)
    later.write_text(LATER.format(fail="raise RuntimeError('no')"))
    with pytest.raises(RuntimeError, match="no"):
        SqliteFactStore(path)
    assert revision_of(path) == "0001"
    connection = sqlite3.connect(path)
    columns = [row[1] for row in connection.execute("pragma table_info(item)")]
    assert "shelf" not in columns
    assert connection.execute("select epoch from ledger").fetchone() == (1,)
    connection.close()


def test_a_newer_sqlite_store_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    SqliteFactStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("update alembic_version set version_num = '9999'")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match=r"9999.*pip install -U habitue"):
        SqliteFactStore(path)
    assert path.read_bytes() == before


def test_a_newer_postgresql_store_is_refused_with_what_to_do(fresh_postgres_dsn: str) -> None:
    import psycopg

    from habitue.store.postgres import PostgresFactStore

    PostgresFactStore(fresh_postgres_dsn).close()
    with psycopg.connect(fresh_postgres_dsn) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(SchemaTooNew, match=r"9999.*pip install -U habitue"):
        PostgresFactStore(fresh_postgres_dsn)
