"""Hazards: what counts as watched, and whether known chances are found again."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.behaviour.survival import (
    EDGES,
    HazardConfig,
    HazardModel,
    Periods,
    fit_hazard,
    survival_of,
)
from habitue.errors import SnapshotError

PLAIN = HazardConfig(trees=0)
BOOSTED = HazardConfig(trees=100, min_leaf_rows=200, feature_share=1.0, tree_rows=1)


def test_a_step_counts_that_was_watched_whole():
    """Watched for 10 days: steps to 3 and to 7 days are whole, the one to 14 is not."""
    days, came = np.array([1.0, 5.0, 8.0, 10.0]), np.array([True, True, True, False])
    periods = Periods.of(days, came, 10.0, first_row=100)
    assert periods.row.tolist() == [100, 101, 101, 102, 102, 103, 103]
    assert periods.step.tolist() == [0, 0, 1, 0, 1, 0, 1]
    assert periods.came.tolist() == [True, False, True, False, False, False, False]
    assert periods.ended_days.tolist() == [7, 7, 3, 7, 3, 7, 3]


def drawn(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customers who come back at a steady rate, one in 20 days or one in 80, by column 0."""
    often = rng.random(n) < 0.5
    x = np.column_stack([often, rng.normal(size=n)]).astype(np.float32)
    return x, rng.exponential(np.where(often, 20.0, 80.0)), often


def watched(days: np.ndarray, until: float) -> Periods:
    return Periods.of(np.minimum(days, until), days < until, until, 0)


@pytest.mark.parametrize("config", [PLAIN, BOOSTED])
def test_known_chances_are_found(config):
    rng = np.random.default_rng(5)
    x, days, often = drawn(6000, rng)
    model = fit_hazard(x, watched(days, 100.0), config, rng)
    came = 1 - survival_of(model.hazards(x))
    month = int(np.flatnonzero(EDGES == 30.0)[0])
    assert came[often, month].mean() == pytest.approx(1 - np.exp(-30 / 20), abs=0.03)
    assert came[~often, month].mean() == pytest.approx(1 - np.exp(-30 / 80), abs=0.03)
    assert (np.diff(came, axis=1) >= 0).all()


def test_the_level_follows_the_last_weeks():
    rng = np.random.default_rng(6)
    x, days, _ = drawn(4000, rng)
    model = fit_hazard(x, watched(days, 60.0), PLAIN, rng)
    rare = watched(days * 2, 30.0)  # everybody comes half as often now
    level = model.levelled(x, rare, 1.0).level
    assert 0.35 < level < 0.65
    assert model.levelled(x, rare, 1e9).level == pytest.approx(1.0, abs=0.01)


def test_trees_join_in_where_there_is_enough_to_learn():
    rng = np.random.default_rng(8)
    x, days, _ = drawn(500, rng)
    periods = watched(days, 60.0)
    few = HazardConfig(trees=2, tree_rows=len(periods) + 1)
    enough = HazardConfig(trees=2, tree_rows=len(periods))
    assert fit_hazard(x, periods, few, rng).booster is None
    assert fit_hazard(x, periods, enough, rng).booster is not None


def test_what_is_written_reads_the_same(tmp_path):
    rng = np.random.default_rng(7)
    x, days, _ = drawn(3000, rng)
    model = fit_hazard(
        x, watched(days, 60.0), HazardConfig(trees=5, min_leaf_rows=50, tree_rows=1), rng
    )
    model = model.levelled(x, watched(days * 2, 30.0), 1.0)
    model.save(tmp_path / "hazard")
    assert model.booster is not None
    np.testing.assert_array_equal(
        HazardModel.load(tmp_path / "hazard").hazards(x), model.hazards(x)
    )
    with pytest.raises(SnapshotError):
        HazardModel.load(tmp_path / "nowhere")
