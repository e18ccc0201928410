"""A page token says what was shown, to nobody but the one it was made for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.errors import BadInput
from habitue.slates.cursor import MAX_SHOWN, Page, open_cursor, seal_cursor

KEY = b"a key"
TO = {"surface": "home", "shopper": "ana"}


@given(st.sets(st.integers(0, 2**31 - 1), max_size=MAX_SHOWN), st.integers(0, MAX_SHOWN - 1))
def test_what_goes_in_comes_out(shown: set[int], first_slot: int) -> None:
    token = seal_cursor(list(shown), first_slot, surface="home", shopper=None, key=KEY)
    assert token is not None
    page = open_cursor(token, surface="home", shopper=None, key=KEY)
    assert page == Page(first_slot, tuple(sorted(shown)))


def test_a_long_slate_of_a_large_shop_fits_a_request() -> None:
    shown = [x * 4999 for x in range(MAX_SHOWN)]  # a million items
    token = seal_cursor(shown, MAX_SHOWN - 1, **TO, key=KEY)
    assert token is not None
    assert len(token) < 800


def test_slates_end() -> None:
    assert seal_cursor([1], MAX_SHOWN, **TO, key=KEY) is None


@pytest.mark.parametrize(
    "changed",
    [{"surface": "item"}, {"shopper": "bob"}, {"shopper": None}, {"key": b"another"}],
)
def test_it_is_good_for_one_shopper_surface_and_server(changed: dict[str, object]) -> None:
    token = seal_cursor([3, 5], 2, **TO, key=KEY)
    assert token is not None
    with pytest.raises(BadInput):
        open_cursor(token, **{**TO, "key": KEY, **changed})  # type: ignore[arg-type]


@given(st.text(max_size=40))
def test_no_other_text_is_a_token(text: str) -> None:
    with pytest.raises(BadInput):
        open_cursor(text, **TO, key=KEY)
