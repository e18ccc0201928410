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
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(store), shopper, json.dumps(overrides)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout.splitlines()[-1])
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


def told(shop: Shop) -> str:
    """What a terminal shows of the last training."""
    report = shop.report(shop.snapshots()[0].name)
    assert report is not None
    wide = Console(width=300, record=True, file=io.StringIO())
    wide.print(report.table())
    return wide.export_text()
