"""For whom, and of what: the same lists judged part by part."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.evaluation import Asking, Segment, by_label, by_popularity, by_time, segment_lines
from habitue.evaluation.segments import values_in
from habitue.facts import MS_PER_DAY
from tests.evaluation.shop import BUY, at_random, log_of

# Items 0 to 4; item 0 was bought by all three shoppers before day 10, the others by one or two.
BEFORE = [(1.0, BUY, who, item) for who, item in ((0, 0), (1, 0), (2, 0), (0, 1), (1, 2), (2, 2))]
AFTER = [(11.0, BUY, 0, 2), (11.0, BUY, 0, 3), (12.0, BUY, 1, 1), (12.0, BUY, 2, 1)]
FIRST = [(2.0, BUY, 0, 4), (2.0, BUY, 1, 3)]


def split():
    log = log_of([*BEFORE, *FIRST, *AFTER])
    return by_time(log, 10 * MS_PER_DAY, 20 * MS_PER_DAY)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_label_parts_the_questions() -> None:
    loyal, new = by_label(split(), "life cycle", ["loyal", "new", "loyal"])
    assert (loyal.name, new.name) == ("loyal", "new")
    assert loyal.question is not None
    assert loyal.question.tolist() == [True, False, True]
    assert by_label(split(), "platform", [None, None, None]) == []


def test_head_and_tail_part_the_items_that_are_right() -> None:
    held = split()
    head, tail = by_popularity(held)
    assert head.item is not None
    assert tail.item is not None
    assert np.flatnonzero(head.item).tolist() == [0]  # one in five, bought by all
    assert (head.item ^ tail.item).all()


def test_values_in_a_segment_by_hand() -> None:
    held = split()  # right: shopper 0 items 2 and 3, shopper 1 item 1, shopper 2 item 1
    lists = np.array([[2, 4], [1, 4], [4, 3]], np.int32)
    two = Segment("items", "two", item=np.arange(5) == 2)
    inside = values_in(held, two, lists)
    assert inside["recall@2"][0] == 1.0  # of what is right and in the segment
    assert np.isnan(inside["recall@2"][1:]).all()
    first = Segment("life cycle", "first", question=np.array([True, True, False]))
    assert values_in(held, first, lists)["recall@2"][:2].tolist() == [0.5, 1.0]
    assert np.isnan(values_in(held, first, lists)["ndcg@2"][2])


def test_lines_say_how_many_were_asked_and_what_was_gained() -> None:
    held = split()
    lists = {
        "right": np.array([[2, 3], [1, 4], [1, 4]], np.int32),
        "half": np.array([[2, 0], [1, 4], [4, 1]], np.int32),
    }
    parts = by_label(held, "life cycle", ["loyal", "new", "loyal"])
    loyal, new = segment_lines(
        [(Asking(held, lists), parts)], rng(), names=("right",), against="half", n_resamples=200
    )
    assert (loyal.segment, loyal.n_questions, new.n_questions) == ("loyal", 2, 1)
    assert loyal.intervals["ndcg@2"].estimate == 1.0
    second = 1 / np.log2(3)
    half = (1 / (1 + second) + second) / 2
    assert loyal.lift is not None
    assert loyal.lift.estimate == pytest.approx(1 / half - 1)


def test_askings_are_pooled() -> None:
    held = split()
    lists = {"one": np.array([[2, 3], [4, 3], [4, 3]], np.int32)}
    whole = Segment("all", "all", question=np.ones(3, bool))
    (line,) = segment_lines(
        [(Asking(held, lists), [whole]), (Asking(held, lists), [whole])],
        rng(), names=("one",), against="one", n_resamples=200,
    )  # fmt: skip
    assert line.n_questions == 6
    assert line.lift is None
    assert line.intervals["hit_rate@2"].estimate == pytest.approx(1 / 3)


def test_the_segments_of_a_way_to_part_make_up_the_whole() -> None:
    log = at_random(3, n=800)
    held = by_time(log, 60 * MS_PER_DAY, 101 * MS_PER_DAY)
    lists = np.tile(np.arange(5, dtype=np.int32), (len(held), 1))
    label = [str(row % 3) for row in range(log.n_shoppers)]
    parts = [values_in(held, one, lists)["recall@5"] for one in by_label(held, "third", label)]
    whole = values_in(held, Segment("all", "all", question=np.ones(len(held), bool)), lists)
    together = np.nansum(np.array(parts), axis=0)
    assert together == pytest.approx(whole["recall@5"])
