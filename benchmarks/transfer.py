"""A network of one shop adapted to another: Beauty cut into two shops that share no item or person.

    python -m benchmarks.transfer [--rates 0.003 0.001] [--shares 0.01 0.1 1]

Items and shoppers are parted by lot, halves each; what a shopper did in the other shop's items is
left out, and so is who has fewer than three actions left. The first shop trains the network, with
the attributes as content; the second one trains on a share of its shoppers, anew and from the first
one's network (``begin_from``). Asked is the last item of each of the second shop's shoppers, and
the one before as validation, whether or not they were learnt from; full catalogue, seen items
excluded. Intervals are paired bootstraps over shoppers.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.beauty import FORGETTING
from benchmarks.behaviour import BEAUTY, Fitted, beauty, interval, ranks
from benchmarks.leave_one_out import Shoppers, shoppers_of, training_facts
from habitue.candidates.content import ContentConfig
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.roster import learner_of
from habitue.candidates.sequence import SequenceConfig, SequenceLearner
from habitue.facts import Catalogue
from habitue.metrics.ranks import hit_of_rank, ndcg_of_rank

CONTENT = ContentConfig(profile=FORGETTING.model_copy(update={"position_decay": 0.7}))
LEAST = 3  # actions of a shopper: one each to learn from, to validate and to test


def shop(data: Shoppers, items: NDArray[np.int64], shoppers: NDArray[np.int64]) -> Shoppers:
    """What those shoppers did with those items."""
    row = np.full(data.n_items, -1)
    row[items] = np.arange(len(items))
    kept = (row[data.item] >= 0) & np.isin(data.shopper, shoppers)
    many = np.bincount(data.shopper[kept], minlength=data.n_shoppers) >= LEAST
    kept &= many[data.shopper]
    length = np.bincount(data.shopper[kept], minlength=data.n_shoppers)
    frame = data.catalogue.frame[items].with_columns(item_row=np.arange(len(items), dtype=np.int32))
    made = shoppers_of(
        row[data.item[kept]].astype(np.int32), length[length > 0], data.at_ms[kept],
        Catalogue(frame),
    )  # fmt: skip
    return replace(made, n_items=len(items))


def of_share(data: Shoppers, share: float) -> TrainingFacts:
    """The training part of a share of the shoppers, by lot; the larger share holds the smaller."""
    facts = training_facts(data)
    lot = np.random.default_rng(5).permutation(data.n_shoppers)
    some = lot[: max(1, round(share * data.n_shoppers))]
    return replace(facts, log=facts.log.take(np.isin(facts.log.shopper_row, some)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shares", type=float, nargs="*", default=[0.01, 0.1, 1.0])
    parser.add_argument("--rates", type=float, nargs="*", default=[3e-3])
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    data, _ = beauty()
    rng = np.random.default_rng(4)
    items, people = rng.permutation(data.n_items), rng.permutation(data.n_shoppers)
    first, second = (shop(data, np.sort(items[part::2]), people[part::2]) for part in range(2))
    schedule = BEAUTY.schedule.model_copy(update={"epochs": arguments.epochs})
    behaviour = BEAUTY.model_copy(
        update={"dim": arguments.dim, "schedule": schedule, "unnamed": 0.3,
                "loss": BEAUTY.loss.model_copy(update={"negatives": 512})}
    )  # fmt: skip
    config = SequenceConfig(behaviour=behaviour, validation_share=0.05)
    table = Table(
        title=f"{second.n_shoppers:,} shoppers and {second.n_items:,} items of another shop"
    )
    for name in (
        "share learnt from", "", "validation NDCG@10", "NDCG@10", "Recall@10", "over anew",
    ):  # fmt: skip
        table.add_column(name, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "sequence"
        SequenceLearner(config).fit(training_facts(first), np.random.default_rng(0)).save(there)
        for share in arguments.shares:
            found: dict[str, NDArray[np.float64]] = {}
            content = ContentConfig(
                profile={"kind_weight": {"purchase": 1.0}, "position_decay": 0.7}
            )
            configs = {"anew": config, "content alone": content}
            for rate in arguments.rates:
                slower = schedule.model_copy(update={"rate": rate})
                adapted = behaviour.model_copy(update={"schedule": slower})
                configs[f"begun from the first, rate {rate:g}"] = config.model_copy(
                    update={"behaviour": adapted, "begin_from": there}
                )
            for name, one in configs.items():
                fitted = Fitted(second, {}, 0)
                facts = of_share(second, share)
                fitted.sources["it"] = learner_of(one).fit(facts, np.random.default_rng(0))
                held = ranks(second, fitted.scores("it", 2), 2)
                found[name] = ranks(second, fitted.scores("it", 1))
                table.add_row(
                    f"{share:.0%}", name, f"{ndcg_of_rank(held, 10).mean():.4f}",
                    f"{ndcg_of_rank(found[name], 10).mean():.4f}",
                    f"{hit_of_rank(found[name], 10).mean():.4f}",
                    "" if name == "anew" else interval(found[name], found["anew"]),
                )  # fmt: skip
            Console(width=120).print(table)


if __name__ == "__main__":
    main()
