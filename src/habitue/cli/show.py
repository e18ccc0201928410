"""Answers as tables for the terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from habitue.app import Shop, SnapshotInfo
    from habitue.behaviour.returning import NetworkOutlook, Outlook
    from habitue.candidates.foretold import ForetoldRatings, RatedItem
    from habitue.cli.doctor import Finding
    from habitue.portraits.portrait import Evidence, Portrait
    from habitue.privacy.keys import Keyring
    from habitue.surfaces import SlateAnswer

__all__ = [
    "console",
    "findings_table",
    "key_rows",
    "key_table",
    "outlook_table",
    "portrait_table",
    "ratings_table",
    "slate_json",
    "slate_table",
    "snapshot_json",
    "snapshot_table",
    "told_json",
]

_LOG_WIDTH: Final = 130
_MAIN: Final = 1  # metrics shown beside a snapshot's name
_COLOUR: Final = {"fine": "green", "look": "yellow", "wrong": "red"}


def _when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def slate_table(shop: Shop, slate: SlateAnswer) -> Table:
    """A slate with its reasons."""
    told = [f"snapshot {slate.snapshot}" if slate.snapshot else "no snapshot"]
    if slate.fallback:
        told.append(f"fallback: {slate.fallback}")
    table = Table(title=f"{slate.surface} · {' · '.join(told)}")
    for name in ("slot", "item", "title", "why", "source"):
        table.add_column(name, overflow="fold")
    table.add_column("score", justify="right")
    items = shop.parts.live.items
    for slot, one in enumerate(slate.items):
        title = items.title(items.row(one.item))
        cells = (one.item, title, one.reason, one.source)
        table.add_row(str(slot + 1), *map(escape, cells), f"{one.score:.3f}")
    return table


def slate_json(slate: SlateAnswer) -> str:
    """A slate as the HTTP interface would answer it."""
    return msgspec.json.format(msgspec.json.encode(slate)).decode()


def snapshot_table(snapshots: Sequence[SnapshotInfo]) -> Table:
    """Snapshots with the first of their metrics."""
    names = list(dict.fromkeys(name for one in snapshots for name in one.metrics))[:_MAIN]
    table = Table(title="snapshots" if snapshots else "no snapshots yet: habitue train makes one")
    table.add_column("name", no_wrap=True)
    table.add_column("made (UTC)", no_wrap=True)
    for name in ("facts", *names):
        table.add_column(name, justify="right")
    for one in snapshots:
        mark = "[green]●[/] " if one.active else "  "
        metrics = (f"{one.metrics[name]:.3f}" if name in one.metrics else "" for name in names)
        table.add_row(mark + one.name, _when(one.made_at_ms), f"{one.watermark:,}", *metrics)
    return table


def snapshot_json(snapshots: Sequence[SnapshotInfo]) -> str:
    """Snapshots as JSON."""
    return msgspec.json.format(msgspec.json.encode(list(snapshots))).decode()


def console() -> Console:
    """Standard output; wide where it is no terminal, since nobody folds a log."""
    made = Console()
    return made if made.is_terminal else Console(width=_LOG_WIDTH)


def key_rows(keyring: Keyring) -> list[dict[str, str]]:
    """Keys by name, oldest first, without what is secret; times in UTC."""
    used = keyring.last_used()
    return [
        {
            "name": one.name,
            "scope": one.scope,
            "made": _when(one.created_ms),
            "last used": _when(used[one.sha256]) if one.sha256 in used else "",
            "ends": "" if one.expires_ms is None else _when(one.expires_ms),
            "revoked": "" if one.revoked_ms is None else _when(one.revoked_ms),
        }
        for one in keyring.entries()
    ]


def told_json(told: Portrait | Outlook | ForetoldRatings) -> str:
    """What is told of a shopper, as the HTTP interface would answer it."""
    return msgspec.json.format(msgspec.json.encode(told)).decode()


def portrait_table(portrait: Portrait) -> Table:
    """A portrait: what it says, and the actions each thing rests on."""
    life = portrait.lifecycle
    table = Table(title=escape(portrait.shopper), title_justify="left")
    for name in ("", "what", "rests on"):
        table.add_column(name, overflow="fold")
    if life is None:
        table.add_row("personalisation", "not allowed: nothing is held", "")
        return table
    pace = f"an order is late after {life.late_gap_days:.0f} days"
    table.add_row("stage", life.stage, f"{life.orders} orders; {pace}")
    if (rfv := portrait.rfv) is not None:
        fifths = (rfv.recency_fifth, rfv.frequency_fifth, rfv.value_fifth)
        told = f"{rfv.recency_days:.0f} days ago, {rfv.frequency} orders, {rfv.value_minor:,} minor"
        known = f"; fifths {'-'.join(map(str, fifths))}" if rfv.value_fifth else ""
        orders = "; ".join(f"{one.at:%Y-%m-%d} {', '.join(one.items)}" for one in rfv.evidence)
        table.add_row("value", told + known, escape(orders))
    if (price := portrait.price) is not None:
        table.add_row(
            "price", f"{price.band} ({price.level:.0%} of its category)", _rests(price.evidence)
        )
    for name, interests in (("category", portrait.categories), ("brand", portrait.brands)):
        for one in interests:
            told = f"{escape(one.name)} {one.share:.0%} ({one.count} actions)"
            table.add_row(name, told, _rests(one.evidence))
    return table


def outlook_table(outlook: Outlook) -> Table:
    """An outlook: what is expected, and what that rests on."""
    table = Table(title=escape(outlook.shopper), title_justify="left")
    for name in ("", "what", "rests on"):
        table.add_column(name, overflow="fold")
    if not outlook.personalisation:
        table.add_row("personalisation", "not allowed: nothing is held", "")
        return table
    _add_by_orders(table, outlook)
    if outlook.network is not None:
        _add_by_network(table, outlook.network)
    return table


def _add_by_network(table: Table, network: NetworkOutlook) -> None:
    """What a behaviour model foretells besides, the likeliest kinds first."""
    rests = f"the network of {escape(network.source)}"
    if network.next_kind is not None:
        kinds = sorted(network.next_kind.items(), key=lambda one: -one[1])
        told = ", ".join(f"{name} {chance:.0%}" for name, chance in kinds[:4])
        table.add_row("acts next", told, rests)
    chances = (
        network.purchase_within_7_days,
        network.purchase_within_30_days,
        network.purchase_within_90_days,
    )
    if None not in chances:
        told = ", ".join(f"{one:.0%}" for one in chances if one is not None)
        table.add_row("buys within 7, 30, 90 days", told, rests)


def _add_by_orders(table: Table, outlook: Outlook) -> None:
    """What is expected by the customer's orders."""
    chance = (
        outlook.purchase_within_7_days,
        outlook.purchase_within_30_days,
        outlook.purchase_within_90_days,
    )
    if outlook.days_since_order is None or None in chance:
        why = "has never ordered" if not outlook.orders else "no snapshot has learnt it yet: train"
        table.add_row("nothing is expected", why, f"{outlook.orders} orders")
        return
    orders = "; ".join(f"{one.at:%Y-%m-%d} {', '.join(one.items)}" for one in outlook.evidence)
    told = ", ".join(f"{one:.0%}" for one in chance if one is not None)
    table.add_row("buys within 7, 30, 90 days", told, escape(orders))
    days = (outlook.return_days_low, outlook.expected_return_days, outlook.return_days_high)
    low, middle, high = ("more than 180" if one is None else f"{one:.0f}" for one in days)
    gap = outlook.usual_gap_days
    usual = "" if gap is None else f"; usually {gap:.0f} days between orders"
    since = f"{outlook.orders} orders, the last {outlook.days_since_order:.0f} days ago{usual}"
    table.add_row("is back in", f"{middle} days ({low} to {high})", since)
    pulls = ", ".join(f"{one.what} {one.strength:+.2f}" for one in outlook.pulls[:5])
    table.add_row("beside the average", pulls, "log odds")


