"""What an item is made of, as weighted terms: words, attributes, and where its price stands."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.language.tokens import token_rows

__all__ = ["price_places", "price_terms", "raw_terms"]

_NAMED: Final = (
    "brand",
    "item_type",
    "condition",
    "color",
    "size",
    "material",
    "pattern",
    "gender",
    "age_group",
)
_PATHS: Final = ("product_type", "google_product_category")
_PATH_STEPS: Final = 4
_JSON: Final = msgspec.json.Decoder()


def raw_terms(frame: pl.DataFrame, *, description_weight: float) -> pl.DataFrame:
    """The terms of items given as a catalogue's frame; ``at`` is the place in the frame.

    Columns ``at`` (uint32), ``block`` (``text`` or ``attribute``), ``term`` and ``value``: how
    often a word occurs, dampened, or 1 for an attribute. Columns the frame lacks count as not said.
    """
    parts = [_words(frame, "title", 1.0, pairs=True)]
    if description_weight > 0:
        parts.append(_words(frame, "description", description_weight, pairs=False))
    parts += [_attribute(frame, name) for name in _NAMED]
    parts += [_path(frame, name) for name in _PATHS]
    parts.append(_free_attributes(frame))
    counted = pl.concat(parts).group_by("at", "block", "term").agg(pl.col("value").sum())
    return counted.with_columns(
        value=pl.when(pl.col("block") == "text").then(pl.col("value").log1p()).otherwise(1.0)
    ).sort("at", "block", "term")


def _terms(frame: pl.DataFrame, block: str, value: float) -> pl.DataFrame:
    return frame.select(
        pl.col("at").cast(pl.UInt32),
        pl.lit(block).alias("block"),
        pl.col("term").cast(pl.String),
        pl.lit(value).cast(pl.Float64).alias("value"),
    )


def _words(frame: pl.DataFrame, name: str, value: float, *, pairs: bool) -> pl.DataFrame:
    text = frame[name] if name in frame.columns else pl.Series([], dtype=pl.String)
    tokens = token_rows(text, pairs=pairs)
    return _terms(tokens.select(pl.col("text").alias("at"), term="token"), "text", value)


def _named(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """``at`` and the tidied text of one column, where it says anything."""
    if name not in frame.columns:
        return pl.DataFrame(schema={"at": pl.UInt32, name: pl.String})
    tidy = pl.col(name).cast(pl.String).str.strip_chars().str.to_lowercase()
    column = frame.select(tidy).with_row_index("at")
    return column.filter(pl.col(name).is_not_null() & (pl.col(name) != ""))


def _attribute(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    said = _named(frame, name)
    return _terms(said.select("at", term=pl.format(name + "={}", name)), "attribute", 1.0)


def _path(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """A category path ``a > b > c`` says ``a``, ``a > b`` and ``a > b > c``."""
    steps = pl.col(name).str.replace_all(r"\s*[>/|]\s*", ">").str.split(">")
    said = _named(frame, name).with_columns(steps)
    ways = [
        said.filter(pl.col(name).list.len() >= n).select(
            "at", term=pl.format(name + "={}", pl.col(name).list.head(n).list.join(">"))
        )
        for n in range(1, _PATH_STEPS + 1)
    ]
    return _terms(pl.concat(ways), "attribute", 1.0)


def _free_attributes(frame: pl.DataFrame) -> pl.DataFrame:
    """The shop's own attributes: text and truth values; numbers only where they are whole."""
    at: list[int] = []
    term: list[str] = []
    if "attributes" in frame.columns:
        given = frame["attributes"]
        for place, said in enumerate(given.to_list() if given.null_count() < len(given) else []):
            attributes: dict[str, Any] = _JSON.decode(said) if isinstance(said, str) else said or {}
            for name, value in attributes.items():
                if value is not None and not (isinstance(value, float) and value % 1):
                    at.append(place)
                    term.append(f"{name}={str(value).strip().lower()}")
    said = pl.DataFrame({"at": at, "term": term}, schema={"at": pl.UInt32, "term": pl.String})
    return _terms(said, "attribute", 1.0)


def log_price(frame: pl.DataFrame) -> NDArray[np.float64]:
    """Natural logarithm of each price in the base unit; NaN where there is none."""
    if "price_micros" not in frame.columns:
        return np.full(frame.height, np.nan)
    price = frame["price_micros"].cast(pl.Float64).fill_null(0.0).to_numpy()
    with np.errstate(divide="ignore"):
        return np.where(price > 0, np.log(np.maximum(price, 1.0) / 1e6), np.nan)


def price_places(frame: pl.DataFrame, n: int) -> NDArray[np.float64]:
    """``n`` log prices that part the catalogue evenly: where the price scale has its marks."""
    price = log_price(frame)
    price = price[np.isfinite(price)]
    if not len(price):
        return np.empty(0)
    return np.unique(np.quantile(price, (np.arange(n) + 0.5) / n))


def price_terms(frame: pl.DataFrame, places: NDArray[np.float64]) -> pl.DataFrame:
    """How near each price is to each mark: two items of like price share their marks.

    Like ``raw_terms``, in the block ``price``.
    """
    price = log_price(frame)
    width = max(float(np.ptp(places)) / max(len(places) - 1, 1), 0.1) if len(places) else 1.0
    near = np.exp(-0.5 * ((price[:, None] - places[None, :]) / width) ** 2)  # (n_items, n_places)
    at, mark = np.nonzero(near > 0.05)
    return pl.DataFrame(
        {
            "at": at.astype(np.uint32),
            "block": np.full(len(at), "price"),
            "term": np.char.add("price~", mark.astype(str)),
            "value": near[at, mark],
        },
        schema={"at": pl.UInt32, "block": pl.String, "term": pl.String, "value": pl.Float64},
    )
