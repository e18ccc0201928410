"""Text into tokens: words in the Latin way, single characters where a script has no spaces."""

from __future__ import annotations

from typing import Final

import polars as pl

__all__ = ["token_rows"]

_SPACELESS: Final = r"\p{Han}\p{Hiragana}\p{Katakana}"
_TOKEN: Final = rf"[{_SPACELESS}]|[[\p{{L}}\p{{M}}\p{{N}}]--[{_SPACELESS}]]+"


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
            .str.replace_all(r"['’]s\b|['’]", "")
            .str.extract_all(_TOKEN)
        )
        .explode(name)
        .drop_nulls(name)
        .with_columns(
            token.str.replace(r"^([a-z]{2,})ies$", "${1}y").str.replace(
                r"^([a-z]{2,}[b-hj-rtv-z])s$", "$1"
            )
        )
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
