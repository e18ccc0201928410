"""The contract of live states, in memory and on Redis, and what is particular to each."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.store.contract import LiveState
from habitue.store.live_memory import MemoryLiveState
from tests.store.live_state_contract import (
    LENGTH,
    NOON,
    LiveStateContract,
    Past,
    columns,
    items_of,
)


class TestMemoryLiveState(LiveStateContract):
    @pytest.fixture
    def live(self, past: Past) -> LiveState:
        return MemoryLiveState(LENGTH, 100, past.recent)


class TestRedisLiveState(LiveStateContract):
    @pytest.fixture
    def live(self, past: Past, redis_url: str, redis_prefix: str) -> Iterator[LiveState]:
        from habitue.store.live_redis import RedisLiveState

        live = RedisLiveState(
            redis_url, LENGTH, past.recent, namespace=redis_prefix, timeout_seconds=5
        )
        yield live
        _clean(live)
        live.close()


def _clean(live: object) -> None:
    client, prefix = live._client, live._prefix  # type: ignore[attr-defined]
    for key in client.scan_iter(match=prefix + "*", count=1000):
        client.delete(key)


def test_memory_is_bounded_and_who_left_is_read_again() -> None:
    past = Past()
    live = MemoryLiveState(LENGTH, 50, past.recent)
    for row in range(1000):
        past.add(row, (row + 1, NOON, 3, row))
        assert items_of(live, row) == [row]
    assert live.held() == 50
    past.asked.clear()
    assert items_of(live, 999) == [999]
    assert past.asked == []
    assert items_of(live, 0) == [0]
    assert past.asked == [0]


def test_who_is_seen_often_stays_while_passers_by_leave() -> None:
    past = Past()
    live = MemoryLiveState(LENGTH, 10, past.recent)
    for row in range(1, 200):
        items_of(live, 0)
        items_of(live, row)
    assert past.asked.count(0) <= 3  # of 199 visits


def test_memory_goes_by_what_shoppers_have_done_and_has_an_end() -> None:
    """100 bytes for each eight actions, 21 a shopper, 4 a row the store handed out."""
    for n_actions, blocks in ((1, 1), (8, 1), (9, 2), (96, 12), (97, 13), (250, 13)):
        live = MemoryLiveState(100, 50, Past().recent)
        told = [(n + 1, NOON + n, 3, n) for n in range(n_actions)]
        live.observe(columns(0, *told, new=True))
        assert live.held_bytes() == 100 * blocks + 21 + 4 * 1024
        assert items_of(live, 0) == [item for *_, item in reversed(told)][:100]


def test_blocks_that_are_left_are_used_again() -> None:
    live = MemoryLiveState(100, 10, Past().recent)
    for row in range(500):
        told = [(200 * row + n + 1, NOON + n, 3, n) for n in range(1 + 37 * row % 150)]
        live.observe(columns(row, *told, new=True))
        assert items_of(live, row) == list(range(len(told)))[::-1][:100]
    assert live.held() == 10
    assert live.held_bytes() <= 10 * 1321 + 4 * 1024


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), max_size=300), st.randoms())
@settings(deadline=None, max_examples=40)
def test_lists_that_grow_and_move_say_what_was_told_last(
    told: list[tuple[int, int]], order: random.Random
) -> None:
    """Whoever is told of what, in which order and how often: the newest by time, then seq."""
    live = MemoryLiveState(40, 5, Past().recent)
    first = [(row + 1, NOON - 1, 3, 999) for row in range(5)]
    actions = [(row, (n + 6, NOON + at, 3, n)) for n, (row, at) in enumerate(told)]
    for row in range(5):
        live.observe(columns(row, first[row], new=True))
    for row, action in [*order.sample(actions, len(actions)), *actions[::3]]:
        live.observe(columns(row, action))
    for row in range(5):
        own = [first[row], *(action for whose, action in actions if whose == row)]
        own.sort(key=lambda action: (action[1], action[0]), reverse=True)
        assert items_of(live, row) == [item for *_, item in own][:40]


def test_times_at_the_edges_of_what_a_record_can_hold() -> None:
    live = MemoryLiveState(LENGTH, 10, Past().recent)
    edges = [631_152_000_000, 631_152_000_001, 2_830_175_255_551]
    told = [(n + 1, at, 127, n) for n, at in enumerate(edges)]
    live.observe(columns(0, *told, new=True))
    recent = live.recent(columns(0, *told[:1]).shopper_row)
    assert recent.at_ms[0, :3].tolist() == edges[::-1]
    assert recent.kind[0, :3].tolist() == [127] * 3


class Wire:
    """A line to Redis that can be cut, and mended: Redis itself keeps what it holds."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._cut = False
        self.url = f"redis://127.0.0.1:{self._door.getsockname()[1]}{parts.path}"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        self._cut = True
        for end in self._ends:
            end.close()
        self._ends.clear()

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        self.cut()
        self._door.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            if self._cut:
                near.close()
                continue
            far = socket.create_connection(self._target)
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(redis_url: str) -> Iterator[Wire]:
    wire = Wire(redis_url)
    yield wire
    wire.close()


