"""Items hidden from training with all their actions: how well is each found by what is told of it?

    python -m benchmarks.cold_items [--data beauty|hin] [--only NAME ...] [--seed N]

A tenth of the items, by lot, are posted after the training, as a running shop is told of items
(``extend``). Then shoppers who took one are asked for, known by what they took before of the items
not hidden; of each shopper the last item hidden counts. It is ranked among the items hidden and
among all, but for what the shopper had. Sources were fitted on all actions on other items, later
ones too. Recall@20; equal scores in a random order.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.beauty import ALS, FORGETTING
from benchmarks.behaviour import BEAUTY as NETWORK
from benchmarks.behaviour import TOWERS
from benchmarks.graphs import DATA, GAT, SAGE
from benchmarks.leave_one_out import Shoppers, plain_log
from habitue.candidates.content import ContentConfig
from habitue.candidates.contract import ExtendingSource, TrainingFacts
from habitue.candidates.knowledge import KnowledgeConfig
from habitue.candidates.roster import SourceConfig, learner_of, warm
from habitue.candidates.sequence import SequenceConfig
from habitue.facts import MS_PER_DAY, NO_ROW, ActionLog, Catalogue, Context, Owned
from habitue.portraits import pick

HIDDEN_SHARE = 0.1
AT = 20
PROFILE = 50  # actions before the item asked for that a shopper is known by
BATCH = 256

SOURCES: dict[str, SourceConfig] = {
    "content": ContentConfig(
        profile=FORGETTING.model_copy(update={"position_decay": 0.7}), neighbours=300
    ),
    "graphsage": SAGE,
    "gat": GAT,
    "knowledge": KnowledgeConfig(als=ALS),
    "two_tower": TOWERS.model_copy(update={"unnamed": 0.1}),
    "sequence": SequenceConfig(
        behaviour=NETWORK.model_copy(update={"unnamed": 0.1}), validation_share=0.02
    ),
}
"""Sources that read items they were not fitted on; the networks learn to, as new ones are."""


@dataclass(frozen=True)
class Cold:
    """A shop whose items from ``n_known`` on were hidden, and the shoppers who took one of them."""

    facts: TrainingFacts
    tail: Catalogue
    asked: Context
    target: NDArray[np.int32]  # (Q,) the hidden item each took
    had: sp.csr_matrix  # (Q, n_items) what each had before
    n_known: int
    n_items: int


def hide(data: Shoppers, seed: int, questions: int) -> Cold:
    """Hide a tenth of the items; their rows come last."""
    rng = np.random.RandomState(seed)
    lot = rng.permutation(data.n_items)
    n_known = data.n_items - int(data.n_items * HIDDEN_SHARE)
    row_of = np.empty(data.n_items, np.int32)
    row_of[lot] = np.arange(data.n_items, dtype=np.int32)
    frame = data.catalogue.frame
    said = [json.dumps(dict.fromkeys(words.split(), True)) for words in frame["title"]]
    frame = frame.with_columns(pl.Series("item_row", row_of), pl.Series("attributes", said))
    frame = frame.sort("item_row")
    item = row_of[data.item]
    known = item < n_known
    place = np.flatnonzero(~known & (earlier_known(data, known) > 0))
    place = place[np.flatnonzero(np.diff(data.shopper[place], append=-1))]  # each shopper's last
    place = np.sort(rng.permutation(place)[:questions])
    return Cold(
        facts=TrainingFacts(
            log_of(data, item, known),
            Catalogue(frame.filter(pl.col("item_row") < n_known)),
            now_ms=int(data.at_ms.max()) + 1,
        ),
        tail=Catalogue(frame.filter(pl.col("item_row") >= n_known)),
        asked=requests(data, item, known, place),
        target=item[place],
        had=had_before(data, item, place),
        n_known=n_known,
        n_items=data.n_items,
    )


def earlier_known(data: Shoppers, known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many items not hidden each action's shopper had before it."""
    upto = np.concatenate([[0], np.cumsum(known)])
    at = np.arange(len(known))
    return upto[at] - upto[at - data.place]


def log_of(data: Shoppers, item: NDArray[np.int32], known: NDArray[np.bool_]) -> ActionLog:
    """All actions on items not hidden, in order of time."""
    kept = np.flatnonzero(known)
    kept = kept[np.argsort(data.at_ms[kept], kind="stable")]
    return plain_log(
        data.kind, data.at_ms[kept], data.shopper[kept], item[kept],
        n_shoppers=data.n_shoppers, n_items=int(item[kept].max()) + 1,
    )  # fmt: skip


def requests(
    data: Shoppers, item: NDArray[np.int32], known: NDArray[np.bool_], place: NDArray[np.int64]
) -> Context:
    """A request of each shopper just before each place, known by the items not hidden alone."""
    n = len(place)
    recent = np.full((n, PROFILE), NO_ROW, np.int32)
    age = np.zeros((n, PROFILE), np.float32)
    for q, at in enumerate(place):
        before = np.arange(at - data.place[at], at)
        before = before[known[before]][::-1][:PROFILE]
        recent[q, : len(before)] = item[before]
        age[q, : len(before)] = (data.at_ms[at] - data.at_ms[before]) / MS_PER_DAY
    return Context(
        surface="home",
        now_ms=data.at_ms[place],
        shopper_row=np.full(n, NO_ROW, np.int32),
        recent_item=recent,
        recent_kind=np.full(recent.shape, int(data.kind), np.uint8),
        recent_age_days=age,
        anchor_item=np.empty((n, 0), np.int32),
        owned=Owned.nothing(n),
    )


