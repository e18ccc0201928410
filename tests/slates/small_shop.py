"""A running shop on a SQLite file: told facts as the API tells them, asked as it asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from habitue.facts import Action, Fact, Item, Shown
from habitue.policy.rule_policy import RulePolicy
from habitue.policy.rules import SurfaceRules
from habitue.privacy.consent import ConsentGate
from habitue.slates.fallback import PopularNow, popular_pipeline
from habitue.slates.impressions import Impressions
from habitue.slates.live import LiveShop
from habitue.slates.people import People
from habitue.slates.serving import Servable, Switch, places_of, policies_of
from habitue.store.contract import Appended
from habitue.store.live_memory import MemoryLiveState
from habitue.store.sqlite import SqliteFactStore
from habitue.surfaces.compose import Surfaces
from habitue.surfaces.slate import SlateAnswer, SurfaceRequest

NOW = 1_700_000_000_000
MINUTE, DAY = 60_000, 86_400_000


@dataclass
class SmallShop:
    """The parts of a process that serves one shop, and a clock that only moves when told."""

    path: Path
    rules: SurfaceRules = field(default_factory=lambda: SurfaceRules(epsilon=0.0))
    per_surface: Mapping[str, SurfaceRules] = field(default_factory=dict)
    length: int = 20
    now_ms: int = NOW

    def __post_init__(self) -> None:
        self.store = SqliteFactStore(self.path / "shop.db")
        self.live = MemoryLiveState(self.length, 1_000, self.store.recent)
        self.consent = ConsentGate(("personalisation", "analytics"))
        people = People(self.store, consent=self.consent)
        self.shop = LiveShop(self.store, self.live, people, impressions=Impressions(100))
        self.shop.start(self.now_ms)
        self.popular = PopularNow(self.shop)
        policies = self.policies()
        places = places_of(self.shop, policies, {name: name for name in policies})
        pipeline = popular_pipeline(self.popular, policies["home"])
        self.fallback = Servable("", pipeline, policies, places=places)
        self.switch = Switch(self.fallback)
        self.shown: list[Shown] = []
        self.failures: list[Exception] = []
        self.surfaces = Surfaces(
            self.shop,
            self.switch,
            self.fallback,
            write=self.shown.append,
            cursor_key=b"a key of the test",
            failed=self.failures.append,
        )
        self.rng = np.random.default_rng(5)

    def policies(self) -> dict[str, RulePolicy]:
        return policies_of(self.shop, self.rules_by_surface())

    def rules_by_surface(self) -> dict[str, SurfaceRules]:
        names = ("home", "item", "cart", "fresh", "popular", "rebuy", "people", *self.per_surface)
        return {name: self.per_surface.get(name, self.rules) for name in names}

    def tell(self, *facts: Fact) -> Appended:
        """Facts reach the shop now, and are acknowledged."""
        self.now_ms += 1
        appended = self.store.append(facts, received_at_ms=self.now_ms)
        assert not appended.rejected, appended.rejected
        self.shop.take(facts, appended, self.now_ms)
        return appended

    def act(self, shopper: str, kind: str, *items: str, days_ago: float = 0) -> Appended:
        """A shopper does the same to some items."""
        at = self.now_ms - int(days_ago * DAY)
        order = f"{shopper}-{at}" if kind == "purchase" else None
        return self.tell(
            *(
                Action(kind=kind, shopper=shopper, item=item, at=at, order_id=order)
                for item in items
            )
        )

    def ask(
        self,
        shopper: str | None = None,
        surface: str = "home",
        items: tuple[str, ...] = (),
        n: int = 5,
        page: str | None = None,
        only: str | None = None,
    ) -> SlateAnswer:
        """The next slate."""
        self.now_ms += 1
        request = SurfaceRequest(
            surface=surface, shopper=shopper, items=list(items), n=n, page=page, filter=only
        )
        self.popular.refresh(self.now_ms + 3_600_000 * len(self.shown))  # always afresh
        return self.surfaces.recommend(request, self.now_ms, self.rng)

    def post(self, n: int = 30, **fields: object) -> None:
        """Items i0 to i(n-1): category i % 3, brand i % 5, price i + 1."""
        self.tell(
            *(
                Item(
                    id=f"i{x}",
                    title=f"Item {x}",
                    product_type=f"Shop > {'ABC'[x % 3]}",
                    brand=f"Brand {x % 5}",
                    price_micros=(x + 1) * 1_000_000,
                    **fields,  # type: ignore[arg-type]
                )
                for x in range(n)
            )
        )


def items_of(answer: SlateAnswer) -> list[str]:
    """The ids of a slate, in order."""
    return [slot.item for slot in answer.items]
