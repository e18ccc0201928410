"""What a request of the source ``sequence`` costs by each encoder, a list by its slots.

    python -m benchmarks.ask_encoders [--items N]

Networks as they begin (dim 128, 50 actions, untrained: what is learnt costs no time), exported and
run by ONNX Runtime on one thread; the best 200 of all items, one request at a time. Processor time
of 300 requests.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from habitue.behaviour.config import BehaviourConfig, ListingConfig
from habitue.behaviour.exporting import exported
from habitue.behaviour.network import Network
from habitue.behaviour.served import NETWORK, OnnxEncoder
from habitue.candidates.roster import warm
from habitue.candidates.search import ItemSearch
from habitue.candidates.sequence import SequenceConfig, SequenceSource
from habitue.candidates.vectors import VectorConfig
from habitue.facts import ActionKind, Context, Owned

FOUND = 200
ASKED = 300
ROWS = {
    "transformer": BehaviourConfig(),
    "gru": BehaviourConfig(encoder="gru"),
    "lstm": BehaviourConfig(encoder="lstm"),
    "bidirectional": BehaviourConfig(encoder="bidirectional"),
} | {
    f"encoder-decoder, a list of {slots}": BehaviourConfig(
        encoder="encoder-decoder", listing=ListingConfig(ahead=10, slots=slots)
    )
    for slots in (1, 5, 10)
}


def source(behaviour: BehaviourConfig, n_items: int) -> SequenceSource:
    """An untrained source of so many items."""
    torch.manual_seed(0)
    network = Network(behaviour, n_items, kinds=True, gaps=True)
    read = network.items.own.detach().numpy()
    units = network.item_vectors().detach().numpy()
    sample = np.random.default_rng(0).standard_normal((256, behaviour.dim)).astype(np.float32)
    rows = np.arange(n_items, dtype=np.int32)
    search = ItemSearch.build(units, rows, sample, VectorConfig())
    none = np.empty((0, behaviour.dim), np.float32)
    encoder = OnnxEncoder({NETWORK: exported(network)})
    return SequenceSource(
        SequenceConfig(behaviour=behaviour), encoder, search, read, none, None,
        {"own_past_left_out": 1.0},
    )  # fmt: skip


def request(rng: np.random.Generator, n_items: int) -> Context:
    """A shopper with 50 actions."""
    return Context(
        surface="home",
        now_ms=np.zeros(1, np.int64),
        shopper_row=np.zeros(1, np.int32),
        recent_item=rng.integers(0, n_items, (1, 50)).astype(np.int32),
        recent_kind=np.full((1, 50), int(ActionKind.view_item), np.uint8),
        recent_age_days=np.sort(rng.random((1, 50))).astype(np.float32),
        anchor_item=np.empty((1, 0), np.int32),
        owned=Owned.nothing(1),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    told = parser.parse_args()
    warm()
    table = Table(title=f"{FOUND} of {told.items} items for one request, CPU-ms")
    for name in ("", "p50", "p95"):
        table.add_column(name, justify="left" if not name else "right")
    for name, behaviour in ROWS.items():
        asked = source(behaviour, told.items)
        rng = np.random.default_rng(1)
        contexts = [request(rng, told.items) for _ in range(ASKED + 20)]
        spent = []
        for context in contexts:
            started = time.process_time()
            asked.propose(context, FOUND)
            spent.append(time.process_time() - started)
        p50, p95 = np.quantile(np.array(spent[20:]) * 1000, [0.5, 0.95])
        table.add_row(name, f"{p50:.2f}", f"{p95:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
