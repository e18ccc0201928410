"""What training the behaviour model costs by its size and the shop's: time, memory, tokens.

    python -m benchmarks.scale [--steps N] [--items 10000 100000 1000000]

Made-up streams longer than what is read (`next_item.shop`), ids alone, 1,024 negatives, batches of
about 2,000 actions, one thread; each line is a process of its own, that takes some steps to warm up
and then is timed. The last column is the largest memory of that process, Python and PyTorch (about
300 MB) and the streams included. "all" moves every item vector in each step, as Adam does.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import msgspec
from rich.console import Console
from rich.table import Table

N_SHOPPERS = 3_000
_MOVED = {"own": "the batch's", "all": "all", "auto": "auto"}
PLAIN: dict[str, Any] = {"items": 10_000, "dim": 64, "layers": 1, "length": 50, "steps": "auto"}


def lines(items: list[int]) -> list[dict[str, Any]]:
    """What is measured: one thing changed at a time."""
    found = [{**PLAIN, "items": n, "steps": steps} for n in items for steps in ("own", "all")]
    found += [{**PLAIN, "dim": dim} for dim in (128, 256, 512)]
    found += [{**PLAIN, "layers": layers} for layers in (2, 4, 8)]
    found += [{**PLAIN, "length": length} for length in (20, 200)]
    return [*found, {**PLAIN, "dim": 256, "layers": 4, "items": 100_000}]


def measure(told: dict[str, Any], n_steps: int) -> dict[str, float]:
    """Milliseconds of processor a step, tokens a second of processor, and the peak in MB."""
    from benchmarks.leave_one_out import training_facts
    from benchmarks.next_item import shop
    from habitue.behaviour import BehaviourConfig, streams_of
    from habitue.behaviour.config import LossConfig, ScheduleConfig
    from habitue.behaviour.fitting import Training
    from habitue.behaviour.teaching import Teacher
    from habitue.facts import ActionKind

    streams = streams_of(
        training_facts(shop(told["items"], N_SHOPPERS, least=told["length"] + 2)).log,
        [ActionKind.purchase],
    )
    config = BehaviourConfig(
        kinds=("purchase",), dim=told["dim"], layers=told["layers"], length=told["length"],
        start="random", loss=LossConfig(negatives=1024),
        schedule=ScheduleConfig(tokens=2000, item_steps=told["steps"], averaging=0.998),
    )  # fmt: skip
    teacher = Teacher(Training(streams), config, 0)
    teacher.network.train()
    batches, rng = teacher.batches(0)
    for windows in batches[:3]:
        teacher.learn(windows, rng)
    timed = batches[3 : 3 + n_steps]
    began = time.process_time()
    for windows in timed:
        teacher.learn(windows, rng)
    spent = time.process_time() - began
    tokens = float(sum(windows.length.sum() for windows in timed))
    return {
        "ms": spent / len(timed) * 1000,
        "tokens": tokens / spent,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "size": teacher.network.size,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--items", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--line", help="one of the lines, as JSON: what a process is told")
    arguments = parser.parse_args()
    if arguments.line:
        found = measure(msgspec.json.decode(arguments.line), arguments.steps)
        sys.stdout.write(msgspec.json.encode(found).decode())
        return
    table = Table(title="training, one thread")
    for name in (
        "items", "dim", "layers", "length", "rows moved", "numbers learnt", "CPU-ms a step",
        "tokens a CPU-s", "peak MB",
    ):  # fmt: skip
        table.add_column(name, justify="right")
    for told in lines(arguments.items):
        line = msgspec.json.encode(told).decode()
        command = [sys.executable, "-m", "benchmarks.scale", "--line", line]
        command += ["--steps", str(arguments.steps)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        one = msgspec.json.decode(done.stdout, type=dict[str, float])
        table.add_row(
            f"{told['items']:,}", str(told["dim"]), str(told["layers"]), str(told["length"]),
            _MOVED[told["steps"]],
            f"{one['size'] / 1e6:.1f} M", f"{one['ms']:.1f}", f"{one['tokens']:,.0f}",
            f"{one['mb']:,.0f}",
        )  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
