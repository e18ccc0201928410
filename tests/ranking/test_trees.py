"""The compiled forest says what LightGBM says."""

from __future__ import annotations

from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest

from habitue.errors import BadInput, SnapshotError
from habitue.ranking.trees import Forest


def booster(x: np.ndarray, rng: np.random.Generator, **parameters) -> lgb.Booster:
    target = np.nan_to_num(x[:, 0]) * 2 + np.sin(3 * np.nan_to_num(x[:, 1])) + x[:, 2]
    settings = {
        "objective": "regression", "num_leaves": 31, "verbosity": -1, "num_threads": 1,
        "min_data_in_leaf": 5, **parameters,
    }  # fmt: skip
    noise = rng.normal(0, 0.1, len(x))
    return lgb.train(settings, lgb.Dataset(x, np.nan_to_num(target) + noise), 40)


def rows(rng: np.random.Generator, n: int = 1003) -> np.ndarray:
    x = rng.standard_normal((n, 6)).astype(np.float32)
    x[:, 3] = np.round(x[:, 3])  # many equal values, 0 among them
    return x


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 192, 193, 1003])
def test_scores_equal_lightgbms(n: int) -> None:
    rng = np.random.default_rng(1)
    x = rows(rng)
    model = booster(x, rng)
    forest = Forest.of_dump(model.dump_model())
    np.testing.assert_allclose(forest.predict(x[:n]), model.predict(x)[:n], atol=1e-5)


@pytest.mark.parametrize("leaves", [2, 5, 16, 32, 33, 64])
def test_trees_of_any_size_equal_lightgbms(leaves: int) -> None:
    """Up to 32 leaves in lanes, beyond by walking."""
    rng = np.random.default_rng(7)
    x = rows(rng)
    model = booster(x, rng, num_leaves=leaves)
    forest = Forest.of_dump(model.dump_model())
    assert (forest.lanes is None) == (leaves > 32)
    np.testing.assert_allclose(forest.predict(x), model.predict(x), atol=1e-5)


def test_values_at_a_threshold_go_the_same_way() -> None:
    rng = np.random.default_rng(2)
    x = rows(rng)
    model = booster(x, rng)
    forest = Forest.of_dump(model.dump_model())
    at = np.resize(forest.threshold[np.isfinite(forest.threshold)], (500, 6)).astype(np.float32)
    np.testing.assert_allclose(forest.predict(at), model.predict(at), atol=1e-5)


@pytest.mark.parametrize(
    "parameters", [{}, {"use_missing": False}, {"zero_as_missing": True}], ids=str
)
def test_missing_values_go_where_lightgbm_sends_them(parameters: dict[str, bool]) -> None:
    rng = np.random.default_rng(3)
    x = rows(rng)
    x[rng.random(x.shape) < 0.2] = np.nan
    model = booster(x, rng, **parameters)
    forest = Forest.of_dump(model.dump_model())
    unseen = rows(rng)
    unseen[rng.random(unseen.shape) < 0.3] = np.nan
    unseen[rng.random(unseen.shape) < 0.2] = 0.0
    np.testing.assert_allclose(forest.predict(unseen), model.predict(unseen), atol=1e-5)


def test_a_single_leaf_is_a_tree() -> None:
    x = np.zeros((50, 2), np.float32)
    model = lgb.train({"verbosity": -1}, lgb.Dataset(x, np.full(50, 3.0)), 3)
    forest = Forest.of_dump(model.dump_model())
    np.testing.assert_allclose(forest.predict(x), model.predict(x), atol=1e-5)


def test_a_saved_forest_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    x = rows(rng)
    forest = Forest.of_dump(booster(x, rng).dump_model())
    forest.save(tmp_path / "trees.npz")
    np.testing.assert_array_equal(Forest.load(tmp_path / "trees.npz").predict(x), forest.predict(x))


def test_rows_of_another_width_are_refused() -> None:
    rng = np.random.default_rng(5)
    forest = Forest.of_dump(booster(rows(rng), rng).dump_model())
    with pytest.raises(BadInput, match="6 features"):
        forest.predict(np.zeros((2, 5), np.float32))


def test_categorical_splits_are_refused() -> None:
    rng = np.random.default_rng(6)
    x = np.column_stack([rng.integers(0, 9, 500), rng.random(500)]).astype(np.float64)
    table = lgb.Dataset(x, (x[:, 0] % 3 == 1) * 5.0, categorical_feature=[0])
    model = lgb.train({"verbosity": -1, "min_data_per_group": 1, "cat_smooth": 0}, table, 5)
    with pytest.raises(BadInput, match="categorical"):
        Forest.of_dump(model.dump_model())


def test_a_file_that_is_no_forest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trees.npz").write_bytes(b"nothing")
    with pytest.raises(SnapshotError):
        Forest.load(tmp_path / "trees.npz")
