"""``habitue doctor``: the commonest mistakes, looked for one after another."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from habitue.errors import HabitueError

if TYPE_CHECKING:
    from habitue.app import Shop
    from habitue.settings import Settings

__all__ = ["Finding", "examine"]

State = Literal["fine", "look", "wrong"]
_LEAST_FREE_BYTES: Final = 1 << 30
_PLURAL: Final = {
    "action": "actions",
    "item": "item versions",
    "shopper": "shopper versions",
    "link": "links",
    "alias": "aliases",
    "consent": "consents",
    "shown": "slates shown",
}
_STALE_SHARE: Final = 0.5  # of all facts newer than the active snapshot


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    state: State
    what: str
    found: str
    remedy: str = ""


def examine(store: str | None, settings: Path | None) -> list[Finding]:
    """Look at settings, store, live state, snapshots, keys and disk; never raises."""
    from habitue.app import open_shop, settings_for

    try:
        said = settings_for(store, settings)
    except HabitueError as error:
        return [Finding("wrong", "settings", error.message, error.remedy)]
    findings = [Finding("fine", "settings", "read"), *_machine(said)]
    try:
        shop = open_shop(store, settings=settings)
    except HabitueError as error:
        return [*findings, Finding("wrong", "store", error.message, error.remedy)]
    with shop:
        for look in (_durable, _facts, _live_state, _snapshot, _problems):
            findings += _safely(look, shop)
    return findings


def _safely(look: Callable[[Shop], Iterator[Finding]], shop: Shop) -> list[Finding]:
    try:
        return list(look(shop))
    except HabitueError as error:
        return [Finding("wrong", look.__name__.strip("_"), error.message, error.remedy)]


def _machine(settings: Settings) -> Iterator[Finding]:
    from habitue.api.serve import check_bind, check_workers
    from habitue.privacy.keys import Keyring

    try:
        keys = Keyring(settings.server.keys_file)
        check_bind(settings.server.host, keys)
        check_workers(settings)
        yield Finding("fine", "server", f"{settings.server.host}, {len(keys)} keys")
    except HabitueError as error:
        yield Finding("wrong", "server", error.message, error.remedy)
    folder = settings.snapshots.path.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    state: State = "fine" if free > _LEAST_FREE_BYTES else "wrong"
    yield Finding(
        state, "disk", f"{free / 1e9:.1f} GB free",
        "" if state == "fine" else "Make room: a store that cannot write refuses events.",
    )  # fmt: skip


def _durable(shop: Shop) -> Iterator[Finding]:
    said = shop.parts.store.durability()
    weak = [
        f"{name} is {value}"
        for name, value in said.items()
        if value.lower() in ("off", "normal", "memory")
    ]
    yield Finding(
        "wrong" if weak else "fine", "durability", ", ".join(f"{k}={v}" for k, v in said.items()),
        f"Acknowledged events can be lost: {', '.join(weak)}." if weak else "",
    )  # fmt: skip


def _facts(shop: Shop) -> Iterator[Finding]:
    from habitue.policy.shelf import UNPOSTED

    stored = shop.stored()
    if not stored.facts["action"]:
        yield Finding("look", "facts", "no actions yet", "`habitue import`, or POST /v1/events.")
        return
    told = ", ".join(f"{n:,} {_PLURAL[kind]}" for kind, n in stored.facts.items() if n)
    yield Finding("fine", "facts", told)
    posted = int((shop.parts.live.shelf.state[: stored.n_items] != UNPOSTED).sum())
    if posted < stored.n_items / 2:
        yield Finding(
            "look", "catalogue", f"{posted:,} of {stored.n_items:,} items have a title or price",
            "POST /v1/items, or name the columns in the mapping's [item] table.",
        )  # fmt: skip


def _live_state(shop: Shop) -> Iterator[Finding]:
    address = shop.parts.settings.live.address
    if shop.parts.live_state.healthy():
        yield Finding("fine", "live state", address)
    else:
        yield Finding("wrong", "live state", f"{address} does not answer", "Start Redis.")


def _snapshot(shop: Shop) -> Iterator[Finding]:
    snapshots = shop.snapshots()
    active = next((one for one in snapshots if one.active), None)
    if active is None:
        yield Finding("look", "snapshot", "none is active", "`habitue train` makes one.")
        return
    shop.parts.snapshots.verify(active.name)
    newer = shop.stored().seq - active.watermark
    stale = newer > _STALE_SHARE * active.watermark
    yield Finding(
        "look" if stale else "fine", "snapshot", f"{active.name}, {newer:,} facts behind",
        "Train again: much has happened since." if stale else "",
    )  # fmt: skip


def _problems(shop: Shop) -> Iterator[Finding]:
    for problem in shop.parts.problems:
        yield Finding("wrong", "running", problem)
