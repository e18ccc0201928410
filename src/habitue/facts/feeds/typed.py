"""Columns of text and numbers as a source wrote them, turned into the types facts have."""

from __future__ import annotations

import re

import polars as pl

from habitue.errors import BadMapping
from habitue.facts.feeds.mapping import FieldMap
from habitue.facts.money import EXPONENTS, MICROS, minor_exponent

__all__ = ["amount", "currency_in", "instant", "number", "span", "text", "texts", "total_minor"]

_PRICE = r"^\s*(?:([A-Za-z]{3})\s*)?(-?\d+(?:\.\d+)?)(?:\s*([A-Za-z]{3}))?\s*$"
_NEXT_ADDRESS = r"\s*,\s*([A-Za-z][A-Za-z0-9+.-]*://)"
_ZONED = ("%+", "%F %T%.f%#z", "%FT%T%.f%#z", "%FT%H:%M%#z")
_WALL_CLOCK = ("%FT%T%.f", "%F %T%.f", "%FT%H:%M", "%F %H:%M", "%F")


def text(field: FieldMap, schema: pl.Schema) -> pl.Expr:
    """The field as text, without blanks around it; empty is null."""
    if field.template is not None:
        said = _template(field.template, schema)
    elif field.value is not None:
        said = pl.lit(str(field.value))
    else:
        assert field.column is not None
        said = _as_text(field.column, schema, field.between)
    if field.column is not None and schema[field.column] == pl.String:
        said = said.str.replace_all("\0", "", literal=True)  # no store can keep a NUL
    said = said.str.strip_chars()
    said = pl.when(said != "").then(said)
    if field.case != "keep":
        said = said.str.to_uppercase() if field.case == "upper" else said.str.to_lowercase()
    if field.translate:
        said = said.replace(field.translate)
    if field.or_else is not None:
        said = pl.coalesce(said, _template(field.or_else, schema))
    return said


def number(field: FieldMap, schema: pl.Schema) -> pl.Expr:
    """The field as a double; null where it is no number."""
    if field.value is not None:
        return pl.lit(field.value).cast(pl.Float64, strict=False)
    if field.column is not None and schema[field.column].is_numeric() and not field.translate:
        return pl.col(field.column).cast(pl.Float64).fill_nan(None)  # how pandas writes nothing
    return text(field, schema).cast(pl.Float64, strict=False)


def amount(field: FieldMap, schema: pl.Schema, currency: pl.Expr | str) -> pl.Expr:
    """An amount of money as integer micros of its currency, rounded to the nearest micro."""
    unit = field.unit or "units"
    if unit == "price":
        digits = text(field, schema).str.extract(_PRICE, 2).cast(pl.Float64, strict=False)
        return (digits * MICROS).round().cast(pl.Int64, strict=False)
    said = number(field, schema)
    if unit == "micros":
        return said.round().cast(pl.Int64, strict=False)
    if unit == "minor":
        return (said * _micros_a_minor(currency)).round().cast(pl.Int64, strict=False)
    if unit == "units":
        return (said * MICROS).round().cast(pl.Int64, strict=False)
    raise BadMapping(f"{unit!r} is a unit of time, not of money.", field=field.column)


def currency_in(field: FieldMap, schema: pl.Schema) -> pl.Expr:
    """The currency written beside a price such as "2.55 GBP"."""
    said = text(field, schema)
    beside = pl.coalesce(said.str.extract(_PRICE, 1), said.str.extract(_PRICE, 3))
    return beside.str.to_uppercase()


def total_minor(price_micros: pl.Expr, quantity: pl.Expr, currency: pl.Expr | str) -> pl.Expr:
    """Unit price times quantity in minor units of the currency, halves to the even unit."""
    step = _micros_a_minor(currency)
    pieces = quantity.fill_null(1.0)
    about = price_micros * pieces  # as doubles: what is too large for integers shows here
    product = price_micros * pieces.cast(pl.Int64, strict=False)
    floor = product // step
    over = (product - floor * step) * 2
    up = (over > step) | ((over == step) & (floor % 2 == 1))
    rounded = (about / step).round().clip(-1e18, 1e18).cast(pl.Int64, strict=False)
    exact = (pieces == pieces.floor()) & (about.abs() < 9e18)
    return pl.when(exact).then(floor + up.cast(pl.Int64)).otherwise(rounded)


def instant(field: FieldMap, schema: pl.Schema, time_zone: str) -> tuple[pl.Expr, pl.Expr]:
    """The field as UTC milliseconds, and where its wall clock skipped the hour it names.

    Times without a zone are the shop's. An hour that happened twice is taken as its first; one that
    clocks skipped is taken an hour later, as a clock that was not put forward would show it.
    """
    never = pl.lit(False)
    if field.value is not None or field.template is not None:
        return _instant_of_text(text(field, schema), field.format, time_zone)
    assert field.column is not None
    dtype, column = schema[field.column], pl.col(field.column)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return column.dt.epoch("ms"), never
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        return _of_wall_clock(column.cast(pl.Datetime("ms")), time_zone)
    if dtype.is_numeric() and field.format is None:
        return _of_epoch(column, field.unit), never
    return _instant_of_text(text(field, schema), field.format, time_zone, field.unit)


