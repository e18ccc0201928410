"""Arrays in pages of their own: all 0, apart from each other, and gone when let go."""

from pathlib import Path

import numpy as np
import pytest

from habitue.store.pages import pages, pages_like


@pytest.mark.parametrize("shape", [0, 5, (0, 3), (4, 3)])
def test_pages_are_zeros_that_can_be_written(shape: int | tuple[int, ...]) -> None:
    room = pages(shape, np.int64)
    assert room.shape == np.zeros(shape).shape
    assert room.dtype == np.int64
    assert not room.any()
    room[...] = 7
    assert (room == 7).all()


def test_a_copy_is_led_on_apart() -> None:
    first = np.arange(6.0).reshape(2, 3)
    copy = pages_like(first)
    copy[0, 0] = 99
    assert first[0, 0] == 0
    assert copy.tolist() == [[99, 1, 2], [3, 4, 5]]


def own_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_what_an_array_outgrew_is_the_systems_again() -> None:
    before, room = own_bytes(), pages(1000, np.int64)
    for step in range(40):  # to 60 MB, through 240 MB of smaller ones
        bigger = pages(len(room) * 5 // 4, np.int64)
        bigger[: len(room)] = room
        bigger[len(room) :] = step
        room = bigger
    assert room.nbytes > 50e6
    assert own_bytes() - before < room.nbytes + 5e6
