"""An item just posted is recommended: 1,000 of 1,000, within a second of the acknowledgement.

    python -m benchmarks.new_items [--items 1000] [--stock 5000]

A round posts one item and then asks the ``fresh`` surface, as another shopper each time, until the
item is in the slate. The time is from the acknowledgement to that slate.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.freshness import Caller, stock
from benchmarks.http_server import Server

LATEST_SECONDS = 1.0


def soonest(caller: Caller, item: str, shopper: str) -> float:
    """Seconds until a slate holds the item; infinite where none did in time."""
    acknowledged = time.perf_counter()
    while time.perf_counter() - acknowledged < LATEST_SECONDS:
        slate = caller.post("/v1/recommend", {"surface": "fresh", "shopper": shopper, "n": 12})
        if item in [slot["item"] for slot in slate["items"]]:
            return time.perf_counter() - acknowledged
    return float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--stock", type=int, default=5_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Server(Path(name), {}) as server:
        stock(server.port, asked.stock)
        caller = Caller(server.port)
        seconds = []
        for n in range(asked.items):
            item = {"id": f"new-{n}", "title": f"New thing {n}", "product_type": f"Kind {n % 50}"}
            caller.post("/v1/items", {"items": [item]})
            seconds.append(soonest(caller, item["id"], f"visitor-{n % 100}"))
        caller.close()
    found = np.array(seconds)
    in_time = int(np.isfinite(found).sum())
    p50, p99 = np.quantile(found[np.isfinite(found)], [0.5, 0.99]) * 1000 if in_time else (0, 0)
    print(
        f"{in_time:,} of {len(found):,} new items were recommended within {LATEST_SECONDS:g} s of "
        f"the acknowledgement: p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    )
    raise SystemExit(in_time < len(found))


if __name__ == "__main__":
    main()
