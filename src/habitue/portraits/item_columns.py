"""What is fixed about each item, as arrays for feature kernels, growing with the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, Protocol, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.errors import SnapshotError
from habitue.facts import NO_ROW, Catalogue

__all__ = ["ItemColumns", "Priced", "coded", "leading_steps"]

_UNKNOWN_PRICE: Final = np.float32(np.nan)


class Priced(Protocol):
    """What the columns read of a version of an item."""

    @property
    def price_micros(self) -> int | None:
        """The list price in millionths of the currency unit."""
        ...

    @property
    def brand(self) -> str | None:
        """The brand's name."""
        ...

    @property
    def product_type(self) -> str | None:
        """The shop's own category, as "A > B > C"."""
        ...


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
        self._brand_names: list[str] = []
        self._category_names: list[str] = []

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """The columns of a catalogue, row for row."""
        columns = cls()
        frame = catalogue.frame
        columns.grow(frame.height)
        n = frame.height
        if "price_micros" in frame.columns:
            columns._log_price[:n] = _logs(frame["price_micros"].cast(float).to_numpy())
        if "brand" in frame.columns:
            columns._brand[:n] = coded(frame["brand"].to_list(), columns._brand_code)
        if "product_type" in frame.columns:
            steps = frame["product_type"].to_list()
            columns._category[:n] = coded(steps, columns._category_code)
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

    def put(
        self, item_row: NDArray[np.int32], items: Sequence[Priced], at_ms: NDArray[np.int64] | int
    ) -> None:
        """Items were posted or changed: ``items[x]`` is what row ``item_row[x]`` is from now on.

        Each row comes once. ``at_ms`` is when each first stood in the shop, where that is new.
        """
        if not len(item_row):
            return
        self.grow(int(item_row.max()) + 1)
        micros = np.fromiter((one.price_micros or 0 for one in items), np.float64, len(items))
        self._log_price[item_row] = _logs(micros)
        self._brand[item_row] = coded([one.brand for one in items], self._brand_code)
        self._category[item_row] = coded([one.product_type for one in items], self._category_code)
        seen = self._first_seen_ms[item_row]
        self._first_seen_ms[item_row] = np.where(seen == 0, at_ms, seen)

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

    def _brand_code(self, name: str | None) -> int:
        return self.brands.setdefault(name, len(self.brands)) if name else NO_ROW

    def _category_code(self, product_type: str | None) -> int:
        name = leading_steps(product_type)
        return self.categories.setdefault(name, len(self.categories)) if name else NO_ROW

    def brand_name(self, code: int) -> str:
        """The brand behind a code."""
        return _name_of(code, self.brands, self._brand_names)

    def category_name(self, code: int) -> str:
        """The category behind a code."""
        return _name_of(code, self.categories, self._category_names)

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


def leading_steps(product_type: str | None, n: int = 2) -> str | None:
    """The first steps of a product type.

    >>> leading_steps("Home > Kitchen > Mugs")
    'Home > Kitchen'
    """
    if not product_type:
        return None
    return " > ".join(step.strip() for step in product_type.split(">")[:n])


def _name_of(code: int, codes: Mapping[str, int], names: list[str]) -> str:
    """The name behind a dense code; ``names`` holds those asked for until now, in order."""
    if len(names) < len(codes):
        names.extend(islice(codes, len(names), None))
    return names[code]


def coded(names: Sequence[str | None], code: Callable[[str | None], int]) -> NDArray[np.int32]:
    """Names as codes; ``code`` is asked once for each that is another, in order of appearance."""
    of = {name: code(name) for name in dict.fromkeys(names)}
    return np.fromiter(map(of.__getitem__, names), np.int32, len(names))


def _logs(micros: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logs of prices in currency units, NaN where there is none."""
    price = np.where(micros > 0, micros, np.nan) / 1e6
    return np.asarray(np.log(price))
