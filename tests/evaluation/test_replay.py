"""Questions are asked as serving would ask them, and answers judged on the whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.errors import BadInput
from habitue.evaluation import ask, by_score, by_time, leave_last_out, lists_of, ranks_of, through
from habitue.facts import MS_PER_DAY, NO_ROW, Context
from tests.evaluation.shop import BUY, LOOK, at_random, log_of


@dataclass
class Fixed:
    """Scores every item the same for everybody."""

    value: NDArray[np.float32]

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        return self.value[item_row]


@dataclass
class PerShopper:
    """A table of scores: one row a shopper."""

    value: NDArray[np.float32]

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        return self.value[context.shopper_row[:, None], item_row]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def half(seed: int, **how):
    return by_time(at_random(seed, n=900), 50 * MS_PER_DAY, 100 * MS_PER_DAY, **how)


def test_a_request_sees_what_lay_before_it_and_nothing_later():
    log = log_of(
        [(1, BUY, 0, 1), (2, LOOK, 0, 2), (3, BUY, 1, 3), (9, LOOK, 0, 3), (12, BUY, 0, 3)]
    )
    (asked,) = ask(by_time(log, 10 * MS_PER_DAY, 20 * MS_PER_DAY), length=4)
    assert asked.context.shopper_row.tolist() == [0]
    assert asked.context.recent_item.tolist() == [[3, 2, 1, NO_ROW]]
    assert asked.context.recent_age_days.tolist() == [[1.0, 8.0, 9.0, 0.0]]
    assert asked.context.owned.item.tolist() == [1]
    assert asked.context.surface == "home"


def test_batches_change_nothing():
    split = half(1)
    table = np.random.default_rng(2).random((13, 29)).astype(np.float32)
    whole = lists_of(split, by_score(PerShopper(table)), 7, rng())
    in_threes = lists_of(split, by_score(PerShopper(table)), 7, rng(), batch=3)
    assert whole.tolist() == in_threes.tolist()


@given(seed=st.integers(0, 300), repurchase=st.booleans())
def test_lists_are_the_best_of_what_may_be_shown(seed, repurchase):
    split = half(seed, repurchase=repurchase)
    table = np.random.default_rng(seed).normal(size=(13, 29)).astype(np.float32)
    lists = lists_of(split, by_score(PerShopper(table)), 40, rng())
    for b, shopper in enumerate(split.shopper_row.tolist()):
        owned = set(split.excluded.between(b, b + 1).item.tolist())
        allowed = [i for i in range(29) if split.available[i] and i not in owned]
        expected = sorted(allowed, key=lambda i: -table[shopper, i])
        assert lists[b].tolist() == expected + [NO_ROW] * (40 - len(expected))


def test_equal_scores_are_drawn_by_lot_for_each_shopper():
    log = log_of(
        [(1, BUY, s, s % 50) for s in range(400)] + [(20, BUY, s, (s + 1) % 50) for s in range(400)]
    )
    split = by_time(log, 10 * MS_PER_DAY, 30 * MS_PER_DAY)
    lists = lists_of(split, by_score(Fixed(np.zeros(50, np.float32))), 1, rng())
    shown = np.bincount(lists[:, 0], minlength=50)
    assert shown.min() > 0
    assert shown.max() < 25  # 8 each on average; 25 would be six standard deviations


def test_scores_order_whatever_their_sign_and_size():
    log = at_random(3, n=900)
    split = by_time(log, 50 * MS_PER_DAY, 100 * MS_PER_DAY, repurchase=True)
    assert split.available.all()
    value = np.array([*np.geomspace(1e-30, 1e30, 14), 0.0, *-np.geomspace(1e-30, 1e30, 14)])
    lists = lists_of(split, by_score(Fixed(value.astype(np.float32))), 29, rng())
    assert lists[0].tolist() == np.argsort(-value).tolist()


def test_a_list_of_what_was_not_there_is_refused():
    log = log_of([(1, BUY, 0, 0), (1, BUY, 1, 1), (12, BUY, 0, 1), (12, BUY, 1, 5)])
    split = by_time(log, 10 * MS_PER_DAY, 20 * MS_PER_DAY)
    with pytest.raises(BadInput, match="item row 5"):
        lists_of(split, lambda asked, n, _: np.full((len(asked.context), n), 5, np.int32), 3, rng())


def test_a_short_answer_leaves_slots_empty():
    split = half(4)
    one = int(np.flatnonzero(split.available)[0])
    lists = lists_of(
        split, lambda asked, n, _: np.full((len(asked.context), 1), one, np.int32), 3, rng()
    )
    assert lists[:, 0].tolist() == [one] * len(split)
    assert (lists[:, 1:] == NO_ROW).all()


@given(seed=st.integers(0, 300))
def test_ranks_are_counted_among_what_may_be_shown(seed):
    split = leave_last_out(at_random(seed, n=200))
    value = np.random.default_rng(seed).integers(0, 5, 29).astype(np.float32)  # many ties
    ranks = ranks_of(split, Fixed(value))
    for b in range(len(split)):
        target = split.relevant.item[b]
        had = set(split.excluded.between(b, b + 1).item.tolist())
        rivals = [
            value[i] for i in range(29) if split.available[i] and i not in had and i != target
        ]
        better = sum(v > value[target] for v in rivals)
        equal = sum(v == value[target] for v in rivals)
        assert ranks[b] == 1 + better + equal / 2


def test_ranks_are_for_one_right_answer():
    with pytest.raises(BadInput, match="one right answer"):
        ranks_of(half(5), Fixed(np.zeros(29, np.float32)))


def test_a_pipeline_is_told_what_is_not_there_and_whether_to_show_again():
    told = []

    class Shop:
        def recommend(self, context, n, rng, *, barred=None, rebuy=None):
            told.append((barred.tolist(), rebuy))

            class Slates:
                item_row = np.full((len(context), n), NO_ROW, np.int32)

            return Slates()

    split = half(6, repurchase=True)
    lists_of(split, through(Shop()), 2, rng())
    assert told == [((~split.available).tolist(), True)]


def test_scores_are_noted_beside_their_slots_even_of_a_short_answer():
    class Shop:
        def recommend(self, context, n, rng, *, barred, rebuy):
            class Slates:
                item_row = np.where(context.shopper_row % 2, 3, NO_ROW)[:, None].astype(np.int32)
                score = np.full((len(context), 1), 0.5, np.float32)

            return Slates()

    split = half(6, repurchase=True)
    noted: list[NDArray[np.float32]] = []
    lists = lists_of(split, through(Shop(), noted), 3, rng(), batch=4)
    score = np.concatenate(noted)
    assert score.shape == lists.shape == (len(split), 3)
    assert (np.isfinite(score) == (lists >= 0)).all()
    assert set(score[np.isfinite(score)].tolist()) == {0.5}