def had_before(data: Shoppers, item: NDArray[np.int32], place: NDArray[np.int64]) -> sp.csr_matrix:
    """What each place's shopper had before it, as ones: (Q, n_items)."""
    length = data.place[place]
    row = np.repeat(np.arange(len(place)), length)
    first = np.repeat(place - length, length)
    at = first + np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length)
    return sp.csr_matrix(
        (np.ones(len(row), np.float32), (row, item[at])), (len(place), data.n_items)
    )


def words_of(cold: Cold) -> sp.csr_matrix:
    """Which items are told by which words: (n_items, n_words), ones."""
    frame = pl.concat([cold.facts.catalogue.frame, cold.tail.frame])
    told = frame.select("item_row", word=pl.col("title").str.split(" ")).explode("word")
    told = told.filter(pl.col("word") != "").with_columns(word=pl.col("word").rank("dense") - 1)
    where = (told["item_row"].to_numpy(), told["word"].to_numpy().astype(np.int64))
    found = sp.csr_matrix((np.ones(told.height, np.float32), where))
    found.data[:] = 1
    return sp.csr_matrix((found.data, found.indices, found.indptr), (cold.n_items, found.shape[1]))


def baselines(cold: Cold) -> dict[str, NDArray[np.float32]]:
    """What needs no model, (Q, n_items): categories (brands, or what else is told).

    A category is as popular as the actions on an item of it, of at least 20 items known, come to
    on average; an item is as popular as its most popular category. One's own are those in the
    profile, by how often they stand there.
    """
    words = words_of(cold)
    taken = np.bincount(cold.facts.log.item_row, minlength=cold.n_items)
    count = np.asarray(words[: cold.n_known].sum(axis=0)).ravel()
    popular = np.where(count >= 20, (words.T @ taken) / np.maximum(count, 1), 0)
    best = (words @ sp.diags_array(popular)).max(axis=1).toarray().ravel()
    n = len(cold.target)
    recent = cold.asked.recent_item
    row, at = np.nonzero(recent != NO_ROW)
    profile = sp.csr_matrix(
        (np.ones(len(row), np.float32), (row, recent[row, at])), (n, cold.n_items)
    )
    own = ((profile @ words) @ words.T).toarray()
    return {
        "most popular category": np.tile(best.astype(np.float32), (n, 1)),
        "one's own categories": own.astype(np.float32),
    }


def asked_of(source: ExtendingSource, cold: Cold) -> NDArray[np.float32]:
    """The scores of all items by a source that was told of those hidden: (Q, n_items)."""
    told = source.extend(cold.tail)
    rows = np.arange(cold.n_items, dtype=np.int32)
    return np.concatenate(
        [
            told.score(pick(cold.asked, at), np.broadcast_to(rows, (len(at), len(rows))))
            for at in np.array_split(np.arange(len(cold.target)), -(-len(cold.target) // BATCH))
        ]
    )


def by_chance(cold: Cold, *, first: int) -> float:
    """The recall@20 expected of a random order of the items from row ``first`` on."""
    had = np.diff(cold.had[:, first:].tocsr().indptr)
    return float(np.minimum(AT / (cold.n_items - first - had), 1).mean())


def recall(score: NDArray[np.float32], cold: Cold, *, first: int) -> float:
    """Recall@20 among the items from row ``first`` on; equal scores in a random order."""
    lot = np.random.default_rng(0).random(score.shape)  # the same for all sources
    score = score.copy()
    score[cold.had.nonzero()] = -np.inf
    score, lot = score[:, first:], lot[:, first:]
    place = cold.target - first
    own = np.take_along_axis(score, place[:, None], 1)
    own_lot = np.take_along_axis(lot, place[:, None], 1)
    before = ((score > own) | ((score == own) & (lot < own_lot))).sum(axis=1)
    return float((before < AT).mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=DATA, default="beauty")
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--questions", type=int, default=3_000, help="shoppers asked for at most")
    arguments = parser.parse_args()
    warm()
    cold = hide(DATA[arguments.data](), arguments.seed, arguments.questions)
    n_hidden = cold.n_items - cold.n_known
    table = Table(title=f"{arguments.data}: {n_hidden} items hidden, {len(cold.target)} asked for")
    for name in ("", "Recall@20 among hidden", "Recall@20 among all", "fit CPU-s"):
        table.add_column(name, justify="left" if not name else "right")

    def add(name: str, score: NDArray[np.float32], spent: str) -> None:
        among = (recall(score, cold, first=first) for first in (cold.n_known, 0))
        table.add_row(name, *(f"{value:.4f}" for value in among), spent)

    table.add_row("chance", *(f"{by_chance(cold, first=n):.4f}" for n in (cold.n_known, 0)), "")
    for name, score in baselines(cold).items():
        add(name, score, "")
    for name, config in SOURCES.items():
        if arguments.only and name not in arguments.only:
            continue
        started = time.process_time()
        source = learner_of(config).fit(cold.facts, np.random.default_rng(arguments.seed))
        spent = time.process_time() - started
        if not isinstance(source, ExtendingSource):
            raise TypeError(f"{name} reads no items that came since")
        add(name, asked_of(source, cold), f"{spent:.1f}")
        Console(width=100).print(table)


if __name__ == "__main__":
    main()
