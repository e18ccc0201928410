"""JSON objects built from columns, without a loop over rows."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

__all__ = ["json_object"]


def json_object(members: Mapping[str, tuple[str, pl.DataType | type[pl.DataType]]]) -> pl.Expr:
    """A JSON object for each row out of columns: name to (column, type of the column).

    Members whose value is null are left out; an object without members is null. Text that begins
    as an object (type ``pl.Struct``) is put in as it is.
    """
    pieces = []
    for name, (column, dtype) in members.items():
        value = pl.col(column)
        if dtype == pl.Struct:
            said = pl.concat_str(pl.lit(f'"{name}":'), value)
        elif dtype == pl.Boolean:
            said = pl.when(value).then(pl.lit(f'"{name}":true'))
        elif dtype == pl.String:
            encoded = pl.struct(value.alias(name)).struct.json_encode()
            said = pl.when(value.is_not_null()).then(encoded.str.slice(1).str.head(-1))
        else:
            said = pl.concat_str(pl.lit(f'"{name}":'), value.cast(pl.String))
        pieces.append(said)
    inside = pl.concat_str(pieces, separator=",", ignore_nulls=True)
    return pl.when(inside != "").then(pl.concat_str(pl.lit("{"), inside, pl.lit("}")))
