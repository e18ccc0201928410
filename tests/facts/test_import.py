"""A shop's table becomes facts: the right columns, the right types, no row lost."""

import json
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.errors import BadMapping
from habitue.facts import Action, Item, Shopper
from habitue.facts.feeds.imports import import_table
from habitue.facts.feeds.mapping import Mapping, load_mapping, shipped_mappings
from tests.facts.tables import NOW, counts, imported, mapping, raw_table

EVENTS = """
time_zone = "UTC"
[action]
shopper = "visitor"
item = "product"
at = { column = "ms", unit = "ms" }
kind = { column = "event", translate = { view = "view_item", cart = "add_to_cart" } }
"""
ORDERS = """
currency = "EUR"
time_zone = "Europe/Berlin"
[action]
kind = "purchase"
shopper = { column = "customer", or_else = "order:{order}" }
item = { column = "sku", case = "upper" }
at = "when"
order_id = "order"
quantity = "pieces"
price = "price"
"""
LINE: dict[str, Any] = {
    "customer": "anna", "order": "o-1", "sku": "TEA", "when": "2023-06-01 12:00",
    "pieces": "2", "price": "2.55",
}  # fmt: skip


def orders(**top: Any) -> Mapping:
    return mapping(ORDERS, **top)


def test_words_of_the_source_become_kinds_and_unknown_ones_are_refused() -> None:
    row = {"visitor": "v", "product": "p", "ms": NOW}
    result = imported(
        [row | {"event": e} for e in ("view", "cart", "purchase", "teleport", None)],
        mapping(EVENTS),
    )
    assert result.actions["kind"].to_pylist() == [
        "view_item", "add_to_cart", "purchase",
    ]  # fmt: skip
    assert counts(result) == {"kind_unknown": 2}


def test_an_order_line_by_hand() -> None:
    (action,) = next(imported([LINE], orders()).facts())
    assert isinstance(action, Action)
    assert action.at == 1_685_613_600_000  # noon in Berlin is ten o'clock UTC in summer
    assert (action.kind, action.shopper, action.item, action.order_id) == (
        "purchase", "anna", "TEA", "o-1",
    )  # fmt: skip
    assert (action.quantity, action.price_micros, action.value_minor) == (2, 2_550_000, 510)
    assert action.currency == "EUR"
    assert action.id is not None
    assert action.id.endswith("-000000000000")


def test_the_same_file_gives_the_same_ids_and_another_file_others() -> None:
    rows = [LINE, LINE | {"sku": "CUP"}]
    one = import_table(raw_table(rows), orders(), now_ms=NOW).actions["id"].to_pylist()
    assert one == import_table(raw_table(rows), orders(), now_ms=NOW).actions["id"].to_pylist()
    assert len(set(one)) == 2
    renamed = orders(name="other")
    assert not set(one) & set(
        import_table(raw_table(rows), renamed, now_ms=NOW).actions["id"].to_pylist()
    )


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"pieces": "two"}, "quantity", "no number"),
        ({"pieces": "0"}, "quantity", "above 0"),
        ({"pieces": "-3"}, "quantity", "above 0"),
        ({"price": "2,55"}, "price", "no amount"),
        ({"price": "-2.55"}, "price_micros", "at least 0"),
        ({"price": "0"}, "price", "zero"),
        ({"when": "soon"}, "at", "no time"),
        ({"when": None}, "at", "no time"),
        ({"when": "2033-01-01"}, "at", "future"),
        ({"when": "1970-01-01"}, "at", "before 1990"),
        ({"sku": "  "}, "item", "must name the item"),
        ({"sku": "x" * 201}, "item", "at most 200"),
        ({"customer": None, "order": None}, "shopper", "names no shopper"),
    ],
)
def test_a_bad_row_is_refused_with_field_and_reason_beside_good_ones(
    change: dict[str, Any], field: str, reason: str
) -> None:
    result = imported([LINE, LINE | {"sku": "CUP"} | change, LINE | {"sku": "POT"}], orders())
    assert result.actions["item"].to_pylist() == ["TEA", "POT"]
    ((line, where, why, said),) = result.rejects.rows()
    assert (line, where) == (2, field)
    assert reason in why
    assert json.loads(said) == LINE | {"sku": "CUP"} | change


