"""Reports say what was measured, with intervals, as a table and as JSON."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from habitue.errors import BadInput
from habitue.evaluation import (
    EvaluationConfig,
    Report,
    by_score,
    by_time,
    evaluate,
    leave_last_out,
    measure_lists,
    measure_ranks,
    report_of,
)
from habitue.facts import MS_PER_DAY
from tests.evaluation.shop import BUY, at_random, log_of
from tests.evaluation.test_replay import Fixed

QUICK = EvaluationConfig(n=5, n_resamples=300)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def two_tastes():
    """Twenty shoppers, ten to a taste, each item bought by half of them and then by the rest."""
    lines = []
    for s in range(20):
        taste = s % 2
        lines += [(1.0, BUY, s, 2 * k + taste) for k in range(3)]
        lines += [(20.0, BUY, s, 2 * k + taste) for k in (3, 4)]
    lines += [(2.0, BUY, 20 + i, i) for i in range(10)]  # every item was sold before
    return by_time(log_of(lines), 10 * MS_PER_DAY, 30 * MS_PER_DAY)


class Oracle:
    """Knows that even shoppers like even items."""

    def score(self, context, item_row):
        return ((item_row + context.shopper_row[:, None]) % 2 == 0).astype(np.float32)


def test_an_oracle_gets_everything_and_chance_does_not():
    split = two_tastes()
    report = evaluate(
        split,
        {
            "oracle": by_score(Oracle()),
            "the same for all": by_score(Fixed(np.arange(10, dtype=np.float32))),
        },
        rng(),
        QUICK,
        against=["the same for all"],
    )
    oracle = report.line("oracle")
    assert oracle.intervals["ndcg@5"].estimate == pytest.approx(1.0)
    assert oracle.intervals["recall@5"].low == pytest.approx(1.0)
    # 9 8 7 6 and 5, for both tastes: two of five are right, at slots 1 and 3 or 2 and 4.
    same = report.line("the same for all").intervals["ndcg@5"]
    ideal = 1 + 0.6309297535714575
    assert same.estimate == pytest.approx(
        ((1 + 0.5) / ideal + (0.6309297535714575 + 0.43067655807339306) / ideal) / 2
    )
    lift = report.lift("oracle", "the same for all")
    assert lift.estimate == pytest.approx(1 / same.estimate - 1)
    assert lift.beyond_zero
    assert report.n_questions == 20
    assert report.n_items == 10


def test_coverage_and_popularity_are_of_what_could_be_shown():
    split = two_tastes()
    measured = measure_lists(split, "one", np.full((20, 1), 3, np.int32))
    assert measured.overall["coverage@1"] == 1 / 10
    assert measured.overall["head share@1"] == 0.0  # items 0 and 1 are the first of the most sold
    assert measured.overall["gini@1"] == pytest.approx(0.9)  # one item of ten has every slot
    # Item 3 had 10 + 1 buyers, of the 30 shoppers of the training part.
    assert measured.per_question["novelty@1"] == pytest.approx(-np.log2(11 / 30))


def test_adding_a_line_changes_no_other():
    split = two_tastes()
    chance = by_score(Fixed(np.zeros(10, np.float32)))
    alone = evaluate(split, {"chance": chance}, rng(), QUICK)
    beside = evaluate(split, {"chance": chance, "oracle": by_score(Oracle())}, rng(), QUICK)
    for metric, interval in alone.line("chance").intervals.items():
        assert beside.line("chance").intervals[metric].estimate == interval.estimate


def test_the_same_seed_gives_the_same_report():
    split = two_tastes()
    first, second = (
        evaluate(split, {"chance": by_score(Fixed(np.zeros(10, np.float32)))}, rng(), QUICK)
        for _ in range(2)
    )
    assert first == second


def test_a_report_survives_being_written_down():
    split = two_tastes()
    listers = {"oracle": by_score(Oracle()), "chance": by_score(Fixed(np.zeros(10, np.float32)))}
    report = evaluate(split, listers, rng(), QUICK, against=["chance"])
    assert Report.from_json(report.to_json()) == report
    assert report.metrics()["oracle/ndcg@5"] == pytest.approx(1.0)
    assert report.metrics()["oracle/coverage@5"] == 1.0


def test_the_table_shows_every_line_and_what_it_gained():
    split = two_tastes()
    listers = {"oracle": by_score(Oracle()), "chance": by_score(Fixed(np.zeros(10, np.float32)))}
    report = evaluate(split, listers, rng(), QUICK, against=["chance"])
    page = io.StringIO()
    Console(file=page, width=200).print(report.table())
    text = page.getvalue()
    assert "20 questions, 10 items" in text
    assert "1.0000 ±0.0000" in text
    assert "ndcg@5 over chance" in text
    assert text.count("%") == 3  # one lift: its estimate and both its ends


def test_leave_one_out_reports_ranks():
    split = leave_last_out(at_random(1, n=600))
    measured = measure_ranks("last", np.array([1.0, 7.0, np.inf] + [20.0] * (len(split) - 3)))
    report = report_of(split, [measured], rng(), QUICK)
    line = report.line("last")
    assert line.intervals["recall@10"].estimate == pytest.approx(2 / len(split))
    assert line.intervals["ndcg@5"].estimate == pytest.approx(1 / len(split))


def test_a_shop_with_no_questions_still_gets_a_report():
    split = by_time(log_of([(1, BUY, 0, 0)]), 10 * MS_PER_DAY, 20 * MS_PER_DAY)
    report = evaluate(split, {"x": by_score(Fixed(np.zeros(1, np.float32)))}, rng(), QUICK)
    assert report.n_questions == 0
    assert report.line("x").intervals == {}
    assert Report.from_json(report.to_json()) == report


def test_a_comparison_with_nothing_is_refused():
    split = two_tastes()
    with pytest.raises(BadInput, match="EASE"):
        evaluate(split, {"oracle": by_score(Oracle())}, rng(), QUICK, against=["EASE"])


def test_an_unknown_name_is_a_key_error():
    report = Report("p", 0, 0, [])
    with pytest.raises(KeyError):
        report.line("nobody")
    with pytest.raises(KeyError):
        report.lift("nobody", "nothing")
