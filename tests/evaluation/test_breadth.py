"""Diversity and calibration of lists over a split, by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from habitue.evaluation import breadth_of, by_time
from habitue.evaluation.breadth import tastes_of
from habitue.facts import MS_PER_DAY, Catalogue
from habitue.metrics import miscalibration
from habitue.portraits import ItemColumns
from tests.evaluation.shop import BUY, CART, LOOK, log_of

COLUMNS = ItemColumns.of(
    Catalogue(
        pl.DataFrame(
            {
                "item_row": np.arange(5, dtype=np.int32),
                "brand": ["Kona", "Aldo", "Kona", "Aldo", None],
                "product_type": ["Tea", "Tea", "Cups", "Cups", None],
                "first_seen_ms": [0] * 5,
            }
        )
    )
)
HELD = by_time(
    log_of(
        [
            (1.0, BUY, 0, 0), (2.0, LOOK, 0, 1), (2.0, CART, 0, 2), (3.0, LOOK, 0, 4),
            (1.0, BUY, 1, 3), (11.0, BUY, 0, 3), (11.0, BUY, 1, 0),
        ]
    ),
    10 * MS_PER_DAY,
    20 * MS_PER_DAY,
)  # fmt: skip


def test_tastes_are_what_was_done_before_the_cut():
    shares = tastes_of(HELD, np.array([1, 0], np.int32), COLUMNS.category, 2)
    assert shares.tolist() == [[0.0, 1.0], [2 / 3, 1 / 3]]


def test_breadth_by_hand():
    lists = np.array([[0, 1, 3], [0, 2, -1]], np.int32)
    found = breadth_of(HELD, lists, COLUMNS)
    # tea of two brands, and a cup of the second: half in common, nothing, half.
    assert found["diversity@3"] == pytest.approx([(0.5 + 1 + 0.5) / 3, 0.5])
    wanted, given = np.array([[2 / 3, 1 / 3], [0, 1]]), np.array([[2 / 3, 1 / 3], [0.5, 0.5]])
    assert found["miscalibration@3"] == pytest.approx(miscalibration(wanted, given))
    assert found["miscalibration@3"][0] == pytest.approx(0.0)


def test_a_catalogue_without_categories_says_nothing():
    bare = ItemColumns()
    bare.grow(5)
    assert breadth_of(HELD, np.array([[0, 1], [0, 2]], np.int32), bare) == {}
