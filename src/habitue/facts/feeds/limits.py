"""The bounds that the fact structs declare, as column expressions.

``Action`` and ``Item`` say once how long a text and how large a number may be; rows of tables are
held to the same bounds as JSON bodies because both are read from there.
"""

from __future__ import annotations

from functools import reduce

import msgspec
import polars as pl
from msgspec import inspect

from habitue.facts.cleaning.findings import Finding

__all__ = ["out_of_bounds"]


def out_of_bounds(
    struct: type[msgspec.Struct], columns: set[str], prefix: str = ""
) -> list[Finding]:
    """A rejecting finding for every bound of the struct's fields that are among ``columns``.

    The frame's columns have ``prefix`` before the field's name.
    """
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    findings = []
    for field in info.fields:
        if field.name not in columns:
            continue
        options = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        for option in options:
            broken, words = _bounds(option, pl.col(prefix + field.name))
            if broken:
                reason = f"the {field.name} must be {' and '.join(words)}"
                where = reduce(lambda one, other: one | other, broken)
                findings.append(
                    Finding(
                        f"{prefix}{field.name}_out_of_bounds", field.name, reason, "rejected", where
                    )
                )
    return findings


def _bounds(option: inspect.Type, column: pl.Expr) -> tuple[list[pl.Expr], list[str]]:
    """Conditions that break a type's bounds, and the bounds in words."""
    broken: list[pl.Expr] = []
    words: list[str] = []
    if isinstance(option, inspect.StrType):
        if option.max_length is not None:
            broken.append(column.str.len_chars() > option.max_length)
            words.append(f"at most {option.max_length} characters")
        if option.pattern is not None:
            broken.append(~column.str.contains(option.pattern))
            words.append(f"of the form {option.pattern}")
    elif isinstance(option, inspect.LiteralType):
        broken.append(~column.is_in(list(option.values)))
        words.append(f"one of {', '.join(map(str, option.values))}")
    elif isinstance(option, inspect.IntType | inspect.FloatType):
        for bound, word, outside in (
            (option.gt, "above", column.le),
            (option.ge, "at least", column.lt),
            (option.lt, "below", column.ge),
            (option.le, "at most", column.gt),
        ):
            if bound is not None:
                broken.append(outside(bound))
                words.append(f"{word} {bound:g}")
        if broken and isinstance(option, inspect.FloatType):
            broken.append(column.is_nan())
    return broken, words