def test_what_was_mended_is_counted() -> None:
    rows = [LINE, LINE | {"sku": " cup "}, LINE | {"sku": "pot", "customer": None}]
    result = imported(rows, orders())
    assert result.actions["item"].to_pylist() == ["TEA", "CUP", "POT"]
    assert result.actions["shopper"].to_pylist() == ["anna", "anna", "order:o-1"]
    assert (result.report.kept, result.report.mended) == (1, 2)
    assert counts(result) == {"shopper_stood_in": 1, "item_tidied": 2}


@pytest.mark.parametrize(
    ("said", "ms"),
    [
        ("2023-06-01 12:00", 1_685_613_600_000),
        ("2023-06-01T12:00:00", 1_685_613_600_000),
        ("2023-06-01T12:00:00.250", 1_685_613_600_250),
        ("2023-06-01T10:00:00Z", 1_685_613_600_000),
        ("2023-06-01T15:30:00+05:30", 1_685_613_600_000),
        ("2023-06-01 10:00:00+00", 1_685_613_600_000),
        ("2023-06-01 10:00:00.5 UTC", 1_685_613_600_500),
        ("2023-06-01T10:00Z", 1_685_613_600_000),
        ("2023-06-01", 1_685_570_400_000),
        ("1685613600", 1_685_613_600_000),
        ("1685613600000", 1_685_613_600_000),
    ],
)
def test_times_in_the_ways_files_write_them(said: str, ms: int) -> None:
    assert imported([LINE | {"when": said}], orders()).actions["at"].to_pylist() == [ms]


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        ("2023-06-01 12:00:00", pl.Datetime("us")),
        ("2023-06-01 12:00:00", pl.Datetime("ms", "Europe/Berlin")),
        (1_685_613_600, pl.Int64),
        (1_685_613_600_000_000, pl.Int64),
        (1_685_613_600.0, pl.Float64),
    ],
)
def test_times_in_the_types_columns_have(column: Any, dtype: Any) -> None:
    raw = raw_table([LINE])
    typed = pl.Series("when", [column])
    if isinstance(dtype, pl.Datetime):
        typed = typed.str.to_datetime().dt.cast_time_unit(dtype.time_unit)
        typed = typed.dt.replace_time_zone(dtype.time_zone)
    else:
        typed = typed.cast(dtype)
    table = type(raw)(raw.frame.with_columns(typed), "test", "ab" * 32)
    assert import_table(table, orders(), now_ms=NOW).actions["at"].to_pylist() == [
        1_685_613_600_000
    ]


def test_hours_that_clocks_skip_or_repeat() -> None:
    skipped, repeated = "2023-03-26 02:30", "2023-10-29 02:30"
    rows = [LINE | {"when": skipped}, LINE | {"when": repeated}]
    result = imported(rows, orders())
    assert result.actions["at"].to_pylist() == [
        1_679_794_200_000,  # 03:30 summer time, an hour after 01:30 UTC... = 01:30 UTC
        1_698_539_400_000,  # the first 02:30, still summer time: 00:30 UTC
    ]
    assert counts(result) == {"at_in_skipped_hour": 1}


def test_a_format_is_obeyed() -> None:
    american = ORDERS.replace('"when"', '{ column = "when", format = "%m/%d/%Y %H:%M" }')
    result = imported([LINE | {"when": "6/1/2023 12:00"}], mapping(american))
    assert result.actions["at"].to_pylist() == [1_685_613_600_000]


def test_ids_that_a_missing_value_made_floats_are_whole_again() -> None:
    rows = [LINE | {"customer": 17850.0}, LINE | {"customer": None}]
    result = imported(rows, orders())
    assert result.actions["shopper"].to_pylist() == ["17850", "order:o-1"]


def test_amounts_in_minor_units_micros_and_written_prices() -> None:
    for unit, said in (("minor", 255), ("micros", 2_550_000), ("price", "2.55 USD")):
        how = ORDERS.replace('price = "price"', f'price = {{ column = "price", unit = "{unit}" }}')
        row = imported([LINE | {"price": said}], mapping(how)).actions.to_pylist()[0]
        assert (row["price_micros"], row["value_minor"]) == (2_550_000, 510)
        assert row["currency"] == ("USD" if unit == "price" else "EUR")


