"""How much better what was learnt from is answered than what was held out."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.evaluation import EvaluationConfig, Measured, Report, gap_of, pooled, report_of
from habitue.metrics import Interval
from tests.evaluation.test_segments import split

CONFIG = EvaluationConfig(n_resamples=400)


def measured(name: str, value: float, n: int = 60) -> Measured:
    spread = np.linspace(-0.05, 0.05, n)
    return Measured(name, {"ndcg@10": value + spread}, {}, np.arange(n, dtype=np.int32))


def gap(training: float, validation: float, plain_training: float, plain_validation: float):
    return gap_of(
        {"home": measured("home", training), "plain": measured("plain", plain_training)},
        {"home": measured("home", validation), "plain": measured("plain", plain_validation)},
        "ndcg@10", "home", "plain", np.random.default_rng(0), CONFIG,
    )  # fmt: skip


def test_the_gap_is_training_over_validation():
    found = gap(0.6, 0.2, 0.1, 0.1)
    assert found.ratio.estimate == pytest.approx(3.0)
    assert found.ratio.low > 2.5
    assert found.training.estimate == pytest.approx(0.6)


def test_a_span_that_is_harder_for_all_is_not_held_against_it():
    assert gap(0.6, 0.2, 0.3, 0.1).ratio.estimate == pytest.approx(1.0)


def test_a_span_that_is_easier_excuses_nothing():
    assert gap(0.6, 0.2, 0.1, 0.2).ratio.estimate == pytest.approx(3.0)


def test_a_report_keeps_its_gap():
    report = Report("by time", 60, 10, [], [], gap(0.6, 0.2, 0.1, 0.1))
    assert Report.from_json(report.to_json()).gap == report.gap
    assert report.metrics()["gap"] == pytest.approx(3.0)
    assert Report.from_json(Report("by time", 0, 0, []).to_json()).gap is None


def test_pooled_questions_of_one_shopper_are_one_witness():
    # Ten shoppers, asked in six splits and always answered alike: sixty answers, ten witnesses.
    values = np.linspace(0, 1, 10)
    one = Measured("one", {"ndcg@10": values}, {"coverage@10": 0.5}, np.arange(10, dtype=np.int32))
    many = pooled([one] * 6)
    assert len(many.per_question["ndcg@10"]) == 60
    assert many.overall == {"coverage@10": 0.5}
    width = [
        _width(report_of(split(), [m], np.random.default_rng(0)).line("one").intervals["ndcg@10"])
        for m in (one, many)
    ]
    assert width[1] == pytest.approx(width[0], rel=0.1)


def _width(interval: Interval) -> float:
    return interval.high - interval.low
