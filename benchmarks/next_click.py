"""The next click of a session: sources and networks beside item-kNN and sequential rules.

    python -m benchmarks.next_click [--data yoochoose|tmall] [--only NAME ...] [--tune]

YooChoose: sessions of the last day are revealed click by click. Tmall: the published cases, of each
the last item. Of all items the next is looked for (hit rate and mean reciprocal rank at 20; ties
take their mean rank, items never seen before are misses). Fitted on what came before; settings of
YooChoose were chosen on the day before the test (``--tune``), those of Tmall on the last tenth of
the training sessions (``--validate``); networks stop by a share of the training sessions.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.leave_one_out import Scores, plain_log
from habitue.behaviour.config import BehaviourConfig, MaskingConfig, ScheduleConfig
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.covisit import CovisitConfig
from habitue.candidates.linear import LinearConfig
from habitue.candidates.profile import ProfileConfig
from habitue.candidates.roster import SourceConfig, learner_of, warm
from habitue.candidates.sequence import SequenceConfig
from habitue.facts import NO_ROW, ActionKind, Catalogue, Context, Owned
from habitue.metrics.ranks import hit_of_rank, mean_rank, reciprocal_of_rank
from habitue.portraits import pick
from tests.needs import data_folder

BATCH = 512
AT = 20
LONGEST = 50  # clicks of a session that are looked back on
VIEWS = ("view_item",)


@dataclass(frozen=True)
class Clicks:
    """Sessions one after the other, each in order of time; training, and what is asked."""

    item: NDArray[np.int32]
    session: NDArray[np.int32]
    at_ms: NDArray[np.int64]
    asked_item: NDArray[np.int32]  # NO_ROW for an item never seen in training
    asked_session: NDArray[np.int32]
    asked_at_ms: NDArray[np.int64]
    n_items: int
    every_click: bool = True  # each click but the first is asked for; else each session's last


def read_clicks(train: str, test: str) -> Clicks:
    """Two files of the sample, as rows."""
    folder = data_folder() / "yoochoose_100k"
    known, asked = (
        pl.read_parquet(folder / f"{name}.parquet").sort("SessionId", "Time")
        for name in (train, test)
    )
    ids = known["ItemId"].unique().sort()
    rows = pl.Series(np.arange(len(ids), dtype=np.int32))

    def row_of(frame: pl.DataFrame) -> NDArray[np.int32]:
        found = frame["ItemId"].replace_strict(ids, rows, default=NO_ROW, return_dtype=pl.Int32)
        return found.to_numpy()

    def session_of(frame: pl.DataFrame) -> NDArray[np.int32]:
        return np.unique(frame["SessionId"].to_numpy(), return_inverse=True)[1].astype(np.int32)

    def at_of(frame: pl.DataFrame) -> NDArray[np.int64]:
        return (frame["Time"].to_numpy() * 1000).astype(np.int64)

    return Clicks(
        row_of(known), session_of(known), at_of(known),
        row_of(asked), session_of(asked), at_of(asked), len(ids),
    )  # fmt: skip


def read_tmall(*, validate: bool) -> Clicks:
    """The published cases; or the last tenth of the training sessions, and fitting without them."""
    folder = data_folder() / "tmall_sessions"
    sessions = pl.read_parquet(folder / "train_sessions.parquet")["items"]
    if validate:
        since = len(sessions) * 9 // 10
        sessions, asked = sessions[:since], sessions[since:]
        asked = asked.filter(asked.list.len() > 1)
    else:
        cases = pl.read_parquet(folder / "test.parquet")
        asked = cases.select(pl.col("input_items").list.concat("target_item")).to_series()
    ids = sessions.explode().unique().sort()
    rows = pl.Series(np.arange(len(ids), dtype=np.int32))

    def flat(lists: pl.Series) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        item = lists.explode().replace_strict(ids, rows, default=NO_ROW, return_dtype=pl.Int32)
        length = lists.list.len().to_numpy()
        session = np.repeat(np.arange(len(lists), dtype=np.int32), length)
        place = np.arange(len(item)) - np.repeat(np.cumsum(length) - length, length)
        return item.to_numpy(), session, session.astype(np.int64) * 60_000 + place

    return Clicks(*flat(sessions), *flat(asked), len(ids), every_click=validate)


def training_facts(data: Clicks) -> TrainingFacts:
    """The training sessions as a log of views, each session a shopper."""
    order = np.argsort(data.at_ms, kind="stable")
    log = plain_log(
        ActionKind.view_item, data.at_ms[order], data.session[order], data.item[order],
        n_shoppers=int(data.session.max()) + 1, n_items=data.n_items,
    )  # fmt: skip
    rows = pl.DataFrame({"item_row": np.arange(data.n_items, dtype=np.int32)})
    return TrainingFacts(log, Catalogue(rows), now_ms=int(data.at_ms.max()) + 1)


def questions(data: Clicks) -> tuple[Context, NDArray[np.int32]]:
    """A request after each click but the last of a session, and the item of the next."""
    session, item = data.asked_session, data.asked_item
    first = np.searchsorted(session, session, side="left")
    before = np.flatnonzero(session[1:] == session[:-1])
    if not data.every_click:
        last = np.searchsorted(session, session[before], side="right") - 1
        before = before[before + 1 == last]
    back = before[:, None] - np.arange(LONGEST)
    there = back >= first[before][:, None]
    back = np.maximum(back, 0)
    now_ms = data.asked_at_ms[before]
    age = (now_ms[:, None] - data.asked_at_ms[back]) / 86_400_000
    context = Context(
        surface="home",
        now_ms=now_ms,
        shopper_row=np.full(len(before), NO_ROW, np.int32),
        recent_item=np.where(there, item[back], np.int32(NO_ROW)),
        recent_kind=np.full(back.shape, int(ActionKind.view_item), np.uint8),
        recent_age_days=np.where(there, age, 0.0).astype(np.float32),
        anchor_item=np.empty((len(before), 0), np.int32),
        owned=Owned.nothing(len(before)),
    )
    return context, item[before + 1]


Fit = Callable[[Clicks, Context], Scores]


def source(config: SourceConfig) -> Fit:
    """One of Habitué's sources, asked for every item."""

    def fit(data: Clicks, asked: Context) -> Scores:
        model = learner_of(config).fit(training_facts(data), np.random.default_rng(0))
        rows = np.arange(data.n_items, dtype=np.int32)

        def scores(some: slice) -> NDArray[np.float32]:
            context = pick(asked, np.arange(some.start, some.stop))
            return model.score(context, np.broadcast_to(rows, (len(context), data.n_items)))

        return scores

    return fit


