"""What stands for a purchase, by what happened in a shop and what the shop says of it."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.facts import ActionKind, ActionLog
from habitue.facts.meaning import could_be_bought, participle, read_as, taken_in

PURCHASE = [ActionKind.purchase]


def log_of(**counts: int) -> ActionLog:
    """So many actions of each kind, each with an item and a shopper."""
    kind = np.concatenate([np.full(n, ActionKind[name], np.uint8) for name, n in counts.items()])
    n = len(kind)
    rows = np.arange(n, dtype=np.int32) % 10
    nothing = np.zeros(n, np.int64)
    return ActionLog(
        seq=np.arange(n), at_ms=np.arange(n), kind=kind, shopper_row=rows, item_row=rows,
        order_row=np.full(n, -1, np.int32), quantity=np.ones(n, np.float32),
        price_micros=nothing, value_minor=nothing, rating=np.full(n, np.nan, np.float32),
        n_shoppers=10, n_items=10,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "conversions", "taken"),
    [
        ({"rate": 50}, PURCHASE, ("rate",)),
        ({"like": 50}, PURCHASE, ("like",)),
        ({"sign_up": 50}, PURCHASE, ("sign_up",)),
        ({"rate": 50, "review": 5}, PURCHASE, ("rate", "review")),
        ({"view_item": 900, "like": 50}, PURCHASE, ("like",)),
        ({"sign_up": 2, "rate": 98}, PURCHASE, ("rate",)),  # a few people opened an account
        ({"rate": 50, "like": 50}, [ActionKind.like], ("like",)),  # as the shop says
        ({"rate": 10_000, "purchase": 3}, PURCHASE, ("rate",)),  # somebody tried the till
        ({"rate": 50, "purchase": 50}, PURCHASE, ()),
        ({"rate": 50, "purchase": 50}, [ActionKind.purchase, ActionKind.rate], ("rate",)),
        ({"like": 50, "purchase": 50}, [ActionKind.purchase, ActionKind.like], ()),
        ({"view_item": 50}, PURCHASE, ()),
        ({"add_to_cart": 50}, [ActionKind.add_to_cart], ()),
        ({"not_interested": 50, "refund": 2}, PURCHASE, ()),
    ],
)
def test_what_is_taken_is_what_shoppers_do(
    counts: dict[str, int], conversions: list[ActionKind], taken: tuple[str, ...]
) -> None:
    assert taken_in(log_of(**counts), conversions) == taken


def test_actions_without_an_item_say_nothing() -> None:
    accounts = log_of(sign_up=50)
    accounts.item_row[:] = -1
    assert taken_in(accounts) == ()


def test_only_what_is_taken_is_read_otherwise() -> None:
    table = read_as(("rate",))
    assert table[ActionKind.rate] == ActionKind.purchase
    others = np.delete(np.arange(256), ActionKind.rate)
    np.testing.assert_array_equal(table[others], others)
    np.testing.assert_array_equal(read_as(()), np.arange(256))


def test_before_a_training_the_shops_own_words_count() -> None:
    assert could_be_bought([ActionKind.rate, ActionKind.like]) == ("rate",)
    assert participle(("sign_up", "rate")) == "chosen"
