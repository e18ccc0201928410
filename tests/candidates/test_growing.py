"""Rows that grow at their end, seen by readers of every length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.candidates.growing import Growing

PARTS = st.lists(st.lists(st.integers(-5, 5), max_size=90), max_size=8)


@given(PARTS, st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_each_length_keeps_its_rows(parts: list[list[int]], other: list[int]) -> None:
    one, said = Growing(np.zeros(0, np.int64)), list[int]()
    lengths = [(one, said)]
    for part in parts:
        one, said = one.append(np.array(part, np.int64)), said + part
        lengths.append((one, said))
    forks = [(each.append(np.array(other)), rows + other) for each, rows in lengths]
    for grown, rows in lengths + forks:
        assert grown.rows.tolist() == rows


def test_rows_are_put_at_their_places() -> None:
    one = Growing(np.zeros((0, 2), np.float32)).put(np.array([2, 0]), np.ones((2, 2), "f4"))
    assert one.rows.tolist() == [[1, 1], [0, 0], [1, 1]]
    assert one.put(np.array([2]), np.ones((1, 2), "f4")) is one
    other = one.put(np.array([3, 0]), np.array([[5, 6], [7, 8]], "f4"))
    assert other.rows.tolist() == [[7, 8], [0, 0], [1, 1], [5, 6]]
    assert one.rows.tolist() == [[1, 1], [0, 0], [1, 1]], "whoever reads the shorter reads on"


def test_nobody_writes_into_the_rows() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Growing(np.zeros(2)).append(np.ones(1)).rows[0] = 3