def ratings_table(told: ForetoldRatings) -> Table:
    """Ratings foretold: what would be praised and blamed of each item, and what that rests on."""
    table = Table(title=escape(told.shopper), title_justify="left")
    if not told.personalisation:
        for name in ("", "what"):
            table.add_column(name, overflow="fold")
        table.add_row("personalisation", "not allowed: nothing is foretold")
        return table
    for name in ("item", "rating", f"{told.level:.0%} within", "sides", "rests on"):
        table.add_column(name, overflow="fold")
    for one in told.ratings:
        sides = "; ".join(
            f"{side.says} {side.kind} {side.name} {side.adds:+.2f}" for side in one.sides
        )
        own = "" if one.given is None else f", was given {one.given.rating:g}"
        table.add_row(
            escape(one.item),
            f"{one.rating:.2f}{own}",
            f"{one.low:.2f} to {one.high:.2f}",
            escape(sides) if one.known else "nobody knows the item: this is what is usual",
            _rated(one.evidence),
        )
    return table


def _rated(evidence: Sequence[RatedItem]) -> str:
    return escape("; ".join(f"{one.at:%Y-%m-%d} {one.item} {one.rating:g}" for one in evidence))


def _rests(evidence: Sequence[Evidence]) -> str:
    return escape("; ".join(f"{one.at:%Y-%m-%d} {one.kind} {one.item}" for one in evidence))


def key_table(keyring: Keyring) -> Table:
    """Keys by name, without what is secret."""
    table = Table(title="API keys (times in UTC)")
    for name in ("name", "scope", "made", "last used", "ends", "revoked"):
        table.add_column(name)
    for row in key_rows(keyring):
        table.add_row(*map(escape, row.values()))
    return table


def findings_table(findings: Sequence[Finding]) -> Table:
    """What the doctor found, and what to do about it."""
    table = Table(title="habitue doctor")
    for name in ("", "what", "found", "what to do"):
        table.add_column(name, overflow="fold")
    for one in findings:
        table.add_row(
            f"[{_COLOUR[one.state]}]●[/]", escape(one.what), escape(one.found), escape(one.remedy)
        )
    return table
