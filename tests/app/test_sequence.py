"""A shop that learns a network: trained in one process, served by another that has no PyTorch."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from habitue.app import Shop, open_shop
from habitue.app.note import Refusal, note_refusal
from habitue.cli.show import outlook_table
from habitue.facts import Action, Consent
from habitue.world import build_world
from habitue.world.config import WorldConfig
from tests.app.worlds import NOW_MS, SMALL_TRAINING, tell

ROOT = Path(__file__).parents[2]
SMALL = WorldConfig(n_items=100, n_shoppers=100, days=40, visits_per_day=0.3)
NETWORKS: dict[str, dict[str, Any]] = {
    "sequence": {"behaviour": {"dim": 16, "length": 20, "schedule": {"epochs": 3, "tokens": 500}}},
    "two_tower": {"dim": 16, "length": 20, "schedule": {"epochs": 3, "batch": 500}},
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> str:
    """The name of a source that is a network."""
    return str(request.param)


def settings_with(network: str) -> dict[str, object]:
    return {
        **SMALL_TRAINING,
        "server.slate_budget_ms": 10_000,  # a busy machine must not fall back to popular
        "training.sources": [
            {"source": "popular"},
            {"source": "content"},
            {"source": network, **NETWORKS[network]},
        ],
        "training.quotas": {"home": {"popular": 20, "content": 20, network: 40}},
    }


def told_elsewhere(
    script: str, store: Path, shopper: str, overrides: dict[str, object]
) -> dict[str, Any]:
    """What a script prints that opens the shop in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(store), shopper, json.dumps(overrides)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


SERVE = """
import json, sys
from habitue.app import open_shop

store, shopper, overrides = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with open_shop(store, overrides=overrides) as shop:
    slate = shop.recommend(shopper, n=8)
    print(json.dumps({
        "snapshot": slate.snapshot,
        "items": [slot.item for slot in slate.items],
        "fallback": slate.fallback,
        "sources": [source.name for source in shop.parts.switch.current.pipeline.sources],
        "torch": "torch" in sys.modules,
        "onnx": "onnxruntime" in sys.modules,
    }))
"""


@pytest.mark.slow
def test_a_network_learns_here_and_serves_there(network: str, tmp_path: Path) -> None:
    store, overrides = tmp_path / "shop.db", settings_with(network)
    with open_shop(store, overrides=overrides) as shop:
        world = tell(shop, build_world(NOW_MS, seed=3, config=SMALL))
        made = shop.train()
        shopper = next(iter(world.shoppers())).id
    there = told_elsewhere(SERVE, store, shopper, overrides)
    assert there["snapshot"] == made.name
    assert len(there["items"]) == 8
    assert there["fallback"] == ""
    assert network in there["sources"], "so it was asked"
    assert there["onnx"] == (network == "sequence"), "two towers need neither"
    assert not there["torch"]


@pytest.mark.slow
def test_a_training_goes_on_from_the_last_until_it_must_not(network: str, tmp_path: Path) -> None:
    """Not where it was refused, and not where a shopper was erased since."""

    def went_on(shop: Shop) -> list[str]:
        report = shop.report(shop.train().name)
        assert report is not None
        return report.went_on

    store, overrides = tmp_path / "shop.db", settings_with(network)
    with open_shop(store, overrides=overrides) as shop:
        world = tell(shop, build_world(NOW_MS, seed=3, config=SMALL))
        assert went_on(shop) == []
        assert went_on(shop) == [network]
        assert f"went on from the last snapshot: {network}" in told(shop)
        note_refusal(shop.parts.snapshots.path, Refusal(NOW_MS, "far worse"))
        assert went_on(shop) == []
        assert went_on(shop) == [network]
        shop.forget(next(iter(world.shoppers())).id)
        assert went_on(shop) == []
    off = {**overrides, "training.warm_start.enabled": False}
    with open_shop(store, overrides=off) as shop:
        assert went_on(shop) == []


OUTLOOK = """
import json, sys
from habitue.app import open_shop

store, shopper, overrides = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with open_shop(store, overrides=overrides) as shop:
    network = shop.outlook(shopper).network
    print(json.dumps({
        "next_kind": network.next_kind, "within": network.purchase_within_30_days,
        "source": network.source, "measured": network.measured,
        "torch": "torch" in sys.modules,
    }))
"""


