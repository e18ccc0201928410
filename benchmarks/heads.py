"""The other heads of the behaviour model beside plain answers: next kind, return, and their cost.

    python -m benchmarks.heads --data retailrocket [--part test|validation] [--seeds N]
    python -m benchmarks.heads --data online_retail [--part test|validation]
    python -m benchmarks.heads --data returns [--part test|validation]

``retailrocket``: views, carts and purchases of 1,092 visitors, foretold for each fifth of them by
what the others did. ``online_retail``: whether the next line is a purchase or taken back, asked of
customers after the cut. In both each moment is one question, the network and all that stands beside
it know the time that has passed since the action before, and the plain answers are: what mostly
follows the last kind; a multinomial logistic regression and boosted trees over the last three
kinds, the gaps between them, and how many of each kind have been. The next item is ranked with and
without heads, taught by the same draws.

``returns``: the questions of ``benchmarks.comeback`` (purchase within 30 days, and when, on five
Wednesdays), asked of the network's head beside outlooks, recency, frequency and value, and BG/NBD.

Settings were chosen on ``validation``: two in five of the visitors in the first, who are never
tested, and what came before the test in the others. Intervals are 95 %, by resampled shoppers.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from benchmarks import comeback
from benchmarks.comeback import Answers, log_with_refunds
from benchmarks.leave_one_out import plain_log
from benchmarks.online_retail import day_ms
from habitue.behaviour.asking import foretold, queries
from habitue.behaviour.coming import KindBaseline
from habitue.behaviour.config import BehaviourConfig, HeadWeights, LossConfig, ScheduleConfig
from habitue.behaviour.fitting import Training, fit
from habitue.behaviour.network import Network
from habitue.behaviour.outlook import Foretold, OutlookConfig, Past
from habitue.behaviour.streams import Streams, Windows, gap_step, streams_of
from habitue.behaviour.survival import survival_of
from habitue.facts import MS_PER_DAY, ActionKind, ActionLog
from habitue.metrics.ranks import mean_rank, ndcg_of_rank
from tests.needs import data_folder

FOLDS = 5
BACK = 3  # kinds and gaps that the plain answers read
SMALL = BehaviourConfig(
    kinds=("view_item", "add_to_cart", "purchase"), dim=64, content=False,
    loss=LossConfig(negatives=256, own_past="competes"),
    head_weights=HeadWeights(next_kind=1.0, shape=False),
    schedule=ScheduleConfig(epochs=20, tokens=64),
)  # fmt: skip
RETAIL = BehaviourConfig(
    kinds=("purchase", "refund"), dim=64, content=False, ties="drawn",
    loss=LossConfig(negatives=256, own_past="competes"),
    head_weights=HeadWeights(next_kind=1.0),
    schedule=ScheduleConfig(epochs=4, tokens=2500, averaging=0.99),
)  # fmt: skip
RETURNS = RETAIL.model_copy(
    update={
        "kinds": ("purchase",), "length": 100, "head_weights": HeadWeights(comes_back=1.0),
    }
)  # fmt: skip


def set_of(config: BehaviourConfig, said: list[str]) -> BehaviourConfig:
    """The config, with those settings changed that were said, as schedule.epochs=20."""
    told = config.model_dump(mode="json")
    for one in said:
        name, value = one.split("=")
        *rooms, last = name.split(".")
        room = told
        for inner in rooms:
            room = room[inner]
        room[last] = value
    return BehaviourConfig.model_validate(told)


@dataclass(frozen=True)
class Questions:
    """Q moments at which somebody acts next: of which kind?"""

    streams: Streams
    token: NDArray[np.int64]  # (Q,) what came

    @property
    def right(self) -> NDArray[np.int64]:
        return self.streams.kind[self.token].astype(np.int64)

    @property
    def last(self) -> NDArray[np.uint8]:
        return self.streams.kind[self.token - 1]

    @property
    def who(self) -> NDArray[np.int64]:
        return np.searchsorted(self.streams.start, self.token, side="right") - 1

    @property
    def waiting(self) -> NDArray[np.uint8]:
        at = self.streams.at_ms
        return gap_step(at[self.token] - at[self.token - 1])

    def windows(self, length: int) -> Windows:
        first = self.streams.start[self.who]
        return Windows(np.maximum(first, self.token - length), self.token)

    def columns(self) -> NDArray[np.float32]:
        """What the plain answers read (Q, F): last kinds, gaps, counts, time of day."""
        streams, token = self.streams, self.token
        begin = streams.start[self.who]
        kinds = np.unique(streams.kind)
        found = []
        for back in range(1, BACK + 1):
            there = token - back >= begin
            kind = np.where(there, streams.kind[np.maximum(token - back, 0)], 255)
            found += [kind == one for one in kinds]
            at = np.maximum(token - back, 0)
            gap = (streams.at_ms[token - back + 1] - streams.at_ms[at]) / 1000
            found.append(np.where(there, np.log1p(np.maximum(gap, 0)), -1.0))
            same = there & (streams.item_row[np.maximum(token - 1, 0)] == streams.item_row[at])
            found.append(same)
        for one in kinds:
            upto = np.r_[0, np.cumsum(streams.kind == one)]
            found.append(np.log1p(upto[token] - upto[begin]))
        found.append(np.log1p(streams.at_ms[token - 1] - streams.at_ms[begin]))
        hour = streams.at_ms[token] / 3_600_000 % 24 / 24 * 2 * np.pi
        found += [np.sin(hour), np.cos(hour)]
        return np.column_stack(found).astype(np.float32)


def questions_of(streams: Streams, since_ms: int = 0) -> Questions:
    """One for each moment from a time on, but a shopper's first."""
    new = np.ones(len(streams), np.bool_)
    new[1:] = np.diff(streams.at_ms) != 0
    new[streams.start[:-1]] = False
    return Questions(streams, np.flatnonzero(new & (streams.at_ms >= since_ms)))


