"""The page of an evaluation and of a comparison: all there, nothing fetched, in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from habitue.evaluation import (
    Asking,
    Cost,
    CurvePoint,
    Evaluated,
    Judged,
    LearningCurve,
    RatingConfig,
    ablation_of,
    by_label,
    chances_of,
    measure_lists,
    measure_ratings,
    report_of,
    segment_lines,
)
from habitue.evaluation.charts import Bar, bars, ticks
from habitue.metrics import Interval
from tests.evaluation.test_chances import drawn
from tests.evaluation.test_comparison import compared
from tests.evaluation.test_gap import gap
from tests.evaluation.test_ratings import planted
from tests.evaluation.test_segments import split

SECTIONS = (
    "accuracy", "switched-off", "gap", "segments", "calibration", "learning-curve", "ablation",
    "ratings", "cost", "settings",
)  # fmt: skip
NASTY = 'a <script>alert("x")</script> & "b"'


@cache
def found() -> Evaluated:
    """An evaluation with every part there is."""
    held, rng = split(), np.random.default_rng(0)
    lists = {
        "habitue": np.array([[2, 3], [1, 4], [4, 1]], np.int32),
        NASTY: np.array([[2, 0], [4, 3], [4, 0]], np.int32),
    }
    measured = [measure_lists(held, name, rows) for name, rows in lists.items()]
    report = replace(report_of(held, measured, rng, against=(NASTY,)), gap=gap(0.3, 0.25, 0.1, 0.1))
    idle = {"home": Interval(-0.0002, -0.0011, 0.0006), "cart": Interval(0.0, -0.001, 0.001)}
    report = replace(report, judged=[Judged(NASTY, True, idle), Judged("als", False, idle)])
    points = [
        CurvePoint(s, round(1000 * s), round(9000 * s), 5 * s, Interval(y, y - 0.02, y + 0.02),
                   Interval(5 * y - 1, 5 * y - 1.1, 5 * y - 0.9))
        for s, y in ((0.1, 0.11), (0.25, 0.16), (0.5, 0.19), (1.0, 0.2))
    ]  # fmt: skip
    score, hit, who = drawn()
    return Evaluated(
        report,
        [],
        segment_lines(
            [(Asking(held, lists), by_label(held, "life cycle", ["loyal", "new", "new"]))],
            rng, names=("habitue",), against=NASTY,
        ),
        chances_of(score, hit, who.astype(np.int32), rng),
        measure_ratings(
            planted(), rng, RatingConfig(factors=3), item_name=lambda row: f"{NASTY} {row}"
        ),
        LearningCurve("shoppers", "ndcg@2", points, 0.5),
        [Cost("habitue", 0.4, 0.0000044), Cost(NASTY, 0.01, 0.0000001)],
        12.5,
        "EUR",
        "Tea & Co",
        {"windows": 3, "ranker": {"rounds": 150}, "sources": [{"kind": "als", "factors": 64}]},
        ablation_of(
            [(Asking(held, lists), by_label(held, "life cycle", ["loyal", "new", "new"]))],
            rng, without={NASTY: NASTY}, again="habitue",
        ),
    )  # fmt: skip


class Tags(HTMLParser):
    """Ids, tags and addresses of a page; open tags that are never closed."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_part_has_its_section_and_its_plot():
    page = Tags(found().to_html())
    assert tuple(page.ids) == SECTIONS
    assert (
        page.tags.count("svg") == 6
    )  # accuracy, one segment, calibration, curve, ablation, heat map
    assert page.open == []


def test_the_page_asks_for_nothing_and_runs_nothing():
    page = Tags(found().to_html())
    assert "script" not in page.tags
    assert all(address.startswith("data:") for address in page.fetched)
    assert not re.search(r"url\(|@import", found().to_html())


def test_the_settings_it_was_trained_with_stand_by_their_names():
    html = found().to_html()
    assert "<td>ranker.rounds</td><td>150</td>" in html
    assert "<td>sources[0].kind</td><td>als</td>" in html


def test_what_is_not_there_leaves_no_section():
    bare = Evaluated(found().report)
    assert Tags(bare.to_html()).ids == ["accuracy", "switched-off", "gap", "settings"]


def test_a_bar_is_as_long_as_its_figure():
    rows = [Bar("one", Interval(0.1, 0.05, 0.15)), Bar("two", Interval(0.4, 0.3, 0.5))]
    drawn_bars = str(bars(rows, unit="x", name="y"))
    one, two = (float(w) for w in re.findall(r'<rect class="bar"[^>]*width="([\d.]+)"', drawn_bars))
    assert two / one == pytest.approx(4.0, rel=0.01)


def test_a_lift_over_nothing_has_no_bar():
    rows = [Bar("one", Interval(float("inf"), float("nan"), float("nan"))),
            Bar("two", Interval(0.4, 0.3, float("inf")))]  # fmt: skip
    svg = str(bars(rows, unit="x", name="y"))
    assert "nothing to compare" in svg
    assert svg.count("<rect") == 1
    assert not re.search(r'="[^"]*(nan|inf)[^"]*"', svg)


@pytest.mark.parametrize(("low", "high"), [(0, 0.083), (-3, 7), (0, 1e-6), (0, 0), (-0.2, 0)])
def test_ticks_span_what_is_drawn(low, high):
    marks = ticks(low, high)
    assert marks[0] <= low + 1e-12
    assert marks[-1] >= high - 1e-12
    assert 2 <= len(marks) <= 12
    assert np.allclose(np.diff(marks), marks[1] - marks[0])


def test_a_comparison_has_its_page():
    both = compared([[2, 0], [4, 3], [4, 1]], [[2, 3], [1, 4], [4, 1]])
    page = Tags(both.to_html())
    assert page.ids == ["metrics", "segments"]
    assert page.open == []
    assert both.verdict in both.to_html()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[object]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        launched = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield launched
        launched.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_in_a_browser(browser, tmp_path: Path, width: int, scheme: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(found().to_html(), "utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert complaints == []
    assert [address for address in asked if not address.startswith("data:")] == [file.as_uri()]
    assert page.locator("h1").inner_text() == "How right were the recommendations of Tea & Co?"
    assert page.locator("svg.chart").count() == 6
    assert page.locator("#ratings .cell").count() == 24 * 36
    ink, ground = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert ink != ground
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    boxes = [box.bounding_box() for box in page.locator("#accuracy .bar").all()]
    assert all(box["width"] >= 1 for box in boxes)
    page.close()