class TestRedisAway:
    """While Redis is away the store answers; when it is back, nothing it holds is stale."""

    @pytest.fixture
    def past(self) -> Past:
        return Past()

    @pytest.fixture
    def live(self, past: Past, wire: Wire, redis_prefix: str) -> Iterator[LiveState]:
        from habitue.store.live_redis import RedisLiveState

        live = RedisLiveState(
            wire.url,
            LENGTH,
            past.recent,
            namespace=redis_prefix,
            timeout_seconds=2,
            retry_seconds=0.05,
        )
        past.add(7, (1, NOON, 3, 1))
        assert items_of(live, 7) == [1]
        assert live.healthy()
        yield live
        wire.mend()
        self.wait_for(live)
        _clean(live)
        live.close()

    def wait_for(self, live: LiveState) -> None:
        until = time.monotonic() + 10
        while not live.healthy():
            assert time.monotonic() < until, "Redis is back, and was not noticed"
            time.sleep(0.01)

    def test_the_store_answers_while_redis_is_away(
        self, live: LiveState, past: Past, wire: Wire
    ) -> None:
        wire.cut()
        past.add(7, (2, NOON + 1, 3, 2))
        live.observe(columns(7, (2, NOON + 1, 3, 2)))
        assert not live.healthy()
        assert items_of(live, 7) == [2, 1]

    def test_what_was_told_meanwhile_is_not_missing_afterwards(
        self, live: LiveState, past: Past, wire: Wire
    ) -> None:
        wire.cut()
        past.add(7, (2, NOON + 1, 3, 2))
        live.observe(columns(7, (2, NOON + 1, 3, 2)))
        wire.mend()
        self.wait_for(live)
        assert items_of(live, 7) == [2, 1]

    def test_who_was_forgotten_meanwhile_does_not_come_back(
        self, live: LiveState, past: Past, wire: Wire
    ) -> None:
        wire.cut()
        past.actions.clear()
        live.forget(7)
        assert items_of(live, 7) == []
        wire.mend()
        self.wait_for(live)
        assert items_of(live, 7) == []

    def test_a_line_cut_and_mended_between_two_calls_loses_nothing(
        self, live: LiveState, past: Past, wire: Wire
    ) -> None:
        wire.cut()
        wire.mend()
        past.add(7, (2, NOON + 1, 3, 2))
        live.observe(columns(7, (2, NOON + 1, 3, 2)))
        assert items_of(live, 7) == [2, 1]
        self.wait_for(live)
        assert items_of(live, 7) == [2, 1]

    def test_a_process_that_starts_anew_believes_nothing_it_finds(
        self, live: LiveState, past: Past, wire: Wire, redis_url: str, redis_prefix: str
    ) -> None:
        """The one before may have been killed between the store and Redis."""
        from habitue.store.live_redis import RedisLiveState

        past.add(7, (2, NOON + 1, 3, 2))  # stored, and never told
        another = RedisLiveState(
            redis_url, LENGTH, past.recent, namespace=redis_prefix, timeout_seconds=2
        )
        assert items_of(another, 7) == [2, 1]
        assert items_of(live, 7) == [2, 1]
        another.close()

    def test_two_processes_share_what_they_are_told(
        self, live: LiveState, past: Past, redis_url: str, redis_prefix: str
    ) -> None:
        from habitue.store.live_redis import RedisLiveState

        another = RedisLiveState(
            redis_url, LENGTH, past.recent, namespace=redis_prefix, timeout_seconds=2
        )
        assert items_of(another, 7) == items_of(live, 7) == [1]
        past.add(7, (2, NOON + 1, 3, 2))
        another.observe(columns(7, (2, NOON + 1, 3, 2)))
        asked = len(past.asked)
        assert items_of(live, 7) == [2, 1]
        assert len(past.asked) == asked
        another.close()
