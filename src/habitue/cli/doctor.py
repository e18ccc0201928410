"""``habitue doctor``: the commonest mistakes, looked for one after another."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from habitue.errors import HabitueError

if TYPE_CHECKING:
    from habitue.app import Shop
    from habitue.settings import Settings

__all__ = ["Finding", "examine", "told"]

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
_STALE_DAYS: Final = 30
_DAY_MS: Final = 86_400_000
_AHEAD_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    state: State
    what: str
    found: str
    remedy: str = ""


def told(what: str, found: str, remedy: str, *, wrong: bool = False) -> Finding:
    """A mistake, or what may be one."""
    return Finding("wrong" if wrong else "look", what, found, remedy)


def examine(
    store: str | None, settings: Path | None, *, now_ms: int | None = None
) -> list[Finding]:
    """Look at settings, store, live state, snapshots, keys, disk and facts; never raises.

    Without a store every shop of ``[shops]``, where there are such.
    """
    from habitue.app.clock import clock_ms
    from habitue.settings import Settings

    now_ms = clock_ms() if now_ms is None else now_ms
    if store is not None:
        return _examine(store, settings, now_ms)
    try:
        names = list(Settings.load(settings).shops)
    except HabitueError as error:
        return [Finding("wrong", "settings", error.message, error.remedy)]
    found = [
        replace(one, what=f"{name}: {one.what}")
        for name in names
        for one in _examine(name, settings, now_ms)
    ]
    return found if names else _examine(None, settings, now_ms)


def _examine(store: str | None, settings: Path | None, now_ms: int) -> list[Finding]:
    from habitue.app import open_shop, settings_for
    from habitue.cli.mistakes import LOOKS

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
        for look in (_durable, _counts, _live_state, _snapshot, *LOOKS, _problems):
            findings += _safely(look, shop, now_ms)
    return findings


def _safely(
    look: Callable[[Shop, int], Iterator[Finding]], shop: Shop, now_ms: int
) -> Sequence[Finding]:
    try:
        return list(look(shop, now_ms))
    except HabitueError as error:
        name = look.__name__.strip("_").replace("_", " ")
        return [Finding("wrong", name, error.message, error.remedy)]


def _machine(settings: Settings) -> Iterator[Finding]:
    from habitue.api.serve import check_bind, check_workers
    from habitue.privacy.keys import Keyring

    try:
        keys = Keyring(settings.server.keys_file)
        check_bind(settings.server.host, keys)
        check_workers(settings)
        yield Finding("fine", "server", f"{settings.server.host}, {len(keys)} keys")
        yield from _browsers(settings, keys)
    except HabitueError as error:
        yield Finding("wrong", "server", error.message, error.remedy)
    folder = settings.snapshots.path.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free > _LEAST_FREE_BYTES:
        yield Finding("fine", "disk", f"{free / 1e9:.1f} GB free")
    else:
        yield told(
            "disk",
            f"{free / 1e9:.1f} GB free",
            "Make room: a store that cannot write refuses events.",
            wrong=True,
        )


def _browsers(settings: Settings, keys: object) -> Iterator[Finding]:
    from habitue.privacy.keys import Keyring

    assert isinstance(keys, Keyring)
    browser = any(one.scope == "browser" and one.revoked_ms is None for one in keys.entries())
    if browser and not settings.server.cors_origins:
        yield told(
            "sites",
            "there is a browser key, and no site may use it",
            "Name the shop's sites in server.cors_origins.",
        )


def _durable(shop: Shop, now_ms: int) -> Iterator[Finding]:
    del now_ms
    said = shop.parts.store.durability()
    weak = [
        f"{name} is {value}"
        for name, value in said.items()
        if value.lower() in ("off", "normal", "memory")
    ]
    found = ", ".join(f"{name}={value}" for name, value in said.items())
    if weak:
        remedy = f"Acknowledged events can be lost: {', '.join(weak)}."
        yield told("durability", found, remedy, wrong=True)
    else:
        yield Finding("fine", "durability", found)


def _counts(shop: Shop, now_ms: int) -> Iterator[Finding]:
    del now_ms
    stored = shop.stored()
    if not stored.facts["action"]:
        yield told("facts", "no actions yet", "`habitue import`, or POST /v1/events.")
        return
    counted = ", ".join(f"{n:,} {_PLURAL[kind]}" for kind, n in stored.facts.items() if n)
    yield Finding("fine", "facts", counted)


def _live_state(shop: Shop, now_ms: int) -> Iterator[Finding]:
    del now_ms
    address = shop.parts.settings.live.address
    if shop.parts.live_state.healthy():
        yield Finding("fine", "live state", address)
    else:
        yield told("live state", f"{address} does not answer", "Start Redis.", wrong=True)


def _snapshot(shop: Shop, now_ms: int) -> Iterator[Finding]:
    from habitue.app.note import read_refusal

    refused = read_refusal(shop.parts.settings.snapshots.path)
    if refused is not None:
        hours = (now_ms - refused.at_ms) / 3_600_000
        yield told(
            "training",
            f"refused {hours:.0f} hours ago: {refused.reason}",
            "Look for what changed in the facts since the last good snapshot; training.gate bounds "
            "how much worse a new one may be.",
            wrong=True,
        )
    active = next((one for one in shop.snapshots() if one.active), None)
    if active is None:
        yield told("snapshot", "none is active", "`habitue train` makes one.")
        return
    shop.parts.snapshots.verify(active.name)
    newer = shop.stored().seq - active.watermark
    days = (now_ms - active.made_at_ms) / _DAY_MS
    found = f"{active.name}, {newer:,} facts behind, {days:.0f} days old"
    if newer > _STALE_SHARE * active.watermark:
        yield told("snapshot", found, "Train again: much has happened since.")
    elif newer and days > _STALE_DAYS:
        yield told("snapshot", found, "Train again, from cron: it has grown old.")
    else:
        yield Finding("fine", "snapshot", found)


def _problems(shop: Shop, now_ms: int) -> Iterator[Finding]:
    del now_ms
    for problem in shop.parts.problems:
        yield Finding("wrong", "running", problem)
