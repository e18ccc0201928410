"""Lighter serving on Beauty: the network in eight bits, and students of it, with what each loses.

    python -m benchmarks.light [--dim 128] [--students 32 64]

The protocol of ``behaviour``: leave-one-out, the served source (written down, read back, asked
through ONNX Runtime) scores every item, seen items excluded. A student learns from the large
network beside what happened. "Size" is the share of the full network's numbers, item vectors among
them; "MB" is what the folder of the source takes less its weights to go on from. Intervals are
paired bootstraps over shoppers.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.behaviour import BEAUTY, Fitted, beauty, interval, ranks
from benchmarks.leave_one_out import Shoppers, training_facts
from habitue.behaviour.config import StudentConfig
from habitue.candidates.roster import load_source
from habitue.candidates.sequence import SequenceConfig, SequenceLearner, SequenceSource
from habitue.metrics.ranks import hit_of_rank, ndcg_of_rank


@dataclass
class Served:
    """One way to serve, as it was read back."""

    name: str
    numbers: int
    megabytes: float
    validation: float
    rank: NDArray[np.float64]
    cpu_seconds: float


def served(data: Shoppers, name: str, source: SequenceSource, cpu_seconds: float) -> Served:
    """Written down, read back, and asked about the validation and the test items."""
    with tempfile.TemporaryDirectory() as folder:
        source.save(Path(folder))
        files = [one for one in Path(folder).rglob("*") if one.is_file() and one.suffix != ".npz"]
        megabytes = sum(one.stat().st_size for one in files) / 1e6
        asked = Fitted(data, {}, 0)
        back = load_source(Path(folder))
        assert isinstance(back, SequenceSource)
        numbers = back.n_fitted * back.search.dim + sum(one.size for one in back.weights.values())
        asked.sources["sequence"] = back
        held = ranks(data, asked.scores("sequence", 2), 2)
        rank = ranks(data, asked.scores("sequence", 1))
    return Served(name, numbers, megabytes, float(ndcg_of_rank(held, 10).mean()), rank, cpu_seconds)


def learnt(data: Shoppers, config: SequenceConfig, seed: int) -> tuple[SequenceSource, float]:
    """A source, and the CPU-seconds it took."""
    began = time.process_time()
    source = SequenceLearner(config).fit(training_facts(data), np.random.default_rng(seed))
    return source, time.process_time() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--students", type=int, nargs="*", default=[32])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data, _ = beauty()
    behaviour = BEAUTY.model_copy(update={"dim": arguments.dim})
    plain = SequenceConfig(behaviour=behaviour, validation_share=0.02)
    configs = {f"full, dim {arguments.dim}": plain}
    for dim in arguments.students:
        small = behaviour.model_copy(update={"student": StudentConfig(dim=dim)})
        configs[f"student, dim {dim}"] = plain.model_copy(update={"behaviour": small})
    found: list[Served] = []
    for name, config in configs.items():
        source, spent = learnt(data, config, arguments.seed)
        found.append(served(data, name, source, spent))
        found.append(served(data, f"{name}, int8", source.in_eight_bits(), 0.0))
        show(found)


def show(found: list[Served]) -> None:
    """All until now, beside the first."""
    table = Table(title="Beauty: what lighter serving loses")
    for name in ("", "size", "MB", "validation NDCG@10", "NDCG@10", "Recall@10", "lost",
                 "difference", "CPU-s"):  # fmt: skip
        table.add_column(name, justify="left" if not name else "right")
    first = ndcg_of_rank(found[0].rank, 10).mean()
    for one in found:
        ndcg = ndcg_of_rank(one.rank, 10).mean()
        table.add_row(
            one.name, f"{one.numbers / found[0].numbers:.1%}", f"{one.megabytes:.1f}",
            f"{one.validation:.4f}", f"{ndcg:.4f}",
            f"{hit_of_rank(one.rank, 10).mean():.4f}", f"{1 - ndcg / first:+.1%}",
            interval(one.rank, found[0].rank) if one is not found[0] else "",
            f"{one.cpu_seconds:.0f}" if one.cpu_seconds else "",
        )  # fmt: skip
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
