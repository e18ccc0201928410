"""Home goes by its best source where that was above the learnt order on a span of its own."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from habitue.candidates.covisit import CovisitConfig
from habitue.candidates.popular import PopularConfig
from habitue.evaluation.choice import choose
from habitue.evaluation.report import Measured, Report
from habitue.facts import ActionKind, ActionLog
from habitue.ranking.blend import BlendRanker
from habitue.ranking.lambdamart import LambdaMartConfig
from habitue.training.best_source import by_source
from habitue.training.config import TrainingConfig
from habitue.training.serving import load_pieces, save_pieces
from habitue.training.train import BestFirst, Trained, train
from tests.ranking.shop import N_ITEMS
from tests.training.shop import CONFIG, DAY, facts_of

N_SHOPPERS = 160
HALF = N_ITEMS // 2
FASHION = TrainingConfig(
    sources=(
        PopularConfig(name="popular_now", half_life_days=2.0),
        CovisitConfig(name="bought_bought", kinds_from=("purchase",), kinds_to=("purchase",)),
    ),
    quotas={"home": {"popular_now": N_ITEMS, "bought_bought": N_ITEMS}},
    surfaces=("home",),
    rebuy=False,
    windows=3,
    window_days=20.0,
    visits=0,
    kept=30,
    least_answered=20,
    ranker=LambdaMartConfig(rounds=30, leaves=7, min_leaf_rows=10, threads=1),
)


def log_of(told: list[tuple[int, int, int]]) -> ActionLog:
    """Purchases as (hour, shopper, item)."""
    hour, shopper, item = np.array(sorted(told)).T
    n = len(hour)
    nothing = np.zeros(n, np.int64)
    return ActionLog(
        seq=np.arange(1, n + 1), at_ms=hour * 3_600_000,
        kind=np.full(n, int(ActionKind.purchase), np.uint8),
        shopper_row=shopper.astype(np.int32), item_row=item.astype(np.int32),
        order_row=np.full(n, -1, np.int32), quantity=np.ones(n, np.float32),
        price_micros=nothing, value_minor=nothing, rating=np.full(n, np.nan, np.float32),
        n_shoppers=N_SHOPPERS, n_items=N_ITEMS,
    )  # fmt: skip


def changing_shop() -> ActionLog:
    """Shoppers of two tastes for 40 days, and then all of them after what is in fashion.

    What few people had taken up just before the first span, nobody takes in it; what they take up
    just before each later span, everybody takes.
    """
    rng = np.random.default_rng(2)
    told = []
    early, late = N_ITEMS - 8, N_ITEMS - 4  # the items of two fashions
    for who in range(N_SHOPPERS):
        mine = np.arange(who % 2, early, 2)
        days = [*rng.uniform(0, 19, 3), *rng.uniform(20, 40, 3)]
        for day, item in zip(days, rng.choice(mine, 6, replace=False).tolist(), strict=True):
            told.append((int(day * 24), who, item))
        for begins, first in ((40, early), (60, late)):
            first_day = begins - 1 if who < 20 else begins + 1 + rng.uniform(0, 17)
            told += [(int(first_day * 24), who, first + n) for n in range(4)]
    told += [(19 * 24 + 5, who, who % 4) for who in range(40)]  # a fashion that is none
    return log_of([*dict.fromkeys(told), (80 * 24 - 1, 0, 0)])


@cache
def changed() -> Trained:
    return train(facts_of(changing_shop()), FASHION, rng=np.random.default_rng(0))


def test_a_source_above_the_learnt_order_takes_its_place() -> None:
    choice = changed().choice
    assert choice is not None
    assert choice.taken
    assert choice.source == "popular_now"
    assert choice.difference.low > 0
    assert not changed().rankers
    assert changed().config.fusion["home"].weights == {"popular_now": 1.0}
    assert "home goes by popular_now alone" in str(choice)


def test_what_is_reported_is_the_order_that_serves() -> None:
    made = changed()
    learnt = train(
        facts_of(changing_shop()),
        FASHION.model_copy(update={"best_source": False}),
        rng=np.random.default_rng(0),
    )
    assert learnt.choice is None
    assert made.report is not None
    assert made.report.choice == made.choice
    assert Report.from_json(made.report.to_json()) == made.report
    written = FASHION.model_copy(update={"fusion": made.config.fusion})
    said = train(facts_of(changing_shop()), written, rng=np.random.default_rng(0))
    assert said.choice is None  # it is written down
    assert said.metrics["home/ndcg@10"] == made.metrics["home/ndcg@10"]


def test_the_last_span_has_no_part_in_the_choice() -> None:
    log = changing_shop()
    last = log.at_ms >= 60 * DAY
    other = log.item_row.copy()
    other[last] = (other[last] + 3) % N_ITEMS
    made = train(facts_of(replace(log, item_row=other)), FASHION, rng=np.random.default_rng(0))
    assert made.choice == changed().choice


def test_a_training_that_measures_nothing_chooses_alike() -> None:
    quiet = FASHION.model_copy(update={"evaluate": False})
    made = train(facts_of(changing_shop()), quiet, rng=np.random.default_rng(0))
    assert made.report is None
    assert made.choice == changed().choice


def test_a_snapshot_answers_by_it(tmp_path: Path) -> None:
    save_pieces(changed(), tmp_path)
    ranker = load_pieces(tmp_path).pipeline(BestFirst()).ranker("home")
    assert isinstance(ranker, BlendRanker)
    assert not ranker.standardised


def test_a_sound_order_stays() -> None:
    config = CONFIG.model_copy(update={"windows": 3})
    made = train(facts_of(), config, rng=np.random.default_rng(0))
    assert made.choice is not None
    assert not made.choice.taken
    assert "home" in made.rankers


def test_two_spans_leave_none_to_choose_on() -> None:
    config = CONFIG.model_copy(update={"windows": 2, "evaluate": False})
    assert train(facts_of(), config, rng=np.random.default_rng(0)).choice is None


@pytest.mark.parametrize(
    ("n", "lead", "taken"), [(400, 0.2, True), (400, 0.0, False), (30, 0.2, False)]
)
def test_a_source_is_taken_on_evidence_alone(n: int, lead: float, taken: bool) -> None:
    rng = np.random.default_rng(1)
    value = rng.random(n)

    def measured(name: str, by: float) -> Measured:
        noise = rng.normal(0, 0.1, n)
        return Measured(name, {"ndcg@10": value + by + noise}, {}, np.arange(n, dtype=np.int32))

    choice = choose(
        measured("learnt", 0.0),
        [measured(f"s{k}", lead if k == 3 else -0.01) for k in range(9)],
        "ndcg@10",
        np.random.default_rng(0),
        surface="home",
        least_questions=50,
    )
    assert choice.taken is taken
    assert by_source(CONFIG, None) is CONFIG
    assert choice.enough is (n >= 50)
