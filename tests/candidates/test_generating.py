"""Generated lists: each item asks for the next, none twice, and the rest follows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.generating import Generated, generate
from habitue.candidates.search import ItemSearch, Sought
from habitue.candidates.vectors import VectorConfig
from habitue.facts import NO_ROW

N = 6
UNITS = np.eye(N, dtype=np.float32)


def search() -> ItemSearch:
    """Items that have nothing to do with each other."""
    return ItemSearch.build(UNITS, np.arange(N, dtype=np.int32), UNITS, VectorConfig())


def after(listed: NDArray[np.int32]) -> NDArray[np.float32]:
    """Item 2 first; after an item the next one, and a little of all others but the last."""
    last = listed[:, -1] if listed.shape[1] else np.full(len(listed), 1)
    query = np.full((len(listed), N), 0.1, np.float32)
    query[:, N - 1] = 0
    query[np.arange(len(listed)), (last + 1) % (N - 1)] = 1
    return query


def nothing(n: int) -> NDArray[np.int32]:
    return np.empty((n, 0), np.int32)


def test_each_item_asks_for_the_next() -> None:
    assert generate(after, search(), nothing(2), 3).tolist() == [[2, 3, 4], [2, 3, 4]]


def test_what_is_left_out_is_not_listed_and_nothing_twice() -> None:
    left_out = np.array([[3, NO_ROW], [NO_ROW, NO_ROW]], np.int32)
    listed = generate(after, search(), left_out, N)
    assert listed[0, 0] == 2
    assert sorted(listed[0].tolist()) == [NO_ROW, NO_ROW, 0, 1, 2, 4], "what is left, then gaps"
    assert listed[1].tolist() == [2, 3, 4, 0, 1, NO_ROW]


def test_the_rest_follows_in_its_own_order() -> None:
    query = np.array([[0.5, 0.9, 0.7, 0.0, 0.1, 0.0], [0.0] * N], np.float32)
    listed = np.array([[4, 2, NO_ROW], [NO_ROW] * 3], np.int32)
    made = Generated(Sought(search(), query), listed, 1.0)
    found = made.propose(4)
    assert found.item_row.tolist() == [[4, 2, 1, 0], [NO_ROW] * 4]
    np.testing.assert_allclose(found.score[0], [4.0, 3.0, 0.9, 0.5])
    score = made.score(np.array([[0, 1, 2, 3, 4, NO_ROW], [4, 2, 1, 0, 3, 5]], np.int32))
    np.testing.assert_allclose(score[0], [0.5, 0.9, 3.0, 0.0, 4.0, 0.0])
    assert not score[1].any()
