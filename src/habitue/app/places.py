"""Where a shop's things lie: from a file name or an address to settings, keys and copies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast, get_args

from habitue.app import secrets
from habitue.app.clock import clock_ms
from habitue.app.shops import company, shops_of
from habitue.errors import BadInput, BadSetting
from habitue.facts import MS_PER_DAY
from habitue.privacy.keys import Keyring, Scope
from habitue.settings import Settings

__all__ = [
    "create_key",
    "keyring",
    "restore",
    "revoke_key",
    "rotate_key",
    "settings_for",
    "sqlite_path",
    "token_secret",
]


def settings_for(
    store: str | Path | None,
    settings: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """The settings of the shop in ``store``: a SQLite file, an address, or as configured.

    A SQLite file that is named brings its company: snapshots and keys lie beside it. ``store`` may
    be the name of a shop of ``[shops]``; where there are such, one must be named.
    """
    common = Settings.load(settings, overrides)
    if store is None and common.shops:
        raise BadSetting(
            f"Several shops are set up: {', '.join(common.shops)}.",
            remedy=f"Name one: --store {next(iter(common.shops))}",
            field="shops",
        )
    if store is None:
        return common
    text = str(store)
    if text in common.shops:
        return shops_of(common)[text]
    own = {"store": {"address": text}} if "://" in text else company(Path(text))
    return Settings.load(settings, {**own, **(overrides or {})})


def sqlite_path(settings: Settings) -> Path | None:
    """The file of a SQLite store; ``None`` where facts lie elsewhere."""
    address = settings.store.address
    prefix = "sqlite:///"
    return Path(address.removeprefix(prefix)) if address.startswith(prefix) else None


def keyring(store: str | Path | None = None, *, settings: Path | None = None) -> Keyring:
    """The API keys of a shop."""
    return Keyring(settings_for(store, settings).server.keys_file)


def create_key(
    name: str, scope: str, store: str | Path | None = None, *, settings: Path | None = None
) -> str:
    """Make a key of the shop and return it: the only time it can be read."""
    if scope not in get_args(Scope):
        raise BadInput(f"{scope!r} is no scope.", remedy="Use browser, server or admin.")
    return keyring(store, settings=settings).add(name, cast("Scope", scope), now_ms=clock_ms())


def rotate_key(
    name: str,
    overlap_days: float,
    store: str | Path | None = None,
    *,
    settings: Path | None = None,
) -> str:
    """Replace a key of the shop; the old one stays valid for ``overlap_days`` more."""
    ring = keyring(store, settings=settings)
    return ring.rotate(name, overlap_ms=round(overlap_days * MS_PER_DAY), now_ms=clock_ms())


def revoke_key(
    name: str,
    store: str | Path | None = None,
    *,
    replaced: bool = False,
    settings: Path | None = None,
) -> None:
    """Take a key of the shop back, or only the one that ``rotate_key`` has ``replaced``."""
    keyring(store, settings=settings).revoke(name, now_ms=clock_ms(), replaced=replaced)


def token_secret(
    store: str | Path | None = None, *, rotate: bool = False, settings: Path | None = None
) -> tuple[str, str]:
    """Key id and secret (hexadecimal) with which the shop's own server signs shopper tokens.

    With ``rotate`` new ones; tokens of those before stay valid till they expire.
    """
    return secrets.token_secret(settings_for(store, settings), rotate=rotate)


def restore(path: Path, store: str | Path | None = None, *, settings: Path | None = None) -> int:
    """Put the copy at ``path`` in the store's place; how many erasures were replayed on it.

    Whoever was erased after the copy was made is erased again before anybody can read it.
    """
    from habitue.store import backups

    if not path.exists():
        raise BadSetting(f"There is no copy at {path}.", remedy="Check the path.")
    return backups.restore(path, settings_for(store, settings).store.address)
