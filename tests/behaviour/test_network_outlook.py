"""What a network foretells of many shoppers, as columns and of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from habitue.behaviour.returning import NetworkForetold
from habitue.behaviour.survival import EDGES

ROWS = np.array([7, 3, 9, 4], np.int32)
HAZARD = np.full((3, len(EDGES) - 1), [[0.5], [0.01], [0.0]])
TOLD = NetworkForetold(
    "sequence",
    np.array([True, False, True, True]),  # of row 3 nothing is known
    ("view_item", "purchase"),
    np.array([[0.3, 0.7], [0.9, 0.1], [0.5, 0.5]], np.float32),
    HAZARD,
    {"next_kind_accuracy": 0.8},
)


def test_a_row_says_what_its_own_outlook_says() -> None:
    frame = TOLD.columns(ROWS)
    assert frame["shopper_row"].to_list() == [7, 9, 4]
    for k, row in enumerate(frame.iter_rows(named=True)):
        one = replace(
            TOLD, known=np.array([True]), chance=TOLD.chance[k : k + 1], hazard=HAZARD[k : k + 1]
        ).first()
        assert one is not None
        assert one.measured == {"next_kind_accuracy": 0.8}
        for name in ("purchase_within_7_days", "purchase_within_30_days", "expected_return_days"):
            assert row[f"network_{name}"] == getattr(one, name)
        assert row["network_next_kind_chance"] == max(one.next_kind.values())
        assert one.next_kind[row["network_next_kind"]] == row["network_next_kind_chance"]


def test_the_numbers_by_hand() -> None:
    frame = TOLD.columns(ROWS)
    steps = int(np.flatnonzero(EDGES == 7.0)[0])
    assert frame["network_purchase_within_7_days"].to_list() == pytest.approx(
        [1 - 0.5**steps, 1 - 0.99**steps, 0.0]
    )
    assert frame["network_next_kind"].to_list() == ["purchase", "view_item", "view_item"]
    assert frame["network_expected_return_days"].to_list() == [EDGES[1], None, None]


def test_what_was_not_taught_is_null() -> None:
    kinds = replace(TOLD, hazard=None).columns(ROWS)
    comes = replace(TOLD, chance=None).columns(ROWS)
    assert kinds.schema == comes.schema == TOLD.columns(ROWS).schema
    assert kinds["network_purchase_within_30_days"].null_count() == 3
    assert kinds["network_next_kind"].null_count() == 0
    assert comes["network_next_kind"].null_count() == 3
    assert replace(TOLD, chance=None).first().next_kind is None
    assert replace(TOLD, hazard=None).first().purchase_within_7_days is None


def test_nothing_is_said_of_whom_nothing_is_known() -> None:
    assert replace(TOLD, known=np.array([False])).first() is None