Chances = NDArray[np.float64]  # (Q, n_kinds) in the order of the codes


def markov(learnt: Questions, asked: Questions, codes: list[int]) -> Chances:
    told = KindBaseline.counted(learnt.last, learnt.right.astype(np.uint8)).told(asked.last)
    return told[:, codes]


def logistic(learnt: Questions, asked: Questions, codes: list[int]) -> Chances:
    """A multinomial logistic regression with a small ridge."""
    x, z = learnt.columns(), asked.columns()
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    ones = [np.ones((len(x), 1)), np.ones((len(z), 1))]
    x = np.hstack([(x - mean) / scale, ones[0]]).astype(np.float64)
    z = np.hstack([(z - mean) / scale, ones[1]]).astype(np.float64)
    right = np.searchsorted(codes, learnt.right)
    row = np.arange(len(x))

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weight = flat.reshape(x.shape[1], len(codes))
        told = log_softmax(x @ weight, axis=1)
        missed = np.exp(told)
        missed[row, right] -= 1
        ridge = 1e-3
        value = -told[row, right].mean() + ridge * float((weight[:-1] ** 2).sum()) / 2
        slope = x.T @ missed / len(x)
        slope[:-1] += ridge * weight[:-1]
        return value, slope.ravel()

    start = np.zeros(x.shape[1] * len(codes))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return softmax(z @ found.reshape(x.shape[1], len(codes)), axis=1)


def trees(learnt: Questions, asked: Questions, codes: list[int]) -> Chances:
    """Boosted trees; how many, by a fifth of the shoppers learnt from."""
    x, right = learnt.columns(), np.searchsorted(codes, learnt.right)
    held = learnt.who % 5 == 0
    parameters = {
        "objective": "multiclass", "num_class": len(codes), "learning_rate": 0.05, "num_leaves": 7,
        "min_data_in_leaf": 20, "num_threads": 1, "verbosity": -1, "seed": 1, "lambda_l2": 1.0,
    }  # fmt: skip
    part = lgb.Dataset(x[~held], right[~held])
    judged = lgb.Dataset(x[held], right[held], reference=part)
    booster = lgb.train(
        parameters, part, 400, valid_sets=[judged],
        callbacks=[lgb.early_stopping(20, verbose=False)],
    )  # fmt: skip
    whole = lgb.train(parameters, lgb.Dataset(x, right), max(booster.best_iteration, 1))
    return np.asarray(whole.predict(asked.columns(), num_threads=1))


PLAIN: dict[str, Callable[[Questions, Questions, list[int]], Chances]] = {
    "Markov table": markov,
    "logistic regression": logistic,
    "boosted trees": trees,
}


def taught(streams: Streams, config: BehaviourConfig, seed: int) -> Network:
    """The network after all its passes; nothing is held out."""
    import torch

    with torch.random.fork_rng():
        return fit(Training(streams), config, seed=seed).network


def next_kinds(network: Network, asked: Questions) -> Chances:
    windows = asked.windows(network.config.length)
    return foretold(network, asked.streams, windows, asked.waiting).kind


