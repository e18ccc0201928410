"""The snippet in Chromium, on a plain page of another origin: consent, events, slates."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from habitue.facts import NAMES, Action, Item
from tests.api.conftest import Served, listening, opened, settings_in

sync_api = pytest.importorskip("playwright.sync_api")

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
         "--disable-dev-shm-usage", "--disable-component-update")  # fmt: skip

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A shop</title>
<script>window.habitue = window.habitue || [];</script>
<script async src="{api}/habitue.js" data-key="{key}" {more}></script>
<h1>A shop</h1>
<div data-habitue-surface="{surface}" data-n="4">
  <template><article><a data-habitue="link"><img data-habitue="image" width="20" height="20">
    <b data-habitue="title"></b></a> <i data-habitue="price"></i> <s data-habitue="was"></s>
    <small data-habitue="reason"></small> <button data-habitue-cart>Buy</button>
    <button data-habitue-dismiss>Not for me</button></article></template>
</div></html>"""


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(chromium), args=list(FLAGS))
        yield launched
        launched.close()


class Site:
    """The shop's own site: plain pages at an origin that is not Habitué's."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        site = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = site.pages.get(self.path.partition("?")[0], "<title>Empty</title>").encode()
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(page)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(page)

            def log_message(self, *words: object) -> None:
                """Nobody listens."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Visit:
    """A browser on the shop's site, and what the shop has been told."""

    served: Served
    site: Site
    context: Any
    api: str
    key: str
    page: Any = None
    sent: list[str] = field(default_factory=list)

    def page_of(self, path: str, surface: str = "home", more: str = "") -> str:
        """Put up a page; its address."""
        self.site.pages[path] = PAGE.format(api=self.api, key=self.key, surface=surface, more=more)
        return self.site.origin + path

    def open(self, path: str = "/", surface: str = "home", more: str = "", n: int = 4) -> Any:
        """Load a page and wait for its slate."""
        address = self.page_of(path, surface, more)
        if self.page is None:
            self.page = self.context.new_page()
            self.page.on("request", lambda request: self.sent.append(request.url))
        self.page.goto(address)
        if n:
            self.page.locator("article").nth(n - 1).wait_for()
        return self.page

    def titles(self) -> list[str]:
        return self.page.locator("article b").all_inner_texts()

    def told(self) -> list[dict[str, Any]]:
        """The actions of browsers, in order, with the names of shoppers and items."""
        store, rows = self.served.shop.parts.store, []
        for table in store.scan("action"):
            rows += [row for row in table.to_pylist() if row["platform"] == "web"]
        items, shoppers = [*store.item_ids(), None], store.shopper_ids()
        for row in rows:
            row["item_id"] = items[row["item_row"]]
            row["shopper_id"] = shoppers[row["shopper_row"]]
        return rows

    def wait(self, kind: str, n: int = 1) -> list[dict[str, Any]]:
        """Until ``n`` actions of the kind are stored; those."""
        return until(lambda: self._of(kind), lambda rows: len(rows) >= n)

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [row for row in self.told() if NAMES[row["kind"]] == kind]

    def kept(self) -> dict[str, str]:
        """What the page keeps on the device."""
        held = self.page.evaluate("({...localStorage, ...sessionStorage})")
        assert self.page.evaluate("document.cookie") == ""
        return dict(held)

    def asked(self, path: str) -> int:
        return sum(f"/v1/{path}" in url for url in self.sent)


def until(look: Callable[[], Any], right: Callable[[Any], bool], seconds: float = 15) -> Any:
    end = time.monotonic() + seconds
    while not right(found := look()):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


@pytest.fixture
def visit(browser: sync_api.Browser, tmp_path: Path) -> Iterator[Visit]:
    site = Site()
    settings = settings_in(tmp_path, {"server.cors_origins": [site.origin]})
    with opened(settings) as served:
        things = [(f"item-{n}", f"Thing {n}", None) for n in range(1, 21)]
        things += [
            (f"{kind}-{n}", f"{kind.title()} {n}", f"Home > {kind}")
            for kind in ("mug", "lamp")
            for n in range(1, 7)
        ]
        served.shop.ingest(
            [
                Item(
                    id=name, title=title, product_type=path, link=f"{site.origin}/p?id={name}",
                    price_micros=1_500_000, currency="EUR",
                )
                for name, title, path in things
            ]
        )  # fmt: skip
        bought = [name for name, _, path in things if path] * 12
        served.shop.ingest(
            [
                Action(kind="purchase", shopper=f"fan-{n}", item=name)
                for n, name in enumerate(bought)
            ]
        )
        served.shop.catch_up()
        served.running.parts.popular.refresh(int(time.time() * 1000) + 20_000)
        key = served.key("browser")
        with listening(served.app, settings) as api:
            context = browser.new_context()
            context.set_default_timeout(20_000)
            yield Visit(served, site, context, api, key)
            context.close()
    site.close()


GIVEN = 'data-consent="given"'