def test_numbers_too_large_are_refused_and_not_wrapped_around() -> None:
    rows = [LINE | {"price": "900000000", "pieces": pieces} for pieces in ("1", "1000000000")]
    result = imported(rows, orders())
    assert result.actions["value_minor"].to_pylist() == [90_000_000_000]
    assert result.rejects["field"].to_list() == ["value_minor"]


def test_numbers_that_pandas_left_empty_are_missing_and_infinite_ones_wrong() -> None:
    nan, inf = float("nan"), float("inf")
    rows = [LINE | {"price": price, "pieces": 2.0} for price in (2.55, nan, inf, 1e300)]
    rows += [LINE | {"price": 2.55, "pieces": pieces} for pieces in (nan, inf)]
    result = imported(rows, orders())
    assert result.actions["value_minor"].to_pylist() == [510, None, 255]
    assert result.rejects.select("line", "field").rows() == [
        (3, "price"),
        (4, "price"),
        (6, "quantity"),
    ]


def test_a_nul_no_store_could_keep_is_taken_out() -> None:
    assert imported([LINE | {"sku": "t\0ea"}], orders()).actions["item"].to_pylist() == ["TEA"]


def test_a_table_without_rows_is_no_error() -> None:
    result = imported([], orders(), schema=dict.fromkeys(LINE, pl.String))
    assert (result.report.rows_read, result.actions.num_rows) == (0, 0)
    assert list(result.facts()) == []
    silent = imported([dict.fromkeys(LINE)], orders(), schema=dict.fromkeys(LINE, pl.Null))
    assert silent.report.rejected == 1


def test_an_amount_needs_a_currency() -> None:
    with pytest.raises(BadMapping, match="currency"):
        imported([LINE], mapping(ORDERS.replace('currency = "EUR"\n', "")))


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(BadMapping, match=r"no column 'sku'.*customer, order"):
        imported([{k: v for k, v in LINE.items() if k != "sku"}], orders())


def test_columns_of_the_source_may_be_kept_beside() -> None:
    how = mapping(ORDERS + '[action.extra]\ntill = "till"\nnote = "note"\n')
    rows = [LINE | {"till": 4, "note": 'say "hi"\nto anna'}, LINE | {"till": None, "note": None}]
    extra = imported(rows, how).actions["extra"].to_pylist()
    assert json.loads(extra[0]) == {"till": "4", "note": 'say "hi"\nto anna'}
    assert extra[1] is None


ITEMS = ORDERS + '[item]\ntitle = "name"\nprice = "price"\nnew_version = "day"\n'


def test_items_are_versioned_without_looking_ahead() -> None:
    rows = [
        LINE | {"when": f"2023-06-0{day} {hour}:00", "price": price, "name": name}
        for day, hour, price, name in [
            (1, "09", "2.50", "Tea"),
            (1, "10", "2.70", "Tea"),
            (1, "11", "2.70", " Tea "),
            (2, "09", "2.70", None),
            (3, "09", "3.00", "Green tea"),
        ]
    ]
    result = imported(rows, mapping(ITEMS))
    versions = [
        (v["valid_from_ms"], msgspec.json.decode(v["body"], type=Item))
        for v in result.items.to_pylist()
    ]
    at = result.actions["at"].to_pylist()
    assert [(when, item.title, item.price_micros) for when, item in versions] == [
        (at[0], "Tea", 2_500_000),  # the first line as it stood
        (at[2], "Tea", 2_700_000),  # the day's median, known from its last line on
        (at[4], "Green tea", 3_000_000),  # nothing new on the second day
    ]
    assert all(item.valid_from == when and item.currency == "EUR" for when, item in versions)


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 5), st.sampled_from(["a", "b"])),
        min_size=1,
        max_size=25,
    ),
    st.integers(0, 20),
    st.sampled_from(["row", "day", "week", "month"]),
)
@settings(max_examples=15, deadline=None)
def test_versions_of_today_stay_when_tomorrow_is_cut_off(
    lines: list[tuple[int, int, str]], today: int, every: str
) -> None:
    how = mapping(ITEMS.replace('"day"', f'"{every}"'))
    rows = [
        (day, LINE | {"when": f"2023-06-{1 + day:02d} 12:00", "price": str(price), "sku": sku})
        for day, price, sku in lines
    ]
    rows = [(day, row | {"name": f"{row['sku']}{row['price']}"}) for day, row in rows]
    known = [row for day, row in rows if day <= today]
    if not known:
        return
    whole = imported([row for _, row in rows], how).items.to_pylist()
    midnight = 1_685_570_400_000 + (today + 1) * 86_400_000
    cut = imported(known, how).items.to_pylist()
    assert all(version in cut for version in whole if version["valid_from_ms"] < midnight)


