"""Where and how actions happened, from the store's columns of text to codes."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.facts import NOT_SAID, SIDES, Circumstances, Side, Vocabulary

__all__ = ["MOST_NAMES", "SAID", "circumstances_of"]

_COLUMN: Final[dict[Side, str]] = {side: side for side in SIDES} | {"words": "query"}

SAID: Final = tuple(_COLUMN[side] for side in SIDES)
"""The columns of the store that say it."""

_SPACE: Final = r"[\s\x1c-\x1f]+"  # what Python splits at

MOST_NAMES: Final = 4_096
"""Texts kept of a side, the most frequent ones; of words searched all are."""


def circumstances_of(frame: pl.DataFrame, most_names: int = MOST_NAMES) -> Circumstances | None:
    """The circumstances of N actions in order of time; ``None`` where none of them says any.

    ``frame`` holds the columns ``SAID`` as categoricals. Costs a hash of each column; texts are
    tidied once each, not once an action.
    """
    if not any(frame[name].null_count() < frame.height for name in SAID):
        return None
    columns: dict[str, NDArray[np.int32]] = {}
    names: dict[str, tuple[str, ...]] = {}
    for side in SIDES:
        most = None if side == "words" else most_names
        columns[side], names[side] = _coded(frame[_COLUMN[side]], side, most)
    return Circumstances(
        **{side: columns[side].astype(np.int16) for side in SIDES if side != "words"},
        words=columns["words"],
        vocabulary=Vocabulary(**names),
    )


def _coded(
    column: pl.Series, side: Side, most: int | None
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Codes (N,) of a column of texts, and the texts by code, in order of first appearance."""
    text = column.name
    said = column.to_frame().group_by(text, maintain_order=True).len("times").drop_nulls()
    plain = pl.col(text).cast(pl.String).str.replace_all(_SPACE, " ").str.strip_chars(" ")
    plain = plain.str.to_lowercase()
    if side == "locale":
        plain = plain.str.replace_all("_", "-", literal=True)
    said = said.with_columns(plain=plain)
    names = said.filter(pl.col("plain") != "").group_by("plain", maintain_order=True)
    kept = names.agg(pl.col("times").sum())
    if most is not None and kept.height > most:
        often = kept["times"].rank("ordinal", descending=True) <= most
        kept = kept.filter(often)
    kept = kept.with_columns(code=pl.int_range(1, kept.height + 1, dtype=pl.Int32, eager=True))
    code = said.join(kept, on="plain", how="left", maintain_order="left")["code"]
    codes = column.to_physical().replace_strict(
        said[text].to_physical(),
        code.fill_null(NOT_SAID),
        default=NOT_SAID,
        return_dtype=pl.Int32,
    )
    return codes.to_numpy(), ("", *kept["plain"].to_list())
