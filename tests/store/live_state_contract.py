"""What every live state keeps to: one suite, run on each.

A subclass gives the fixture ``live``, made over ``past.recent`` and holding the last four
actions of a shopper.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from habitue.facts import NO_ROW
from habitue.store.contract import ActionColumns, LiveState

LENGTH = 4
NOON = 1_700_000_000_000
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
Told = tuple[int, int, int, int]  # seq, at_ms, kind, item_row


class Past:
    """A store's history: what ``store.recent`` answers, and how often it was asked."""

    def __init__(self) -> None:
        self.actions: dict[int, list[Told]] = {}
        self.asked: list[int] = []
        self.before_answer = threading.Event()
        self.before_answer.set()

    def add(self, row: int, *told: Told) -> None:
        self.actions.setdefault(row, []).extend(told)

    def recent(self, row: int, n: int) -> Sequence[Told]:
        self.asked.append(row)
        found = list(self.actions.get(row, ()))
        self.before_answer.wait(5)
        return sorted(found, key=lambda a: (a[1], a[0]), reverse=True)[:n]


def columns(row: int, *told: Told, new: bool = False) -> ActionColumns:
    n = len(told)
    seq, at_ms, kind, item = zip(*told, strict=True)
    return ActionColumns(
        np.array(seq, np.int64),
        np.array(at_ms, np.int64),
        np.array(kind, np.uint8),
        np.full(n, row, np.int32),
        np.array(item, np.int32),
        np.zeros(n, np.int64),
        np.full(n, np.nan, np.float32),
        np.array([new] + [False] * (n - 1)),
    )


def items_of(live: LiveState, row: int) -> list[int]:
    recent = live.recent(np.array([row], np.int32))
    return [int(item) for item in recent.item_row[0] if item != NO_ROW]


