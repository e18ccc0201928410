"""Shoppers as vectors, over HTTP and as columns: alike near each other, live, and withheld."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from habitue.facts import Action, Consent, Item
from tests.api.conftest import Client, Served, opened, settings_in
from tests.app.worlds import SMALL_TRAINING

DAY = 86_400_000
LEARNT_MS = int(time.time() * 1000) - 5 * DAY
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "portraits.md"
SOURCES = [
    {"source": "popular"},
    {"source": "als", "factors": 8, "name": "tastes"},
]


@pytest.fixture(params=["sqlite, memory", "postgresql, redis"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    overrides: dict[str, object] = {
        **SMALL_TRAINING,
        "training.sources": SOURCES,
        "training.quotas": {"home": {"popular": 10, "tastes": 10}},
        "training.evaluate": False,
        "shop.conversions": ["purchase", "sign_up"],
    }
    if request.param.startswith("postgresql"):
        overrides["store.address"] = request.getfixturevalue("fresh_postgres_dsn")
        overrides["live.address"] = request.getfixturevalue("redis_url")
    with opened(settings_in(tmp_path, overrides)) as one:
        yield one


def tell(served: Served, kind_of: str = "purchase") -> None:
    """Half of the shoppers buy tea, half buy coffee; Ben withdraws. Or take it otherwise."""
    rng = np.random.default_rng(4)
    items = [Item(id=f"{kind}-{n}", title=f"{kind} {n}", valid_from=LEARNT_MS - 60 * DAY)
             for kind in ("tea", "coffee") for n in range(8)]  # fmt: skip
    actions = [
        Action(
            kind=kind_of, item=f"{kind}-{n}",
            shopper="ana" if (kind, who) == ("tea", 0) else f"{kind}-{who}",
            at=LEARNT_MS - DAY * int(rng.integers(0, 30)) - int(rng.integers(0, DAY)),
            order_id=f"{kind}-{who}-{n}" if kind_of == "purchase" else None,
        )
        for kind in ("tea", "coffee")
        for who in range(30)
        for n in rng.permutation(8)[:4].tolist()
    ]  # fmt: skip
    served.shop.ingest([*items, *actions])
    served.shop.ingest([Consent(shopper="tea-1", denied=["personalisation"], at=LEARNT_MS)])


def vector(told: dict[str, Any]) -> np.ndarray[Any, Any]:
    return np.array(told["vector"])


def test_shoppers_alike_lie_near_each_other_one_by_one_and_all_at_once(
    served: Served, client: Client
) -> None:
    tell(served)
    made = served.shop.train(seed=1)
    tea, other_tea, coffee = (
        client.get(f"/v1/shoppers/{who}/embedding").json() for who in ("ana", "tea-2", "coffee-0")
    )
    assert (tea["shopper"], tea["snapshot"], tea["source"]) == ("ana", made.name, "tastes")
    assert len(tea["vector"]) == 8
    assert np.linalg.norm(vector(tea)) == pytest.approx(1, abs=1e-5)
    assert vector(tea) @ vector(other_tea) > vector(tea) @ vector(coffee) + 0.3
    ben = client.get("/v1/shoppers/tea-1/embedding").json()
    assert (ben["personalisation"], ben["vector"], ben["source"]) == (False, None, None)
    now_ms = int(time.time() * 1000)
    frame = served.shop.embeddings(source="tastes", now_ms=now_ms)
    assert frame["shopper"].is_unique().all()
    assert "tea-1" not in frame["shopper"]
    assert {"ana", "coffee-29"} <= set(frame["shopper"])
    for row in frame.sample(10, seed=0).iter_rows(named=True):
        alone = served.shop.embedding(row["shopper"], source="tastes", now_ms=now_ms)
        assert alone.vector == pytest.approx(row["vector"], abs=2e-3)
    _, example = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    told: dict[str, Any] = {"habitue": SimpleNamespace(open=lambda _: nullcontext(served.shop))}
    exec(compile(example, str(GUIDE), "exec"), told)
    assert told["frame"]["shopper"][0] == "ana"  # nobody is more like her


def test_kinds_mean_the_same_for_one_and_for_all(served: Served) -> None:
    """Where a sign-up is a conversion, whoever signs up is read as whoever buys."""
    tell(served, "sign_up")
    served.shop.train(seed=1)
    later = [Action(kind="sign_up", shopper="tea-5", item=f"coffee-{n}") for n in range(8)]
    served.shop.ingest(later)
    now_ms = int(time.time() * 1000) + 1_000
    frame = served.shop.embeddings(source="tastes", now_ms=now_ms)
    assert {"ana", "coffee-29"} <= set(frame["shopper"])
    (now,) = frame.filter(shopper="tea-5")["vector"]
    alone = served.shop.embedding("tea-5", source="tastes", now_ms=now_ms)
    assert alone.vector == pytest.approx(now.to_list(), abs=2e-3)


def test_what_was_done_a_moment_ago_counts(served: Served, client: Client) -> None:
    tell(served)
    served.shop.train(seed=1)
    query = {"params": {"source": "tastes"}}
    coffee = vector(client.get("/v1/shoppers/coffee-3/embedding", **query).json())
    before = vector(client.get("/v1/shoppers/tea-5/embedding", **query).json())
    bought = [{"kind": "purchase", "shopper": "tea-5", "item": f"coffee-{n}"} for n in range(8)]
    assert client.post("/v1/events", json=bought).status_code == 200
    after = vector(client.get("/v1/shoppers/tea-5/embedding", **query).json())
    assert after @ coffee > before @ coffee + 0.2


def test_what_cannot_be_told_is_said(served: Served, client: Client) -> None:
    tell(served)
    before = client.get("/v1/shoppers/ana/embedding")
    assert before.status_code == 409
    assert "habitue train" in before.json()["remedy"]
    served.shop.train(seed=1)
    assert client.get("/v1/shoppers/nobody/embedding").status_code == 404
    other = client.get("/v1/shoppers/ana/embedding", params={"source": "popular"})
    assert other.status_code == 422
    assert "tastes" in other.json()["remedy"]
    key = served.key("browser")
    refused = client.get("/v1/shoppers/ana/embedding", headers={"x-api-key": key})
    assert refused.status_code == 403
