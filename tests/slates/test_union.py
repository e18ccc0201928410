"""Proposals become candidates: each item once, nothing that may not be shown."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.candidates.contract import Proposals
from habitue.facts import NO_ROW, Owned
from habitue.slates.union import PINNED, union

N_ITEMS = 12
LIST = st.lists(st.integers(-1, N_ITEMS - 1), min_size=3, max_size=3)


def proposals(rows: list[list[int]]) -> Proposals:
    return Proposals(np.array(rows, np.int32), np.zeros((len(rows), len(rows[0])), np.float32))


def owned_by(items: list[set[int]]) -> Owned:
    flat = [i for one in items for i in sorted(one)]
    indptr = np.cumsum([0] + [len(one) for one in items])
    n = len(flat)
    return Owned(indptr, np.array(flat, np.int32), *np.ones((3, n), np.float32))


@given(
    st.lists(st.tuples(LIST, LIST, LIST), min_size=1, max_size=4),
    st.sets(st.integers(0, N_ITEMS - 1)),
    st.sets(st.integers(0, N_ITEMS + 3)),
    st.integers(-1, N_ITEMS - 1),
)
@settings(max_examples=80)
def test_a_union_is_what_reading_source_by_source_gives(requests, barred, owned, anchor) -> None:
    by_source = [proposals([list(r[s]) for r in requests]) for s in range(3)]
    mask = np.zeros(N_ITEMS, np.bool_)
    mask[list(barred)] = True
    n = len(requests)
    item, source, length = union(
        by_source,
        barred=mask,
        owned=owned_by([owned] * n),
        anchors=np.full((n, 1), anchor, np.int32),
    )
    for b, lists in enumerate(requests):
        expected: list[tuple[int, int]] = []
        for s, rows in enumerate(lists):
            for i in rows:
                known = {one for one, _ in expected}
                if i != NO_ROW and i not in known | barred | owned | {anchor}:
                    expected.append((i, s))
        m = len(expected)
        assert length[b] == m
        assert item[b, :m].tolist() == [i for i, _ in expected]
        assert source[b, :m].tolist() == [s for _, s in expected]
        assert (item[b, m:] == NO_ROW).all()
        assert (source[b, m:] == 255).all()


def test_what_was_bought_may_come_again_where_that_is_wanted() -> None:
    item, *_ = union([proposals([[4, 5]])], owned=None)
    assert item.tolist() == [[4, 5]]


def test_nothing_proposed_is_one_empty_column() -> None:
    item, *_ = union([proposals([[NO_ROW, NO_ROW]])])
    assert item.tolist() == [[NO_ROW]]


def test_sources_may_have_numbers_of_their_own() -> None:
    first, second = proposals([[4, 5, NO_ROW]]), proposals([[5, 2_000_000]])
    item, source, _ = union([first, second], numbers=(7, 3))
    assert item.tolist() == [[4, 5, 2_000_000]]
    assert source.tolist() == [[7, 7, 3]]


def test_requests_of_a_batch_do_not_mix() -> None:
    item, *_ = union([proposals([[1, 2], [2, 2]])], anchors=np.array([[1], [3]], np.int32))
    assert item.tolist() == [[2], [2]]
    item, source, length = union([proposals([[1, 2], [2, 2]])])
    assert item.tolist() == [[1, 2], [2, NO_ROW]]
    assert source.tolist() == [[0, 0], [0, PINNED]]
    assert length.tolist() == [2, 1]