def test_people_are_told_once_and_again_when_they_move() -> None:
    how = mapping(ORDERS + '[shopper]\ncountry = "country"\n')
    rows = [
        LINE | {"when": f"2023-06-0{n} 12:00", "country": country, "customer": customer}
        for n, (customer, country) in enumerate(
            [("anna", "FR"), ("anna", "FR"), ("anna", None), ("anna", "DE"), (None, "DE")], 1
        )
    ]
    bodies = imported(rows, how).shoppers["body"].to_pylist()
    people = [msgspec.json.decode(body, type=Shopper) for body in bodies]
    assert [(person.id, person.country) for person in people] == [("anna", "FR"), ("anna", "DE")]


CATALOGUE = """
currency = "EUR"
[item]
id = "id"
title = "title"
price = { column = "price", unit = "price" }
availability = "availability"
stock = "stock"
[item.attributes]
flavour = "flavour"
"""


def test_a_catalogue_is_a_version_a_row() -> None:
    row: dict[str, Any] = {"id": "tea", "title": "Tea", "price": "15.00 USD"}
    row |= {"availability": "in stock", "stock": "4", "flavour": "mint"}
    rows = [row, row | {"id": None}, row | {"availability": "gone"}, row | {"price": "cheap"}]
    result = imported(rows, mapping(CATALOGUE))
    (version,) = result.items.to_pylist()
    assert version["valid_from_ms"] == NOW
    assert msgspec.json.decode(version["body"], type=Item) == Item(
        id="tea", title="Tea", price_micros=15_000_000, currency="USD", availability="in_stock",
        stock=4, attributes={"flavour": "mint"}, valid_from=NOW,
    )  # fmt: skip
    assert result.rejects["field"].to_list() == ["id", "availability", "price"]
    assert result.actions.num_rows == 0


CELLS = {
    "customer": st.sampled_from(["anna", "", None, "x" * 300]),
    "order": st.sampled_from(["o-1", "o-2", None]),
    "sku": st.sampled_from(["TEA", "tea", "POST", None]),
    "when": st.sampled_from(["2023-06-01 12:00", "never", None, "2035-01-01"]),
    "pieces": st.sampled_from(["1", "2", "-1", "1e99", "nan", "", None]),
    "price": st.sampled_from(["2.55", "0", "-1", "99999999999999", "inf", None]),
}


@given(st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_no_row_is_ever_lost(rows: list[dict[str, Any]]) -> None:
    result = imported(rows, orders(), schema=dict.fromkeys(CELLS, pl.String))
    taken = {int(i[-12:]) for i in result.actions["id"].to_pylist()}
    refused = {line - 1 for line in result.rejects["line"].to_list()}
    assert taken | refused == set(range(len(rows)))
    assert not taken & refused
    facts = [fact for batch in result.facts(7) for fact in batch]
    assert len(facts) == len(taken)  # each is a valid Action: decoding checks every bound
    assert all(reason for reason in result.rejects["reason"].to_list())


def test_facts_keep_the_lines_of_an_order_together() -> None:
    rows = [LINE | {"order": o, "sku": str(n)} for n, o in enumerate("aaabbcccc")]
    batches = [
        [fact.order_id for fact in batch if isinstance(fact, Action)]
        for batch in imported(rows, orders()).facts(2)
    ]
    assert batches == [["a"] * 3, ["b"] * 2, ["c"] * 4]


def test_the_shipped_mappings_can_be_read() -> None:
    assert "online-retail" in shipped_mappings()
    for name in shipped_mappings():
        assert load_mapping(name).name == name
