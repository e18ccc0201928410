"""The next click of a session: sources and networks beside item-kNN and sequential rules.

    python -m benchmarks.next_click [--data yoochoose|tmall] [--only NAME ...] [--tune]
        [--validate] [--fuse]

YooChoose: sessions of the last day are revealed click by click. Tmall: the published cases, of each
the last item. Of all items the next is looked for (hit rate and mean reciprocal rank at 20; ties
take their mean rank, items never seen before are misses). Fitted on what came before; settings of
YooChoose were chosen on the day before the test (``--tune``), those of Tmall on the last tenth of
the training sessions (``--validate``); networks stop by a share of the training sessions.

``--fuse`` asks an order over some of the sources instead (``--only`` says which): learnt on what
``--validate`` asks, with sources that have not seen it, then asked for the test clicks with the
same sources and with the sources fitted again on all that came before the test. With
``--validate``, learnt on half of those sessions and asked for the other half, both ways. Intervals
are paired bootstraps over sessions.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import fused
from benchmarks.clicks import (
    LONGEST,
    READ,
    Clicks,
    Questions,
    questions,
    read_clicks,
    training_facts,
)
from benchmarks.leave_one_out import Scores
from habitue.behaviour.config import BehaviourConfig, LossConfig, MaskingConfig, ScheduleConfig
from habitue.candidates.contract import Source
from habitue.candidates.covisit import CovisitConfig
from habitue.candidates.linear import LinearConfig
from habitue.candidates.profile import ProfileConfig
from habitue.candidates.roster import SourceConfig, learner_of, warm
from habitue.candidates.sequence import SequenceConfig
from habitue.facts import MS_PER_DAY, Context
from habitue.metrics.ranks import hit_of_rank, mean_rank, reciprocal_of_rank
from habitue.portraits import pick

BATCH = 512
AT = 20
VIEWS = ("view_item",)


Fit = Callable[[Clicks, Context], Scores]


def learnt(config: SourceConfig, data: Clicks) -> Source:
    """The source of the training sessions."""
    return learner_of(config).fit(training_facts(data), np.random.default_rng(0))


def everything(model: Source, n_items: int, asked: Context) -> Scores:
    """What a source says of all items."""
    rows = np.arange(n_items, dtype=np.int32)

    def scores(some: slice) -> NDArray[np.float32]:
        context = pick(asked, np.arange(some.start, some.stop))
        return model.score(context, np.broadcast_to(rows, (len(context), n_items)))

    return scores


def source(config: SourceConfig) -> Fit:
    """One of Habitué's sources, asked for every item."""
    return lambda data, asked: everything(learnt(config, data), data.n_items, asked)


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


def batches(n: int) -> list[slice]:
    return [slice(first, min(first + BATCH, n)) for first in range(0, n, BATCH)]


def ranks(scores: Scores, target: NDArray[np.int32]) -> NDArray[np.float64]:
    """The rank of each item clicked; infinite for what was never seen before."""
    rank = np.full(len(target), np.inf)
    for some in batches(len(target)):
        known = target[some] >= 0
        score = np.asarray(scores(some), np.float32)
        rank[some][known] = mean_rank(score[known], target[some][known])
    return rank


def evaluate(data: Clicks, fit: Fit) -> tuple[float, float, float, float]:
    """Hit rate and mean reciprocal rank at 20, CPU-seconds to fit, and to score and rank."""
    asked, target, _ = questions(data)
    started = time.process_time()
    scores = fit(data, asked)
    fitted = time.process_time()
    rank = ranks(scores, target)
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


