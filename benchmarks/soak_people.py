"""What happens in the soak besides actions: slates of others, campaigns, friendships."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from habitue.facts import Consent, Fact, Item, Link, Shopper, Shown
from habitue.surfaces import SurfaceRequest
from habitue.surfaces.messages import Campaign

__all__ = ["Moments", "newcomers", "shown_elsewhere"]

RECIPIENTS: Final = 500
PUBLIC: Final = 300
FRIENDLY: Final = 20_000
"""Shoppers who make friends, the public among them."""
FRIENDSHIPS: Final = 500  # each time
SLOTS: Final = 12


def newcomers(n_shoppers: int, at_ms: int) -> list[Fact]:
    """Shoppers who allow messages, and people whom the shop shows."""
    some = [f"shopper-{x}" for x in range(min(RECIPIENTS, n_shoppers))]
    facts: list[Fact] = []
    for who in some:
        facts += [
            Shopper(id=who, at=at_ms, traits={"email": f"{who}@shop.example"}),
            Consent(shopper=who, granted=["messages"], at=at_ms),
        ]
    facts += [
        Item(id=who, title=who, item_type="person", valid_from=at_ms) for who in some[:PUBLIC]
    ]
    return facts


def shown_elsewhere(
    rng: np.random.Generator, since: int, n: int, n_shoppers: int, n_items: int, at_ms: int
) -> Sequence[Shown]:
    """Records of slates that another process showed."""
    who = rng.integers(0, n_shoppers, n).tolist()
    items = rng.integers(0, n_items, (n, SLOTS)).tolist()
    return [
        Shown(
            id=f"elsewhere-{since}-{x}",
            at=at_ms,
            shopper=f"shopper-{one}",
            surface="home",
            snapshot="",
            arm="",
            items=[f"item-{item}" for item in slots],
            scores=[0.0] * SLOTS,
            propensities=[1.0] * SLOTS,
            sources=["popular_now"] * SLOTS,
        )
        for x, (one, slots) in enumerate(zip(who, items, strict=True))
    ]


class Moments:
    """Now and then a campaign, new friendships, and pages of people."""

    def __init__(self, parts: Any, n_shoppers: int, memory: Callable[[], dict[str, float]]) -> None:
        self._parts = parts
        self._n_shoppers = n_shoppers
        self._memory = memory
        self._rng = np.random.default_rng(7)
        self._n = 0
        self._messages = 0
        self._above = {"a campaign": 0.0, "ties": 0.0}

    def pass_one(self, at_ms: int) -> None:
        """One moment of each; the most memory that each took on the way is kept."""
        self._n += 1
        self._above["a campaign"] = max(self._above["a campaign"], self._watch(self._send, at_ms))
        self._above["ties"] = max(self._above["ties"], self._watch(self._befriend, at_ms))

    def told(self) -> str:
        """What happened, in words."""
        above = ", ".join(f"{name} {most / 1e6:,.0f} MB" for name, most in self._above.items())
        return (
            f"{self._messages:,} messages in {self._n} campaigns, "
            f"{self._n * FRIENDSHIPS:,} friendships; for a moment, {above} more"
        )

    def _send(self, at_ms: int) -> None:
        from habitue.app.messaging import send_messages

        text = "{% for item in items %}{{ item.title }} {% endfor %}"
        campaign = Campaign(id=f"moment-{self._n}", subject="For you", text=text)
        sent = send_messages(
            self._parts, campaign, clock=lambda: at_ms, progress=lambda *_: None, seed=self._n
        )
        self._messages += sent.sent

    def _befriend(self, at_ms: int) -> None:
        pairs = self._rng.integers(0, min(FRIENDLY, self._n_shoppers), (FRIENDSHIPS, 2)).tolist()
        links = [
            Link(kind="friend", head=f"shopper-{one}", tail=f"shopper-{other}", at=at_ms)
            for one, other in pairs
        ]
        self._parts.store.append(links, received_at_ms=at_ms)
        for who in self._rng.integers(0, FRIENDLY, 5).tolist():
            request = SurfaceRequest(surface="people", shopper=f"shopper-{who}", n=SLOTS)
            self._parts.surfaces.recommend(request, at_ms, self._rng)

    def _watch(self, work: Callable[[int], None], at_ms: int) -> float:
        """Bytes that a piece of work took beyond what was held before it, at its most."""
        before, stop = self._memory()["own"], threading.Event()
        most = [before]

        def look() -> None:
            while not stop.wait(0.02):
                most[0] = max(most[0], self._memory()["own"])

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            work(at_ms)
        finally:
            stop.set()
            watcher.join()
        return most[0] - before
