"""What an item is made of, as weighted terms: words, attributes, and where its price stands.

Written twice: over the columns of a whole catalogue, and plainly for the few items just posted,
where building frames would cost more than the work. The tests hold the two equal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.language.tokens import token_rows, tokens_of

__all__ = [
    "ATTRIBUTE",
    "PRICE",
    "TEXT",
    "attribute_terms",
    "attributes_of",
    "log_prices",
    "price_nearness",
    "price_places",
    "price_terms",
    "raw_terms",
    "spellings",
    "terms_of",
    "terms_of_words",
]

TEXT, ATTRIBUTE, PRICE = 0, 1, 2
"""The blocks of an item's terms; each is scaled to a length of its own."""

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
_STEP: Final = r"\s*[>/|]\s*"
_THOUSANDTHS: Final = (
    1000  # occurrences are added as whole numbers, so that no order of adding tells
)
_JSON: Final = msgspec.json.Decoder()


def raw_terms(frame: pl.DataFrame, *, description_weight: float) -> pl.DataFrame:
    """The terms of items given as a catalogue's frame; ``at`` is the place in the frame.

    Columns ``at`` (uint32), ``block`` (uint8), ``term`` and ``value``: how often a word occurs,
    dampened, or 1 for an attribute; in no order. Columns the frame lacks count as not said.
    """
    words = [_words(frame, "title", 1.0, pairs=True)]
    if description_weight > 0:
        words.append(_words(frame, "description", description_weight, pairs=False))
    dampened = (pl.col("value").sum() / _THOUSANDTHS).log1p()
    return pl.concat(
        [
            _block(pl.concat(words).group_by("at", "term").agg(dampened), TEXT),
            attribute_terms(frame),
        ]
    )


def attribute_terms(frame: pl.DataFrame) -> pl.DataFrame:
    """The attributes among the terms of items: ``raw_terms`` without the words."""
    said = [_attribute(frame, name) for name in _NAMED]
    said += [_path(frame, name) for name in _PATHS]
    said.append(_free_attributes(frame).select("at", "term"))
    return _block(pl.concat(said).unique().with_columns(value=pl.lit(1.0)), ATTRIBUTE)


def spellings(frame: pl.DataFrame) -> pl.DataFrame:
    """How what attributes name is written before a shopper: each ``term`` once, and its ``name``.

    As the first item that says it has it; of categories ``name`` is the last step, ``path`` all.
    """
    fields = {field: _written(frame, field) for field in _NAMED}
    fields |= {field: _steps(_written(frame, field), field) for field in _PATHS}
    free = _free_attributes(frame).select("term", path="written", name="written")
    written = [
        said.select(
            term=pl.format(field + "={}", pl.col(field).str.to_lowercase()),
            path=pl.col(field).str.replace_all(">", " > ", literal=True) if steps else field,
            name=pl.col(field).str.split(">").list.last() if steps else field,
        )
        for field, said in fields.items()
        for steps in (field in _PATHS,)
    ]
    return pl.concat([*written, free]).unique("term", keep="first", maintain_order=True)


def terms_of(
    item: Mapping[str, Any], *, description_weight: float
) -> Iterator[tuple[int, str, float]]:
    """The same of one item, given by its fields: blocks, terms and values."""
    counted = _counted(item.get("title"))
    if description_weight > 0:
        for token in tokens_of(item.get("description")):
            counted[token] = counted.get(token, 0) + round(description_weight * _THOUSANDTHS)
    for term, times in counted.items():
        yield TEXT, term, math.log1p(times / _THOUSANDTHS)
    for term in attributes_of(item):
        yield ATTRIBUTE, term, 1.0


def terms_of_words(text: str | None) -> Iterator[tuple[int, str, float]]:
    """The same of words searched, as of an item with such a title."""
    for term, times in _counted(text).items():
        yield TEXT, term, math.log1p(times / _THOUSANDTHS)


def _counted(title: str | None) -> dict[str, int]:
    """How often each word and pair of words stands in a title, in thousandths."""
    words = tokens_of(title)
    counted: dict[str, int] = {}
    for token in words + [f"{a} {b}" for a, b in pairwise(words)]:
        counted[token] = counted.get(token, 0) + _THOUSANDTHS
    return counted


def attributes_of(item: Mapping[str, Any]) -> set[str]:
    """The attributes among the terms of one item, given by its fields."""
    said = {f"{name}={text}" for name in _NAMED if (text := _tidy(item.get(name)))}
    for name in _PATHS:
        steps = re.split(_STEP, _tidy(item.get(name)))
        for n in range(1, min(len(steps), _PATH_STEPS) + 1) if steps != [""] else ():
            said.add(f"{name}={'>'.join(steps[:n])}")
    said.update(f"{name}={text.lower()}" for name, text in _free(item.get("attributes")))
    return said


