"""Token buckets against a plain reference."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from habitue.api.rates import Buckets

STEPS = st.lists(st.floats(0, 3), max_size=40)


@given(STEPS, st.floats(0.1, 10), st.integers(1, 5))
def test_no_window_lets_more_through_than_burst_and_rate(
    steps: list[float], per_second: float, burst: int
) -> None:
    buckets = Buckets(per_second=per_second, burst=burst, remembered=10)
    now, let_through = 0.0, []
    for step in steps:
        now += step
        if buckets.wait("a", now) == 0:
            let_through.append(now)
    for first, start in enumerate(let_through):
        for last, end in enumerate(let_through[first:], first):
            assert last - first + 1 <= burst + (end - start) * per_second + 1e-6


@given(STEPS, st.floats(0.1, 10))
def test_who_waits_as_long_as_told_is_let_through(steps: list[float], per_second: float) -> None:
    buckets = Buckets(per_second=per_second, burst=2, remembered=10)
    now = 0.0
    for step in steps:
        now += step
        wait = buckets.wait("a", now)
        if wait:
            now += wait + 1e-9
            assert buckets.wait("a", now) == 0


def test_callers_do_not_share_a_bucket() -> None:
    buckets = Buckets(per_second=1, burst=1, remembered=10)
    assert buckets.wait("a", 0) == 0
    assert buckets.wait("b", 0) == 0
    assert buckets.wait("a", 0) == 1


def test_memory_is_bounded_and_the_longest_silent_leaves_first() -> None:
    buckets = Buckets(per_second=1, burst=1, remembered=3)
    for name in ("a", "b", "c"):
        buckets.wait(name, 0)
    buckets.wait("a", 0.5)
    buckets.wait("d", 0.5)  # b leaves
    assert len(buckets) == 3
    assert buckets.wait("a", 0.5) == 0.5
    assert buckets.wait("b", 0.5) == 0
