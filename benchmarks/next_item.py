"""How long the source ``sequence`` takes to say what comes next: 200 of 100k items, one request.

    python -m benchmarks.next_item [--items N] [--requests N] [--dims 64 128] [--heard]

A made-up shop of clusters: a shopper walks a cluster's items in order and changes it now and then.
The network is trained for a pass, written down, and read back as a serving process reads it (ONNX
Runtime, no PyTorch). A request is the last 50 actions of a shopper; ``propose`` is timed whole, one
request at a time, on one thread. "CPU" is the thread's own time, which other processes disturb
less than the clock. With ``--heard`` items have titles, and a request names its platform and three
words searched, as what the network learnt from did.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.leave_one_out import Shoppers, contexts, shoppers_of, training_facts
from habitue.behaviour.config import BehaviourConfig, LossConfig, ScheduleConfig
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.roster import learner_of, load_source, warm
from habitue.candidates.sequence import SequenceConfig
from habitue.facts import MS_PER_DAY, Catalogue, Circumstances, Context, Vocabulary
from habitue.portraits import pick

CLUSTER = 100  # items
N = 200  # items asked for
LENGTH = 50


def shop(n_items: int, n_shoppers: int, *, least: int = LENGTH + 2, seed: int = 0) -> Shoppers:
    """Shoppers of ``least`` to half as many actions more, who mostly go on within a cluster."""
    rng = np.random.default_rng(seed)
    length = rng.integers(least, least + least // 2, n_shoppers)
    total = int(length.sum())
    first = np.repeat(np.cumsum(length) - length, length)
    jumps = rng.random(total) < 0.1
    jumps[np.cumsum(length) - length] = True
    since = np.arange(total) - np.maximum.accumulate(np.where(jumps, np.arange(total), 0))
    cluster = rng.integers(0, n_items // CLUSTER, total)[np.arange(total) - since]
    place = (since + rng.integers(0, 3, total)) % CLUSTER
    days = (np.arange(total) - first).astype(np.int64)
    item = (cluster * CLUSTER + place).astype(np.int32)
    item[0] = n_items - 1  # so that there are so many
    return shoppers_of(item, length, days * MS_PER_DAY)


def titles(n_items: int) -> Catalogue:
    """Each item by its place among thousands of words: its cluster, a kind, a number."""
    nothing = pl.Series([None] * n_items, dtype=pl.String)
    frame = pl.DataFrame(
        {
            "item_row": np.arange(n_items, dtype=np.int32),
            "id": [str(one) for one in range(n_items)],
            "title": [title_of(one) for one in range(n_items)],
            **dict.fromkeys(("description", "brand", "product_type", "attributes"), nothing),
            "price_micros": pl.Series([None] * n_items, dtype=pl.Int64),
        }
    )
    return Catalogue(frame)


def title_of(item: int) -> str:
    """Three words."""
    return f"shelf{item // CLUSTER} kind{item % CLUSTER} colour{item % 37}"


def heard_of(facts: TrainingFacts) -> TrainingFacts:
    """The same, each action on one of two platforms, after a search by the item's title."""
    n, items = len(facts.log), np.unique(facts.log.item_row)
    nothing = np.zeros(n, np.int16)
    said = Circumstances(
        surface=nothing,
        platform=(facts.log.shopper_row % 2 + 1).astype(np.int16),
        device=nothing,
        locale=nothing,
        words=(np.searchsorted(items, facts.log.item_row) + 1).astype(np.int32),
        vocabulary=Vocabulary(
            platform=("", "web", "app"), words=("", *(title_of(one) for one in items.tolist()))
        ),
    )
    log = replace(facts.log, circumstances=said)
    return replace(facts, log=log, catalogue=titles(facts.log.n_items))


def one_by_one(contexts_: list[Context], ask: object) -> tuple[NDArray[np.float64], float]:
    """Wall seconds of each request, and the thread's own seconds of one on average."""
    assert callable(ask)
    for context in contexts_[:50]:
        ask(context)
    taken = np.empty(len(contexts_))
    began = time.thread_time()
    for x, context in enumerate(contexts_):
        before = time.perf_counter()
        ask(context)
        taken[x] = time.perf_counter() - before
    return taken, (time.thread_time() - began) / len(contexts_)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--shoppers", type=int, default=4_000)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--dims", type=int, nargs="*", default=[64, 128])
    parser.add_argument("--heard", action="store_true", help="platform and words searched")
    arguments = parser.parse_args()
    warm()
    data = shop(arguments.items, arguments.shoppers)
    facts = training_facts(data)
    everyone = contexts(data)
    asked = [pick(everyone, np.array([x % len(everyone)])) for x in range(arguments.requests)]
    if arguments.heard:
        facts = heard_of(facts)
        sought = np.random.default_rng(1).integers(0, arguments.items, len(asked)).tolist()
        asked = [
            replace(one, platform=("app",), query=(title_of(item),))
            for one, item in zip(asked, sought, strict=True)
        ]
    table = Table(title=f"top {N} of {arguments.items:,} items, one request of {LENGTH} actions")
    for name in ("", "p50 ms", "p99 ms", "CPU ms", "recall@100"):
        table.add_column(name, justify="left" if not name else "right")
    for dim in arguments.dims:
        config = SequenceConfig(
            behaviour=BehaviourConfig(
                kinds=("purchase",), dim=dim, length=LENGTH, content=arguments.heard,
                loss=LossConfig(negatives=512), schedule=ScheduleConfig(epochs=2, tokens=4000),
            ),
            validation_share=0.01,
        )  # fmt: skip
        made = learner_of(config).fit(facts, np.random.default_rng(0))
        with tempfile.TemporaryDirectory() as folder:
            made.save(Path(folder))
            source = load_source(Path(folder))
            whole, cpu = one_by_one(asked, lambda one, of=source: of.propose(one, N))
            recall = source.measured["recall_at_100"]
            table.add_row(f"dim {dim}: propose", *_said(whole, cpu), f"{recall:.4f}")
            query, cpu = one_by_one(asked, source.queries)
            table.add_row(f"dim {dim}: of it, the network", *_said(query, cpu), "")
    Console(width=100).print(table)


def _said(taken: NDArray[np.float64], cpu: float) -> tuple[str, str, str]:
    p50, p99 = np.quantile(taken * 1000, [0.5, 0.99])
    return f"{p50:.3f}", f"{p99:.3f}", f"{cpu * 1000:.3f}"


if __name__ == "__main__":
    main()
