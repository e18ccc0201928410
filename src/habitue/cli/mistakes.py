"""What the doctor looks for in the facts: mistakes that nothing refuses, and that cost much."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from habitue.cli.doctor import Finding, told
from habitue.facts import NO_ROW, ActionKind
from habitue.facts.time import EARLIEST_MS

if TYPE_CHECKING:
    from habitue.app import Shop

__all__ = ["LOOKS"]

_LATEST: Final = 200_000  # facts looked at, from the last one back
_LEAST: Final = 100  # actions below which nothing is said about shares
_UNPOSTED_SHARE: Final = 0.2
_UNTITLED_SHARE: Final = 0.2
_WITHOUT_ORDER_SHARE: Final = 0.05
_ONE_SHOPPER_SHARE: Final = 0.2
_FOREIGN_SHARE: Final = 0.01
_HOUR_MS: Final = 3_600_000
_NEAR_MS: Final = 300_000
_SAME_LAG_SHARE: Final = 0.8
_AHEAD_MS: Final = 300_000
_EARLIEST_SECONDS: Final = EARLIEST_MS // 1000


def _actions(shop: Shop, *names: str) -> dict[str, np.ndarray[Any, Any]]:
    """Columns of the latest actions."""
    columns: dict[str, list[Any]] = {name: [] for name in names}
    since = max(0, shop.stored().seq - _LATEST)
    for table in shop.parts.store.scan("action", since_seq=since, columns=names):
        for name in names:
            columns[name].append(table[name].to_numpy())
    return {
        name: np.concatenate(parts) if parts else np.empty(0, np.int64)
        for name, parts in columns.items()
    }


def _catalogue(shop: Shop, now_ms: int) -> Iterator[Finding]:
    """Events of items nobody has described, and items without a title."""
    from habitue.policy.shelf import UNPOSTED

    del now_ms
    rows = _actions(shop, "item_row")["item_row"]
    rows = rows[rows != NO_ROW]
    items, n = shop.parts.live.items, shop.parts.live.n_items
    posted = items.shelf.state[:n] != UNPOSTED
    if len(rows) >= _LEAST:
        share = float(np.mean(~posted[rows]))
        if share > _UNPOSTED_SHARE:
            yield told(
                "catalogue",
                f"{share:.0%} of the latest actions are about items not in the catalogue",
                "POST /v1/items, or name the columns in the mapping's [item] table; compare the "
                "ids that events and catalogue use.",
            )
    untitled = sum(not items.shelf.title(row) for row in np.flatnonzero(posted).tolist())
    if untitled > _UNTITLED_SHARE * max(1, posted.sum()):
        yield told(
            "titles",
            f"{untitled:,} of {posted.sum():,} items have no title",
            "Send title with the items: reasons, search and likeness rest on it.",
        )


def _times(shop: Shop, now_ms: int) -> Iterator[Finding]:
    """Clocks and time zones that are wrong, seconds sent as milliseconds."""
    columns = _actions(shop, "at_ms", "received_at_ms")
    received = columns["received_at_ms"]
    if len(received) and received.max() > now_ms + _AHEAD_MS:
        hours = (received.max() - now_ms) / _HOUR_MS
        yield told(
            "clock",
            f"events were received {hours:.1f} hours from now: a clock of this machine is wrong",
            "Set the clock by NTP on every machine that serves the shop.",
            wrong=True,
        )
    lag = received - columns["at_ms"]
    hours_off = np.round(lag / _HOUR_MS).astype(np.int64)
    exact = (np.abs(lag - hours_off * _HOUR_MS) < _NEAR_MS) & (hours_off != 0)
    if len(lag) >= _LEAST and exact.mean() > _SAME_LAG_SHARE:
        common = int(np.bincount(hours_off[exact] - hours_off[exact].min()).argmax())
        common += int(hours_off[exact].min())
        if np.mean(hours_off == common) > _SAME_LAG_SHARE:
            yield told(
                "times",
                f"events arrive {common} hours after they happened, all of them",
                "The sender tells local time as if it were UTC: add the offset, or leave `at` out.",
            )
    seconds = 0
    for table in shop.parts.store.scan("item", columns=["valid_from_ms"]):
        said = table["valid_from_ms"].to_numpy()
        seconds += int(((said > _EARLIEST_SECONDS) & (said < EARLIEST_MS)).sum())
    if seconds:
        yield told(
            "seconds",
            f"{seconds:,} item versions are valid from January 1970",
            "Times are milliseconds since 1970: these look like seconds.",
            wrong=True,
        )


def _orders(shop: Shop, now_ms: int) -> Iterator[Finding]:
    """Purchases that no order ties together."""
    del now_ms
    columns = _actions(shop, "kind", "order_id")
    bought = columns["kind"] == ActionKind.purchase
    if bought.sum() >= _LEAST:
        share = float(np.mean([one is None for one in columns["order_id"][bought].tolist()]))
        if share > _WITHOUT_ORDER_SHARE:
            yield told(
                "orders",
                f"{share:.0%} of the latest purchases have no order_id",
                "Send it: what is bought together, and how often, is told by nothing else.",
            )


def _shoppers(shop: Shop, now_ms: int) -> Iterator[Finding]:
    """One id that does what only many people, or a program, can do."""
    del now_ms
    rows = _actions(shop, "shopper_row")["shopper_row"]
    if len(rows) < _LEAST:
        return
    counts = np.bincount(rows)
    share = counts.max() / len(rows)
    if share > _ONE_SHOPPER_SHARE and (counts > 0).sum() > 1:
        yield told(
            "shoppers",
            f"one shopper did {share:.0%} of the latest {len(rows):,} actions",
            "A robot, or one id for everybody who is not signed in: give each browser its own.",
        )


def _consent(shop: Shop, now_ms: int) -> Iterator[Finding]:
    """Nobody is personalised for, since nobody is taken to allow it and nobody has been asked."""
    del now_ms
    default = shop.parts.settings.privacy.default_consent
    facts = shop.stored().facts
    if "personalisation" not in default and facts["action"] and not facts["consent"]:
        yield told(
            "consent",
            "personalisation is not allowed by default, and no shopper has allowed it",
            "Send answers to POST /v1/consents, or say otherwise in privacy.default_consent.",
        )


def _currency(shop: Shop, now_ms: int) -> Iterator[Finding]:
    """Money that cannot be compared."""
    del now_ms
    base = shop.parts.settings.shop.base_currency
    said = [one for one in _actions(shop, "currency")["currency"].tolist() if one]
    other = sorted({one for one in said if one != base})
    share = sum(one != base for one in said) / max(1, len(said))
    if share > _FOREIGN_SHARE:
        yield told(
            "currency",
            f"{share:.0%} of the latest amounts are in {', '.join(other[:5])}, not in {base}",
            "Set shop.base_currency to the shop's own; there are no rates for others yet, so "
            "convert amounts before they are sent.",
        )


LOOKS: Final[tuple[Callable[[Shop, int], Iterator[Finding]], ...]] = (
    _catalogue,
    _times,
    _orders,
    _shoppers,
    _consent,
    _currency,
)
"""Each looks at an open shop, given the time in UTC milliseconds."""