# chosen on the validation day: tried_encoders.md
POINTWISE: dict[str, Any] = {"attention": "pointwise", "loss": LossConfig(temperature=0.1)}
BOTH_WAYS: dict[str, Any] = {
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


COVISIT = CovisitConfig(
    backward_weight=0.5, damping_from=0.0, damping_to=0.0, neighbours=500,
    profile=profile(position_decay=0.5),
)  # fmt: skip
SOURCES: dict[str, dict[str, SourceConfig]] = {
    "yoochoose": {
        "linear": linear(**CHOSEN),
        "co-visitation": COVISIT,
        "transformer": network("transformer", **POINTWISE),
        "gru": network("gru"),
        "lstm": network("lstm"),
        "bidirectional": network("bidirectional", **BOTH_WAYS),
        "encoder-decoder": network("encoder-decoder"),
    },
    "tmall": {name: network(name) for name in ("transformer", "gru", "lstm")},
}
PEERS: dict[str, dict[str, Fit]] = {
    "yoochoose": {
        "item-kNN, last click": item_knn(0.0),
        "item-kNN, forgetting": item_knn(0.7),
        "sequential rules, last click": sequential_rules(10, 0.0),
        "sequential rules, forgetting": sequential_rules(10, 0.5),
    },
    "tmall": {
        "item-kNN, last click": item_knn(0.0),
        "item-kNN, forgetting": item_knn(0.8),
        "sequential rules, forgetting": sequential_rules(10, 0.8),
    },
}
ALONE = ("bidirectional", "encoder-decoder")  # not among what is fused
ORDER = fused.ORDER.model_copy(update={"truncation": AT})


class Fitted:
    """Sources of the training sessions, asked about any sessions."""

    def __init__(self, data: Clicks, configs: dict[str, SourceConfig]) -> None:
        self.n_items = data.n_items
        self.sources = {name: learnt(one, data) for name, one in configs.items()}
        self.popularity = np.log1p(np.bincount(data.item, minlength=data.n_items))
        late = data.item[data.at_ms > data.at_ms.max() - MS_PER_DAY]
        self.lately = np.log1p(np.bincount(late, minlength=data.n_items))

    def ranks(self, told: Questions) -> dict[str, NDArray[np.float64]]:
        """The rank of each item clicked, by each source alone."""
        return {
            name: ranks(everything(model, self.n_items, told.asked), told.target)
            for name, model in self.sources.items()
        }

    def candidates(self, told: Questions) -> Iterator[fused.Candidates]:
        """What the sources propose, and beside it what was clicked in the session already."""
        asked = told.asked
        length = (asked.recent_item >= 0).sum(axis=1)
        rested = asked.recent_age_days[:, 1]  # since the click before the last

        def beside(some: slice, row: NDArray[np.intp], item: NDArray[np.intp]) -> fused.Columns:
            same = asked.recent_item[some][row] == item[:, None]
            clicked = same.sum(axis=1)
            back = np.where(clicked > 0, same.argmax(axis=1), LONGEST)
            whose = some.start + row
            return [
                self.popularity[item], self.lately[item], clicked, back, length[whose],
                rested[whose],
            ]  # fmt: skip

        scorers = [everything(one, self.n_items, asked) for one in self.sources.values()]
        return fused.candidates(scorers, batches(len(told.target)), beside)


def by_halves(fitted: Fitted, told: Questions) -> NDArray[np.float64]:
    """The ranks in orders learnt on the other half of the sessions, halved by lot."""
    side = np.random.default_rng(0).random(told.session.max() + 1) < 0.5
    rank = np.empty(len(told.target))
    for half in (True, False):
        learning, rest = (
            told.some(np.flatnonzero(side[told.session] == s)) for s in (half, not half)
        )
        ranker = fused.learn(fitted.candidates(learning), learning.target, 0, ORDER)
        found = fused.fused_ranks(fitted.candidates(rest), rest.target, ranker)
        rank[side[told.session] != half] = found
    return rank


def fuse(
    name: str,
    configs: dict[str, SourceConfig],
    peers: dict[str, Fit],
    console: Console,
    *,
    validate: bool,
) -> None:
    """Print what the order over the sources gives beside each of them, and beside peers."""
    read = READ[name]
    data = read("train_tr", "train_valid")
    held_out, before = questions(data), Fitted(data, configs)
    if validate:
        rank = {"fused": by_halves(before, held_out)} | before.ranks(held_out)
        show(f"{name}, fused by halves of the validation part", rank, held_out.session, console)
        return
    ranker = fused.learn(before.candidates(held_out), held_out.target, 0, ORDER)
    whole, part = read("train_full", "test"), read("train_tr", "test")
    for title, asked, fitted in (
        ("sources not fitted again", part, before),
        ("sources fitted again on all before the test", whole, Fitted(whole, configs)),
    ):
        told = questions(asked)
        rank = {"fused": fused.fused_ranks(fitted.candidates(told), told.target, ranker)}
        rank |= fitted.ranks(told)
        rank |= {one: ranks(fit(asked, told.asked), told.target) for one, fit in peers.items()}
        show(f"{name}, {title}", rank, told.session, console)


def show(
    title: str,
    rank: dict[str, NDArray[np.float64]],
    session: NDArray[np.int32],
    console: Console,
) -> None:
    """Print figures of each, and what the first gains over it."""
    table = Table(title=title)
    for column in ("", "HR@20", "MRR@20", "gain of HR@20", "gain of MRR@20"):
        table.add_column(column, justify="left" if not column else "right")
    best, *_ = rank.values()
    for name, found in rank.items():
        row = [
            f"{hit_of_rank(found, AT).mean():.4f}",
            f"{reciprocal_of_rank(found, AT).mean():.4f}",
        ]
        if found is not best:
            row += [
                fused.interval(figure(best, AT) - figure(found, AT), session)
                for figure in (hit_of_rank, reciprocal_of_rank)
            ]
        table.add_row(name, *row)
    console.print(table)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=READ, default="yoochoose")
    parser.add_argument("--only", nargs="+", default=[], help="rows whose names begin like this")
    parser.add_argument("--tune", action="store_true", help="choose YooChoose's settings anew")
    parser.add_argument("--validate", action="store_true", help="ask what settings are chosen by")
    parser.add_argument("--fuse", action="store_true", help="an order over the sources")
    told = parser.parse_args()
    console = Console(width=120)
    warm()
    if told.tune:
        tune(console)
        return
    only = tuple(told.only) or ("",)
    configs = {name: one for name, one in SOURCES[told.data].items() if name.startswith(only)}
    peers = {name: fit for name, fit in PEERS[told.data].items() if name.startswith(only)}
    if told.fuse:
        parts = {name: one for name, one in configs.items() if name not in ALONE}
        fuse(told.data, parts, peers, console, validate=told.validate)
        return
    asked = ("train_tr", "train_valid") if told.validate else ("train_full", "test")
    data = READ[told.data](*asked)
    rows = {name: source(one) for name, one in configs.items()} | peers
    table = Table(title=f"{told.data}, the next click{', validation' * told.validate}")
    for name in ("", "HR@20", "MRR@20", "fit CPU-s", "score + rank CPU-s"):
        table.add_column(name, justify="left" if not name else "right")
    for name, fit in rows.items():
        hit, mrr, fit_s, score_s = evaluate(data, fit)
        table.add_row(name, f"{hit:.4f}", f"{mrr:.4f}", f"{fit_s:.2f}", f"{score_s:.2f}")
        console.print(f"{name}: {hit:.4f} {mrr:.4f} {fit_s:.1f}", style="dim")
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"peak {peak:,.0f} MB, peers included")


if __name__ == "__main__":
    main()
