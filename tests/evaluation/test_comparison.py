"""Two recommenders asked the same: who is better, by how much, for whom."""

from __future__ import annotations

import json

import numpy as np
import pytest

from habitue.evaluation import (
    Asking,
    Comparison,
    EvaluationConfig,
    by_label,
    compare,
    measure_lists,
)
from habitue.evaluation.evaluated import CurvePoint, enough_of
from habitue.metrics import Interval
from tests.evaluation.test_segments import split


def compared(first: list[list[int]], second: list[list[int]]) -> Comparison:
    held = split()  # right: shopper 0 items 2 and 3, shoppers 1 and 2 item 1
    lists = {"a": np.array(first, np.int32), "b": np.array(second, np.int32)}
    a, b = (measure_lists(held, name, rows) for name, rows in lists.items())
    return compare(
        Asking(held, lists),
        (a, b),
        by_label(held, "life cycle", ["loyal", "new", "new"]),
        np.random.default_rng(0),
        EvaluationConfig(n=2, n_resamples=300),
        how="by hand",
    )


def test_differences_are_of_the_second_from_the_first():
    found = compared([[2, 0], [4, 3], [4, 1]], [[2, 3], [1, 4], [4, 1]])
    by_metric = {one.metric: one.interval.estimate for one in found.differences}
    assert by_metric["recall@2"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert found.first.intervals["recall@2"].estimate == pytest.approx(0.5)
    assert found.lift.estimate > 0
    assert found.overlap.estimate == pytest.approx((0.5 + 0.5 + 1) / 3)


def test_segments_say_who_gains():
    found = compared([[2, 3], [4, 3], [4, 0]], [[0, 4], [1, 4], [1, 4]])
    gains = {one.segment: one for one in found.segments}
    assert gains["loyal"].difference.estimate == pytest.approx(-1.0)
    assert gains["new"].difference.estimate == pytest.approx(1.0)
    assert gains["new"].n_questions == 2


def test_the_same_answers_differ_in_nothing():
    found = compared([[2, 3], [1, 4], [4, 1]], [[2, 3], [1, 4], [4, 1]])
    assert all(one.interval.estimate == 0 for one in found.differences)
    assert found.overlap.estimate == 1.0
    assert found.verdict.startswith("No difference")


def test_better_answers_are_named():
    found = compared([[0, 4]] * 3, [[2, 3], [1, 4], [1, 4]])
    assert found.verdict.startswith("b is better")
    said = json.loads(found.to_json())
    assert said["second"]["name"] == "b"
    assert said["segments"][0]["group"] == "life cycle"


def point(share: float, short: float) -> CurvePoint:
    return CurvePoint(share, 1, 1, 1.0, Interval(1, 1, 1), Interval(short, short, short))


@pytest.mark.parametrize(
    ("short", "enough"),
    [
        ((-0.5, -0.1, -0.01), 0.5),
        ((-0.5, -0.02, 0.01), 0.25),
        ((0.0, 0.0, 0.0), 0.1),
        ((float("nan"), float("nan"), float("nan")), None),  # nothing was reached at all
        ((-0.01, -0.3, -0.1), None),  # a lucky tenth is not enough: what is above falls short
    ],
)
def test_enough_is_where_more_is_worth_little(short, enough):
    points = [point(share, s) for share, s in zip((0.1, 0.25, 0.5), short, strict=True)]
    assert enough_of([*points, point(1.0, 0.0)]) == enough
