"""A shop that learns a network: trained in one process, served by another that has no PyTorch."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from habitue.app import Shop, open_shop
from habitue.app.note import Refusal, note_refusal
from habitue.world import build_world
from habitue.world.config import WorldConfig
from tests.app.worlds import NOW_MS, SMALL_TRAINING, tell

ROOT = Path(__file__).parents[2]
SMALL = WorldConfig(n_items=100, n_shoppers=100, days=40, visits_per_day=0.3)
SEQUENCE = {
    **SMALL_TRAINING,
    "server.slate_budget_ms": 10_000,  # a busy machine must not fall back to popular
    "training.sources": [
        {"source": "popular"},
        {"source": "content"},
        {
            "source": "sequence",
            "behaviour": {"dim": 16, "length": 20, "schedule": {"epochs": 3, "tokens": 500}},
        },
    ],
    "training.quotas": {"home": {"popular": 20, "content": 20, "sequence": 40}},
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
        "torch": "torch" in sys.modules,
        "onnx": "onnxruntime" in sys.modules,
    }))
"""


@pytest.mark.slow
def test_a_network_learns_here_and_serves_there(tmp_path: Path) -> None:
    store = tmp_path / "shop.db"
    with open_shop(store, overrides=SEQUENCE) as shop:
        world = tell(shop, build_world(NOW_MS, seed=3, config=SMALL))
        made = shop.train()
        shopper = next(iter(world.shoppers())).id
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(store), shopper, json.dumps(SEQUENCE)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout.splitlines()[-1])
    assert there["snapshot"] == made.name
    assert len(there["items"]) == 8
    assert there["onnx"], "the network answered"
    assert not there["torch"]


@pytest.mark.slow
def test_a_training_goes_on_from_the_last_until_it_must_not(tmp_path: Path) -> None:
    """Not where it was refused, and not where a shopper was erased since."""

    def went_on(shop: Shop) -> list[str]:
        report = shop.report(shop.train().name)
        assert report is not None
        return report.went_on

    store = tmp_path / "shop.db"
    with open_shop(store, overrides=SEQUENCE) as shop:
        world = tell(shop, build_world(NOW_MS, seed=3, config=SMALL))
        assert went_on(shop) == []
        assert went_on(shop) == ["sequence"]
        assert "went on from the last snapshot: sequence" in told(shop)
        note_refusal(shop.parts.snapshots.path, Refusal(NOW_MS, "far worse"))
        assert went_on(shop) == []
        assert went_on(shop) == ["sequence"]
        shop.forget(next(iter(world.shoppers())).id)
        assert went_on(shop) == []
    off = {**SEQUENCE, "training.warm_start.enabled": False}
    with open_shop(store, overrides=off) as shop:
        assert went_on(shop) == []


def told(shop: Shop) -> str:
    """What a terminal shows of the last training."""
    report = shop.report(shop.snapshots()[0].name)
    assert report is not None
    wide = Console(width=300, record=True, file=io.StringIO())
    wide.print(report.table())
    return wide.export_text()
