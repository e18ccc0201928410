"""Ids grow with time, and say the same of the same fact."""

import multiprocessing
import threading
import uuid

from hypothesis import given
from hypothesis import strategies as st

from habitue.facts.ids import derived_id, row_id_prefix, uuid7, uuid7s

NOW = 1_700_000_000_000


def test_an_id_is_a_uuid_of_version_7_that_holds_its_time() -> None:
    made = uuid.UUID(uuid7(NOW * 2))  # far ahead: no other test has taken the clock there
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == NOW * 2


@given(st.lists(st.integers(0, 2**47), min_size=1, max_size=30))
def test_ids_grow_even_when_the_clock_stands_still_or_runs_backwards(clock: list[int]) -> None:
    made = [uuid7(now) for now in clock]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_batches_and_single_ids_are_one_growing_sequence() -> None:
    made = [*uuid7s(NOW, 100), uuid7(NOW), *uuid7s(NOW - 5, 50)]
    assert made == sorted(made)
    assert len(set(made)) == 151
    assert uuid7s(NOW, 0) == []


def test_threads_never_share_an_id() -> None:
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend([*uuid7s(NOW, 50), uuid7(NOW)]))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20 * 51


def _make(n: int) -> list[str]:
    return uuid7s(NOW, n)


def test_forked_workers_never_share_an_id() -> None:
    uuid7(NOW)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        first, second = pool.map(_make, [200, 200], chunksize=1)
    assert not set(first) & set(second)
    assert not set(first) & set(uuid7s(NOW, 200))


def test_the_same_fact_gets_the_same_id_and_another_another() -> None:
    one = derived_id(NOW, "purchase", "T-1", 0, None)
    assert one == derived_id(NOW, "purchase", "T-1", 0, None)
    others = [
        derived_id(NOW, "purchase", "T-1", 1, None),
        derived_id(NOW, "purchase", "T-1", 0, ""),
        derived_id(NOW, "purchaseT-1", "", 0, None),
        derived_id(NOW + 1, "purchase", "T-1", 0, None),
    ]
    assert one not in others
    assert uuid.UUID(one).version == 8
    assert one < derived_id(NOW + 1, "a")


def test_row_ids_are_uuids_that_sort_by_row() -> None:
    prefix = row_id_prefix("orders", "ab" * 32)
    ids = [f"{prefix}{row:012d}" for row in (0, 9, 10, 541_908)]
    assert ids == sorted(ids)
    assert all(str(uuid.UUID(i)) == i and uuid.UUID(i).version == 8 for i in ids)
    assert prefix != row_id_prefix("orders", "cd" * 32)
    assert prefix != row_id_prefix("returns", "ab" * 32)