def _block(frame: pl.DataFrame, block: int) -> pl.DataFrame:
    return frame.select(
        pl.col("at").cast(pl.UInt32), pl.lit(block, pl.UInt8).alias("block"), "term", "value"
    )


def _words(frame: pl.DataFrame, name: str, weight: float, *, pairs: bool) -> pl.DataFrame:
    text = frame[name] if name in frame.columns else pl.Series([], dtype=pl.String)
    tokens = token_rows(text, pairs=pairs)
    value = pl.lit(round(weight * _THOUSANDTHS), pl.Int64)
    return tokens.select(pl.col("text").alias("at"), term="token", value=value)


def _tidy(text: object) -> str:
    return "" if text is None else str(text).strip().lower()


def _written(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """``at`` and the text of one column as it was written, where it says anything."""
    if name not in frame.columns:
        return pl.DataFrame(schema={"at": pl.UInt32, name: pl.String})
    text = pl.col(name).cast(pl.String).str.strip_chars()
    column = frame.select(text).with_row_index("at")
    return column.filter(pl.col(name).is_not_null() & (pl.col(name) != ""))


def _attribute(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    tidy = pl.col(name).str.to_lowercase()
    return _written(frame, name).select("at", term=pl.format(name + "={}", tidy))


def _path(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """A category path ``a > b > c`` says ``a``, ``a > b`` and ``a > b > c``."""
    tidy = _written(frame, name).with_columns(pl.col(name).str.to_lowercase())
    return _steps(tidy, name).select("at", term=pl.format(name + "={}", name))


def _steps(said: pl.DataFrame, name: str) -> pl.DataFrame:
    """``at`` and each way from the first step of a category path, joined by ``>``."""
    steps = said.with_columns(pl.col(name).str.replace_all(_STEP, ">").str.split(">"))
    ways = [
        steps.filter(pl.col(name).list.len() >= n).select("at", pl.col(name).list.head(n))
        for n in range(1, _PATH_STEPS + 1)
    ]
    return pl.concat(ways).with_columns(pl.col(name).list.join(">"))


def _free(said: str | Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """The shop's own attributes, held as JSON or as fields: text, truth and whole numbers."""
    if said is None:
        return
    attributes = _JSON.decode(said) if isinstance(said, str) else said
    for name, value in attributes.items():
        if value is not None and not (isinstance(value, float) and value % 1):
            yield name, str(value).strip()


def _free_attributes(frame: pl.DataFrame) -> pl.DataFrame:
    """``at``, the ``term`` and what was ``written``."""
    at: list[int] = []
    told: list[tuple[str, str]] = []
    if "attributes" in frame.columns and frame["attributes"].null_count() < frame.height:
        for place, said in enumerate(frame["attributes"].to_list()):
            free = list(_free(said))
            at += [place] * len(free)
            told += free
    field, written = zip(*told, strict=True) if told else ((), ())
    found = pl.DataFrame(
        {"at": at, "field": field, "written": written},
        schema={"at": pl.UInt32, "field": pl.String, "written": pl.String},
    )
    tidy = pl.col("written").str.to_lowercase()
    return found.select("at", "written", term=pl.format("{}={}", "field", tidy))


def log_prices(frame: pl.DataFrame) -> NDArray[np.float64]:
    """Natural logarithm of each price in the base unit; NaN where there is none."""
    if "price_micros" not in frame.columns:
        return np.full(frame.height, np.nan)
    price = frame["price_micros"].cast(pl.Float64).fill_null(0.0).to_numpy()
    return np.where(price > 0, np.log(np.maximum(price, 1.0) / 1e6), np.nan)


def price_places(frame: pl.DataFrame, n: int) -> NDArray[np.float64]:
    """``n`` log prices that part the catalogue evenly: where the price scale has its marks."""
    price = log_prices(frame)
    price = price[np.isfinite(price)]
    if not len(price):
        return np.empty(0)
    return np.unique(np.quantile(price, (np.arange(n) + 0.5) / n))


def price_nearness(
    log_price: NDArray[np.float64], places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How near each price is to each mark (n, n_marks), 0 beyond sight and for no price.

    Two items of like price share their marks.
    """
    width = max(float(np.ptp(places)) / max(len(places) - 1, 1), 0.1) if len(places) else 1.0
    near = np.exp(-0.5 * ((log_price[:, None] - places[None, :]) / width) ** 2)
    return np.where(near > 0.05, near, 0.0)


def price_terms(frame: pl.DataFrame, places: NDArray[np.float64]) -> pl.DataFrame:
    """Nearness to the marks as terms, like ``raw_terms``."""
    near = price_nearness(log_prices(frame), places)
    at, mark = np.nonzero(near)
    terms = {"at": at, "term": [f"price~{m}" for m in mark], "value": near[at, mark]}
    schema = {"at": pl.UInt32, "term": pl.String, "value": pl.Float64}
    return _block(pl.DataFrame(terms, schema=schema, strict=False), PRICE)
