"""What a request says reaches the network: over HTTP, the same shopper is answered otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from habitue.facts import Action, Item
from tests.api.conftest import Client, Served, opened, settings_in
from tests.app.worlds import SMALL_TRAINING

DAY = 86_400_000
LEARNT_MS = int(time.time() * 1000) - 2 * DAY
COLOURS = ("red", "blue", "green")
BEHAVIOUR = {
    "dim": 16, "kinds": ["view_item"], "dropout": 0.0, "input_dropout": 0.0,
    "asked_by": ["surface", "platform", "words"], "asked_dropout": 0.1, "unnamed": 0.0,
    "loss": {"own_past": "competes", "negatives": 12},
    "schedule": {"epochs": 40, "tokens": 100, "rate": 1e-2},
}  # fmt: skip


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    overrides: dict[str, object] = {
        **SMALL_TRAINING,
        "server.slate_budget_ms": 10_000,
        "training.sources": [{"source": "popular"}, {"source": "sequence", "behaviour": BEHAVIOUR}],
        "training.quotas": {"home": {"popular": 4, "sequence": 20}},
        "training.evaluate": False,
        "surfaces.home.fuse": "sum",
        "surfaces.home.weights": {"sequence": 1.0},
    }
    with opened(settings_in(tmp_path, overrides)) as one:
        yield one


def tell(served: Served) -> None:
    """On the app they look at lamps and on the web at rugs, of the colour they searched for."""
    rng = np.random.default_rng(4)
    items = [
        Item(id=f"{kind}-{colour}-{n}", title=f"{colour} {kind} {n}",
             valid_from=LEARNT_MS - 60 * DAY)
        for kind in ("lamp", "rug") for colour in COLOURS for n in range(2)
    ]  # fmt: skip
    actions = []
    for who in range(80):
        for day in range(8):
            at = LEARNT_MS - DAY * (8 - day) + int(rng.integers(0, DAY // 2))
            app, colour = bool(rng.integers(0, 2)), COLOURS[int(rng.integers(0, 3))]
            how = {"shopper": f"who-{who}", "platform": "app" if app else "web"}
            actions.append(
                Action(kind="search", query=f"{colour} things", at=at, surface="serp", **how)
            )
            item = f"{'lamp' if app else 'rug'}-{colour}-{int(rng.integers(0, 2))}"
            actions.append(
                Action(kind="view_item", item=item, at=at + 60_000, surface="search results", **how)
            )
    served.shop.ingest([*items, *actions])


def shown(client: Client, key: str, **said: str) -> list[str]:
    """All there is, in the order it is shown."""
    answer = client.post(
        "/v1/recommend",
        json={"surface": "home", "shopper": "who-1", "n": 12, **said},
        headers={"authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 200, answer.text
    return [slot["item"] for slot in answer.json()["items"]]


def place(items: list[str], word: str) -> float:
    """Where the items with this word in their name stand, on average."""
    return float(np.mean([at for at, item in enumerate(items) if word in item.split("-")]))


@pytest.mark.slow
def test_platform_and_words_of_a_request_are_heard(served: Served) -> None:
    tell(served)
    served.shop.train()
    served.shop.catch_up()
    key = served.key("server")
    with Client(served.app) as client:
        app, web = (shown(client, key, platform=platform) for platform in ("app", "web"))
        assert place(app, "lamp") < place(web, "lamp")
        red, green = (shown(client, key, query=f"{colour} ones") for colour in ("red", "green"))
        assert place(red, "red") < place(green, "red")
        assert place(green, "green") < place(red, "green")