def test_what_was_looked_at_changes_the_next_slate(visit: Visit) -> None:
    visit.open("/", more=GIVEN)
    assert not any("Mug" in title for title in visit.titles())
    visit.open("/mug", surface="item", more=f'{GIVEN} data-item="mug-3"')
    visit.open("/", more=GIVEN)
    assert sum("Mug" in title for title in visit.titles()) >= 2
    (view,) = visit.wait("view_item")
    assert (view["item_id"], view["device"], view["locale"]) == ("mug-3", "desktop", "en-US")
    assert len(visit.wait("page_view", 3)) == 3
    assert len({row["session_id"] for row in visit.told()}) == 1


def test_how_the_shopper_comes_goes_with_actions_and_requests(visit: Visit) -> None:
    bodies: list[dict[str, Any]] = []
    visit.open("/", more=GIVEN)
    visit.page.on(
        "request",
        lambda one: bodies.append(one.post_data_json) if "/v1/recommend" in one.url else None,
    )
    visit.open("/", more=GIVEN)
    visit.open("/app", more=f'{GIVEN} data-platform="app"')
    visit.page.evaluate("habitue.track('share', {item: 'mug-3', device: 'kiosk'})")
    came = [(body["platform"], body["device"], body["locale"]) for body in bodies]
    assert came == [("web", "desktop", "en-US"), ("app", "desktop", "en-US")]

    def shared() -> list[dict[str, Any]]:
        store = visit.served.shop.parts.store
        rows = [row for table in store.scan("action") for row in table.to_pylist()]
        return [row for row in rows if NAMES[row["kind"]] == "share"]

    (row,) = until(shared, bool)
    assert (row["platform"], row["device"], row["locale"]) == ("app", "kiosk", "en-US")


def test_refused_nothing_personal_is_kept_or_sent_and_slates_still_come(visit: Visit) -> None:
    page = visit.open("/mug", surface="item", more='data-item="mug-3"')
    page.evaluate("habitue.consent({personalisation: false, analytics: false})")
    visit.open("/mug", surface="item", more='data-item="mug-3"')
    assert sum("Mug" in title for title in visit.titles()) >= 2  # near what the page is about
    page.locator("article [data-habitue-cart]").first.click()
    page.wait_for_timeout(1500)
    assert list(visit.kept()) == ["habitue.consent"]
    assert json.loads(visit.kept()["habitue.consent"]) == {
        "personalisation": False,
        "analytics": False,
    }
    assert visit.asked("events") == visit.asked("consents") == 0
    assert visit.told() == []
    slates = [t for table in visit.served.shop.parts.store.scan("shown") for t in table.to_pylist()]
    assert {row["shopper_row"] for row in slates} <= {-1, None}


def test_undecided_waits_in_memory_and_yes_sends_it(visit: Visit) -> None:
    page = visit.open("/mug", surface="item", more='data-item="mug-3"')
    page.wait_for_timeout(1300)
    assert visit.kept() == {}
    assert visit.asked("events") == 0
    page.evaluate("habitue.consent({personalisation: true, analytics: true})")
    (view,) = visit.wait("view_item")
    assert view["shopper_id"].startswith("anon-")
    assert len(view["shopper_id"]) == len("anon-") + 32
    assert json.loads(visit.kept()["habitue.id"]) == view["shopper_id"]
    held = visit.served.running.shop.export(view["shopper_id"])
    assert len(held["consent"]) == 1


def test_who_withdraws_is_told_to_the_shop_and_forgotten_here(visit: Visit) -> None:
    page = visit.open("/", more=GIVEN)
    (first,) = visit.wait("page_view")
    shopper = first["shopper_id"]
    page.evaluate("habitue.consent({personalisation: false, analytics: false})")
    exported = until(
        lambda: visit.served.shop.export(shopper)["consent"], lambda rows: len(rows) == 1
    )
    assert "personalisation" in str(exported[0]["denied"])
    until(visit.kept, lambda kept: list(kept) == ["habitue.consent"])
    n = len(visit.told())
    visit.open("/mug", surface="item", more='data-consent="given" data-item="mug-3"')
    page.wait_for_timeout(1300)
    assert len(visit.told()) == n


def test_a_click_names_its_slate_and_slot(visit: Visit) -> None:
    page = visit.open("/", more=GIVEN)
    page.locator("article a").nth(2).click()
    page.wait_for_url("**/p?id=*")
    (click,) = visit.wait("select_item")
    shown = [t for table in visit.served.shop.parts.store.scan("shown") for t in table.to_pylist()]
    slate = next(row for row in shown if row["id"] == click["slate_id"])
    body = json.loads(slate["body"])
    assert (click["slot"], click["surface"]) == (2, "home")
    assert body[0][2] == click["item_id"]


def test_slots_in_sight_for_a_second_are_impressions(visit: Visit) -> None:
    page = visit.open("/", more=GIVEN)
    seen = visit.wait("view_item_list", 4)
    assert sorted(row["slot"] for row in seen) == [0, 1, 2, 3]
    assert {row["item_id"] for row in seen} == {None}
    assert len({row["slate_id"] for row in seen}) == 1
    page.wait_for_timeout(1300)
    assert len(visit.wait("view_item_list")) == 4


