"""The sides of an item that somebody may like or dislike: its category, brand, attributes, price.

Each has a name that can be said. A number (a year, a price) is not a side itself: it lies between
two marks on its scale, so that items of like numbers share what is liked of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from habitue.candidates.item_terms import attribute_terms, log_prices, spellings
from habitue.facts import Catalogue

__all__ = ["ItemSide", "Sides", "side_of"]

_FIELDS: Final = {"product_type": "category", "google_product_category": "category"}
_PRICE: Final = "price"
_APART: Final = 12  # different numbers from which a scale is drawn


class ItemSide(msgspec.Struct, frozen=True):
    """One side: what kind of thing it is, and its value."""

    kind: str
    """``category``, ``brand``, ``price``, or the name of an attribute."""
    name: str
    """The category, the brand, the value; of numbers the mark on the scale, ``about 1995``."""


def side_of(term: str, written: str | None = None) -> ItemSide:
    """The side a term stands for, its name as it is ``written`` in the catalogue.

    >>> side_of("product_type=kitchen>mugs", "Kitchen > Mugs")
    ItemSide(kind='category', name='Kitchen > Mugs')
    >>> side_of("year~1995.0")
    ItemSide(kind='year', name='about 1995')
    """
    near = "~" in term and "=" not in term
    kind, _, name = term.partition("~" if near else "=")
    if near:
        return ItemSide(kind, f"about {float(name):g}")
    return ItemSide(_FIELDS.get(kind, kind), written or name)


@dataclass(frozen=True, slots=True)
class Sides:
    """The sides of each item: rows of unit length, 0 where nothing is said."""

    term: list[str]
    written: list[str]  # what each names, as the catalogue has it; empty for marks on a scale
    matrix: sp.csr_matrix  # (n_items, n_sides) float32

    @classmethod
    def of(cls, catalogue: Catalogue, n_items: int, *, min_items: int, marks: int) -> Sides:
        """The sides that ``min_items`` items and not all share; numbers on ``marks`` marks."""
        frame = catalogue.frame
        numbers = _numbers(frame)
        terms = attribute_terms(frame)
        scaled = [name for name, values in numbers.items() if _is_scale(values)]
        named = terms["term"].str.split_exact("=", 1).struct[0]
        terms = terms.filter(~named.is_in(scaled)).select("at", "term", "value")
        parts = [terms, *(_on_scale(name, numbers[name], marks) for name in scaled)]
        every = pl.concat(parts)
        shared = every.group_by("term").agg(items=pl.len()).filter(
            (pl.col("items") >= min_items) & (pl.col("items") < max(len(catalogue), 1))
        )  # fmt: skip
        names = sorted(shared["term"].to_list())
        number = {name: at for at, name in enumerate(names)}
        spelled = dict(spellings(frame).select("term", "path").iter_rows())
        every = every.filter(pl.col("term").is_in(names))
        column = [number[name] for name in every["term"].to_list()]
        at = every["at"].to_numpy().astype(np.int64)
        row = frame["item_row"].to_numpy()[at] if len(at) else at
        whole = sp.csr_matrix((every["value"].to_numpy(), (row, column)), (n_items, len(names)))
        length = np.sqrt(np.asarray(whole.multiply(whole).sum(axis=1)).ravel())
        unit = (sp.diags(1.0 / np.where(length > 0, length, 1.0)) @ whole).tocsr()
        unit.sort_indices()
        return cls(names, [spelled.get(name, "") for name in names], unit.astype(np.float32))

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]], n_items: int) -> Sides:
        """The sides whose ``arrays()`` were saved."""
        told = arrays["side_names"].tobytes()
        names, written = msgspec.json.decode(told, type=tuple[list[str], list[str]])
        parts = (arrays["side_value"], arrays["side_column"], arrays["side_indptr"])
        return cls(names, written, sp.csr_matrix(parts, (n_items, len(names)), copy=False))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is written down."""
        return {
            "side_names": np.frombuffer(msgspec.json.encode((self.term, self.written)), np.uint8),
            "side_value": self.matrix.data,
            "side_column": self.matrix.indices,
            "side_indptr": self.matrix.indptr,
        }


def _numbers(frame: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Each number the items have, by its name: prices and the shop's own; NaN where not said."""
    numbers = {_PRICE: np.exp(log_prices(frame))}
    if "attributes" not in frame.columns:
        return numbers
    said = frame["attributes"].to_list()
    told = [msgspec.json.decode(one) if isinstance(one, str) else one or {} for one in said]
    names = {
        name for one in told for name, value in one.items() if _number(value) is not None
    }  # fmt: skip
    for name in sorted(names - {_PRICE}):
        values = [_number(one.get(name)) for one in told]
        numbers[name] = np.array([np.nan if one is None else one for one in values])
    return numbers


def _number(value: object) -> float | None:
    """A value as a number; text that is one counts."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None
    return number if number is not None and np.isfinite(number) else None


def _is_scale(values: NDArray[np.float64]) -> bool:
    return len(np.unique(values[np.isfinite(values)])) > _APART


def _on_scale(name: str, values: NDArray[np.float64], marks: int) -> pl.DataFrame:
    """Between which marks of its scale each number lies, and how near to either."""
    known = np.flatnonzero(np.isfinite(values))
    places = np.unique(np.quantile(values[known], (np.arange(marks) + 0.5) / marks))
    value = np.clip(values[known], places[0], places[-1])
    below = np.clip(np.searchsorted(places, value, side="right") - 1, 0, max(len(places) - 2, 0))
    above = np.minimum(below + 1, len(places) - 1)
    gap = np.maximum(places[above] - places[below], 1e-12)
    share = np.where(above > below, (value - places[below]) / gap, 0.0)
    at = np.concatenate([known, known])
    mark, near = np.concatenate([below, above]), np.concatenate([1.0 - share, share])
    labels: Sequence[str] = [f"{name}~{_tidy(place)}" for place in places.tolist()]
    schema = {"at": pl.UInt32, "term": pl.String, "value": pl.Float64}
    told = {"at": at, "term": [labels[m] for m in mark.tolist()], "value": near}
    return pl.DataFrame(told, schema=schema, strict=False).filter(pl.col("value") > 1e-6)


def _tidy(place: float) -> str:
    """A mark as it is said: three digits tell prices apart, whole numbers stay whole."""
    return f"{place:.0f}" if abs(place) >= 1000 else f"{place:.3g}"
