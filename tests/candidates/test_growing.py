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


def test_nobody_writes_into_the_rows() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Growing(np.zeros(2)).append(np.ones(1)).rows[0] = 3