@pytest.mark.slow
def test_what_else_a_network_foretells_is_told_where_it_serves(tmp_path: Path) -> None:
    """In another process, without PyTorch; for who only looked too; and not for who declines."""
    store, overrides = tmp_path / "shop.db", settings_with("sequence")
    source = overrides["training.sources"][2]  # type: ignore[index]
    weights = {"next_kind": 1.0, "comes_back": 1.0}
    heads = {**source["behaviour"], "head_weights": weights}
    overrides["training.sources"][2] = {**source, "behaviour": heads}  # type: ignore[index]
    overrides |= {"training.outlook.least_returns": 20, "training.outlook.horizon_days": 14,
                  "training.outlook.history_days": 20}  # fmt: skip
    with open_shop(store, overrides=overrides) as shop:
        world = tell(shop, build_world(NOW_MS, seed=3, config=SMALL))
        shopper = str(world.action_table["shopper"][-1])
        assert shop.outlook(shopper).network is None, "nothing is learnt yet"
        shop.train()
        here = shop.outlook(shopper).network
        assert here is not None
        assert shop.embedding(shopper).source == "sequence", "asked though it is read live"
        item = shop.recommend(shopper, n=1).items[0].item
        shop.ingest([Action(kind="view_item", shopper="guy", item=item, at=NOW_MS)])
        looked = shop.outlook("guy", now_ms=NOW_MS + 60_000)
        assert looked.purchase_within_30_days is None
        assert looked.network is not None
        assert looked.network.next_kind is not None
        assert sum(looked.network.next_kind.values()) == pytest.approx(1, abs=1e-4)
        wide = Console(width=200, record=True, file=io.StringIO())
        wide.print(outlook_table(looked))
        assert "acts next" in wide.export_text()
        the_frame_says_what_each_network_outlook_says(shop, NOW_MS + 60_000)
        shop.ingest([Consent(shopper="guy", denied=["personalisation"], at=NOW_MS)])
        assert shop.outlook("guy").network is None
        assert "guy" not in set(shop.outlooks()["shopper"])
    there = told_elsewhere(OUTLOOK, store, shopper, overrides)
    assert there["source"] == "sequence"
    assert not there["torch"]
    asked_later = pytest.approx(here.next_kind, abs=0.02)  # by as long as the rest took
    assert there["next_kind"] == asked_later
    assert there["within"] == pytest.approx(here.purchase_within_30_days, abs=0.02)
    assert there["measured"].keys() >= {"next_kind_logloss", "plain_next_kind_logloss"}


def the_frame_says_what_each_network_outlook_says(shop: Shop, now_ms: int) -> None:
    """Also of who never ordered; whatever length their pasts have in a batch."""
    frame = shop.outlooks(now_ms=now_ms)
    assert frame["shopper"].is_unique().all()
    assert {"guy"} < set(frame["shopper"])
    assert frame.filter(shopper="guy")["orders"].to_list() == [0]
    assert frame.filter(shopper="guy")["purchase_within_30_days"].to_list() == [None]
    for row in frame.iter_rows(named=True):
        one = shop.outlook(row["shopper"], now_ms=now_ms).network
        assert one is not None
        assert one.next_kind is not None
        assert row["network_next_kind"] == max(one.next_kind, key=one.next_kind.__getitem__)
        chance = max(one.next_kind.values())
        assert row["network_next_kind_chance"] == pytest.approx(chance, abs=1e-5)
        for name in ("purchase_within_7_days", "purchase_within_90_days", "expected_return_days"):
            value, single = row[f"network_{name}"], getattr(one, name)
            assert (value is None) == (single is None), name
            assert value is None or value == pytest.approx(single, rel=1e-4), name


def told(shop: Shop) -> str:
    """What a terminal shows of the last training."""
    report = shop.report(shop.snapshots()[0].name)
    assert report is not None
    wide = Console(width=300, record=True, file=io.StringIO())
    wide.print(report.table())
    return wide.export_text()