class LiveStateContract:
    """A bounded cache over history: absent shoppers are loaded, told ones are kept up to date."""

    @pytest.fixture
    def past(self) -> Past:
        return Past()

    @pytest.fixture
    def live(self, past: Past) -> LiveState:
        raise AssertionError("give an empty live state over past.recent, of length 4")

    def tell(self, live: LiveState, past: Past, row: int, *told: Told) -> None:
        """As the store does: durable first, then told."""
        past.add(row, *told)
        live.observe(columns(row, *told))

    def test_a_shopper_who_is_absent_is_read_from_the_store_once(
        self, live: LiveState, past: Past
    ) -> None:
        past.add(7, (1, NOON, 3, 10), (2, NOON + 1, 5, 11))
        for _ in range(3):
            recent = live.recent(np.array([7], np.int32))
            assert recent.item_row.tolist() == [[11, 10, NO_ROW, NO_ROW]]
            assert recent.kind.tolist() == [[5, 3, 0, 0]]
            assert recent.at_ms.tolist()[0][:2] == [NOON + 1, NOON]
            assert recent.seen_seq.tolist() == [2]
        assert past.asked == [7]

    def test_the_next_request_sees_the_last_action(self, live: LiveState, past: Past) -> None:
        for n in range(1, 9):
            self.tell(live, past, 7, (n, NOON + n, 3, 100 + n))
            recent = live.recent(np.array([7], np.int32))
            assert recent.item_row[0, 0] == 100 + n
            assert recent.seen_seq[0] == n
        assert items_of(live, 7) == [108, 107, 106, 105]

    def test_an_action_told_twice_stands_once(self, live: LiveState, past: Past) -> None:
        items_of(live, 7)
        for _ in range(3):
            self.tell(live, past, 7, (5, NOON, 3, 10))
        assert items_of(live, 7) == [10]

    def test_two_like_actions_of_one_moment_stand_twice(self, live: LiveState, past: Past) -> None:
        items_of(live, 7)
        self.tell(live, past, 7, (5, NOON, 11, 10), (6, NOON, 11, 10))
        assert items_of(live, 7) == [10, 10]

    def test_a_late_action_takes_its_place_in_time(self, live: LiveState, past: Past) -> None:
        items_of(live, 7)
        self.tell(live, past, 7, (1, NOON, 3, 1), (2, NOON + 9, 3, 2))
        self.tell(live, past, 7, (3, NOON + 5, 3, 3))
        assert items_of(live, 7) == [2, 3, 1]
        self.tell(live, past, 7, (4, NOON + 6, 3, 4), (5, NOON - 5, 3, 5))
        assert items_of(live, 7) == [2, 4, 3, 1]

    def test_actions_without_an_item_do_not_show(self, live: LiveState, past: Past) -> None:
        items_of(live, 7)
        live.observe(columns(7, (1, NOON, 15, NO_ROW), (2, NOON + 1, 3, 4)))
        assert items_of(live, 7) == [4]

    def test_strangers_have_no_past(self, live: LiveState, past: Past) -> None:
        recent = live.recent(np.array([NO_ROW, 3], np.int32))
        assert (recent.item_row == NO_ROW).all()
        assert recent.seen_seq.tolist() == [0, 0]
        assert past.asked == [3]

    def test_a_batch_is_answered_in_its_order(self, live: LiveState, past: Past) -> None:
        for row in range(5):
            past.add(row, (row + 1, NOON + row, 3, 100 + row))
        recent = live.recent(np.array([3, 1, 3], np.int32))
        assert recent.item_row[:, 0].tolist() == [103, 101, 103]

    def test_a_new_shopper_is_here_from_the_first_action(self, live: LiveState, past: Past) -> None:
        past.add(9, (1, NOON, 3, 5), (2, NOON, 3, 6))
        live.observe(columns(9, (1, NOON, 3, 5), (2, NOON, 3, 6), new=True))
        assert items_of(live, 9) == [6, 5]

    def test_a_first_action_told_after_a_later_one_loses_neither(
        self, live: LiveState, past: Past
    ) -> None:
        past.add(9, (1, NOON, 3, 5), (2, NOON + 1, 3, 6))
        live.observe(columns(9, (2, NOON + 1, 3, 6)))
        live.observe(columns(9, (1, NOON, 3, 5), new=True))
        assert items_of(live, 9) == [6, 5]

    def test_a_forgotten_shopper_is_read_again(self, live: LiveState, past: Past) -> None:
        self.tell(live, past, 7, (1, NOON, 3, 5))
        assert items_of(live, 7) == [5]
        past.actions.clear()
        live.forget(7)
        assert items_of(live, 7) == []

    def test_what_is_told_while_a_shopper_is_being_loaded_is_not_lost(
        self, live: LiveState, past: Past
    ) -> None:
        past.add(7, (1, NOON, 3, 1))
        past.before_answer.clear()
        reader = threading.Thread(target=items_of, args=(live, 7))
        reader.start()
        while not past.asked:  # the reader has read, and not answered yet
            pass
        self.tell(live, past, 7, (2, NOON + 1, 3, 2))
        past.before_answer.set()
        reader.join()
        assert items_of(live, 7) == [2, 1]

    def test_a_shopper_forgotten_while_being_loaded_does_not_come_back(
        self, live: LiveState, past: Past
    ) -> None:
        past.add(7, (1, NOON, 3, 1))
        past.before_answer.clear()
        reader = threading.Thread(target=items_of, args=(live, 7))
        reader.start()
        while not past.asked:
            pass
        past.actions.clear()
        live.forget(7)
        past.before_answer.set()
        reader.join()
        assert items_of(live, 7) == []

    @settings(max_examples=25, suppress_health_check=SHARED)
    @given(data=st.data())
    def test_it_always_equals_the_store(
        self, live: LiveState, past: Past, data: st.DataObject
    ) -> None:
        """Whatever is told, repeated, late or forgotten: the answer is the store's own."""
        past.actions.clear()
        for row in range(3):
            live.forget(row)
        seq = 0
        for _ in range(data.draw(st.integers(1, 12))):
            row = data.draw(st.integers(0, 2))
            match data.draw(st.sampled_from(["act", "act", "again", "forget", "read"])):
                case "act":
                    told = []
                    for _ in range(data.draw(st.integers(1, 6))):
                        seq += 1
                        at = NOON + data.draw(st.integers(0, 5))
                        told.append((seq, at, 3, data.draw(st.integers(0, 2))))
                    self.tell(live, past, row, *told)
                case "again" if past.actions.get(row):
                    live.observe(columns(row, *past.actions[row][-3:]))
                case "forget":
                    live.forget(row)
                case _:
                    items_of(live, row)
            for one in range(3):
                expected = [
                    a[3]
                    for a in sorted(
                        past.actions.get(one, ()), key=lambda a: (a[1], a[0]), reverse=True
                    )
                ]
                assert items_of(live, one) == expected[:LENGTH]
