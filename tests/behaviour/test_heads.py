"""The other heads: targets by hand, and known truth found again, beside the plain answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from habitue.behaviour.asking import foretold
from habitue.behaviour.coming import Coming, KindBaseline, gap_baseline
from habitue.behaviour.config import BehaviourConfig, HeadWeights, LossConfig, ScheduleConfig
from habitue.behaviour.fitting import Training, fit
from habitue.behaviour.judging import measure_heads
from habitue.behaviour.streams import Streams
from habitue.behaviour.survival import EDGES, survival_of
from tests.behaviour.streams import rounds

DAY = 86_400_000
VIEW, BUY = 3, 11


def of(kinds: list[list[int]], days: list[list[float]]) -> Streams:
    start = np.cumsum([0, *(len(one) for one in kinds)])
    at = np.concatenate([np.array(one) * DAY for one in days]).astype(np.int64)
    kind = np.concatenate([np.array(one) for one in kinds]).astype(np.uint8)
    rows = np.arange(len(kinds), dtype=np.int32)
    return Streams(np.zeros(len(at), np.int32), kind, at, start, rows, 1)


def test_a_purchase_of_the_same_visit_is_no_return():
    streams = of([[VIEW, BUY, BUY, BUY]], [[0, 0.01, 0.011, 5]])
    coming = Coming.of(streams, end_ms=20 * DAY)
    assert coming.came.tolist() == [True, True, True, False]
    np.testing.assert_allclose(coming.days, [5, 4.99, 4.989, 15])


def test_nobody_s_purchase_is_another_s():
    coming = Coming.of(of([[VIEW], [BUY, VIEW]], [[0], [3, 4]]), end_ms=10 * DAY)
    assert coming.came.tolist() == [False, False, False]
    assert coming.days.tolist() == [10, 7, 6]


def test_steps_count_that_were_watched_whole():
    coming = Coming.of(of([[BUY, BUY]], [[0, 5]]), end_ms=15 * DAY)
    counted, came = coming.steps(np.array([0, 1]))
    assert counted[:, :4].tolist() == [[True, True, False, False], [True, True, False, False]]
    assert came[:, :4].tolist() == [[False, True, False, False], [False] * 4]


def test_the_plain_answers_by_hand():
    streams = of([[VIEW, BUY, VIEW, BUY]], [[0, 10, 20, 30]])
    told = KindBaseline.of(streams).told(np.array([VIEW, BUY], np.uint8))
    assert told[0, BUY] == 3 / 4  # two of two, and one more of each kind
    assert told[1, VIEW] == 2 / 3
    assert gap_baseline(streams, np.array([3])).tolist() == [3 / (30 + 15)]


@pytest.mark.slow
def test_what_always_follows_is_foretold():
    """Odd shoppers look and buy in turn and come daily; even ones only look, every tenth day."""
    walk = rounds(80, length=12)
    odd = walk.stream() % 2 == 1
    place = np.arange(len(walk)) % 12
    kind = np.where(odd & (place % 2 == 1), BUY, VIEW).astype(np.uint8)
    walk = replace(walk, kind=kind, at_ms=place * np.where(odd, 1, 10).astype(np.int64) * DAY)
    config = BehaviourConfig(
        dim=16, dropout=0.0, input_dropout=0.0,
        loss=LossConfig(negatives=8), head_weights=HeadWeights(next_kind=1.0, comes_back=0.3),
        schedule=ScheduleConfig(epochs=40, tokens=200, rate=1e-2),
    )  # fmt: skip
    network = fit(Training(walk), config).network
    windows = walk.ends(4, config.length)  # the next of each is a look, after a purchase if odd
    kinds, comes = foretold(network, walk, windows)
    odd = walk.shopper_row % 2 == 1
    last, following = walk.kind[windows.last - 1], walk.kind[windows.last]
    assert (kinds.argmax(axis=1) == following).mean() > 0.9
    plain = KindBaseline.of(walk).told(last)[np.arange(len(last)), following]
    ours = kinds[np.arange(len(last)), following]
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
    kinds, comes = foretold(network, walk, walk.ends(3, config.length))
    right = kinds.argmax(axis=1) == BUY  # five actions done, the fifth a look
    assert right.mean() > 0.8
    assert ((comes > 0) & (comes < 1)).all()


def test_without_weights_there_are_no_heads():
    config = BehaviourConfig(dim=8, schedule=ScheduleConfig(epochs=1))
    network = fit(Training(rounds(10)), config).network
    assert network.heads is None
    with pytest.raises(ValueError, match="head_weights"):
        foretold(network, rounds(10), rounds(10).ends(1, 5))
