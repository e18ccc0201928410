"""The linear source: held against the formulas it is made of, written down as plain matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.candidates.linear import LinearConfig, LinearLearner, LinearSource
from habitue.candidates.profile import ProfileConfig
from habitue.errors import BadSetting
from habitue.facts import MS_PER_DAY, ActionLog
from tests.candidates.shop import BUY, NOW_MS, VIEW, facts_of, log_of, requests

ONLY_LAST = ProfileConfig(kind_weight={"view_item": 1.0, "purchase": 1.0}, half_life_days=1e9)


def fit(log: ActionLog, **settings: Any) -> LinearSource:
    config = LinearConfig(neighbours=50, profile=ONLY_LAST, **settings)
    return LinearLearner(config).fit(facts_of(log), np.random.default_rng(0))


def dense(source: LinearSource, n_items: int) -> NDArray[np.float64]:
    out = np.zeros((n_items, n_items))
    for item in range(n_items):
        row, strength = source.table.of(item)
        out[item, row] = strength
    return out


def random_log(seed: int, n_actions: int = 40) -> ActionLog:
    """Actions of five shoppers on seven items, some of them at one instant."""
    rng = np.random.default_rng(seed)
    rows = [
        (float(rng.integers(300, 312)), VIEW, int(rng.integers(0, 5)), int(rng.integers(0, 7)), -1)
        for _ in range(n_actions)
    ]
    return log_of(rows, n_shoppers=5, n_items=7)


def without_repeats(log: ActionLog) -> ActionLog:
    """The last action of each shopper on each item, one after the other."""
    last: dict[tuple[int, int], int] = {}
    for n in range(len(log)):
        last[int(log.shopper_row[n]), int(log.item_row[n])] = n
    return log.take(np.array(sorted(last.values()), np.int64))


def test_its_plainest_setting_is_ease() -> None:
    log = random_log(1, 14)
    x = np.zeros((5, 7))
    x[log.shopper_row, log.item_row] = 1
    inverse = np.linalg.inv(x.T @ x + 1.0 * np.eye(7))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    assert (expected > 0.01).sum() > 5
    assert (expected < -0.01).any()
    found = dense(fit(log, penalty=1.0), 7)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def sums(log: ActionLog, config: LinearConfig) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is known and what is explained, over moments, one shopper after the other."""
    n = log.n_items
    close, past_past, past_future = (np.zeros((n, n)) for _ in range(3))
    for shopper in range(log.n_shoppers):
        mine = np.flatnonzero(log.shopper_row == shopper)
        times = np.unique(log.at_ms[mine])
        moment = np.searchsorted(times, log.at_ms[mine])
        item = log.item_row[mine]
        age = (NOW_MS - log.at_ms[mine]) / MS_PER_DAY
        weight = 0.5 ** (age / (config.half_life_days or np.inf) / 2)
        weight *= np.bincount(moment)[moment] ** (-config.crowd_damping / 2)
        for p, q in np.ndindex(len(mine), len(mine)):
            apart = abs(moment[p] - moment[q])
            close[item[p], item[q]] += weight[p] * weight[q] * config.closeness**apart
        for now in range(1, len(times)):
            before, after = np.zeros(n), np.zeros(n)
            for p in range(len(mine)):
                if moment[p] < now:
                    before[item[p]] += weight[p] * config.past ** (now - 1 - moment[p])
                else:
                    after[item[p]] += weight[p] * config.future ** (moment[p] - now)
            past_past += np.outer(before, before)
            past_future += np.outer(before, after)
    a = config.transitions
    return (1 - a) * close + a * past_past, (1 - a) * close + a * past_future


def solved(
    known: NDArray[np.float64], led: NDArray[np.float64], config: LinearConfig
) -> NDArray[np.float64]:
    """The regression by a plain inverse."""
    inverse = np.linalg.inv(known + config.penalty * np.eye(len(known)))
    weights = inverse @ led
    if not config.itself:
        weights = weights - inverse * (np.diag(weights) / np.diag(inverse))
        np.fill_diagonal(weights, 0)
    return np.asarray(weights)


SETTINGS = st.fixed_dictionaries(
    {
        "penalty": st.sampled_from([1.0, 5.0]),
        "closeness": st.sampled_from([1.0, 0.6]),
        "transitions": st.sampled_from([0.0, 0.4, 0.9]),
        "past": st.sampled_from([0.5, 0.9]),
        "future": st.sampled_from([0.5, 0.9]),
        "itself": st.booleans(),
        "repeats": st.booleans(),
        "half_life_days": st.sampled_from([None, 50.0]),
        "crowd_damping": st.sampled_from([0.0, 0.5]),
    }
)


@given(
    settings=SETTINGS,
    seed=st.integers(0, 10_000),
    n_actions=st.integers(0, 40),
    exact=st.integers(1, 8),
)
def test_the_weights_are_those_of_the_sums(
    settings: dict[str, Any], seed: int, n_actions: int, exact: int
) -> None:
    """Of the most active items exactly, of others co-occurrence over (occurrence + penalty)."""
    log = random_log(seed, n_actions)
    source = fit(log, exact_items=exact, **settings)
    config = source.config
    log = log if config.repeats else without_repeats(log)
    known, led = sums(log, config)
    expected = led / (np.diag(known) + config.penalty)[:, None]
    if not config.itself:
        np.fill_diagonal(expected, 0)
    occurs = np.bincount(log.item_row, minlength=7)
    inside = np.argsort(-occurs, kind="stable")[:exact]
    inside = np.sort(inside[occurs[inside] > 0])
    block = np.ix_(inside, inside)
    expected[block] = solved(known[block], led[block], config)
    assert source.measured["exact_items"] == len(inside)
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(dense(source, 7), expected, atol=2e-5 * scale)


def test_a_profile_adds_up_its_items() -> None:
    source = fit(random_log(3), penalty=2.0)
    asked = requests([[(1, VIEW, 0.0), (4, VIEW, 0.0)]])
    weights = dense(source, 7)
    score = source.score(asked, np.arange(7, dtype=np.int32)[None])
    np.testing.assert_allclose(score[0], weights[1] + weights[4], rtol=1e-5)


def test_only_the_strongest_are_kept() -> None:
    log = random_log(5, 80)
    config = LinearConfig(neighbours=2, penalty=1.0)
    few = LinearLearner(config).fit(facts_of(log), np.random.default_rng(0))
    whole = dense(fit(log, penalty=1.0), 7)
    for item in range(7):
        row, strength = few.table.of(item)
        best = np.sort(np.abs(whole[item]))[::-1][: len(row)]
        np.testing.assert_allclose(np.abs(strength), best, rtol=1e-4)
        assert len(row) <= 2


def test_kinds_are_chosen() -> None:
    rows = [(1.0, VIEW, 0, 0, -1), (2.0, VIEW, 0, 1, -1), (3.0, BUY, 0, 2, -1)]
    found = dense(fit(log_of(rows), kinds=("view_item",)), 3)
    assert found[0, 1] > 0
    assert found[:, 2].tolist() == found[2].tolist() == [0, 0, 0]


def test_a_penalty_too_small_is_refused_with_what_to_do() -> None:
    rows = [(1.0, VIEW, s, i, -1) for s in range(3) for i in range(4)]
    with pytest.raises(BadSetting, match="no solution") as refused:
        fit(log_of(rows), penalty=1e-12)
    assert "penalty" in str(refused.value.remedy)
