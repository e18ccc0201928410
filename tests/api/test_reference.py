"""The page at /docs: it tells every operation, sends what is in its form, and asks nobody else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import Client, Served, listening

sync_api = pytest.importorskip("playwright.sync_api")


def test_the_page_may_run_its_own_code_and_reach_its_own_server_alone(client: Client) -> None:
    answer = client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"(src|href|url)\s*[=(]", answer.text)
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for tag in ("script", "style"):
        (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"


@pytest.fixture
def page(chromium: str, served: Served) -> Iterator[Any]:
    """The page in a browser, which must not complain of anything."""
    wrong: list[str] = []
    with (
        listening(served.app, served.settings) as address,
        sync_api.sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        opened = browser.new_page()
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.goto(f"{address}/docs")
        yield opened
        browser.close()
    assert wrong == []


def test_every_operation_stands_on_the_page(page: Any, served: Served) -> None:
    page.wait_for_selector("details")
    told = {text.strip() for text in page.locator(".call").all_inner_texts()}
    paths = served.app.openapi()["paths"]
    assert told == {f"{method.upper()} {path}" for path in paths for method in paths[path]}


def test_an_example_is_sent_as_it_stands(page: Any, served: Served) -> None:
    operation = page.locator("#post_events")
    operation.locator("summary").first.click()
    operation.get_by_role("button", name="Send").click()
    sync_api.expect(operation.locator("pre")).to_contain_text("200 OK in ")
    assert '"accepted": ' in operation.locator("pre").inner_text()
    assert served.actions > 0


def test_a_key_is_sent_where_one_is_needed(page: Any, served: Served) -> None:
    key = served.key("server")
    operation = page.locator("#export_shopper")
    operation.locator("summary").first.click()
    operation.get_by_label("The shopper's id, or an alias of it.").fill("regular-0")
    button, shown = operation.get_by_role("button", name="Send"), operation.locator("pre")
    button.click()
    sync_api.expect(shown).to_contain_text("401")
    page.locator("#key").fill(key)
    button.click()
    sync_api.expect(shown).to_contain_text('"known_as"')
