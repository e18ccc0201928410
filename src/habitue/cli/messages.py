"""The commands about messages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from habitue.cli.options import Json, SettingsFile, Store

__all__ = ["messages"]

messages = typer.Typer(
    help="Messages to shoppers: send a campaign.", no_args_is_help=True, rich_markup_mode=None
)


@messages.callback()
def _group() -> None:
    """Keep ``send`` a command of its own while it is the only one."""


@messages.command()
def send(
    campaign: Annotated[Path, typer.Option(help="The campaign, as a TOML file.")],
    seed: Annotated[int | None, typer.Option(help="Seed of what is tried out.")] = None,
    json: Json = False,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Send a campaign; sent again, it goes on where it stopped and doubles nothing."""
    from habitue.app import open_shop
    from habitue.cli.progress import bars

    with open_shop(store, settings=settings) as shop, bars() as progress:
        sent = shop.send(campaign, seed=seed, progress=progress)
    if json:
        import msgspec

        print(msgspec.json.encode(sent).decode())
        return
    skipped = ", ".join(f"{n} {why.replace('_', ' ')}" for why, n in sent.skipped.items())
    print(f"{sent.sent} sent, {sent.refused} refused; skipped: {skipped or 'nobody'}.")
    if sent.until is not None:
        print(f"It is quiet now: run this again after {sent.until}.")