def _profile(asked: Context, n_items: int, forgetting: float) -> sp.csr_matrix:
    """What each question stands on: a click a factor less than the one after it."""
    row, back = np.nonzero(asked.recent_item >= 0)
    value = (forgetting**back).astype(np.float32)
    shape = (len(asked), n_items)
    return sp.csr_matrix((value, (row, asked.recent_item[row, back])), shape=shape)


def item_knn(forgetting: float) -> Fit:
    """Cosine of the sessions two items share; 0 forgetting looks at the last click alone."""

    def fit(data: Clicks, asked: Context) -> Scores:
        ones = np.ones(len(data.item), np.float32)
        there = sp.csr_matrix((ones, (data.session, data.item)))
        there.data[:] = 1
        shared = (there.T @ there).tocsr()
        popularity = sp.diags(1 / np.sqrt(np.maximum(shared.diagonal(), 1e-9)))
        likeness = (popularity @ shared @ popularity).tocsr()
        likeness.setdiag(0)
        profile = _profile(asked, data.n_items, forgetting)
        return lambda some: (profile[some] @ likeness).toarray().astype(np.float32)

    return fit


def sequential_rules(steps: int, forgetting: float) -> Fit:
    """What followed a click within some steps, one in k for k steps (Kamehkhosh et al. 2017)."""

    def fit(data: Clicks, asked: Context) -> Scores:
        shape = (data.n_items, data.n_items)
        rules = sp.csr_matrix(shape, dtype=np.float32)
        for k in range(1, steps + 1):
            same = data.session[k:] == data.session[:-k]
            pair = (data.item[:-k][same], data.item[k:][same])
            rules = rules + sp.csr_matrix((np.full(same.sum(), 1 / k, np.float32), pair), shape)
        profile = _profile(asked, data.n_items, forgetting)
        return lambda some: (profile[some] @ rules).toarray().astype(np.float32)

    return fit


def evaluate(data: Clicks, fit: Fit) -> tuple[float, float, float, float]:
    """Hit rate and mean reciprocal rank at 20, CPU-seconds to fit, and to score and rank."""
    asked, target = questions(data)
    started = time.process_time()
    scores = fit(data, asked)
    fitted = time.process_time()
    rank = np.full(len(target), np.inf)
    for first in range(0, len(target), BATCH):
        some = slice(first, min(first + BATCH, len(target)))
        known = target[some] >= 0
        score = np.asarray(scores(some), np.float32)
        rank[some][known] = mean_rank(score[known], target[some][known])
    done = time.process_time()
    hit, reciprocal = hit_of_rank(rank, AT), reciprocal_of_rank(rank, AT)
    return float(hit.mean()), float(reciprocal.mean()), fitted - started, done - fitted


def profile(**forgets: float) -> ProfileConfig:
    """A profile of views alone."""
    settings: dict[str, Any] = {"half_life_days": 1e9} | forgets
    return ProfileConfig(kind_weight={"view_item": 1.0}, **settings)


def linear(decay: float, **settings: Any) -> LinearConfig:
    """The linear source on sessions."""
    return LinearConfig(
        kinds=VIEWS,
        repeats=True,
        itself=True,
        neighbours=500,
        profile=profile(position_decay=decay),
        **settings,
    )


