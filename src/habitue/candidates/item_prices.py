"""The price steps of items as a source keeps them, those of items that came later among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.behaviour.prices import PriceSteps, step_of
from habitue.candidates.growing import Growing
from habitue.candidates.layout import sealed
from habitue.facts import Catalogue

__all__ = ["ItemPrices", "currency_of", "listed_prices"]


def currency_of(frame: pl.DataFrame) -> str:
    """The currency most prices of a catalogue are told in; ``""`` where none is named."""
    if not {"price_micros", "currency"} <= set(frame.columns):
        return ""
    told = frame.filter(pl.col("price_micros") > 0)["currency"].cast(pl.String).drop_nulls()
    return str(told.mode().sort()[0]) if len(told) else ""


def listed_prices(frame: pl.DataFrame, currency: str) -> NDArray[np.int64]:
    """The prices (n,) of a catalogue's rows in that currency, micros; 0 for none and for others.

    A price without a currency is in that one, and where that is ``""`` every price is.
    """
    if "price_micros" not in frame.columns:
        return np.zeros(frame.height, np.int64)
    price = pl.col("price_micros").cast(pl.Int64).fill_null(0)
    if currency and "currency" in frame.columns:
        named = pl.col("currency").cast(pl.String)
        price = pl.when(named.is_null() | (named == currency)).then(price).otherwise(0)
    return frame.select(price.alias("price"))["price"].to_numpy().astype(np.int64)


@dataclass(frozen=True, slots=True)
class ItemPrices:
    """The steps of fitted items, and of those beyond in the order of their rows."""

    steps: PriceSteps
    currency: str
    tail: Growing  # (n_tail,) uint8

    @classmethod
    def of(cls, steps: PriceSteps, currency: str) -> Self:
        """Those of fitted items alone, a byte each."""
        kept = PriceSteps(sealed(steps.cuts, np.int64), sealed(steps.item, np.uint8))
        return cls(kept, currency, Growing(np.empty(0, np.uint8)))

    def read(self, item_row: NDArray[np.int32]) -> NDArray[np.int64]:
        """The steps (...) of items (...); 0 where the price is not known, or the item."""
        n, row = len(self.steps.item), item_row.astype(np.int64)
        step = np.zeros(row.shape, np.int64)
        fitted = (row >= 0) & (row < n)
        step[fitted] = self.steps.item[row[fitted]]
        later = (row >= n) & (row < n + len(self.tail))
        step[later] = self.tail.rows[row[later] - n]
        return step

    def with_items(self, catalogue_tail: Catalogue) -> ItemPrices:
        """The steps with those of these items beyond the fitted ones; itself where none is new."""
        n = len(self.steps.item)
        frame = catalogue_tail.frame.filter(pl.col("item_row") >= n)
        if not frame.height:
            return self
        place = frame["item_row"].to_numpy().astype(np.int64) - n
        step = step_of(listed_prices(frame, self.currency), self.steps.cuts)
        tail = self.tail.put(place, step)
        return self if tail is self.tail else replace(self, tail=tail)

    def save(self, path: Path) -> dict[str, NDArray[Any]]:
        """Write down the currency in the folder ``path``; the arrays to be kept beside it."""
        (path / "currency.txt").write_text(self.currency, encoding="utf-8")
        return {"price_cuts": self.steps.cuts, "price_step": self.steps.item}

    @classmethod
    def load(cls, path: Path, arrays: Mapping[str, NDArray[Any]]) -> Self | None:
        """Those written there; None where there are none."""
        if "price_step" not in arrays:
            return None
        currency = (path / "currency.txt").read_text(encoding="utf-8")
        return cls.of(PriceSteps(arrays["price_cuts"], arrays["price_step"]), currency)
