"""A shop says which items it means; every item is judged alike, one by one and by column."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.errors import BadFilter
from habitue.facts import Item
from habitue.policy.filters import matches
from habitue.policy.reading import MAX_DEPTH, MAX_LENGTH, parse_filter
from habitue.policy.shelf import Shelf, item_fields

MUG = Item(
    id="mug",
    price_micros=4_500_000,
    brand="Acme",
    color="Dark red",
    product_type="Home > Kitchen > Mugs",
    stock=3,
    attributes={"season": "summer", "handmade": True, "litres": 0.3},
)


@pytest.mark.parametrize(
    ("expression", "meant"),
    [
        ('price < 50 and brand in ("Acme", "Bolt") and not adult and "red" in color', True),
        ('attributes.season == "summer"', True),
        ('attributes.season == "Summer"', True),
        ("attributes.handmade", True),
        ("attributes.handmade == true", True),
        ("attributes.litres < 0.5", True),
        ('attributes.litres < "0.5"', False),
        ("attributes.unknown < 5", False),
        ("not attributes.unknown < 5", True),
        ("4.5 <= price < 5", True),
        ("5 > price >= 4.5", True),
        ("price == 4.5", True),
        ("sale_price < price", False),
        ("sale_price == none", True),
        ("price != none", True),
        ('brand != "acme"', False),
        ('gtin != "1"', True),
        ('gtin not in ("1", "2")', True),
        ('brand in ["bolt"]', False),
        ('"kitchen" in product_type', True),
        ('"it\\"s" in color', False),
        ("stock > 2 or adult", True),
        ("adult or stock > 3", False),
        ("not (adult or stock > 3)", True),
        ("stock > 1 and stock < 3 or price < 5", True),
        ("stock > 1 and (stock < 3 or price > 5)", False),
        ('item_type == "product" and availability == "in_stock"', True),
    ],
)
def test_an_expression_means_an_item_or_not(expression: str, meant: bool) -> None:
    assert matches(parse_filter(expression), item_fields(MUG)) is meant


@pytest.mark.parametrize(
    ("expression", "where", "what"),
    [
        ("price <", "character 8", "missing"),
        ('price < "ten"', "character 7", "price is a number"),
        ("brand == 3", "character 7", "brand is text"),
        ("colour == 1", "character 1", "no field 'colour'"),
        ("price + 1 < 3", "character 7", "not understood"),
        ('__import__("os")', "character 1", "no field"),
        ("adult adult", "character 7", "expected and, or"),
        ('brand in ("a" "b")', "character 15", "comma"),
        ("brand in ()", "character 12", "empty"),
        ('"abc', "character 1", "does not end"),
        ("(price < 3", "character 11", "parenthesis"),
        ("1 < 2", "character 3", "must be a field"),
        ("brand", "character 6", "comparison is missing"),
        ("price in price", "character 10", "list"),
        ('"3" in price', "character 8", "not text"),
        ("price < true", "character 7", "true, false and none"),
        ("", "its end", "missing"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    expression: str, where: str, what: str
) -> None:
    with pytest.raises(BadFilter) as refused:
        parse_filter(expression)
    assert where in str(refused.value)
    assert what in str(refused.value)
    assert refused.value.remedy


def test_length_and_depth_are_bounded() -> None:
    with pytest.raises(BadFilter, match="characters"):
        parse_filter("adult or " * (MAX_LENGTH // 9) + "adult    ")
    deep = MAX_DEPTH - 1
    assert parse_filter("(" * deep + "adult" + ")" * deep) == parse_filter("adult")
    with pytest.raises(BadFilter, match="levels"):
        parse_filter("not " * 400 + "adult")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    with suppress(BadFilter):
        parse_filter(text)


# A random expression, as text and as a plain Python judgement of the item: the reference.
Judge = Callable[[dict[str, Any]], bool]
Expression = tuple[str, Judge]

NUMBERS = {"price": "price_micros", "stock": "stock"}
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
}
WORDS = st.sampled_from(["Acme", "acme", "Bolt", "Größe", "red", "RED dark", "", "x"])


def _number(name: str, sign: str, bound: int) -> Expression:
    def judge(item: dict[str, Any]) -> bool:
        value = item.get(NUMBERS[name])
        if value is None:
            return False
        return OPERATORS[sign](value / 1e6 if name == "price" else value, bound)

    return f"{name} {sign} {bound}", judge


def _text(name: str, sign: str, word: str) -> Expression:
    def judge(item: dict[str, Any]) -> bool:
        value = item.get(name)
        return value is not None and OPERATORS[sign](value.casefold(), word.casefold())

    return f'{name} {sign} "{word}"', judge


def _contains(name: str, word: str) -> Expression:
    return (
        f"'{word}' in {name}",
        lambda item: word.casefold() in (item.get(name) or "\0").casefold(),
    )


def _attribute(sign: str, bound: float) -> Expression:
    def judge(item: dict[str, Any]) -> bool:
        value = (item.get("attributes") or {}).get("x")
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return False
        return OPERATORS[sign](value, bound)

    return f"attributes.x {sign} {bound}", judge


LEAVES = st.one_of(
    st.builds(
        _number,
        st.sampled_from(list(NUMBERS)),
        st.sampled_from(list(OPERATORS)),
        st.integers(-1, 4),
    ),
    st.builds(_text, st.sampled_from(["brand", "color"]), st.sampled_from(list(OPERATORS)), WORDS),
    st.builds(_contains, st.sampled_from(["brand", "color"]), WORDS),
    st.builds(_attribute, st.sampled_from(list(OPERATORS)), st.sampled_from([0, 0.5, 1])),
    st.just(("adult", lambda item: bool(item.get("adult")))),
    st.just(("gtin == none", lambda item: item.get("gtin") is None)),
)


def _join(word: str, left: Expression, right: Expression) -> Expression:
    def judge(item: dict[str, Any]) -> bool:
        if word == "and":
            return left[1](item) and right[1](item)
        return left[1](item) or right[1](item)

    return f"({left[0]} {word} {right[0]})", judge


EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(_join, st.sampled_from(["and", "or"]), inner, inner),
        inner.map(lambda one: (f"not ({one[0]})", lambda item: not one[1](item))),
    ),
    max_leaves=6,
)
ITEMS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "price_micros": st.integers(0, 4_000_000),
            "stock": st.integers(0, 3),
            "brand": WORDS,
            "color": WORDS,
            "gtin": st.just("1"),
            "adult": st.booleans(),
            "attributes": st.fixed_dictionaries(
                {}, optional={"x": st.one_of(st.booleans(), st.integers(0, 2), WORDS, st.none())}
            ),
        },
    ),
    min_size=1,
    max_size=8,
)


@given(ITEMS, EXPRESSIONS, st.integers(0, 7))
def test_columns_rows_and_plain_judgement_agree(
    bodies: list[dict[str, Any]], expression: Expression, late: int
) -> None:
    text, judge = expression
    shelf = Shelf()
    late = min(late, len(bodies))
    for row, body in enumerate(bodies[:late]):
        shelf.put(row, Item(id=f"i{row}", **body))
    shelf.mask(text)  # computed by column here, kept up to date item by item from here on
    for row, body in enumerate(bodies[late:], late):
        shelf.put(row, Item(id=f"i{row}", **body))
    expected = [judge(body) for body in bodies]
    by_column = shelf.evaluate(parse_filter(text))[: len(bodies)]
    assert by_column.tolist() == expected
    assert shelf.mask(text)[: len(bodies)].tolist() == expected


def test_an_item_that_changes_changes_sides() -> None:
    shelf = Shelf()
    shelf.put(0, Item(id="mug", price_micros=9_000_000))
    cheap = shelf.mask("price < 5")
    assert not cheap[0]
    shelf.put(0, Item(id="mug", price_micros=4_000_000))
    assert cheap[0]


def test_items_without_fields_meet_only_negations() -> None:
    shelf = Shelf()
    shelf.reach(5_000)  # beyond the capacity the first mask was made for
    assert not shelf.mask('brand == "Acme"')[:5_000].any()
    assert shelf.mask('brand != "Acme"')[:5_000].all()
    shelf.reach(20_000)
    assert shelf.mask('brand != "Acme"')[:20_000].all()
    assert np.count_nonzero(shelf.mask('brand == "Acme"')) == 0
