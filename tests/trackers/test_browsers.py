"""The trackers' own scripts in Chromium, on a page of the shop's site, with a browser key."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.trackers.conftest import Running, all_odd

sync_api = pytest.importorskip("playwright.sync_api")

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip
SCRIPTS = {
    "/segment": "@segment/analytics-next/dist/umd/index.js",
    "/posthog": "posthog-js/dist/array.full.no-external.js",
}
PAGE = '<!doctype html><html lang="en"><title>A shop</title><script src="{}.js"></script></html>'


@pytest.fixture
def site(node_modules: Path) -> Iterator[str]:
    """The shop's own site: a page for each script, at an origin that is not Habitué's."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removesuffix(".js")
            found = name in SCRIPTS
            kind, body = "text/html", PAGE.format(name).encode()
            if found and self.path.endswith(".js"):
                kind = "text/javascript"
                body = (node_modules / "node_modules" / SCRIPTS[name]).read_bytes()
            self.send_response(200 if found else 404)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Nobody listens."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def origins(site: str) -> list[str]:
    return [site]


@pytest.fixture
def page(chromium: str) -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        opened = browser.new_page()
        opened.set_default_timeout(20_000)
        yield opened
        browser.close()


TRACKING = {
    "segment": """async ([host, key]) => {
        const analytics = AnalyticsNext.AnalyticsBrowser.load({ writeKey: key, cdnURL: host });
        await analytics.track('Product Viewed', { product_id: 'item-1' });
        return (await analytics.user()).anonymousId();
    }""",
    "posthog": """([host, key]) => {
        // what is driven by a test is taken for a bot, which PostHog tracks only when told to
        posthog.init(key, { api_host: host, opt_out_useragent_filter: true });
        posthog.capture('Product Viewed', { product_id: 'item-1' });
        return posthog.get_distinct_id();
    }""",
}


@pytest.mark.parametrize("tracker", ["segment", "posthog"])
def test_a_page_tells_of_its_visitor_and_their_next_slate_knows(
    running: Running, site: str, page: Any, tracker: str
) -> None:
    key = running.served.key("browser")
    page.goto(f"{site}/{tracker}")
    visitor = "anon-" + page.evaluate(TRACKING[tracker], [running.url, key])
    until = time.monotonic() + 15
    while not all_odd(seen := running.slate(shopper=visitor)):
        assert time.monotonic() < until, seen
        time.sleep(0.1)
    assert b'"event":"refused"' not in running.served.log.getvalue()
