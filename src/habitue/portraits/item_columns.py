"""What is fixed about each item, as arrays for feature kernels, growing with the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.errors import SnapshotError
from habitue.facts import NO_ROW, Catalogue, Item

__all__ = ["ItemColumns"]

_UNKNOWN_PRICE: Final = np.float32(np.nan)


class ItemColumns:
    """Price, brand, category and first appearance of every item, by item row.

    Brands and categories are dense codes in order of appearance, ``NO_ROW`` where not said. A
    category is the first two steps of ``product_type``. 20 bytes an item.
    """

    def __init__(self) -> None:
        self.n_items = 0
        self._log_price = np.empty(0, np.float32)
        self._brand = np.empty(0, np.int32)
        self._category = np.empty(0, np.int32)
        self._first_seen_ms = np.empty(0, np.int64)
        self.brands: dict[str, int] = {}
        self.categories: dict[str, int] = {}

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """The columns of a catalogue, row for row."""
        columns = cls()
        frame = catalogue.frame
        columns.grow(frame.height)
        n = frame.height
        if "price_micros" in frame.columns:
            price = frame["price_micros"].cast(float).to_numpy()
            with np.errstate(divide="ignore", invalid="ignore"):
                columns._log_price[:n] = np.where(price > 0, np.log(price / 1e6), np.nan)
        if "brand" in frame.columns:
            columns._brand[:n] = _codes(frame["brand"].to_list(), columns.brands)
        if "product_type" in frame.columns:
            steps = [_category(text) for text in frame["product_type"].to_list()]
            columns._category[:n] = _codes(steps, columns.categories)
        if "first_seen_ms" in frame.columns:
            columns._first_seen_ms[:n] = frame["first_seen_ms"].fill_null(0).to_numpy()
        return columns

    def grow(self, n_items: int) -> None:
        """Make room for rows up to ``n_items``; what is not said stays unknown."""
        if n_items > len(self._brand):
            spare = max(n_items, len(self._brand) * 5 // 4 + 64) - len(self._brand)
            self._log_price = np.append(self._log_price, np.full(spare, _UNKNOWN_PRICE))
            self._brand = np.append(self._brand, np.full(spare, NO_ROW, np.int32))
            self._category = np.append(self._category, np.full(spare, NO_ROW, np.int32))
            self._first_seen_ms = np.append(self._first_seen_ms, np.zeros(spare, np.int64))
        self.n_items = max(self.n_items, n_items)

    def put(self, item_row: NDArray[np.int32], items: Sequence[Item], at_ms: int) -> None:
        """Items were posted or changed: ``items[x]`` is what row ``item_row[x]`` is from now on."""
        if not len(item_row):
            return
        self.grow(int(item_row.max()) + 1)
        for row, item in zip(item_row.tolist(), items, strict=True):
            micros = item.price_micros or 0
            self._log_price[row] = np.log(micros / 1e6) if micros > 0 else np.nan
            self._brand[row] = _code(item.brand, self.brands)
            self._category[row] = _code(_category(item.product_type), self.categories)
            if self._first_seen_ms[row] == 0:
                self._first_seen_ms[row] = at_ms

    @property
    def log_price(self) -> NDArray[np.float32]:
        """Log of the list price in currency units, NaN where not said: (n_items,)."""
        return self._log_price[: self.n_items]

    @property
    def brand(self) -> NDArray[np.int32]:
        """Brand codes: (n_items,)."""
        return self._brand[: self.n_items]

    @property
    def category(self) -> NDArray[np.int32]:
        """Category codes: (n_items,)."""
        return self._category[: self.n_items]

    @property
    def first_seen_ms(self) -> NDArray[np.int64]:
        """When each item entered the shop, 0 where nobody knows: (n_items,)."""
        return self._first_seen_ms[: self.n_items]

    def brand_name(self, code: int) -> str:
        """The brand behind a code."""
        return list(self.brands)[code]

    def category_name(self, code: int) -> str:
        """The category behind a code."""
        return list(self.categories)[code]

    def save(self, path: Path) -> None:
        """Write the columns into the folder ``path``."""
        path.mkdir(parents=True, exist_ok=True)
        np.savez(
            path / "columns.npz",
            log_price=self.log_price,
            brand=self.brand,
            category=self.category,
            first_seen_ms=self.first_seen_ms,
        )
        names = {"brands": list(self.brands), "categories": list(self.categories)}
        (path / "names.json").write_bytes(msgspec.json.encode(names))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The columns written in ``path``; raises ``SnapshotError`` if they are not there."""
        columns = cls()
        try:
            names = msgspec.json.decode(
                (path / "names.json").read_bytes(), type=dict[str, list[str]]
            )
            with np.load(path / "columns.npz") as saved:
                columns._log_price = saved["log_price"]
                columns._brand = saved["brand"]
                columns._category = saved["category"]
                columns._first_seen_ms = saved["first_seen_ms"]
        except (OSError, KeyError, ValueError, msgspec.MsgspecError) as problem:
            raise SnapshotError(
                f"The item columns in {path} cannot be read: {problem}.",
                remedy="Train again, or activate another snapshot.",
            ) from problem
        columns.n_items = len(columns._brand)
        columns.brands = {name: code for code, name in enumerate(names["brands"])}
        columns.categories = {name: code for code, name in enumerate(names["categories"])}
        return columns


def _category(product_type: str | None) -> str | None:
    """The first two steps of a product type.

    >>> _category("Home > Kitchen > Mugs")
    'Home > Kitchen'
    """
    if not product_type:
        return None
    return " > ".join(step.strip() for step in product_type.split(">")[:2])


def _codes(names: Sequence[str | None], known: dict[str, int]) -> NDArray[np.int32]:
    return np.array([_code(name, known) for name in names], np.int32)


def _code(name: str | None, known: dict[str, int]) -> int:
    if not name:
        return NO_ROW
    return known.setdefault(name, len(known))