def span(field: FieldMap, schema: pl.Schema, time_zone: str) -> tuple[pl.Expr, pl.Expr]:
    """Two times with a stroke between them, as UTC milliseconds; null where one is no time."""
    ends = text(field, schema).str.split("/")
    since, until = (
        _instant_of_text(ends.list.get(place, null_on_oob=True), None, time_zone)[0]
        for place in (0, 1)
    )
    return since, until


def texts(field: FieldMap, schema: pl.Schema) -> pl.Expr:
    """Several addresses, a list or one text with commas between, as a JSON list; none is null.

    An address may hold commas itself: it ends where another begins.
    """
    if field.column is not None and isinstance(schema[field.column], pl.List):
        said = pl.col(field.column).cast(pl.List(pl.String))
    else:
        said = text(field, schema).str.replace_all(_NEXT_ADDRESS, "\n${1}").str.split("\n")
    one = pl.element().str.strip_chars()
    several = said.list.eval(one.filter(one != ""))
    encoded = pl.struct(several.alias("l")).struct.json_encode()
    return pl.when(several.list.len() > 0).then(encoded.str.slice(5).str.head(-1))


def _as_text(column: str, schema: pl.Schema, between: str = " ") -> pl.Expr:
    said = pl.col(column)
    if schema[column] == pl.String:
        return said
    if isinstance(schema[column], pl.List):
        return said.cast(pl.List(pl.String)).list.drop_nulls().list.join(between)
    if schema[column].is_float():  # an id that a missing value made a float: 17850.0 is 17850
        whole = said.is_finite() & (said == said.round()) & (said.abs() < 2**53)
        as_integer = said.cast(pl.Int64, strict=False).cast(pl.String)
        return pl.when(whole).then(as_integer).otherwise(said.cast(pl.String))
    return said.cast(pl.String)


def _template(template: str, schema: pl.Schema) -> pl.Expr:
    """Columns put into a template; null where any of them is."""
    parts = re.split(r"\{([^{}]+)\}", template)
    pieces = [
        _as_text(part, schema).str.strip_chars() if place % 2 else pl.lit(part)
        for place, part in enumerate(parts)
        if part
    ]
    return pl.concat_str(pieces)


def _micros_a_minor(currency: pl.Expr | str) -> pl.Expr | int:
    """How many micros a minor unit of the currency is, or of each row's."""
    if isinstance(currency, str):
        return int(10 ** (6 - minor_exponent(currency)))
    steps = {code: 10 ** (6 - digits) for code, digits in EXPONENTS.items()}
    return currency.replace_strict(steps, default=10_000, return_dtype=pl.Int64)


def _of_wall_clock(wall: pl.Expr, time_zone: str) -> tuple[pl.Expr, pl.Expr]:
    if time_zone == "UTC":
        return wall.dt.epoch("ms"), pl.lit(False)
    there = wall.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
    later = (wall + pl.duration(hours=1)).dt.replace_time_zone(
        time_zone, ambiguous="earliest", non_existent="null"
    )
    skipped = wall.is_not_null() & there.is_null()
    return pl.coalesce(there, later).dt.epoch("ms"), skipped


def _of_epoch(column: pl.Expr, unit: str | None) -> pl.Expr:
    """Numbers since 1970, in the unit named or else the one that makes each plausible."""
    per: dict[str, int] = {"us": 1000, "ns": 1_000_000}
    if unit in per:
        return (column // per[unit]).cast(pl.Int64, strict=False)
    if unit in ("s", "ms"):
        return (column * (1000 if unit == "s" else 1)).cast(pl.Int64, strict=False)
    if unit is not None:
        raise BadMapping(f"{unit!r} is a unit of money, not of time.")
    size = column.abs()
    return (
        pl.when(size < 1e11)
        .then(column * 1000)
        .when(size < 1e14)
        .then(column)
        .when(size < 1e17)
        .then(column // 1000)
        .otherwise(column // 1_000_000)
        .cast(pl.Int64, strict=False)
    )


def _instant_of_text(
    said: pl.Expr, form: str | None, time_zone: str, unit: str | None = None
) -> tuple[pl.Expr, pl.Expr]:
    if form is not None and re.search(r"%[#:]*z|%\+|%Z", form):
        aware = said.str.to_datetime(form, strict=False, time_zone="UTC", time_unit="ms")
        return aware.dt.epoch("ms"), pl.lit(False)
    forms = (form,) if form is not None else _WALL_CLOCK
    wall = pl.coalesce(said.str.to_datetime(f, strict=False, time_unit="ms") for f in forms)
    at, skipped = _of_wall_clock(wall, time_zone)
    if form is not None:
        return at, skipped
    aware = pl.coalesce(
        said.str.to_datetime(f, strict=False, time_zone="UTC", time_unit="ms") for f in _ZONED
    )
    since = _of_epoch(said.cast(pl.Int64, strict=False), unit)
    return pl.coalesce(aware.dt.epoch("ms"), at, since), skipped & aware.is_null()