def item_ranks(network: Network, asked: Questions) -> NDArray[np.float64]:
    """Where what came stands among all items."""
    query = queries(network, asked.streams, asked.windows(network.config.length), asked.waiting)
    items = network.item_vectors().detach().cpu().numpy()
    target = asked.streams.item_row[asked.token]
    cuts = range(0, len(target), 1024)
    return np.concatenate(
        [mean_rank(query[a : a + 1024] @ items.T, target[a : a + 1024]) for a in cuts]
    )


@dataclass
class Found:
    """What was said of all questions, one part after the other."""

    codes: list[int]
    right: list[NDArray[np.int64]]
    who: list[NDArray[np.int64]]
    said: dict[str, list[Chances]]
    ndcg: dict[str, list[NDArray[np.float64]]]
    seconds: dict[str, float]

    def ask(
        self, learnt: Streams, asked: Questions, config: BehaviourConfig, seed: int, named: str = ""
    ) -> None:
        """Learn from streams, ask the questions."""
        self.right.append(asked.right)
        self.who.append(asked.who + 1_000_000 * len(self.who))
        before = questions_of(learnt)
        for name, told in PLAIN.items():
            self._add(self.said, name, told(before, asked, self.codes))
        bare = config.model_copy(update={"head_weights": HeadWeights()})
        for name, one in (("without heads", bare), ("the network", config)):
            began = time.process_time()
            network = taught(learnt, one, seed)
            spent = time.process_time() - began
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            self._add(self.ndcg, name, ndcg_of_rank(item_ranks(network, asked), 10))
            if network.heads is not None:
                self._add(self.said, name, next_kinds(network, asked))

    def _add(self, whole: dict[str, Any], name: str, part: Any) -> None:
        whole.setdefault(name, []).append(part)

    def show(self, title: str) -> None:
        console = Console(width=110)
        right = np.searchsorted(self.codes, np.concatenate(self.right))
        who = np.unique(np.concatenate(self.who), return_inverse=True)[1]
        row = np.arange(len(right))
        shown = Table(
            title=f"{title}: {len(right):,} questions, {_share(right):.3f} the usual kind"
        )
        for head in ("", "accuracy", "log loss", "log loss above the network's"):
            shown.add_column(head)
        said = {name: np.concatenate(parts) for name, parts in self.said.items()}
        loss = {
            name: -np.log(np.maximum(chance[row, right], 1e-9)) for name, chance in said.items()
        }
        for name, chance in said.items():
            shown.add_row(
                name, f"{(chance.argmax(axis=1) == right).mean():.4f}", f"{loss[name].mean():.4f}",
                "" if name == "the network" else by_shopper(loss[name] - loss["the network"], who),
            )  # fmt: skip
        console.print(shown)
        ndcg = {name: np.concatenate(parts) for name, parts in self.ndcg.items()}
        for name, found in ndcg.items():
            console.print(
                f"next item {name}: NDCG@10 {found.mean():.4f}, {self.seconds[name]:.0f} CPU-s"
            )
        console.print(
            "with heads over without:", by_shopper(ndcg["the network"] - ndcg["without heads"], who)
        )


def _share(right: NDArray[np.int64]) -> float:
    return float(np.bincount(right).max() / len(right))


def by_shopper(value: NDArray[np.float64], who: NDArray[np.int64]) -> str:
    """The mean of values with its 95 % interval, shoppers resampled."""
    rng = np.random.default_rng(0)
    total, count = np.bincount(who, value), np.bincount(who)
    n = len(total)
    drawn = []
    for _ in range(1000):
        times = np.bincount(rng.integers(0, n, n), minlength=n)
        drawn.append((times @ total) / max(times @ count, 1))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{value.mean():+.4f} [{low:+.4f}, {high:+.4f}]"


KINDS = (ActionKind.view_item, ActionKind.add_to_cart, ActionKind.purchase)


