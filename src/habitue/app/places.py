"""Where a shop's things lie: from a file name or an address to settings, keys and copies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast, get_args

from habitue.app.clock import clock_ms
from habitue.errors import BadInput, BadSetting
from habitue.privacy.keys import Keyring, Scope
from habitue.settings import Settings

__all__ = ["add_key", "keyring", "restore", "revoke_key", "settings_for", "sqlite_path"]


def settings_for(
    store: str | Path | None,
    settings: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """The settings of the shop in ``store``: a SQLite file, an address, or as configured.

    A SQLite file that is named brings its company: snapshots and keys lie beside it.
    """
    said: dict[str, object] = {}
    if store is not None:
        text = str(store)
        if "://" in text:
            said["store.address"] = text
        else:
            file = Path(text)
            said["store.address"] = f"sqlite:///{file}"
            said["snapshots.path"] = file.with_suffix(".snapshots")
            said["server.keys_file"] = file.with_suffix(".keys.json")
    said.update(overrides or {})
    return Settings.load(settings, said)


def sqlite_path(settings: Settings) -> Path | None:
    """The file of a SQLite store; ``None`` where facts lie elsewhere."""
    address = settings.store.address
    prefix = "sqlite:///"
    return Path(address.removeprefix(prefix)) if address.startswith(prefix) else None


def keyring(store: str | Path | None = None, *, settings: Path | None = None) -> Keyring:
    """The API keys of a shop."""
    return Keyring(settings_for(store, settings).server.keys_file)


def add_key(
    name: str, scope: str, store: str | Path | None = None, *, settings: Path | None = None
) -> str:
    """Make a key of the shop and return it: the only time it can be read."""
    if scope not in get_args(Scope):
        raise BadInput(f"{scope!r} is no scope.", remedy="Use browser, server or admin.")
    return keyring(store, settings=settings).add(name, cast("Scope", scope), now_ms=clock_ms())


def revoke_key(name: str, store: str | Path | None = None, *, settings: Path | None = None) -> None:
    """Take a key of the shop back."""
    keyring(store, settings=settings).revoke(name, now_ms=clock_ms())


def restore(path: Path, store: str | Path | None = None, *, settings: Path | None = None) -> int:
    """Put the copy at ``path`` in the store's place; how many erasures were replayed on it.

    Whoever was erased after the copy was made is erased again before anybody can read it.
    """
    from habitue.store import backups

    if not path.exists():
        raise BadSetting(f"There is no copy at {path}.", remedy="Check the path.")
    return backups.restore(path, settings_for(store, settings).store.address)
