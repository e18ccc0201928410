"""Fixed columns of items, and items posted after training."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from habitue.facts import NO_ROW, Catalogue, Item
from habitue.portraits import ItemColumns

CATALOGUE = Catalogue(
    pl.DataFrame(
        {
            "item_row": [0, 1, 2],
            "brand": ["Acme", None, "Acme"],
            "product_type": ["Home > Mugs > Blue", "Home > Mugs", None],
            "price_micros": [2_000_000, None, 0],
            "first_seen_ms": [5, None, 7],
        }
    )
)


def test_columns_say_what_the_catalogue_says() -> None:
    columns = ItemColumns.of(CATALOGUE)
    assert columns.brand.tolist() == [0, NO_ROW, 0]
    assert columns.category.tolist() == [0, 0, NO_ROW]
    assert columns.category_name(0) == "Home > Mugs"
    np.testing.assert_allclose(columns.log_price, [math.log(2), np.nan, np.nan], rtol=1e-6)
    assert columns.first_seen_ms.tolist() == [5, 0, 7]


def test_an_item_posted_later_stands_behind_the_others() -> None:
    columns = ItemColumns.of(CATALOGUE)
    posted = Item(id="d", brand="Bolt", price_micros=3_000_000, product_type="Home > Mugs")
    columns.put(np.array([3], np.int32), [posted], at_ms=9)
    assert columns.brand.tolist() == [0, NO_ROW, 0, 1]
    assert columns.brand_name(1) == "Bolt"
    assert columns.category[3] == 0
    assert columns.log_price[3] == pytest.approx(math.log(3))
    assert columns.first_seen_ms[3] == 9


def test_a_new_price_replaces_the_old_one_and_not_the_first_day() -> None:
    columns = ItemColumns.of(CATALOGUE)
    columns.put(np.array([0], np.int32), [Item(id="a", price_micros=8_000_000)], at_ms=99)
    assert columns.log_price[0] == pytest.approx(math.log(8))
    assert columns.first_seen_ms[0] == 5


def test_saved_columns_come_back(tmp_path: Path) -> None:
    columns = ItemColumns.of(CATALOGUE)
    columns.save(tmp_path / "columns")
    loaded = ItemColumns.load(tmp_path / "columns")
    np.testing.assert_array_equal(loaded.brand, columns.brand)
    np.testing.assert_array_equal(loaded.log_price, columns.log_price)
    assert loaded.brands == columns.brands