def retailrocket(part: str, seeds: int, config: BehaviourConfig) -> Found:
    """Visitors by the others, a fifth at a time: two in five are never tested."""
    events = pl.read_parquet(data_folder() / "retailrocket_sample" / "events_sample.parquet")
    events = events.sort("timestamp", maintain_order=True)
    who = np.unique(events["visitorid"].to_numpy(), return_inverse=True)[1]
    item = np.unique(events["itemid"].to_numpy(), return_inverse=True)[1]
    log = plain_log(
        KINDS[0], events["timestamp"].dt.epoch("ms").to_numpy(), who.astype(np.int32),
        item.astype(np.int32), n_shoppers=int(who.max()) + 1, n_items=int(item.max()) + 1,
    )  # fmt: skip
    kind = np.array([int(one) for one in KINDS], np.uint8)[events["event"].to_numpy()]
    streams = streams_of(replace(log, kind=kind), KINDS)
    found = Found(sorted(int(one) for one in KINDS), [], [], {}, {}, {})
    kept = np.random.default_rng(0).random(streams.n_shoppers) < 0.4  # for choosing settings
    for seed in range(seeds):
        fold = np.random.default_rng([1, seed]).integers(0, FOLDS, streams.n_shoppers)
        for one in range(FOLDS):
            if part == "validation":
                learnt, asked = kept & (fold != one), kept & (fold == one)
            else:
                learnt, asked = kept | (fold != one), ~kept & (fold == one)
            which = streams.of(np.flatnonzero(asked))
            found.ask(streams.of(np.flatnonzero(learnt)), questions_of(which), config, seed)
    return found


CUT = {"validation": day_ms(2011, 9, 1), "test": day_ms(2011, 11, 1)}


def online_retail(part: str, seeds: int, config: BehaviourConfig) -> Found:
    """What customers did in the 30 days after the cut: bought, or took back."""
    log = log_with_refunds(data_folder() / "online_retail" / "online_retail.parquet")
    kinds = (ActionKind.purchase, ActionKind.refund)
    cut = CUT[part]
    found = Found([int(kind) for kind in kinds], [], [], {}, {}, {})
    whole = streams_of(log.before(cut + 30 * MS_PER_DAY), kinds)
    for seed in range(seeds):
        found.ask(streams_of(log.before(cut), kinds), questions_of(whole, cut), config, seed)
    return found


def returns(part: str, config: BehaviourConfig, every: int) -> None:
    """The questions of ``comeback``, to the network as well."""
    console = Console(width=160)
    log = log_with_refunds(data_folder() / "online_retail" / "online_retail.parquet")
    past = Past.of(log, currency="GBP")
    test = part == "test"
    end = int(log.at_ms[-1]) + 1 if test else comeback.FIRST_TEST
    moments = []
    for mark in (comeback.TEST if test else comeback.VALIDATION)[::every]:
        one = comeback.ask(past, OutlookConfig(), mark, end)
        began = time.process_time()
        one.said[NETWORK] = _returning(log.before(mark), one.shopper, mark, config)
        moments.append(replace(one, cpu_seconds=time.process_time() - began))
        console.print(
            time.strftime("%Y-%m-%d", time.gmtime(mark / 1000)),
            f"{moments[-1].cpu_seconds:.0f} CPU-s",
            *(f"{n}: {comeback.auc_of(one, n):.4f} {comeback.concordance_of(one, n):.4f}"
              for n in one.said),
        )  # fmt: skip
    console.print(comeback.table(moments))
    for word, figure in (("AUC", comeback.auc_of), ("concordance", comeback.concordance_of)):
        mean, low, high = comeback.lead(moments, NETWORK, figure)
        console.print(f"{word} of Habitué above the network: {mean:+.4f} [{low:+.4f}, {high:+.4f}]")


NETWORK = "the network's head"


def _returning(
    log: ActionLog, shopper_row: NDArray[np.int32], now_ms: int, config: BehaviourConfig
) -> Answers:
    streams = streams_of(log, [ActionKind[kind] for kind in config.kinds])
    network = taught(streams, config, 0)
    place = np.searchsorted(streams.shopper_row, shopper_row)
    assert (streams.shopper_row[place] == shopper_row).all()
    last = streams.start[place + 1]
    windows = Windows(np.maximum(streams.start[place], last - config.length), last)
    waiting = gap_step(now_ms - streams.at_ms[last - 1])
    told = Foretold(np.empty(0), survival_of(foretold(network, streams, windows, waiting).comes))
    return Answers(told.within(comeback.HORIZON), -told.mean_days)


def main() -> None:
    """Print the tables of one data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=("retailrocket", "online_retail", "returns"),
                        default="retailrocket")  # fmt: skip
    parser.add_argument("--part", choices=("test", "validation"), default="test")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="take each so many-th moment")
    parser.add_argument("--set", nargs="*", default=[], help="settings, as schedule.epochs=20")
    told = parser.parse_args()
    if told.data == "returns":
        returns(told.part, set_of(RETURNS, told.set), told.every)
        return
    ask, config = {
        "retailrocket": (retailrocket, SMALL), "online_retail": (online_retail, RETAIL)
    }[told.data]  # fmt: skip
    ask(told.part, told.seeds, set_of(config, told.set)).show(f"{told.data}, {told.part}")


if __name__ == "__main__":
    main()
