"""A running shop as the console reads it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from habitue.app import RunningShop, open_shop
from habitue.app.note import TrainingNote, read_note
from habitue.console import create_console
from habitue.console.backroom import Backroom, report_of
from habitue.facts import Action, Fact, Item

NOW_MS = 1_790_000_000_000
HOUR_MS = 3_600_000


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningShop]:
    with open_shop(tmp_path / "shop.db") as shop:
        yield RunningShop(shop, seed=1)


@pytest.fixture
def backroom(running: RunningShop) -> Backroom:
    return Backroom(running, clock_ms=lambda: NOW_MS)


def tell(backroom: Backroom, facts: Sequence[Fact]) -> None:
    appended = asyncio.run(backroom.append(facts, received_at_ms=NOW_MS))
    assert not appended.rejected


def mug(n: int, **more: object) -> Item:
    said: dict[str, object] = {
        "title": f"Mug {n}",
        "product_type": "Table > Cups",
        "price_micros": 9_000_000,
        "currency": "EUR",
        "valid_from": NOW_MS - HOUR_MS,
    }
    return Item(id=f"mug-{n}", **said | more)


def view(shopper: str, item: str, ago_ms: int = HOUR_MS, kind: str = "view_item") -> Action:
    return Action(kind=kind, shopper=shopper, item=item, at=NOW_MS - ago_ms)


def test_an_item_is_in_the_catalogue_as_soon_as_it_is_told_of(backroom: Backroom) -> None:
    assert len(backroom.catalogue()) == 0
    tell(backroom, [mug(1)])
    assert backroom.catalogue().frame["id"].to_list() == ["mug-1"]
    same = backroom.catalogue()
    assert backroom.catalogue() is same
    tell(backroom, [mug(2), mug(1, title="A better mug", valid_from=NOW_MS)])
    titles = dict(zip(*(backroom.catalogue().frame[name] for name in ("id", "title")), strict=True))
    assert titles == {"mug-1": "A better mug", "mug-2": "Mug 2"}


def test_a_version_is_shown_from_when_it_is_valid_and_the_newest_counts(
    running: RunningShop,
) -> None:
    now = [NOW_MS]
    backroom = Backroom(running, clock_ms=lambda: now[0])
    tell(backroom, [mug(1), mug(1, title="Tomorrow's mug", valid_from=NOW_MS + HOUR_MS)])
    assert backroom.catalogue().frame["title"].to_list() == ["Mug 1"]
    now[0] += 2 * HOUR_MS
    assert backroom.catalogue().frame["title"].to_list() == ["Tomorrow's mug"]
    tell(backroom, [mug(1, title="Told late", valid_from=NOW_MS - 9 * HOUR_MS)])
    assert backroom.catalogue().frame["title"].to_list() == ["Tomorrow's mug"]


def test_doings_are_most_recent_first_and_strangers_have_none(backroom: Backroom) -> None:
    tell(backroom, [mug(1), mug(2), view("ada", "mug-1", 3000), view("ada", "mug-2", 2000)])
    tell(backroom, [view("ada", "mug-2", 1000, "add_to_cart"), view("ben", "mug-1")])
    doings = backroom.doings("ada", 10)
    assert [(doing.kind, doing.item) for doing in doings] == [
        ("add_to_cart", "mug-2"),
        ("view_item", "mug-2"),
        ("view_item", "mug-1"),
    ]
    assert backroom.doings("ada", 1) == doings[:1]
    assert list(backroom.doings("nobody", 10)) == []


def test_regulars_are_spread_from_much_known_to_a_little(backroom: Backroom) -> None:
    told: list[Fact] = [mug(1)]
    for n in range(1, 41):
        told += [view(f"s-{n}", "mug-1", HOUR_MS + k) for k in range(n)]
    tell(backroom, told)
    regulars = backroom.regulars(4)
    counts = [regular.n_actions for regular in regulars]
    assert len(regulars) == 4
    assert counts == sorted(counts, reverse=True)
    assert counts[0] >= 30
    assert counts[-1] <= 25
    assert all(regular.id == f"s-{regular.n_actions}" for regular in regulars)


def test_standing_tells_facts_snapshot_and_training(
    running: RunningShop, backroom: Backroom
) -> None:
    tell(backroom, [mug(1), view("ada", "mug-1")])
    standing = backroom.standing()
    assert standing.facts["item"] == 1
    assert standing.facts["action"] == 1
    assert standing.snapshot == ""
    assert standing.progress is None
    heard: list[str] = []
    folder = running.parts.settings.snapshots.path
    with TrainingNote(folder, lambda step, done, total: heard.append(step)) as note:
        note("evaluation", 1, 4)
        progress = backroom.standing().progress
        assert progress is not None
        assert (progress.stage, progress.share) == ("evaluation", 0.25)
    assert heard == ["evaluation"]
    assert backroom.standing().progress is None


def test_a_note_of_a_training_that_died_is_not_believed(tmp_path: Path) -> None:
    TrainingNote(tmp_path, lambda step, done, total: None)("evaluation", 1, 2)
    assert read_note(tmp_path) == ("evaluation", 0.5)
    file = tmp_path / "training.json"
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    file.write_text(file.read_text().replace(str(os.getpid()), str(child)))
    assert read_note(tmp_path) is None
    file.write_text("not json")
    assert read_note(tmp_path) is None


def test_the_report_has_a_row_a_model_and_a_column_a_metric() -> None:
    report = report_of(
        {
            "habitue/ndcg@10": 0.1784,
            "popular/ndcg@10": 0.105,
            "habitue/coverage@10": 0.5,
            "habitue/novelty": 9.0,
            "seconds": 12.0,
        }
    )
    assert report is not None
    assert report.columns == ("NDCG", "coverage")
    assert report.title.endswith("lists of 10")
    assert report.rows == (("habitue", ("0.178", "0.500")), ("popular", ("0.105", "")))
    assert report_of({"seconds": 12.0}) is None


def test_the_pages_of_a_running_shop(running: RunningShop, backroom: Backroom) -> None:
    """From the store to the page: what is told by one request is shown by the next."""
    tell(backroom, [*map(mug, range(1, 31)), view("ada", "mug-7")])
    app = FastAPI()
    app.include_router(create_console(running, clock_ms=lambda: NOW_MS))
    visitor = TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000))
    page = visitor.get("/", params={"as": "ada"}).text
    assert "30 items" in page
    assert "looked at</b> Mug 7" in page
    token = page.partition('name="token" value="')[2].partition('"')[0]
    form = {"token": token, "as": "ada", "where": "home", "do": "add_to_cart 0 mug-9"}
    answer = visitor.post("/console/act", data=form, headers={"hx-request": "true"}).text
    assert "put in the cart</b> Mug 9" in answer
    stored = backroom.standing()
    assert stored.facts["action"] == 2
    assert replace(stored, facts={}).seq >= 32
