"""What shoppers did, as text for a network: streams, their stretches, and batches of them."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.behaviour.packing import pack, shuffled
from habitue.behaviour.streams import Streams, Windows, gap_step, streams_of
from habitue.facts import ActionKind
from tests.behaviour.streams import streams
from tests.candidates.shop import BUY, CART, VIEW, log_of

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=12)


def test_a_stream_is_what_one_shopper_did_in_order() -> None:
    log = log_of(
        [
            (1.0, VIEW, 5, 2, -1),
            (2.0, VIEW, 3, 0, -1),
            (3.0, BUY, 5, 1, -1),
            (4.0, CART, 3, 2, -1),
        ]
    )
    found = streams_of(log, [ActionKind.view_item, ActionKind.purchase])
    assert found.shopper_row.tolist() == [3, 5]
    assert found.start.tolist() == [0, 1, 3]
    assert found.item_row.tolist() == [0, 2, 1]
    assert found.kind.tolist() == [int(VIEW), int(VIEW), int(BUY)]


def test_a_gap_is_the_time_since_the_action_before() -> None:
    day = 86_400_000
    one = Streams(
        np.arange(4, dtype=np.int32), np.zeros(4, np.uint8),
        np.array([0, day, 2 * day, 2 * day]), np.array([0, 3, 4]), np.array([0, 1], np.int32), 4,
    )  # fmt: skip
    assert one.gaps().tolist() == [0, 17, 17, 0]


@given(st.integers(0, 10**12))
def test_a_longer_gap_is_never_a_lower_step(gap_ms: int) -> None:
    low, high = gap_step(np.array([gap_ms, gap_ms * 2 + 1_000]))
    assert 1 <= low <= high <= 31


@given(LENGTHS, st.integers(0, 9), st.randoms(use_true_random=False))
def test_only_actions_of_one_moment_change_places(
    lengths: list[int], seed: int, random: Random
) -> None:
    some = streams(lengths)
    at_ms = np.sort(np.array([random.randrange(4) for _ in range(len(some))]))
    some = replace(some, at_ms=at_ms)
    drawn = some.with_ties_drawn(np.random.default_rng(seed))
    assert np.array_equal(drawn.at_ms, at_ms)
    assert np.array_equal(drawn.start, some.start)
    moment = some.stream() * 4 + at_ms

    def held(one: Streams) -> list[tuple[int, int, int]]:
        return sorted(zip(moment.tolist(), one.item_row.tolist(), one.kind.tolist(), strict=True))

    assert held(drawn) == held(some)


def test_ties_are_drawn_anew() -> None:
    some = replace(streams([30]), at_ms=np.zeros(30, np.int64))
    rng = np.random.default_rng(0)
    first, second = some.with_ties_drawn(rng), some.with_ties_drawn(rng)
    assert not np.array_equal(first.item_row, second.item_row)


@given(LENGTHS, st.integers(1, 7))
def test_each_action_but_a_first_is_foretold_once(lengths: list[int], length: int) -> None:
    some = streams(lengths)
    windows = some.windows(length)
    assert (windows.length >= 1).all()
    assert (windows.length <= length).all()
    targets = [
        token + 1
        for first, last in zip(windows.first, windows.last, strict=True)
        for token in range(first, last)
    ]
    firsts = set(some.start[:-1].tolist())
    assert sorted(targets) == [x for x in range(len(some)) if x not in firsts]
    stream = some.stream()
    for first, last in zip(windows.first, windows.last, strict=True):
        assert stream[first] == stream[last], "a stretch and its last target are one shopper's"


@given(LENGTHS, st.integers(0, 4), st.integers(1, 5))
def test_without_its_last_actions_a_stream_ends_earlier(
    lengths: list[int], n: int, length: int
) -> None:
    some = streams(lengths)
    earlier = some.without_last(n)
    kept = [
        some.item_row[a : max(a, b - n)] for a, b in zip(some.start, some.start[1:], strict=False)
    ]
    assert earlier.item_row.tolist() == np.concatenate(kept).tolist()
    now, then = some.ends(n, length), earlier.ends(0, length)
    read = [some.item_row[a:b].tolist() for a, b in zip(now.first, now.last, strict=True)]
    again = [earlier.item_row[a:b].tolist() for a, b in zip(then.first, then.last, strict=True)]
    assert read == again


@given(LENGTHS, st.data())
def test_some_of_the_streams_are_those_and_no_others(
    lengths: list[int], data: st.DataObject
) -> None:
    some = streams(lengths)
    which = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=5)), np.int64)
    found = some.of(which)
    expected = [x for w in which for x in some.item_row[some.start[w] : some.start[w + 1]].tolist()]
    assert found.item_row.tolist() == expected
    assert found.shopper_row.tolist() == some.shopper_row[which].tolist()


@given(LENGTHS)
def test_a_pack_holds_every_token_once_and_knows_where(lengths: list[int]) -> None:
    end = np.cumsum(lengths)
    windows = Windows(end - lengths, end)
    found = pack(windows)
    assert sorted(found.token.tolist()) == list(range(int(end[-1])))
    assert found.token[found.end].tolist() == (windows.last[found.order] - 1).tolist()
    assert sum(group.n_rows for group in found.groups) == len(lengths)
    at = 0
    for group in found.groups:
        assert group.first == at
        at = group.last
        places = np.arange(at - group.first) if group.place is None else group.place
        assert len(set(places.tolist())) == group.last - group.first
        assert places.max() < group.n_rows * group.length
    assert at == len(found)


@given(LENGTHS, st.integers(1, 30))
def test_a_pass_takes_each_window_once(lengths: list[int], tokens: int) -> None:
    end = np.cumsum(lengths)
    windows = Windows(end - lengths, end)
    firsts: list[int] = []
    for batch in shuffled(windows, tokens, np.random.default_rng(0)):
        assert batch.length.sum() < tokens + max(lengths)
        firsts += batch.first.tolist()
    assert sorted(firsts) == windows.first.tolist()


def test_no_window_is_no_batch() -> None:
    nothing = Windows(np.empty(0, np.int64), np.empty(0, np.int64))
    assert list(shuffled(nothing, 10, np.random.default_rng(0))) == []


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_an_urn_draws_as_often_as_it_says(share: float) -> None:
    from habitue.behaviour.negatives import Urn

    count = np.array([0, 10, 30, 60])
    urn = Urn(count, 1000, share)
    expected = 1000 * ((1 - share) / 4 + share * count / 100)
    np.testing.assert_allclose(np.exp(urn.log_expected), np.maximum(expected, 1e-30), rtol=1e-5)
    rng = np.random.default_rng(1)
    drawn = np.bincount(np.concatenate([urn.draw(rng) for _ in range(50)]), minlength=4) / 50
    np.testing.assert_allclose(drawn, expected, atol=12)
