"""The best of many are those that sorting all would put first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.candidates.best import choose_best, settle_best
from habitue.facts import NO_ROW


def best(value: NDArray[np.float32], row: NDArray[np.int32], n: int) -> list[tuple[int, float]]:
    score, kept = np.empty(n, np.float32), np.empty(n, np.int32)
    settle_best(score, kept, choose_best(value, row, score, kept))
    return list(zip(kept.tolist(), score.tolist(), strict=True))


def by_sorting(
    value: NDArray[np.float32], row: NDArray[np.int32], n: int
) -> list[tuple[int, float]]:
    order = np.lexsort((row, -value))[:n]
    found = list(zip(row[order].tolist(), value[order].tolist(), strict=True))
    return found + [(NO_ROW, 0.0)] * (n - len(found))


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(0, 400),
    n=st.integers(0, 70),
    spread=st.sampled_from([0.0, 0.05, 1.0, 20.0]),
)
def test_the_best_are_kept_in_order(seed: int, count: int, n: int, spread: float) -> None:
    """Whether values are all alike, close together, or numbers of every size."""
    rng = np.random.default_rng(seed)
    value = np.exp(rng.normal(0, spread, count)).astype(np.float32)
    row = rng.permutation(3 * count)[:count].astype(np.int32)
    assert best(value, row, n) == by_sorting(value, row, n)


@pytest.mark.parametrize("n", [1, 5, 50])
def test_of_equals_the_lower_rows_are_kept(n: int) -> None:
    value = np.repeat(np.array([2.0, 1.0], np.float32), 100)
    row = np.arange(200, dtype=np.int32)[::-1].copy()
    assert [item for item, _ in best(value, row, n)] == list(range(100, 100 + n))


def test_the_smallest_and_the_largest_numbers_have_their_places() -> None:
    value = np.full(300, 1.0, np.float32)
    value[[7, 8, 9]] = np.finfo(np.float32).max, np.finfo(np.float32).tiny, np.float32(1e-45)
    found = best(value, np.arange(300, dtype=np.int32), 299)
    assert found[0] == (7, float(np.finfo(np.float32).max))
    assert found[-1] == (8, float(np.finfo(np.float32).tiny))
