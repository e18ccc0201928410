"""Cleaning finds what is wrong, says it, and loses nothing."""

import io
import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from habitue.errors import BadInput
from habitue.facts import ActionKind
from habitue.facts.cleaning.cancellations import match_cancellations
from habitue.facts.cleaning.outliers import robust_score
from habitue.facts.cleaning.rejects import erase_from_rejects, write_rejects
from tests.facts.tables import counts, imported, mapping

BUY, BACK = int(ActionKind.purchase), int(ActionKind.refund)
INVOICES = """
currency = "GBP"
[action]
shopper = "who"
item = "code"
at = { column = "at", unit = "s" }
order_id = "invoice"
quantity = "pieces"
price = "price"
[[action.kind]]
kind = "refund"
when = { invoice = "^C" }
negate = ["pieces"]
[[action.kind]]
kind = "purchase"
"""
T = 1_600_000_000


def line(at: int, pieces: int, invoice: str = "1", **also: Any) -> dict[str, Any]:
    row = {"who": "anna", "code": "TEA", "at": T + at, "invoice": invoice, "pieces": pieces}
    return row | {"price": 2.5} | also


def extras(rows: list[dict[str, Any]], toml: str = INVOICES) -> list[dict[str, Any]]:
    said = imported(rows, mapping(toml)).actions["extra"].to_pylist()
    return [json.loads(extra or "{}") for extra in said]


def test_a_cancelled_order_is_matched_to_its_purchase() -> None:
    bought, other, back = extras([line(0, 6), line(1, 4), line(2, -6, "C1")])
    assert bought == {"cancelled": True, "refunded_quantity": 6.0}
    assert other == {}
    assert back["cancels"].endswith("-000000000000")


def test_a_refund_of_a_part_is_matched_to_the_larger_purchase() -> None:
    bought, first, second, third = extras(
        [line(0, 6), line(1, -2, "C1"), line(2, -4, "C2"), line(3, -1, "C3")]
    )
    assert bought == {"cancelled": True, "refunded_quantity": 6.0}
    assert "cancels" in first
    assert "cancels" in second
    assert third == {"refund_unmatched": True}  # nothing is left to take back


def test_a_partly_refunded_line_says_how_much() -> None:
    assert extras([line(0, 6), line(1, -2, "C1")])[0] == {
        "partly_refunded": True,
        "refunded_quantity": 2.0,
    }


def test_a_refund_takes_back_the_latest_purchase_still_standing() -> None:
    old, new, _, _ = extras([line(0, 6), line(1, 6), line(2, -6, "C1"), line(3, -6, "C2")])
    assert old["cancelled"] is new["cancelled"] is True
    old, new, _ = extras([line(0, 6), line(1, 6), line(2, -6, "C1")])
    assert old == {}
    assert new["cancelled"] is True


@pytest.mark.parametrize(
    "back",
    [
        line(2, -6, "C1", who="ben"),
        line(2, -6, "C1", code="CUP"),
        line(-1, -6, "C1"),
        line(2, -7, "C1"),
    ],
)
def test_a_refund_of_someone_else_or_of_something_else_matches_nothing(
    back: dict[str, Any],
) -> None:
    assert extras([line(0, 6), back]) == [{}, {"refund_unmatched": True}]


def _matched_by_hand(lines: list[tuple[int, str, str, float, bool]]) -> dict[int, int]:
    """The rule for refunds of the same quantity, line by line, as a shopkeeper would do it."""
    order = sorted(range(len(lines)), key=lambda row: (lines[row][0], lines[row][4], row))
    open_: dict[tuple[str, str, float], list[int]] = {}
    pairs = {}
    for row in order:
        _, who, what, pieces, back = lines[row]
        stack = open_.setdefault((who, what, pieces), [])
        if not back:
            stack.append(row)
        elif stack:
            pairs[row] = stack.pop()
    return pairs


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.sampled_from("ab"), st.sampled_from("xy"),
            st.sampled_from([1.0, 2.0]), st.booleans(),
        ),
        max_size=30,
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_brackets_and_shopkeeper_match_the_same_lines(
    lines: list[tuple[int, str, str, float, bool]],
) -> None:
    frame = pl.DataFrame(
        {
            "row": pl.Series(range(len(lines)), dtype=pl.UInt32),
            "at_ms": pl.Series([at for at, *_ in lines], dtype=pl.Int64),
            "shopper": pl.Series([who for _, who, *_ in lines], dtype=pl.String),
            "item": pl.Series([what for _, _, what, *_ in lines], dtype=pl.String),
            "quantity": pl.Series([pieces for *_, pieces, _ in lines], dtype=pl.Float64),
            "kind": pl.Series([BACK if back else BUY for *_, back in lines], dtype=pl.UInt8),
        }
    )
    result = match_cancellations(frame)
    assert result.select(frame.columns).equals(frame)
    by_hand = _matched_by_hand(lines)
    found = dict(result.select("row", "cancels_row").drop_nulls().iter_rows())
    assert {row: found.get(row) for row in by_hand} == by_hand
    for row, purchase in found.items():  # the others took a part of a larger, earlier purchase
        assert lines[purchase][:3] <= (lines[row][0], *lines[row][1:3])
        assert lines[purchase][3] > lines[row][3] or by_hand[row] == purchase
    taken = dict(result.select("row", "refunded_quantity").drop_nulls().iter_rows())
    for purchase, pieces in taken.items():
        assert pieces <= lines[purchase][3]
        assert pieces == sum(lines[row][3] for row, bought in found.items() if bought == purchase)


