"""The start page in a browser: pick a shopper, click an item, watch the next slate change."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from habitue.console import create_console
from tests.console.corner_shop import CornerShop

sync_api = pytest.importorskip("playwright.sync_api")

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
)
WIDE, NARROW = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(chromium), args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture
def shop() -> CornerShop:
    return CornerShop()


@pytest.fixture
def address(shop: CornerShop) -> Iterator[str]:
    """The shop's pages, served on a free port."""
    app = FastAPI()
    app.include_router(create_console(shop))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listening.close()


class Looking:
    """A page in the browser, and everything it complained of."""

    def __init__(self, browser: sync_api.Browser, **looks: object) -> None:
        self.context = browser.new_context(**{"viewport": WIDE} | looks)
        self.context.set_default_timeout(20_000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def _heard(self, message: sync_api.ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def titles(self) -> list[str]:
        return self.page.locator("#slate h3").all_inner_texts()


@pytest.fixture
def looking(browser: sync_api.Browser, address: str) -> Iterator[Looking]:
    """A wide window; whatever it complains of fails the test. Closed before the shop is."""
    del address
    window = Looking(browser)
    yield window
    window.context.close()
    assert window.complaints == []


def test_a_click_changes_the_next_slate_and_is_named_as_the_reason(
    looking: Looking, address: str, tmp_path: Path
) -> None:
    page = looking.page
    page.goto(address)
    page.get_by_role("link", name="ben").click()
    page.get_by_text("Nothing is known of you yet").wait_for()
    before = looking.titles()
    assert before[0] == "Harbour Mug No. 1"
    page.get_by_role("button", name="Look at it: Harbour Mug No. 5").first.click()
    page.get_by_text("because you looked at Harbour Mug No. 5").first.wait_for()
    after = looking.titles()
    assert after != before
    assert "Harbour Mug No. 5" not in after
    assert page.locator("#slate .is-new").count() == len(set(after) - set(before)) > 0
    assert "looked at Harbour Mug No. 5" in page.locator("#knows").inner_text()
    assert page.locator("#note").inner_text() == "Looked at Harbour Mug No. 5"
    page.screenshot(path=tmp_path / "after-a-click.png")
    assert (tmp_path / "after-a-click.png").stat().st_size > 20_000


def test_from_an_item_to_the_cart_to_an_order(
    looking: Looking, address: str, shop: CornerShop
) -> None:
    page = looking.page
    page.goto(f"{address}/?as=ben")
    page.locator("#slate h3 a").first.click()
    page.get_by_role("heading", name="Harbour Mug No. 1", exact=True).wait_for()
    page.locator(".doing-view_item").wait_for()  # the page itself tells of the look
    assert [told.kind for told in shop.told[1:]] == ["view_item"]
    page.get_by_role("button", name="Add to cart", exact=True).click()
    page.get_by_role("button", name="Add another").wait_for()
    assert page.locator("#count").inner_text().startswith("1")
    page.locator(".cart-link").click()
    page.get_by_role("button", name="Buy everything").click()
    page.get_by_text("The cart is empty").wait_for()
    assert shop.told[-1].kind == "purchase"
    assert page.locator("#count").inner_text().startswith("0")


def test_searching_paging_and_departments_stay_on_the_page(looking: Looking, address: str) -> None:
    page = looking.page
    page.goto(address)
    page.get_by_label("Search the catalogue").fill("lamp no. 19")
    page.get_by_text("1 item for").wait_for()
    assert page.url.endswith("q=lamp+no.+19")
    assert page.get_by_label("Search the catalogue").input_value() == "lamp no. 19"
    page.goto(address)
    page.get_by_role("link", name="Next →").click()
    page.get_by_text("Page 2 of 2").wait_for()
    page.get_by_role("navigation", name="Departments").get_by_role("link", name="Table").click()
    page.get_by_text("20 items").wait_for()
    page.reload()
    page.get_by_text("20 items").wait_for()


def test_the_page_turns_over_when_training_ends(
    looking: Looking, address: str, shop: CornerShop
) -> None:
    page = looking.page
    page.goto(address)
    assert "learning" in page.locator("#state").inner_text()
    shop.state = replace(shop.state, snapshot="20260101T000000Z-1", progress=None)
    page.locator("#state .trained").wait_for(timeout=10_000)
    page.locator("#knows dd", has_text="20260101T000000Z-1").wait_for()


def test_nothing_is_fetched_from_elsewhere(looking: Looking, address: str) -> None:
    looking.page.goto(address)
    looking.page.wait_for_load_state("networkidle")
    assert looking.asked
    assert all(url.startswith((address, "data:")) for url in looking.asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pages_fit_the_window_and_can_be_read(
    browser: sync_api.Browser, address: str, size: dict[str, int], scheme: str
) -> None:
    window = Looking(browser, viewport=size, color_scheme=scheme)
    for path in ("/", "/console/item?id=mug-2&as=ada", "/console/cart?as=ada"):
        window.page.goto(address + path)
        width = window.page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], path
        contrast = window.page.evaluate(CONTRAST)
        assert len(contrast) > 30
        assert not [said for said in contrast if said[1] < 4.5], (path, scheme)
    window.context.close()
    assert window.complaints == []


def test_every_control_can_be_named_and_reached_by_key(looking: Looking, address: str) -> None:
    page = looking.page
    page.goto(address)
    controls = re.findall(
        r"- '?(?:button|link|searchbox)\b.*", page.locator("body").aria_snapshot()
    )
    assert len(controls) > 100
    assert not [control for control in controls if '"' not in control]  # names stand in quotes
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the shop"


# The contrast of each piece of text with the ground it stands on (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
  const parse = (c) => {
    const m = c.match(/[\\d.]+/g).map(Number);
    const size = c.startsWith('color(') ? 255 : 1;
    return [m[0] * size, m[1] * size, m[2] * size, m[3] ?? 1];
  };
  const line = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) =>
    0.2126 * line(r / 255) + 0.7152 * line(g / 255) + 0.0722 * line(b / 255);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c[3] > 0.9) return c;
    }
    return [255, 255, 255];
  };
  const said = [];
  for (const e of document.querySelectorAll('body *')) {
    const text = [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join('');
    if (!text || e.closest('svg, .hidden, .skip, .note') || !e.getClientRects().length) continue;
    if (e.closest('button:disabled')) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
    said.push([text, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return said;
}"""
