"""What is left out of a search is what going through it by hand leaves out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from habitue.candidates.contract import Prepared, Proposals
from habitue.candidates.search import Without
from habitue.facts import NO_ROW

N_ITEMS = 9
ROWS = st.integers(NO_ROW, N_ITEMS - 1)


class Descending(Prepared):
    """Item 0 first for everybody, then 1, and so on."""

    def __init__(self, n: int) -> None:
        self.n = n

    def propose(self, n: int) -> Proposals:
        row = np.full(n, NO_ROW, np.int32)
        row[: min(n, N_ITEMS)] = np.arange(min(n, N_ITEMS))
        score = np.where(row >= 0, N_ITEMS - row, 0).astype(np.float32)
        return Proposals(np.tile(row, (self.n, 1)), np.tile(score, (self.n, 1)))

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        scores[:, :, place] = np.where(item_row >= 0, N_ITEMS - item_row, 0)


@given(
    out=st.integers(0, 4).flatmap(lambda w: arrays(np.int32, (3, w), elements=ROWS)),
    asked=arrays(np.int32, (3, 5), elements=ROWS),
    n=st.integers(1, 12),
)
def test_what_is_left_out_scores_nothing_and_is_not_proposed(
    out: NDArray[np.int32], asked: NDArray[np.int32], n: int
) -> None:
    search = Without(Descending(3), out)
    left = [[item for item in range(N_ITEMS) if item not in row] for row in out.tolist()]
    found = search.propose(n)
    assert found.item_row.shape == (3, n)
    for row, items in zip(found.item_row.tolist(), left, strict=True):
        assert row == (items + [NO_ROW] * n)[:n]
    np.testing.assert_array_equal(found.score, search.score(found.item_row))
    expected = [
        [N_ITEMS - item if item in items else 0 for item in row]
        for row, items in zip(asked.tolist(), left, strict=True)
    ]
    np.testing.assert_array_equal(search.score(asked), expected)