def test_a_price_ten_times_the_usual_is_an_outlier_and_a_rebate_is_not() -> None:
    rows = [line(n, 1, str(n), price=2.5) for n in range(10)]
    rows += [line(20, 1, "20", price=2.0), line(21, 1, "21", price=25.0)]
    rows += [line(22, 5000, "22")]
    result = imported(rows, mapping(INVOICES))
    assert counts(result) == {"price_outlier": 1, "quantity_outlier": 1}
    marks = [json.loads(extra or "{}") for extra in result.actions["extra"].to_pylist()]
    assert marks[-3:] == [{}, {"price_outlier": True}, {"quantity_outlier": True}]


def test_the_robust_score_by_hand() -> None:
    values = [1.0, 2.0, 4.0, 8.0, 1024.0]
    frame = pl.DataFrame({"v": values, "i": ["a"] * 5})
    scores = frame.select(robust_score(pl.col("v"), pl.col("i"), 5, 0.01)).to_series().to_list()
    unit = math.log(2)  # median of the logs: 2 units; deviations 2, 1, 0, 1, 8: their median is 1
    assert scores == pytest.approx([d * unit / (1.4826 * unit) for d in (2, 1, 0, 1, 8)])
    few = frame.select(robust_score(pl.col("v"), pl.col("i"), 6, 0.01)).to_series()
    assert few.to_list() == [0.0] * 5


def test_outliers_can_be_refused_or_left_alone() -> None:
    rows = [line(n, 1, str(n)) for n in range(10)] + [line(20, 1, "20", price=250.0)]
    for outcome, rejected in (("reject", 1), ("ignore", 0)):
        toml = INVOICES + f'[cleaning]\nprice_outliers = "{outcome}"\n'
        result = imported(rows, mapping(toml))
        assert result.report.rejected == rejected
        assert ("price_outlier" in counts(result)) == bool(rejected)


def test_identical_lines_are_flagged_and_kept() -> None:
    rows = [line(0, 1), line(0, 1), line(0, 2), line(0, 1)]
    result = imported(rows, mapping(INVOICES))
    assert result.report.rejected == 0
    (found,) = result.report.found
    assert (found.name, found.examples) == ("duplicate_line", (1, 3))
    strict = mapping(INVOICES + '[cleaning]\nduplicates = "reject"\n')
    assert imported(rows, strict).rejects["line"].to_list() == [2, 4]


def test_what_is_no_product_is_refused_by_pattern_and_flagged_by_name() -> None:
    codes = ["85123A", "POST", "BANK CHARGES", "gift_0001_20", "22423"]
    rows = [line(n, 1, str(n), code=code) for n, code in enumerate(codes)]
    by_pattern = mapping(INVOICES + "[cleaning]\nproduct_pattern = '^\\d{5}'\n")
    assert imported(rows, by_pattern).rejects["line"].to_list() == [2, 3, 4]
    by_list = mapping(INVOICES + "[cleaning]\nnot_products = ['^POST$']\n")
    assert imported(rows, by_list).rejects["line"].to_list() == [2]
    assert counts(imported(rows, mapping(INVOICES))) == {"looks_like_service": 2}


def test_the_report_reads_the_same_on_the_terminal_in_markdown_and_in_json() -> None:
    rows = [line(0, 1), line(0, 1), line(1, 0), line(2, 1, price=0)]
    report = imported(rows, mapping(INVOICES)).report
    said = json.loads(report.as_json())
    assert (said["rows_read"], said["kept"], said["mended"], said["rejected"]) == (4, 2, 0, 2)
    assert {found["name"]: found["rows"] for found in said["found"]} == {
        "price_zero": 1, "quantity_out_of_bounds": 1, "duplicate_line": 1,
    }  # fmt: skip
    markdown = report.as_markdown()
    assert "4 rows read: 2 kept, 0 mended, 2 rejected" in markdown
    assert "| the price is zero | price | 1 | rejected | 3 |" in markdown
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(report.as_table())
    terminal = console.export_text()
    assert "kept 2 · mended 0 · rejected 2" in terminal
    assert "2 purchase" in terminal


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_the_reject_file_holds_line_field_reason_and_row(tmp_path: Path, suffix: str) -> None:
    rows = [line(0, 1), line(1, 0), line(2, 1, who=None)]
    result = imported(rows, mapping(INVOICES))
    path = tmp_path / "rejects" / f"orders.{suffix}"
    write_rejects(result.rejects, path)
    if suffix == "jsonl":
        written = [json.loads(text) for text in path.read_text().splitlines()]
    else:
        written = pl.read_parquet(path).to_dicts()
        written = [row | {"said": json.loads(row["said"])} for row in written]
    assert [(row["line"], row["field"], row["said"]) for row in written] == [
        (2, "quantity", rows[1]),
        (3, "shopper", rows[2]),
    ]
    with pytest.raises(BadInput):
        write_rejects(result.rejects, tmp_path / "rejects.txt")


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_erasing_a_shopper_blanks_what_rejected_rows_say_of_them(
    tmp_path: Path, suffix: str
) -> None:
    rows = [line(0, 0), line(1, 0, who="ben"), line(2, 0, who="17850"), line(3, 0, who="178500")]
    path = tmp_path / f"orders.{suffix}"
    write_rejects(imported(rows, mapping(INVOICES)).rejects, path)
    assert erase_from_rejects(path, ["Anna ", "17850"]) == 2
    text = path.read_bytes() if suffix == "jsonl" else str(pl.read_parquet(path).rows()).encode()
    assert b"anna" not in text
    assert b'"17850"' not in text
    assert b"ben" in text
    assert b"178500" in text
    assert erase_from_rejects(path, ["anna", "17850"]) == 0