CHOSEN: dict[str, Any] = {
    "decay": 0.5, "penalty": 10.0, "closeness": 0.8, "transitions": 0.7, "past": 0.5,
    "future": 0.5,
}  # fmt: skip
GRID: dict[str, tuple[Any, ...]] = {
    "decay": (0.3, 0.5, 0.7),
    "penalty": (10.0, 30.0),
    "closeness": (0.6, 0.8),
    "transitions": (0.5, 0.7, 0.9),
    "past": (0.3, 0.5),
    "future": (0.5, 0.7),
}


SCHEDULE = ScheduleConfig(epochs=20, averaging=0.998, first_validation=0.2, validate_every=1)
Encoder = Literal["transformer", "gru", "lstm", "bidirectional", "encoder-decoder"]


def network(encoder: Encoder, **settings: Any) -> SequenceConfig:
    """A network that reads sessions."""
    behaviour = BehaviourConfig(
        kinds=VIEWS,
        encoder=encoder,
        unnamed=0.0,
        schedule=SCHEDULE,
    )
    return SequenceConfig(behaviour=behaviour.model_copy(update=settings), validation_share=0.05)


BOTH_WAYS: dict[str, Any] = {  # chosen on the validation day: tried_encoders.md
    "masking": MaskingConfig(share=0.3, last=0.6),
    "schedule": SCHEDULE.model_copy(update={"epochs": 30}),
}


def tune(console: Console) -> None:
    """Print what is best on the day before."""
    data = read_clicks("train_tr", "train_valid")
    for forgetting in (0.0, 0.5, 0.7):
        for name, fit in (
            ("item-kNN", item_knn(forgetting)),
            ("rules of 10", sequential_rules(10, forgetting)),
            ("rules of 1", sequential_rules(1, forgetting)),
        ):
            hit, mrr, *_ = evaluate(data, fit)
            console.print(f"{name}, {forgetting}: {hit:.4f} {mrr:.4f}")
    tried = []
    for values in itertools.product(*GRID.values()):
        one = dict(zip(GRID, values, strict=True))
        hit, mrr, *_ = evaluate(data, source(linear(**one)))
        tried.append((hit + mrr, hit, mrr, one))
    for _, hit, mrr, one in sorted(tried, key=lambda row: -row[0])[:10]:
        console.print(f"linear {one}: {hit:.4f} {mrr:.4f}")


def yoochoose_rows() -> dict[str, Fit]:
    """What is compared on YooChoose."""
    covisit = CovisitConfig(
        backward_weight=0.5, damping_from=0.0, damping_to=0.0, neighbours=500,
        profile=profile(position_decay=0.5),
    )  # fmt: skip
    return {
        "linear": source(linear(**CHOSEN)),
        "co-visitation": source(covisit),
        "item-kNN, last click": item_knn(0.0),
        "item-kNN, forgetting": item_knn(0.7),
        "sequential rules, last click": sequential_rules(10, 0.0),
        "sequential rules, forgetting": sequential_rules(10, 0.5),
        "transformer": source(network("transformer")),
        "gru": source(network("gru")),
        "lstm": source(network("lstm")),
        "bidirectional": source(network("bidirectional", **BOTH_WAYS)),
        "encoder-decoder": source(network("encoder-decoder")),
    }


def tmall_rows() -> dict[str, Fit]:
    """What is compared on Tmall."""
    return {
        "item-kNN, last click": item_knn(0.0),
        "item-kNN, forgetting": item_knn(0.8),
        "sequential rules, forgetting": sequential_rules(10, 0.8),
        "transformer": source(network("transformer")),
        "gru": source(network("gru")),
        "lstm": source(network("lstm")),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=("yoochoose", "tmall"), default="yoochoose")
    parser.add_argument("--only", nargs="+", default=[], help="rows whose names begin like this")
    parser.add_argument("--tune", action="store_true", help="choose YooChoose's settings anew")
    parser.add_argument("--validate", action="store_true", help="ask what settings are chosen by")
    told = parser.parse_args()
    console = Console(width=120)
    warm()
    if told.tune:
        tune(console)
        return
    if told.data == "tmall":
        data, rows = read_tmall(validate=told.validate), tmall_rows()
    else:
        parts = ("train_tr", "train_valid") if told.validate else ("train_full", "test")
        data, rows = read_clicks(*parts), yoochoose_rows()
    table = Table(title=f"{told.data}, the next click{', validation' * told.validate}")
    for name in ("", "HR@20", "MRR@20", "fit CPU-s", "score + rank CPU-s"):
        table.add_column(name, justify="left" if not name else "right")
    for name, fit in rows.items():
        if told.only and not name.startswith(tuple(told.only)):
            continue
        hit, mrr, fit_s, score_s = evaluate(data, fit)
        table.add_row(name, f"{hit:.4f}", f"{mrr:.4f}", f"{fit_s:.2f}", f"{score_s:.2f}")
        console.print(f"{name}: {hit:.4f} {mrr:.4f} {fit_s:.1f}", style="dim")
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"peak {peak:,.0f} MB, peers included")


if __name__ == "__main__":
    main()
