"""Sending campaigns of an open shop, and ending them for whoever asks."""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from habitue.app.clock import clock_ms
from habitue.errors import BadInput
from habitue.facts import Consent, Shown
from habitue.privacy.secret_files import locked, read_secret, write_secret
from habitue.store.contract import Appended
from habitue.surfaces import outbox as outboxes
from habitue.surfaces.messages import Campaign, Messenger, Progress, Sent
from habitue.surfaces.unsubscribe import shopper_of

if TYPE_CHECKING:
    from habitue.app.wiring import Parts
    from habitue.settings import Settings

__all__ = ["forget_messages", "read_campaign", "send_messages", "unsubscribe", "unsubscribe_key"]


class _Teller:
    """What a messenger asks of the shop beside its surfaces."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def append(self, shown: Sequence[Shown]) -> Appended:
        return self._parts.committer.append_sync(shown, received_at_ms=clock_ms())

    def describe(self, item_ids: Sequence[str], now_ms: int) -> list[str | None]:
        return self._parts.store.items_in_force(item_ids, now_ms)


def read_campaign(path: Path) -> Campaign:
    """The campaign in a TOML file; ``text_file`` and ``html_file`` are read beside it.

    Raises ``BadInput``.
    """
    try:
        told = tomllib.loads(path.read_text("utf-8"))
        for name in ("text", "html"):
            if f"{name}_file" in told:
                told[name] = (path.parent / told.pop(f"{name}_file")).read_text("utf-8")
        return msgspec.convert(told, Campaign)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as problem:
        raise BadInput(f"{path} cannot be read: {problem}.", remedy="Check the file.") from None
    except msgspec.ValidationError as problem:
        raise BadInput(f"{path} is no campaign: {problem}.") from None


def send_messages(
    parts: Parts,
    campaign: Campaign,
    *,
    progress: Progress,
    clock: Callable[[], int] = clock_ms,
    seed: int | None = None,
) -> Sent:
    """Send a campaign, or what is left of it; raises as ``Messenger.send`` does."""
    settings, slating = parts.settings, parts.slating
    slating.live.catch_up(clock())
    messenger = Messenger(
        slating.surfaces,
        parts.store,
        _Teller(parts),
        settings.messages,
        shop=settings.shop.name,
        time_zone=settings.clock.time_zone,
        key=unsubscribe_key(settings),
    )
    rng = np.random.default_rng(seed)
    return messenger.send(campaign, clock=clock, rng=rng, progress=progress)


def forget_messages(parts: Parts, shopper: str) -> None:
    """Take what waits for a shopper, under any of their ids, out of the outbox."""
    outbox = parts.settings.messages.outbox
    row = parts.live.people.row_of(shopper)
    if row < 0 or not outbox.exists():
        return
    members = np.array(list(parts.live.people.members(row)), np.int32)
    names = parts.store.ids_of_shoppers(members)
    outboxes.forget(outbox, {shopper, *(one for one in names if one is not None)})


def unsubscribe(parts: Parts, token: str) -> None:
    """Whoever the token was made for gets no messages from now on.

    Raises ``Unauthorised`` for a token that is none.
    """
    shopper = shopper_of(token, unsubscribe_key(parts.settings))
    if parts.store.shopper_rows([shopper])[0] < 0:
        return  # erased since: nothing is known that could be written to
    now_ms = clock_ms()
    no_more = Consent(shopper=shopper, denied=["messages"], at=now_ms)
    parts.committer.append_sync([no_more], received_at_ms=now_ms)


def unsubscribe_key(settings: Settings) -> bytes:
    """What signs links to unsubscribe: a file beside the keys, made at first use, kept for ever."""
    path = settings.server.keys_file.with_suffix(".unsubscribe")
    with locked(path):
        key = read_secret(path)
        if key is None:
            key = secrets.token_hex(32).encode()
            write_secret(path, key)
    return bytes.fromhex(key.decode())
