"""What it costs to foretell of everybody, with a network's heads and without.

    python -m benchmarks.outlooks [--shoppers 4000]

A simulated shop learns outlooks and a network of ``dim`` 128 with both heads, in one pass, which
is enough for the cost. Then ``shop.outlooks()`` is asked, and the network alone about batches of
512 shoppers and about one after the other.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import habitue
from habitue.app.reading import facts_read
from habitue.candidates.sequence import SequenceSource
from habitue.portraits.contexts import ShopperIndex, contexts_as_of
from habitue.slates.live_tail import as_they_are
from habitue.world import build_world
from habitue.world.config import WorldConfig

NOW_MS = 1_750_000_000_000
NETWORK = {
    "source": "sequence",
    "behaviour": {
        "head_weights": {"next_kind": 0.1, "comes_back": 0.1, "shape": False},
        "schedule": {"epochs": 1},
    },
}
OVERRIDES = {
    "training.sources": [{"source": "popular"}, NETWORK],
    "training.quotas": {"home": {"popular": 50, "sequence": 50}},
    "training.gate.least_share": 0.0,
    "training.windows": 2,
    "training.visits": 300,
}


def asked(shop: habitue.Shop, together: int, most: int) -> float:
    """Shoppers a CPU-second, asked so many at once; the contexts are read as well."""
    sources = as_they_are(shop.parts.switch.current.pipeline.sources)
    (network,) = (one for one in sources if isinstance(one, SequenceSource))
    index = ShopperIndex.of(facts_read(shop.parts).as_of(NOW_MS).log)
    n_actions = np.diff(index.indptr)
    who = np.argsort(n_actions, kind="stable").astype(np.int32)
    who = who[n_actions[who] > 0]
    if len(who) > most:
        who = who[np.linspace(0, len(who) - 1, most).astype(np.intp)]
    started = time.process_time()
    for first in range(0, len(who), together):
        some = who[first : first + together]
        now_ms = np.full(len(some), NOW_MS)
        told = network.foretold(contexts_as_of(index, some, now_ms, surface="home", length=100))
        assert told is not None
        told.columns(some)
    return len(who) / (time.process_time() - started)


def main() -> None:
    """Print shoppers a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shoppers", type=int, default=4000)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "shop.db"
        world = build_world(NOW_MS, seed=3, config=WorldConfig(n_shoppers=told.shoppers))
        with habitue.open(store, overrides=OVERRIDES) as shop:
            shop.ingest([*world.items(), *world.shoppers(), *world.links()])
            shop.ingest(world.action_table)
            shop.train(seed=0)
            shop.outlooks(now_ms=NOW_MS)  # kernels are compiled, the graph is read
            started = time.process_time()
            frame = shop.outlooks(now_ms=NOW_MS)
            took = time.process_time() - started
            print(f"shop.outlooks(): {frame.height:,} shoppers in {took:.2f} CPU-s")
            for together, most in ((512, 1_000_000), (1, 1000)):
                rate = asked(shop, together, most)
                print(f"the network, {together} at once: {rate:,.0f} shoppers a CPU-second")


if __name__ == "__main__":
    main()
