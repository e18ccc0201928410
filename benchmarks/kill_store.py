"""Killing a writer at random, over and over: is anything acknowledged lost, or stored twice?

    python benchmarks/kill_store.py [--kills 200] [--actions 100000] [--dsn POSTGRES]

Eight threads append batches of ten through ``GroupCommit``; the process gets SIGKILL at a random
moment, the next one sends again what was never answered. Ends after both numbers are reached.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.store.test_durability import SIZE, check, noted, start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--actions", type=int, default=100_000)
    parser.add_argument("--dsn", help="PostgreSQL address of an empty database; else SQLite")
    asked = parser.parse_args()
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        address = asked.dsn or str(Path(folder) / "shop.db")
        kills = 0
        while kills < asked.kills or len(noted(log, "a")) * SIZE < asked.actions:
            process = start(address, log, kills)
            while process.poll() is None and str(kills) not in noted(log, "r"):
                time.sleep(0.02)
            time.sleep(rng.uniform(0.0, 0.4))
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            if kills % 20 == 0:
                print(f"{kills} kills, {len(noted(log, 'a')) * SIZE:,} acknowledged", flush=True)
        acknowledged = check(address, log)
        print(f"{kills} kills, {acknowledged:,} actions acknowledged: none lost, none doubled")


if __name__ == "__main__":
    main()
