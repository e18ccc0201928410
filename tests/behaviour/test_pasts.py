"""What stood before each moment of a stream is what a request at that moment would have read."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.behaviour.pasts import foretold, pasts_of, where_moments_begin
from habitue.behaviour.requests import RequestReader
from habitue.behaviour.streams import streams_of
from habitue.facts import ActionKind
from habitue.portraits import contexts_as_of
from tests.candidates.shop import BUY, CART, VIEW, log_of

KINDS = (ActionKind.view_item, ActionKind.purchase)

ACTIONS = st.lists(
    st.tuples(
        st.integers(1, 30).map(float),  # days: many actions fall on the same moment
        st.sampled_from([VIEW, BUY, CART]),
        st.integers(0, 3),
        st.integers(0, 6),
        st.just(-1),
    ),
    min_size=1,
    max_size=40,
).map(sorted)


@given(ACTIONS, st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_training_reads_what_a_request_would_have(
    acts: list[tuple[float, int, int, int, int]], length: int
) -> None:
    log = log_of(acts)
    streams = streams_of(log, KINDS)
    moment, stream = foretold(streams), streams.stream()
    pasts = pasts_of(streams, moment, where_moments_begin(streams), stream, length)
    context = contexts_as_of(
        log.of_kinds(KINDS), streams.shopper_row[stream[moment]], streams.at_ms[moment],
        surface="home", length=60,
    )  # fmt: skip
    read = RequestReader(KINDS, length).read(context)
    assert (read.end >= 0).all(), "nothing is foretold from nothing"
    for m in range(len(moment)):
        mine, upto = pasts.moment == m, read.end[m] + 1
        token = pasts.token[mine]
        assert streams.item_row[token].tolist() == read.item_row[m, :upto].tolist()
        assert streams.kind[token].tolist() == read.kind[m, :upto].tolist()
        assert pasts.age[mine].tolist() == read.age[m, :upto].tolist()
        assert pasts.back[mine].tolist() == list(range(upto))[::-1]


@given(ACTIONS)
@settings(max_examples=60, deadline=None)
def test_every_other_action_has_nothing_before_it(
    acts: list[tuple[float, int, int, int, int]],
) -> None:
    streams = streams_of(log_of(acts), KINDS)
    stream = streams.stream()
    earlier = (stream[:, None] == stream) & (streams.at_ms[:, None] > streams.at_ms)
    np.testing.assert_array_equal(foretold(streams), np.flatnonzero(earlier.any(axis=1)))
