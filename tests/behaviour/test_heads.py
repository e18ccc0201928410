"""The other heads: targets by hand, and known truth found again, beside the plain answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.behaviour.asking import foretold
from habitue.behaviour.coming import Coming, KindBaseline, Purchases, gap_baseline
from habitue.behaviour.config import BehaviourConfig, HeadWeights, LossConfig, ScheduleConfig
from habitue.behaviour.fitting import Training, fit
from habitue.behaviour.judging import measure_heads
from habitue.behaviour.streams import Streams, gap_step
from habitue.behaviour.survival import EDGES, survival_of
from tests.behaviour.streams import rounds, streams

DAY = 86_400_000
VIEW, BUY = 3, 11


def of(kinds: list[list[int]], days: list[list[float]]) -> Streams:
    start = np.cumsum([0, *(len(one) for one in kinds)])
    at = np.concatenate([np.array(one) * DAY for one in days]).astype(np.int64)
    kind = np.concatenate([np.array(one) for one in kinds]).astype(np.uint8)
    rows = np.arange(len(kinds), dtype=np.int32)
    return Streams(np.zeros(len(at), np.int32), kind, at, start, rows, 1)


def test_what_comes_after_a_moment_by_hand():
    purchases = Purchases.of(of([[VIEW, BUY, BUY], [BUY, VIEW]], [[0, 2, 5], [3, 4]]), 20 * DAY)
    coming = purchases.after(np.array([0, 0, 0, 1, 1]), np.array([1, 2, 6, 2, 3]) * DAY)
    assert coming.came.tolist() == [True, True, False, True, False]
    np.testing.assert_allclose(coming.days, [1, 3, 14, 1, 17])
    np.testing.assert_allclose(coming.watched, [19, 18, 14, 18, 17])


def test_where_nobody_buys_nobody_comes():
    purchases = Purchases.of(of([[VIEW, VIEW]], [[0, 2]]), 20 * DAY)
    coming = purchases.after(np.array([0]), np.array([1]) * DAY)
    assert coming.came.tolist() == [False]
    assert coming.days.tolist() == [19]


def test_steps_count_that_were_watched_whole():
    coming = Coming(np.array([5.0, 10.0]), np.array([True, False]), np.array([15.0, 10.0]))
    counted, came = coming.steps()
    assert counted[:, :4].tolist() == [[True, True, False, False], [True, True, False, False]]
    assert came[:, :4].tolist() == [[False, True, False, False], [False] * 4]


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    seed=st.integers(0, 99),
    length=st.integers(1, 5),
)
def test_moments_are_drawn_evenly_after_first_actions(lengths, seed, length):
    """Beside a plain loop: the last actions before the moment are read, and what came is later."""
    some = streams(lengths, seed=seed)
    purchases = Purchases.of(some)
    drawn = purchases.drawn(20, length, np.random.default_rng(seed))
    end_ms = int(some.at_ms.max()) + 1
    for row in range(20):
        first, last = drawn.windows.first[row], drawn.windows.last[row]
        at_ms = end_ms - round(drawn.coming.watched[row] * DAY)
        stream = np.searchsorted(some.start, last - 1, side="right") - 1
        theirs = np.arange(some.start[stream], some.start[stream + 1])
        before = theirs[some.at_ms[theirs] <= at_ms]
        assert last - 1 == before[-1]
        assert first == max(last - length, some.start[stream])
        assert drawn.waiting[row] == gap_step(np.array([at_ms - some.at_ms[last - 1]]))[0]
        later = theirs[(some.at_ms[theirs] > at_ms) & (some.kind[theirs] == BUY)]
        assert drawn.coming.came[row] == bool(len(later))
        until = some.at_ms[later[0]] if len(later) else end_ms
        np.testing.assert_allclose(drawn.coming.days[row], (until - at_ms) / DAY, atol=1e-9)


def test_the_plain_answers_by_hand():
    streams = of([[VIEW, BUY, VIEW, BUY]], [[0, 10, 20, 30]])
    told = KindBaseline.of(streams).told(np.array([VIEW, BUY], np.uint8))
    assert told[0, BUY] == 3 / 4  # two of two, and one more of each kind
    assert told[1, VIEW] == 2 / 3
    assert gap_baseline(streams, np.array([3])).tolist() == [3 / (30 + 15)]


@pytest.mark.slow
def test_what_always_follows_is_foretold():
    """Odd shoppers look and buy in turn, daily until today; even ones look every third day."""
    walk = rounds(80, length=12)
    odd = walk.stream() % 2 == 1
    place = np.arange(len(walk)) % 12
    kind = np.where(odd & (place % 2 == 1), BUY, VIEW).astype(np.uint8)
    day = np.where(odd, 22 + place, place * 3)
    walk = replace(walk, kind=kind, at_ms=day.astype(np.int64) * DAY)
    config = BehaviourConfig(
        dim=16, dropout=0.0, input_dropout=0.0,
        loss=LossConfig(negatives=8), head_weights=HeadWeights(next_kind=1.0, comes_back=1.0),
        schedule=ScheduleConfig(epochs=40, tokens=200, rate=1e-2),
    )  # fmt: skip
    network = fit(Training(walk), config).network
    codes = np.array(config.codes)
    windows = walk.ends(4, config.length)  # the next of each is a look, after a purchase if odd
    waiting = gap_step(walk.at_ms[windows.last] - walk.at_ms[windows.last - 1])
    kinds = foretold(network, walk, windows, waiting).kind
    comes = foretold(network, walk, windows, np.ones(len(windows), np.uint8)).comes
    odd = walk.shopper_row % 2 == 1
    last, following = walk.kind[windows.last - 1], walk.kind[windows.last]
    assert (codes[kinds.argmax(axis=1)] == following).mean() > 0.9
    plain = KindBaseline.of(walk).told(last)[np.arange(len(last)), following]
    ours = kinds[np.arange(len(last)), np.searchsorted(codes, following)]
    assert np.log(ours).mean() > np.log(plain).mean()
    week = int(np.flatnonzero(EDGES == 7.0)[0])
    back = 1 - survival_of(comes)[:, week]
    assert back[odd].mean() > 0.6
    assert back[~odd].mean() < 0.3
    measured = measure_heads(network, walk, walk)
    assert measured["next_kind_accuracy"] > 0.9
    assert measured["next_kind_logloss"] < measured["plain_next_kind_logloss"]


@pytest.mark.parametrize("encoder", ["bidirectional", "encoder-decoder", "gru"])
def test_other_encoders_are_taught_them_too(encoder):
    """Everybody looks and buys in turn."""
    walk = rounds(60)
    kind = np.where(np.arange(len(walk)) % 2 == 1, BUY, VIEW).astype(np.uint8)
    walk = replace(walk, kind=kind)
    config = BehaviourConfig.model_validate({
        "encoder": encoder, "dim": 16, "dropout": 0.0, "input_dropout": 0.0,
        "loss": {"negatives": 8}, "head_weights": {"next_kind": 1.0, "comes_back": 0.3},
        "schedule": {"epochs": 60, "tokens": 60, "rate": 1e-2},
    })  # fmt: skip
    network = fit(Training(walk), config).network
    windows = walk.ends(3, config.length)
    told = foretold(network, walk, windows, np.full(len(windows), gap_step(np.array(DAY))))
    right = np.array(config.codes)[told.kind.argmax(axis=1)] == BUY  # five done, the fifth a look
    assert right.mean() > 0.8
    assert ((told.comes > 0) & (told.comes < 1)).all()


def test_without_weights_there_are_no_heads():
    config = BehaviourConfig(dim=8, schedule=ScheduleConfig(epochs=1))
    network = fit(Training(rounds(10)), config).network
    assert network.heads is None
    with pytest.raises(ValueError, match="head_weights"):
        foretold(network, rounds(10), rounds(10).ends(1, 5), np.ones(10, np.uint8))
