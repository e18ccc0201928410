"""Kill ``habitue import --follow`` while a log grows and is rotated; count what is lost or doubled.

python -m benchmarks.kill_follow [--lines 45000]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import habitue

T = 1_700_000_000_000
TOGETHER = 500
FILES = 3


def line(n: int) -> str:
    """The action of an item nobody else acts on."""
    said = {"kind": "view_item", "shopper": f"s{n % 50}", "item": f"i{n}", "at": T + n}
    return json.dumps(said) + "\n"


def write(log: Path, lines: int) -> None:
    """Write a log, 1,000 lines a second, and rename it twice on the way."""
    file = log.open("a")
    for n in range(1, lines + 1):
        file.write(line(n))
        if n % TOGETHER == 0:
            file.flush()
            time.sleep(0.5)
        if n % (lines // FILES) == 0 and n < lines:
            file.close()
            log.rename(log.with_name(f"{log.name}.{n}"))
            file = log.open("a")
    file.close()


def follow(log: Path, store: Path) -> subprocess.Popen[bytes]:
    """The command, begun."""
    command = [sys.executable, "-m", "habitue", "import", str(log), "--follow"]
    options = ["--mapping", "habitue", "--store", str(store)]
    return subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)


def stored(store: Path) -> tuple[int, int]:
    """Actions and different items in the store."""
    with habitue.open(store) as shop:
        said = shop.stored()
    return said.facts["action"], said.n_items


def main() -> None:
    """Print what was written, how often it was killed, and what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=45_000, help="lines written")
    lines = parser.parse_args().lines
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        log, store = Path(folder) / "events.jsonl", Path(folder) / "shop.db"
        log.write_text(line(0))
        process = follow(log, store)
        while not list(Path(folder).glob("*.following/*.json")):
            time.sleep(0.1)
        writer = threading.Thread(target=write, args=(log, lines))
        writer.start()
        kills = 0
        while writer.is_alive():
            time.sleep(rng.uniform(4, 8))
            process.kill()
            process.wait()
            kills += 1
            process = follow(log, store)
        deadline = time.monotonic() + 60
        while stored(store)[0] <= lines and time.monotonic() < deadline:
            time.sleep(1)
        process.terminate()
        process.wait()
        actions, items = stored(store)
    print(f"{lines + 1:,} lines in {FILES} files, killed {kills} times: ", end="")
    print(f"{lines + 1 - items:,} lost, {actions - items:,} doubled")


if __name__ == "__main__":
    main()
