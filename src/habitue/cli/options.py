"""Options that many commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Json", "SettingsFile", "Store"]

Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="A SQLite file (shop.db), a postgresql:// address, or the name of a shop of [shops].",
    ),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", help="The settings file [habitue.toml where there is one]."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
