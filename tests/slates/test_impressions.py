"""What a shopper was shown and did nothing with: exact, bounded, forgotten when acted on."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from habitue.facts import ActionKind
from habitue.slates.impressions import Impressions
from habitue.store.contract import ActionColumns

NOW = 1_700_000_000_000
MINUTE, DAY = 60_000, 86_400_000


def acted(shopper: int, item: int, at_ms: int, kind: ActionKind) -> ActionColumns:
    return ActionColumns(
        np.array([1]),
        np.array([at_ms]),
        np.array([kind], np.uint8),
        np.array([shopper], np.int32),
        np.array([item], np.int32),
        np.zeros(1, np.int64),
        np.zeros(1, np.float32),
        np.zeros(1, np.bool_),
    )


def counted(seen: Impressions, *shoppers: int, now_ms: int = NOW) -> dict[int, int]:
    items, ages = seen.of(shoppers, now_ms)
    assert (ages >= 0).all()
    rows, times = np.unique(items, return_counts=True)
    return dict(zip(rows.tolist(), times.tolist(), strict=True))


def test_showings_are_counted_with_their_age() -> None:
    seen = Impressions(10, 8)
    seen.show(3, [5, 6], NOW - 2 * DAY)
    seen.show(3, [6], NOW - DAY // 2)
    seen.show(4, [6], NOW)
    items, ages = seen.of([3], NOW)
    assert sorted(zip(items.tolist(), ages.tolist(), strict=True)) == [(5, 2.0), (6, 0.5), (6, 2.0)]
    assert counted(seen, 3, 4) == {5: 1, 6: 3}
    assert counted(seen, 99, 5_000) == {}
    assert seen.times_shown[[5, 6, 7]].tolist() == [1, 3, 0]


def test_only_the_last_showings_are_kept() -> None:
    seen = Impressions(10, 4)
    for item in range(7):
        seen.show(0, [item], NOW)
    assert counted(seen, 0) == {3: 1, 4: 1, 5: 1, 6: 1}
    seen.show(0, list(range(20, 40)), NOW)
    assert counted(seen, 0) == {36: 1, 37: 1, 38: 1, 39: 1}


def test_an_action_on_the_item_forgets_the_showings_before_it() -> None:
    seen = Impressions(10, 8)
    for minutes in (10, 5, 1):
        seen.show(0, [7, 8], NOW - minutes * MINUTE)
    seen.act(acted(0, 7, NOW - 4 * MINUTE, ActionKind.view_item))
    assert counted(seen, 0) == {7: 1, 8: 3}
    seen.act(acted(0, 8, NOW, ActionKind.view_item_list))  # a list is no answer to an item
    seen.act(acted(1, 8, NOW, ActionKind.purchase))
    assert counted(seen, 0) == {7: 1, 8: 3}


def test_whoever_was_shown_something_least_recently_leaves_first() -> None:
    seen = Impressions(3, 4)
    for shopper in range(3):
        seen.show(shopper, [1], NOW)
    for shopper in range(3, 20):
        seen.show(0, [1], NOW)
        seen.show(shopper, [2], NOW)
    assert counted(seen, 0)[1] == 4
    assert sum(bool(counted(seen, shopper)) for shopper in range(20)) == 3


def test_nobody_in_particular_counts_for_the_item_alone() -> None:
    seen = Impressions(2, 4)
    seen.show(-1, [2, -1, 2], NOW)
    assert seen.times_shown[2] == 2
    assert counted(seen, 0) == {}


def test_a_forgotten_shopper_was_shown_nothing() -> None:
    seen = Impressions(2, 4)
    seen.show(1, [2], NOW)
    seen.forget(1)
    seen.forget(50_000)
    assert counted(seen, 1) == {}
    seen.show(1, [3], NOW)
    assert counted(seen, 1) == {3: 1}


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["show", "act", "forget"]),
        st.integers(0, 4),
        st.lists(st.integers(0, 6), min_size=1, max_size=3),
    ),
    max_size=40,
)


@given(EVENTS)
def test_the_table_is_a_bounded_list_of_showings(events: list[tuple[str, int, list[int]]]) -> None:
    length = 6
    seen, plain = Impressions(5, length), {shopper: [-1] * length for shopper in range(5)}
    for step, (what, shopper, items) in enumerate(events):
        at_ms = NOW + step * MINUTE
        if what == "show":
            seen.show(shopper, items, at_ms)
            plain[shopper] = (plain[shopper] + items)[-length:]
        elif what == "act":
            seen.act(acted(shopper, items[0], at_ms, ActionKind.select_item))
            plain[shopper] = [-1 if item == items[0] else item for item in plain[shopper]]
        else:
            seen.forget(shopper)
            plain[shopper] = [-1] * length
        for one, shown in plain.items():
            there = [item for item in shown if item >= 0]
            assert counted(seen, one, now_ms=at_ms) == {x: there.count(x) for x in there}
