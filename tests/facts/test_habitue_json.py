"""A batch of JSON facts: the good rows are taken, each bad one is told why."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.errors import BadInput
from habitue.facts import Action, Alias, Consent, Item, Link, Shopper
from habitue.facts.feeds.habitue_json import Decoded, Sent, decode, decode_lines

NOW = 1_700_000_000_000
VIEW = {"kind": "view_item", "shopper": "anna", "item": "tea"}


def read(body: Any, expect: Sent = "action") -> Decoded:
    return decode(json.dumps(body).encode(), now_ms=NOW, expect=expect)


def refused(row: Any) -> tuple[str | None, str]:
    """Field and reason of the row, which stands between two good ones that are kept."""
    said = read([VIEW, row, VIEW])
    assert len(said.facts) == 2
    (bad,) = said.rejected
    assert bad.row == 1
    return bad.field, bad.reason


def test_a_batch_a_list_and_a_single_fact_are_read() -> None:
    action = Action(kind="view_item", shopper="anna", item="tea")
    assert read({"actions": [VIEW]}).facts == [action]
    assert read([VIEW]).facts == [action]
    assert read(VIEW).facts == [action]
    assert read([]).facts == [] == read({"actions": []}).facts


def test_items_and_people_come_before_the_actions_that_name_them() -> None:
    said = read(
        {
            "actions": [VIEW],
            "consents": [{"shopper": "anna", "denied": ["messages"]}],
            "aliases": [{"shopper": "anna", "alias": "cookie-1"}],
            "links": [{"kind": "friend", "head": "anna", "tail": "ben"}],
            "shoppers": [{"id": "anna", "country": "FR"}],
            "items": [{"id": "tea", "price_micros": 2_550_000, "currency": "EUR"}],
        }
    )
    kinds = [Item, Shopper, Link, Alias, Consent, Action]
    assert [type(fact) for fact in said.facts] == kinds
    assert said.rejected == []


def test_the_expected_kind_says_what_a_bare_list_holds() -> None:
    assert read([{"id": "tea", "title": "Tea"}], "item").facts == [Item(id="tea", title="Tea")]


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"kind": "view_itm"}, "kind", "did you mean 'view_item'"),
        ({"kind": "teleport"}, "kind", "no kind of action"),
        ({"item": None}, "item", "must name the item"),
        ({"kind": "purchase", "item": None}, "item", "must name the item"),
        ({"quantty": 2}, "quantty", "did you mean 'quantity'"),
        ({"shopper": ""}, "shopper", "length >= 1"),
        ({"shopper": "x" * 201}, "shopper", "length <= 200"),
        ({"price_micros": 2.5}, "price_micros", "Expected `int"),
        ({"price_micros": -1}, "price_micros", ">= 0"),
        ({"quantity": 0}, "quantity", "> 0"),
        ({"currency": "euro"}, "currency", "length <= 3"),
        ({"currency": "eur"}, "currency", "three capital letters"),
        ({"currency": "12€"}, "currency", "three capital letters"),
        ({"at": NOW // 1000}, "at", "looks like seconds"),
        ({"at": NOW * 1000}, "at", "looks like microseconds"),
        ({"at": NOW + 301_000}, "at", "301 s in the future"),
        ({"at": "2023-01-01T00:00:00"}, "at", "timezone"),
        ({"extra": {"deep": [1]}}, "extra[...]", "array"),
    ],
)
def test_a_bad_row_says_which_field_and_why(
    change: dict[str, Any], field: str, reason: str
) -> None:
    where, why = refused(VIEW | change)
    assert where == field
    assert reason in why


@pytest.mark.parametrize("row", [5, "view", None, [VIEW], {}])
def test_what_is_no_fact_at_all_is_refused_alone(row: Any) -> None:
    refused(row)


def test_a_refused_row_is_known_by_its_id() -> None:
    said = read([VIEW | {"id": "e-1", "kind": "nothing"}])
    assert (said.rejected[0].id, said.rejected[0].fact) == ("e-1", "action")


def test_a_search_needs_no_item() -> None:
    assert read({"kind": "search", "shopper": "anna", "query": "green tea"}).rejected == []


def test_late_actions_are_taken_and_counted() -> None:
    day = 86_400_000
    said = read([VIEW | {"at": NOW - day}, VIEW | {"at": NOW - day - 1}, VIEW])
    assert (len(said.facts), said.late) == (3, 1)
    with_a_bad_one = read([VIEW | {"at": NOW - day - 1}, VIEW | {"kind": "?"}])
    assert with_a_bad_one.late == 1


def test_times_may_be_written_with_a_zone() -> None:
    assert read([VIEW | {"at": "2023-11-14T22:13:20Z"}]).rejected == []
    assert read([VIEW | {"at": "2023-11-14T23:13:20+00:00"}]).rejected[0].field == "at"


def test_an_order_with_a_wrong_line_is_refused_whole_and_others_are_not() -> None:
    line = {"kind": "purchase", "shopper": "anna", "item": "tea", "order_id": "o-1"}
    said = read([line, line | {"quantity": -1}, line | {"order_id": "o-2"}, VIEW, line])
    assert [fact.order_id for fact in said.facts if isinstance(fact, Action)] == ["o-2", None]
    assert [(bad.row, bad.problem) for bad in said.rejected] == [
        (0, "order_incomplete"),
        (1, "invalid"),
        (4, "order_incomplete"),
    ]


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff\xfe", b"[1,]", b'{"a":1} x'])
def test_what_is_no_json_is_refused_whole(body: bytes) -> None:
    with pytest.raises(BadInput, match="no JSON"):
        decode(body, now_ms=NOW)


@pytest.mark.parametrize("body", [5, "text", None, {"actions": 5}, {"actions": [], "itms": []}])
def test_a_body_of_another_shape_is_refused_with_the_right_one(body: Any) -> None:
    with pytest.raises(BadInput, match=r"Send \{\"actions\""):
        read(body)


def test_bytes_that_are_no_text_cost_their_row_only() -> None:
    body = b'[{"kind":"login","shopper":"\xff"},{"kind":"login","shopper":"ben"}]'
    said = decode(body, now_ms=NOW)
    assert said.facts == [Action(kind="login", shopper="ben")]
    assert said.rejected[0].row == 0


ROWS = st.one_of(
    st.sampled_from(
        [
            VIEW,
            {"kind": "login", "shopper": "ben"},
            {"kind": "purchase", "shopper": "ben", "item": "cup", "at": NOW},
            VIEW | {"kind": "view"},
            VIEW | {"item": None},
            VIEW | {"at": 7},
            VIEW | {"colour": "red"},
            {"shopper": "ben"},
        ]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=4,
    ),
)


@given(st.lists(ROWS, max_size=12))
def test_every_row_is_taken_or_refused_as_it_would_be_alone(rows: list[Any]) -> None:
    said = read(rows)
    assert len(said.facts) + len(said.rejected) == len(rows) == said.sent
    alone = [decode_lines([json.dumps(row).encode()], now_ms=NOW) for row in rows]
    assert said.facts == [fact for one in alone for fact in one.facts]
    assert [(bad.row, bad.field, bad.reason) for bad in said.rejected] == [
        (row, bad.field, bad.reason) for row, one in enumerate(alone) for bad in one.rejected
    ]


def test_lines_are_read_one_by_one_and_blank_ones_skipped() -> None:
    good = json.dumps(VIEW).encode()
    said = decode_lines([good, b"", b"{broken", b"  ", good], now_ms=NOW)
    assert len(said.facts) == 2
    assert [bad.row for bad in said.rejected] == [2]
