"""Text into tokens: words in the Latin way, single characters where a script has no spaces."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import polars as pl

__all__ = ["token_rows", "tokens_of"]

_SPACELESS: Final = (  # Han, Hiragana and Katakana, without their punctuation
    (0x3005, 0x3007),
    (0x3041, 0x3096),
    (0x309D, 0x309F),
    (0x30A1, 0x30FA),
    (0x30FC, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_RANGES: Final = "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in _SPACELESS)
_POSSESSIVE: Final = r"['’]s\b|['’]"
_PLURAL_Y: Final = r"^([a-z]{2,})ies$"
_PLURAL: Final = r"^([a-z]{2,}[b-hj-rtv-z])s$"
_TOKEN: Final = rf"[{_RANGES}]|[[\p{{L}}\p{{M}}\p{{N}}]--[{_RANGES}]]+"


def token_rows(text: pl.Series, *, pairs: bool = False) -> pl.DataFrame:
    """The tokens of many texts: columns ``text`` (uint32, which one) and ``token``, in order.

    Compatibility forms are unified (NFKC), case is dropped, an English possessive or plural ending
    is cut. ``pairs`` adds each two neighbouring tokens as one, which is how words of spaceless
    scripts are met. Nulls have no tokens.

    >>> token_rows(pl.Series(["Women's Red MUGS"]))["token"].to_list()
    ['women', 'red', 'mug']
    >>> token_rows(pl.Series(["红茶杯"]), pairs=True)["token"].to_list()
    ['红', '茶', '杯', '红 茶', '茶 杯']
    """
    name = "token"
    token = pl.col(name)
    single = (
        pl.DataFrame({name: text.cast(pl.String)})
        .with_row_index("text")
        .with_columns(
            token.str.normalize("NFKC")
            .str.to_lowercase()
            .str.replace_all(_POSSESSIVE, "")
            .str.extract_all(_TOKEN)
        )
        .explode(name)
        .drop_nulls(name)
        .with_columns(token.str.replace(_PLURAL_Y, "${1}y").str.replace(_PLURAL, "$1"))
    )
    if not pairs:
        return single
    follows = (pl.col("text") == pl.col("text").shift(-1)).fill_null(False)
    double = (
        single.with_columns(
            pl.format("{} {}", token, token.shift(-1)).alias("pair"), follows=follows
        )
        .filter("follows")
        .select("text", pl.col("pair").alias(name))
    )
    return pl.concat([single, double])


def tokens_of(text: str | None) -> list[str]:
    """The same tokens of one text, without a frame.

    >>> tokens_of("Women's Red MUGS, 红茶")
    ['women', 'red', 'mug', '红', '茶']
    """
    if not text:
        return []
    text = re.sub(_POSSESSIVE, "", unicodedata.normalize("NFKC", text).lower())
    words = re.findall(r"[a-z0-9]+", text) if text.isascii() else _runs(text)
    return [re.sub(_PLURAL, r"\1", re.sub(_PLURAL_Y, r"\1y", word)) for word in words]


def _runs(text: str) -> list[str]:
    """Runs of letters, marks and digits; each spaceless character is a run of its own."""
    runs, run = [], ""
    for character in text + " ":
        spaceless = any(first <= ord(character) <= last for first, last in _SPACELESS)
        if not spaceless and unicodedata.category(character)[0] in "LMN":
            run += character
            continue
        if run:
            runs.append(run)
            run = ""
        if spaceless:
            runs.append(character)
    return runs
