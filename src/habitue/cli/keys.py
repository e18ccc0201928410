"""``habitue keys``: who may call, and how what they hold is replaced."""

from __future__ import annotations

import json as json_
from typing import Annotated, Final

import typer

from habitue.cli.options import Json, SettingsFile, Store

__all__ = ["keys"]

_OVERLAP_DAYS: Final = 7.0

keys = typer.Typer(
    help="API keys: create, list, rotate, revoke.", no_args_is_help=True, rich_markup_mode=None
)


@keys.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[str, typer.Option(help="browser, server or admin.")] = "server",
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    from habitue.app import create_key

    print(create_key(name, scope, store, settings=settings))


@keys.command("list")
def list_(json: Json = False, store: Store = None, settings: SettingsFile = None) -> None:
    """The keys, without what is secret, and when each was last used (to the minute)."""
    from habitue.app import keyring
    from habitue.cli.show import console, key_rows, key_table

    ring = keyring(store, settings=settings)
    if json:
        print(json_.dumps(key_rows(ring), indent=2))
    else:
        console().print(key_table(ring))


@keys.command("rotate")
def rotate(
    name: Annotated[str, typer.Argument(help="The key's name, as listed.")],
    overlap_days: Annotated[
        float, typer.Option(help="How long the old key stays valid.", min=0, max=365)
    ] = _OVERLAP_DAYS,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Make a new key of the same name and print it; the old one ends after the overlap."""
    from habitue.app import rotate_key

    print(rotate_key(name, overlap_days, store, settings=settings))


@keys.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(help="The key's name, as listed.")],
    replaced: Annotated[
        bool, typer.Option("--replaced", help="Only the old key that a rotation left valid.")
    ] = False,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Take a key back, at once."""
    from habitue.app import revoke_key

    revoke_key(name, store, replaced=replaced, settings=settings)
    print(f"{name} is revoked.")


@keys.command("secret")
def secret(
    rotate: Annotated[bool, typer.Option("--rotate", help="Sign with a new one first.")] = False,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Print the id and the secret with which the shop's own server signs shopper tokens.

    After a rotation tokens of the secret before stay valid until they expire; those of the one
    before that end.
    """
    from habitue.app import token_secret

    key_id, said = token_secret(store, rotate=rotate, settings=settings)
    print(f"{key_id} {said}")
