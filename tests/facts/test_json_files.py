"""Files of JSON lines: Habitué's facts and GA4's events, each row accounted for."""

import json
from pathlib import Path
from typing import Any

import pytest

from habitue.errors import BadInput
from habitue.facts import Action, Alias, Item
from habitue.facts.feeds.json_files import ImportedJson, JsonForm, import_json

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
        {"key": "page_location", "value": {"string_value": "https://shop.example/?mail=a@b.c"}},
    ],
    "user_pseudo_id": "c.1",
    "user_id": "u1",
    "ecommerce": {"transaction_id": "T1", "purchase_revenue_in_usd": 12.5},
    "items": [{"item_id": "GGOE1", "price": 12.5, "quantity": "1", "coupon": "(not set)"}],
}


def test_events_of_a_bigquery_export(tmp_path: Path) -> None:
    view = EXPORTED | {"event_name": "page_view", "items": [], "ecommerce": {}}
    scroll = view | {"event_name": "scroll"}
    result = read(tmp_path, "ga4", [EXPORTED, view, scroll, '{"event_name": "x"}'])
    alias, bought, seen = (fact for n, fact in enumerate(result.facts) if n in (0, 1, 3))
    assert alias == Alias(shopper="u1", alias="c.1", at=NOW - 60_000)
    assert isinstance(bought, Action)
    assert (bought.kind, bought.item, bought.order_id, bought.session_id) == (
        "purchase", "GGOE1", "T1", "17",
    )  # fmt: skip
    assert (bought.price_micros, bought.value_minor, bought.coupon) == (12_500_000, 1250, None)
    assert isinstance(seen, Action)
    assert seen.kind == "page_view"
    assert "a@b.c" not in str(result.facts)  # addresses of pages may hold anything
    assert (result.report.rejected, result.report.ignored) == (1, 1)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        import_json(tmp_path / "nothing.jsonl", "habitue", now_ms=NOW)