def test_how_long_an_item_was_in_sight_is_told(visit: Visit) -> None:
    page = visit.open("/mug", surface="item", more=f'{GIVEN} data-item="mug-3"')
    page.wait_for_timeout(1400)
    visit.open("/", more=GIVEN)
    (dwell,) = visit.wait("dwell")
    assert dwell["item_id"] == "mug-3"
    assert 1.0 < dwell["seconds"] < 20


def test_cart_dismissal_search_and_an_order(visit: Visit) -> None:
    page = visit.open("/", more=GIVEN)
    page.locator("article [data-habitue-cart]").first.click()
    before = visit.titles()
    page.locator("article [data-habitue-dismiss]").nth(1).click()
    until(visit.titles, lambda titles: len(titles) == 4 and before[1] not in titles)
    page.evaluate("habitue.search('blue mug')")
    page.evaluate("""habitue.purchase({order_id: "o-1", currency: "EUR", items: [
      {item: "mug-1", quantity: 2, price: 7.95}, {item: "lamp-2", price: 20}]})""")
    lines = visit.wait("purchase", 2)
    assert [row["order_id"] for row in lines] == ["o-1", "o-1"]
    assert [row["price_micros"] for row in lines] == [7_950_000, 20_000_000]
    assert [row["value_minor"] for row in lines] == [1590, 2000]
    (added,) = visit.wait("add_to_cart")
    assert (added["slot"], bool(added["slate_id"])) == (0, True)
    (dismissed,) = visit.wait("not_interested")
    assert dismissed["slot"] == 1
    assert visit.wait("search")[0]["query"] == "blue mug"


def test_what_could_not_be_sent_is_sent_again_once(visit: Visit) -> None:
    failing = [True, True]

    def flaky(route: Any) -> None:
        if failing:
            failing.pop()
            route.abort()
        else:
            route.continue_()

    visit.context.route("**/v1/events**", flaky)
    page = visit.open("/", more=GIVEN)
    page.evaluate("habitue.view('lamp-1')")
    page.wait_for_timeout(5000)  # the driver answers for the network only while it waits
    assert failing == []
    assert len(visit.wait("view_item")) == 1
    assert "habitue.outbox" not in visit.kept()


def test_the_last_words_of_a_page_arrive_without_it(visit: Visit) -> None:
    page = visit.open("/", more=GIVEN)
    visit.wait("page_view")
    page.evaluate("habitue.view('lamp-5')")
    page.close(run_before_unload=True)
    assert visit.wait("view_item")[0]["item_id"] == "lamp-5"


def test_who_signs_in_is_one_person_with_their_visit_before(visit: Visit) -> None:
    visit.open("/", more=GIVEN)
    (before,) = visit.wait("page_view")
    token = visit.served.token("s-1")
    visit.open("/mug", more=f'{GIVEN} data-shopper="s-1" data-token="{token}" data-item="mug-2"')
    visit.wait("view_item")
    rows = visit.served.shop.parts.store.shopper_rows([before["shopper_id"], "s-1"])
    until(
        lambda: visit.served.shop.parts.store.shopper_rows([before["shopper_id"], "s-1"]).tolist(),
        lambda found: found[0] == found[1] >= 0,
    )
    assert rows.min() >= 0
    assert visit._of("view_item")[0]["shopper_id"] == "s-1"
    visit.page.evaluate("habitue.forget()")
    assert "habitue.id" not in visit.kept()


def test_prices_and_links_are_filled_in_and_scripts_are_not(visit: Visit) -> None:
    visit.served.shop.ingest(
        [
            Item(
                id="mug-1", title="<b>Bold</b>", link="javascript:alert(1)", currency="EUR",
                price_micros=9_500_000, sale_price_micros=8_000_000, product_type="Home > mug",
            ),
            *(Action(kind="purchase", shopper=f"fan-{n}", item="mug-1") for n in range(60)),
        ]
    )  # fmt: skip
    visit.served.running.parts.popular._ranking = None
    page = visit.open("/", more=GIVEN)
    first = page.locator("article").first
    assert first.locator("b").inner_text() == "<b>Bold</b>"
    assert first.locator("a").get_attribute("href") == ""
    assert (first.locator("i").inner_text(), first.locator("s").inner_text()) == ("€8.00", "€9.50")
    assert first.locator("img").is_hidden()


def test_a_page_calls_before_the_script_has_loaded(visit: Visit) -> None:
    address = visit.page_of("/", more=f'{GIVEN} data-auto="off"')
    visit.site.pages["/"] = visit.site.pages["/"].replace(
        "window.habitue || [];", "[['view', 'lamp-2', {price: 3, currency: 'EUR'}]];"
    )
    visit.page = visit.context.new_page()
    visit.page.goto(address)
    (view,) = visit.wait("view_item")
    assert (view["item_id"], view["price_micros"]) == ("lamp-2", 3_000_000)
    assert visit._of("page_view") == []
