"""What room for new items costs: NDCG@10 of home with its caps, with and without that room.

    python -m benchmarks.fresh_cost [--only movielens|online_retail]

The whole pipeline through the policy of ``home``, asked as ``habitue evaluate`` asks. MovieLens by
the defaults, a film's first genre as its category; Online Retail by the settings of its own
benchmark (it has no categories, so caps never close there). Nothing is chosen by these figures but
the default of the two rules.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from rich.console import Console

from benchmarks import meaning, online_retail
from habitue.app.judging import held_out_span
from habitue.evaluation.replay import Lister, lists_of, through
from habitue.evaluation.report import EvaluationConfig, measure_lists, report_of
from habitue.evaluation.splits import Split, by_time
from habitue.facts import ActionKind, Item
from habitue.policy.rule_policy import Merits, RulePolicy
from habitue.policy.rules import SurfaceRules
from habitue.policy.shelf import Shelf
from habitue.surfaces.config import SurfacesConfig
from habitue.training.config import TrainingConfig
from habitue.training.serving import pipeline_of
from habitue.training.train import Trained, train
from habitue.training.understood import understood
from tests.needs import data_folder

ROOM = {"no room": (0, 0), "beyond caps": (1, 0), "a floor": (0, 1), "both": (1, 1)}
"""``fresh_beyond_caps`` and ``fresh_floor``."""


def movielens() -> tuple[Split, Trained]:
    """Ratings, learnt by the defaults."""
    told = meaning.facts_from(meaning.ratings(), ActionKind.rate)
    facts, config = understood(told, TrainingConfig(evaluate=False), (ActionKind.purchase,))
    cut, until = held_out_span(facts, config)
    trained = train(facts, config, rng=np.random.default_rng(1), now_ms=cut)
    return by_time(facts.log, cut, until), trained


def retail() -> tuple[Split, Trained]:
    """November of Online Retail, new items only."""
    facts = online_retail.facts_of_parquet(
        data_folder() / "online_retail" / "online_retail.parquet"
    )
    cut, until = online_retail.NOVEMBER, online_retail.END
    trained = train(facts, online_retail.NEW, rng=np.random.default_rng(1), now_ms=cut)
    return by_time(facts.log, cut, until), trained


SHOPS: dict[str, Callable[[], tuple[Split, Trained]]] = {
    "movielens": movielens,
    "online_retail": retail,
}


def lister(trained: Trained, rules: SurfaceRules, share: list[float]) -> Lister:
    """The pipeline through these rules; notes the share of fresh items in each batch."""
    shelf, first_seen = Shelf(), trained.columns.first_seen_ms
    known = trained.facts.catalogue.frame
    described = known.filter(known["id"].is_not_null()).select("item_row", "id", "product_type")
    items = [
        Item(id=name, product_type=kind)
        for name, kind in zip(described["id"], described["product_type"], strict=True)
    ]
    shelf.put_many(described["item_row"].to_numpy(), items)
    policy = RulePolicy(
        rules, shelf, due_days=trained.usual_gap_days, merits=Merits(lambda: first_seen)
    )
    pipeline = pipeline_of(
        trained.config, trained.sources, trained.rankers, trained.stats, trained.columns, policy
    )
    asked = through(pipeline)
    since = trained.facts.now_ms - rules.fresh_days * 86_400_000

    def noted(questions, n, rng):  # type: ignore[no-untyped-def]
        rows = asked(questions, n, rng)
        shown = rows[rows >= 0]
        share.append(float((first_seen[shown] >= since).mean()))
        return rows

    return noted


def main() -> None:
    """Print a table for each shop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=tuple(SHOPS))
    arguments = parser.parse_args()
    console = Console(width=160)
    home = SurfacesConfig().home.rules
    for name in [arguments.only] if arguments.only else SHOPS:
        held, trained = SHOPS[name]()
        judged = EvaluationConfig(length=trained.config.recent_length)
        measured = []
        for label, (beyond, floor) in ROOM.items():
            rules = home.model_copy(
                update={"fresh_beyond_caps": beyond, "fresh_floor": floor, "epsilon": 0.0}
            )
            share: list[float] = []
            rng = np.random.default_rng(1)
            rows = lists_of(
                held, lister(trained, rules, share), judged.n, rng, length=judged.length
            )
            measured.append(measure_lists(held, label, rows))
            console.print(f"{name}, {label}: {np.mean(share):.1%} of what is shown is fresh")
        report = report_of(held, measured, np.random.default_rng(1), judged, against=("no room",))
        console.print(report.table(("ndcg", "recall", "coverage")))


if __name__ == "__main__":
    main()
