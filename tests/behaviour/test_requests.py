"""What a request says is what training would have read at that moment."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.behaviour.requests import RequestReader
from habitue.behaviour.streams import gap_step, streams_of
from habitue.facts import NO_ROW, ActionKind, ActionLog
from habitue.portraits import contexts_as_of
from tests.candidates.shop import BUY, CART, VIEW, log_of, requests

KINDS = (ActionKind.view_item, ActionKind.purchase)
DAY_MS = 86_400_000

ACTIONS = st.lists(
    st.tuples(
        st.integers(1, 400_000).map(lambda minute: minute / 1440),
        st.sampled_from([VIEW, BUY, CART]),
        st.integers(0, 3),
        st.integers(0, 6),
        st.just(-1),
    ),
    min_size=1,
    max_size=40,
).map(sorted)


@given(ACTIONS, st.integers(1, 12))
@settings(max_examples=60)
def test_training_and_requests_read_the_same(acts: list[tuple[float, int, int, int, int]],
                                             length: int) -> None:  # fmt: skip
    log: ActionLog = log_of(acts)
    streams = streams_of(log, KINDS)
    now_ms = np.full(streams.n_shoppers, int(log.at_ms.max()) + 5 * DAY_MS)
    context = contexts_as_of(log, streams.shopper_row, now_ms, surface="home", length=60)
    read = RequestReader(KINDS, length).read(context)
    windows, gaps = streams.ends(0, length), streams.gaps()
    for row, (first, last) in enumerate(zip(windows.first, windows.last, strict=True)):
        n = last - first
        assert read.end[row] == n - 1
        assert read.item_row[row, :n].tolist() == streams.item_row[first:last].tolist()
        assert read.kind[row, :n].tolist() == streams.kind[first:last].tolist()
        # days in single precision may round a gap over the edge of a step
        told = gaps[first:last].astype(int)
        told[0] = 0
        assert np.abs(read.gap[row, :n] - told).max() <= 1
        waited = gap_step(now_ms[row : row + 1] - streams.at_ms[last - 1 : last])
        assert abs(int(read.waiting[row]) - int(waited[0])) <= 1


def test_nobody_knows_what_a_shopper_without_actions_did() -> None:
    read = RequestReader(KINDS, 5).read(requests([[], [(1, CART, 0.5)]]))
    assert read.end.tolist() == [-1, -1], "and nothing of kinds that are not read"


def test_the_item_looked_at_ends_the_stream_once() -> None:
    seen = [(2, VIEW, 0.1), (1, VIEW, 3.0)]
    found = RequestReader(KINDS, 5).read(
        requests([seen, seen, []], anchors=[[4], [2], [NO_ROW, 3]])
    )
    assert found.end.tolist() == [2, 1, 0]
    assert found.item_row[0].tolist() == [1, 2, 4]
    assert found.item_row[1, :2].tolist() == [1, 2], "it was just looked at: it is there already"
    assert found.item_row[2, 0] == 3
    assert found.kind[0, 2] == int(VIEW)


def test_without_consent_only_what_is_looked_at_is_read() -> None:
    seen = [(2, VIEW, 0.1), (1, VIEW, 3.0)]
    asked = requests([seen, seen], anchors=[[4], []], personal=[False, False])
    found = RequestReader(KINDS, 5).read(asked)
    assert found.end.tolist() == [0, -1]
    assert found.item_row[0, 0] == 4


def test_the_latest_are_read_where_there_are_more() -> None:
    seen = [(x, VIEW, 1.0 + x) for x in range(8)]
    found = RequestReader(KINDS, 3).read(requests([seen], anchors=[[7]]))
    assert found.item_row.tolist() == [[1, 0, 7]]
