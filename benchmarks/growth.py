"""What growth costs: import, training, memory and latency at 10 thousand, 100 thousand, 1 million.

    python benchmarks/growth.py [--sizes 10000 100000 1000000]

Each size is a made-up shop of its own, in a process of its own so that memory is its own. The last
column of the table is how a figure grew for ten times the actions: 10 is linear.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NOW_MS = 1_780_000_000_000
ACTIONS_A_SHOPPER = 80  # of the demo's people in half a year


def measure(size: int) -> dict[str, float]:
    """One shop of about ``size`` actions, from import to slates."""
    from habitue.app import open_shop
    from habitue.world import WorldConfig, build_world

    world = build_world(
        NOW_MS,
        config=WorldConfig(
            n_items=max(300, min(100_000, size // 90)),
            n_shoppers=max(50, size // ACTIONS_A_SHOPPER),
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        shop = open_shop(Path(folder) / "shop.db")
        started = time.perf_counter()
        shop.ingest([*world.items(), *world.shoppers()])
        shop.ingest(world.action_table)
        imported = time.perf_counter() - started
        started = time.perf_counter()
        shop.train()
        trained = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        latency = _latency(shop, world.action_table["shopper"].unique().sort().to_list())
        found = {
            "actions": float(world.action_table.height),
            "import s": imported,
            "train s": trained,
            "peak MB": peak,
            "slate p50 ms": latency,
            "store MB": sum(f.stat().st_size for f in Path(folder).glob("shop.db*")) / 1e6,
        }
        shop.close()
    return found


def _latency(shop: object, people: list[str]) -> float:
    spent = []
    for x in range(400):
        started = time.perf_counter()
        shop.recommend(people[x * 7919 % len(people)], n=12, now_ms=NOW_MS)  # type: ignore[attr-defined]
        spent.append(time.perf_counter() - started)
    return sorted(spent[100:])[150] * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--one", type=int)
    told = parser.parse_args()
    if told.one is not None:
        print(json.dumps(measure(told.one)))
        return
    columns = []
    for size in told.sizes:
        command = [sys.executable, __file__, "--one", str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        columns.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{size:,} done", file=sys.stderr)
    for name in columns[0]:
        values = [column[name] for column in columns]
        growth = f"×{values[-1] / values[-2]:.1f}" if len(values) > 1 else ""
        print(f"{name:14}" + "".join(f"{value:>14,.1f}" for value in values) + f"   {growth}")


if __name__ == "__main__":
    main()
