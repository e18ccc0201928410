"""Files of JSON lines: Habitué's facts and GA4's events, each row accounted for."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from habitue.errors import BadInput
from habitue.facts import Action, Alias, Item
from habitue.facts.feeds.json_files import ImportedJson, JsonForm, import_json
from habitue.facts.feeds.recognise import form_of

NOW = 1_700_000_000_000
VIEW = {"kind": "view_item", "shopper": "anna", "item": "tea", "at": NOW - 5}


def read(tmp_path: Path, form: JsonForm, lines: list[Any]) -> ImportedJson:
    path = tmp_path / "events.jsonl"
    said = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(said) + "\n")
    result = import_json(path, form, now_ms=NOW)
    report = result.report
    assert report.kept + report.mended + report.rejected + report.ignored == report.rows_read
    assert result.rejects.height == report.rejected
    return result


def test_lines_of_actions_and_of_batches(tmp_path: Path) -> None:
    result = read(tmp_path, "habitue", [VIEW, "", {"items": [{"id": "tea"}], "actions": [VIEW]}])
    assert [type(fact) for fact in result.facts] == [Action, Item, Action]
    assert (result.report.kept, result.report.made) == (3, {"view_item": 2, "items": 1})
    assert (result.report.since_ms, result.report.until_ms) == (NOW - 5, NOW - 5)


def test_a_wrong_line_is_told_by_its_number_and_the_others_are_kept(tmp_path: Path) -> None:
    lines = [VIEW] * 600
    wrong = {7: "{broken", 599: VIEW | {"kind": "veiw_item"}}
    result = read(tmp_path, "habitue", [wrong.get(n, line) for n, line in enumerate(lines)])
    assert len(result.facts) == 598
    rejects = result.rejects.select("line", "field", "said").rows()
    assert rejects == [(8, None, "{broken"), (600, "kind", json.dumps(wrong[599]))]


def test_ga4_bodies_a_line_each(tmp_path: Path) -> None:
    body = {
        "client_id": "c1",
        "timestamp_micros": (NOW - 9) * 1000,
        "events": [
            {"name": "view_item", "params": {"items": [{"item_id": "a"}, {"item_id": "b"}]}},
            {"name": "session_start"},
            {"name": "view_item"},
        ],
    }
    result = read(tmp_path, "ga4", [body, 5])
    assert [fact.item for fact in result.facts if isinstance(fact, Action)] == ["a", "b"]
    report = result.report
    assert (report.rows_read, report.kept, report.rejected, report.ignored) == (4, 1, 2, 1)
    assert "1 ignored" in report.as_markdown()


EXPORTED = {
    "event_date": "20231114",
    "event_timestamp": str((NOW - 60_000) * 1000),
    "event_name": "purchase",
    "event_params": [
        {"key": "currency", "value": {"string_value": "USD"}},
        {"key": "ga_session_id", "value": {"string_value": None, "int_value": "17"}},
        {"key": "tries", "value": {"int_value": "3"}},
        {"key": "page_location", "value": {"string_value": "https://shop.example/?mail=a@b.c"}},
    ],
    "platform": "WEB",
    "device": {"category": "mobile", "language": "de-de", "web_info": {"browser": "Firefox"}},
    "collected_traffic_source": {"manual_source": "newsletter", "manual_medium": "(not set)"},
    "user_pseudo_id": "c.1",
    "user_id": "u1",
    "ecommerce": {"transaction_id": "T1", "purchase_revenue_in_usd": 12.5},
    "items": [{"item_id": "GGOE1", "price": 12.5, "quantity": "1", "coupon": "(not set)"}],
}


def test_events_of_a_bigquery_export(tmp_path: Path) -> None:
    view = EXPORTED | {"event_name": "page_view", "items": [], "ecommerce": {}}
    scroll = view | {"event_name": "scroll"}
    result = read(tmp_path, "ga4", [EXPORTED, view, scroll, '{"event_name": "x"}'])
    alias, bought, seen = result.facts  # who is whom is said once, however many events say it
    assert alias == Alias(shopper="u1", alias="c.1", at=NOW - 60_000)
    assert isinstance(bought, Action)
    assert (bought.kind, bought.item, bought.order_id, bought.session_id) == (
        "purchase", "GGOE1", "T1", "17",
    )  # fmt: skip
    assert (bought.price_micros, bought.value_minor, bought.coupon) == (12_500_000, 1250, None)
    assert (bought.platform, bought.device, bought.locale) == ("web", "mobile", "de-de")
    assert bought.extra == {"source": "newsletter", "tries": 3}
    assert isinstance(seen, Action)
    assert seen.kind == "page_view"
    assert "a@b.c" not in str(result.facts)  # addresses of pages may hold anything
    assert (result.report.rejected, result.report.ignored) == (1, 1)


def test_an_exported_event_is_what_its_body_would_be(tmp_path: Path) -> None:
    body = {
        "client_id": "c.1",
        "user_id": "u1",
        "timestamp_micros": (NOW - 60_000) * 1000,
        "events": [
            {
                "name": "purchase",
                "params": {
                    "currency": "USD", "ga_session_id": 17, "transaction_id": "T1", "tries": 3,
                    "platform": "web", "device": "mobile", "language": "de-de",
                    "source": "newsletter",
                    "items": [{"item_id": "GGOE1", "price": 12.5, "quantity": 1}],
                },
            }
        ],
    }  # fmt: skip
    assert read(tmp_path, "ga4", [EXPORTED]).facts == read(tmp_path, "ga4", [body]).facts


@pytest.mark.parametrize("nested", [False, True])
def test_an_export_in_parquet_says_the_same_as_in_json(tmp_path: Path, nested: bool) -> None:
    rows = [
        EXPORTED,
        EXPORTED | {"event_name": "view_item", "user_id": None, "ecommerce": None},
        EXPORTED | {"event_name": "page_view", "items": [], "event_params": []},
        EXPORTED | {"event_name": "scroll"},
        EXPORTED | {"event_name": "veiw_item"},
    ]
    in_json = read(tmp_path, "ga4", rows)
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.col("event_timestamp").cast(pl.Int64)
    )
    if nested:  # as Parquet writes repeated records without list inference: list, then element
        for name in ("event_params", "items"):
            wrapped = pl.col(name).list.eval(pl.struct(pl.element().alias("element")))
            frame = frame.with_columns(pl.struct(wrapped.alias("list")).alias(name))
    path = tmp_path / "events.parquet"
    frame.write_parquet(path)
    assert form_of(path) == "ga4"
    packed = import_json(path, "ga4", now_ms=NOW)
    assert packed.facts == in_json.facts
    assert packed.rejects["line"].to_list() == in_json.rejects["line"].to_list() == [5]
    assert (packed.report.kept, packed.report.ignored) == (3, 1)


def test_a_parquet_file_of_something_else_is_no_export(tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    pl.DataFrame({"sku": ["a"]}).write_parquet(path)
    assert form_of(path) is None
    with pytest.raises(BadInput, match="no export of GA4"):
        import_json(path, "ga4", now_ms=NOW)


def test_actions_without_an_id_have_the_same_one_whenever_the_file_is_read(tmp_path: Path) -> None:
    first, again = (read(tmp_path, "habitue", [VIEW, VIEW, [VIEW, VIEW]]) for _ in range(2))
    assert first.facts == again.facts
    assert len({fact.id for fact in first.facts if isinstance(fact, Action)}) == 4
    other = read(tmp_path, "habitue", [VIEW, VIEW, [VIEW, VIEW], VIEW])
    assert not {f.id for f in other.facts} & {f.id for f in first.facts}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "text", "form"),
    [
        ("a.jsonl", json.dumps(VIEW), "habitue"),
        ("a.jsonl", json.dumps([VIEW]), "habitue"),
        ("a.jsonl", '{"items": [{"id": "tea"}]}', "habitue"),
        ("a.ndjson", '{"client_id": "c", "events": []}', "ga4"),
        ("a.jsonl", json.dumps(EXPORTED), "ga4"),
        ("a.jsonl", '{"who": "anna", "what": "tea"}', None),
        ("a.jsonl", "{broken", None),
        ("a.jsonl", "", None),
        ("a.csv", '"id","title","price"\n1,2,3\n', None),
        ("a.csv", '"id","title","price","link"\n1,2,3,4\n', "merchant"),
        ("a.xlsx", "", None),
    ],
)
def test_a_file_may_say_itself_what_it_is(
    tmp_path: Path, name: str, text: str, form: str | None
) -> None:
    path = tmp_path / name
    path.write_text(text + "\n")
    assert form_of(path) == form


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        import_json(tmp_path / "nothing.jsonl", "habitue", now_ms=NOW)
