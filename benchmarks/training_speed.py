"""What a pass of the behaviour model over Beauty costs at SASRec's size, beside RecTools.

    python -m benchmarks.training_speed [--epochs N] [--peer PYTHON]

One layer of width 64, ids alone, one thread, the training part of leave-one-out (the last two items
of each shopper held out); CPU-seconds of a pass, validations left out. ``--peer`` is the Python of
an environment with RecTools, which asks for other libraries than Habitué does: `peer_rectools`
runs there, on the same core right after.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.beauty import read_beauty
from benchmarks.leave_one_out import training_facts
from habitue.behaviour import BehaviourConfig, streams_of
from habitue.behaviour.config import LossConfig, ScheduleConfig
from habitue.behaviour.fitting import Training, fit
from habitue.facts import ActionKind
from tests.needs import data_folder

SAID = {"length 20, 128 negatives": 10, "length 50, 256 negatives": 30, "length 50, all items": 25}
"""How many times as fast as RecTools a pass is to be."""
ELSEWHERE = {"length 20, 128 negatives": 30.0, "length 50, 256 negatives": 174.0,
             "length 50, all items": 426.0}  # fmt: skip
"""RecTools as measured before, on another machine of this kind."""


def config_of(case: str, epochs: int) -> BehaviourConfig:
    """One of the cases of ``SAID``."""
    length = 20 if case.startswith("length 20") else 50
    negatives = 128 if "128" in case else 256
    return BehaviourConfig(
        kinds=("purchase",), dim=64, layers=1, length=length, content=False,
        loss=LossConfig(against="all" if "all" in case else "sample", negatives=negatives),
        schedule=ScheduleConfig(epochs=epochs),
    )  # fmt: skip


def peer_seconds(python: str, path: Path) -> dict[str, float]:
    """CPU-seconds of a pass of RecTools, by case."""
    script = Path(__file__).with_name("peer_rectools.py")
    apart = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    told = subprocess.run(
        [python, str(script), str(path)], check=True, stdout=subprocess.PIPE, text=True, env=apart
    )
    return msgspec.json.decode(told.stdout.splitlines()[-1], type=dict[str, float])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--peer", help="the Python of an environment that has RecTools")
    arguments = parser.parse_args()
    path = data_folder() / "amazon_beauty_s3rec" / "Beauty.txt"
    if not path.exists():
        sys.exit(f"{path} is not there: set HABITUE_DATA to the folder of the public data sets")
    data = read_beauty(path)
    streams = streams_of(training_facts(data).log, [ActionKind.purchase])
    training = Training(streams, judged_without=True)  # nobody buys twice here
    mine = {
        case: fit(training, config_of(case, arguments.epochs), seed=1).epoch_seconds
        for case in SAID
    }
    here = peer_seconds(arguments.peer, path) if arguments.peer else {}
    table = Table(title=f"Beauty, {len(streams):,} actions: CPU-seconds of a pass")
    for name in ("", "Habitué", "RecTools", "times as fast", "target"):
        table.add_column(name, justify="left" if not name else "right")
    for case, target in SAID.items():
        peer = here.get(case, ELSEWHERE[case])
        note = "" if case in here else " (elsewhere)"
        table.add_row(
            case, f"{mine[case]:.2f}", f"{peer:.0f}{note}", f"{peer / mine[case]:.1f}", f"{target}"
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
