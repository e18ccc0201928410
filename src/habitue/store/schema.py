"""Bringing a store to the schema of today, and refusing one that is newer than that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from habitue.errors import SchemaTooNew

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

__all__ = ["HEAD", "KNOWN", "migrate", "refuse_newer"]

KNOWN: Final = ("0001",)
"""Revisions this program knows, oldest first."""

HEAD: Final = KNOWN[-1]

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def refuse_newer(revision: str | None, where: str, known: Sequence[str] = KNOWN) -> None:
    """Raise ``SchemaTooNew`` for a store at a revision this program has never heard of."""
    if revision is not None and revision not in known:
        raise SchemaTooNew(
            f"{where} has schema {revision}, which is newer than {known[-1]}, the newest this "
            "program knows.",
            remedy="Install the Habitué that wrote it or a later one (pip install -U habitue), "
            "or restore a backup made before the upgrade.",
        )


def migrate(connection: Connection, *, folder: Path = MIGRATIONS, target: str = "head") -> None:
    """Run what revisions are missing, all in the transaction the caller holds open.

    A migration that fails leaves the store at the revision it had.
    """
    from alembic import command

    command.upgrade(_config(connection, folder), target)


def _config(connection: Connection, folder: Path) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_locations", str(folder / "versions").replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    return config
