"""The pages: what they show, what they refuse, and that nothing a shop says can break out."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from html import unescape

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.console import create_console
from habitue.facts import Action
from tests.console.corner_shop import CornerShop

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


def browser(shop: CornerShop, *, keyed: bool = False, host: str = "127.0.0.1:8000") -> TestClient:
    app = FastAPI()
    app.include_router(create_console(shop, keyed=lambda: keyed, admits=lambda key: key == "admin"))
    return TestClient(app, base_url=f"http://{host}", client=("127.0.0.1", 50_000))


@pytest.fixture
def shop() -> CornerShop:
    return CornerShop()


@pytest.fixture
def visitor(shop: CornerShop) -> TestClient:
    return browser(shop)


def press(
    visitor: TestClient, do: str, shopper: str = "ada", *, where: str = "home", **more: object
) -> httpx.Response:
    """Open the start page, then press a button on it."""
    page = visitor.get("/", params={"as": shopper}).text
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token
    form = {"token": token[1], "as": shopper, "where": where, "surface": where, "do": do}
    return visitor.post("/console/act", data=form | more, headers={"hx-request": "true"})


def titles(html: str) -> list[str]:
    return re.findall(r"<h3><a [^>]+>([^<]+)</a>", html.partition('id="catalogue"')[0])


# --------------------------------------------------------------------- what is shown


def test_the_start_page_shows_the_shop_the_slate_and_the_catalogue(visitor: TestClient) -> None:
    page = visitor.get("/").text
    assert "The corner shop" in page
    assert len(titles(page)) == 12
    assert "because you looked at Harbour Lamp No. 3" in page
    assert "40 items" in page
    assert "learning…" in page
    assert 'value="40"' in page  # training is 40 % through
    assert "fitting ALS" in page


def test_whoever_comes_first_is_shown_unless_another_is_picked(visitor: TestClient) -> None:
    assert "looked at</b> Harbour Lamp No. 3" in visitor.get("/").text
    assert "The first click already counts" in visitor.get("/", params={"as": "ben"}).text


def test_a_trained_snapshot_is_named_and_its_measurements_stand_beside(
    shop: CornerShop, visitor: TestClient
) -> None:
    shop.state = replace(shop.state, snapshot="20260101T000000Z-1", progress=None)
    page = visitor.get("/").text
    assert "learning…" not in page
    assert "20260101T000000Z-1" in page
    assert "NDCG@10" in page
    assert "0.178" in page


def test_prices_are_shown_with_what_they_were(visitor: TestClient) -> None:
    page = visitor.get("/console/item", params={"id": "mug-2", "as": "ben"}).text
    assert "€9.00" in page
    assert "€11.80" in page


def test_search_filters_and_departments_narrow(visitor: TestClient) -> None:
    part = visitor.get("/console/catalogue", params={"q": "mug vessandine"})
    assert "10 items" in part.text
    assert "Lamp" not in part.text.partition("Departments")[2].partition("</nav>")[2]
    assert part.headers["hx-push-url"] == "/?q=mug+vessandine"
    assert "20 items" in visitor.get("/console/catalogue", params={"path": "Living"}).text
    inner = {"path": "Living > Lamps", "q": "no. 1"}
    assert "11 items" in visitor.get("/console/catalogue", params=inner).text


def test_paging_goes_to_the_end_and_no_further(visitor: TestClient) -> None:
    first = visitor.get("/").text
    assert "Page 1 of 2" in first
    last = visitor.get("/", params={"page": "2"}).text
    assert "Page 2 of 2" in last
    assert "Page 2 of 2" in visitor.get("/", params={"page": "999"}).text


def test_an_item_page_asks_for_similar_items(shop: CornerShop, visitor: TestClient) -> None:
    page = visitor.get("/console/item", params={"id": "mug-4", "as": "ben"}).text
    assert shop.asked[-1].surface == "item"
    assert shop.asked[-1].items == ["mug-4"]
    assert "Harbour Mug No. 4" in page
    assert "A mug for every day." in page


def test_an_unknown_item_has_a_page_that_says_so(visitor: TestClient) -> None:
    page = visitor.get("/console/item", params={"id": "nothing/of?this kind"})
    assert page.status_code == 200
    assert "not in the catalogue" in page.text


def test_an_empty_shop_has_a_page() -> None:
    shop = CornerShop([{"id": "only", "title": None, "product_type": None}])
    shop.told = []
    page = browser(shop).get("/")
    assert page.status_code == 200
    assert "Nothing fits" in page.text


# --------------------------------------------------------------------- what a press does


def test_looking_at_an_item_changes_the_slate_and_is_named_as_the_reason(
    shop: CornerShop, visitor: TestClient
) -> None:
    before = titles(visitor.get("/", params={"as": "ben"}).text)
    assert "Harbour Mug No. 1" in before
    after = press(visitor, "view_item 0 mug-1", "ben", before=["mug-1", "mug-2"]).text
    assert "Harbour Mug No. 1" not in titles(after)
    assert "because you looked at Harbour Mug No. 1" in after
    assert after.count("new here") == 11  # all but mug-2 of the twelve
    assert "11 of 12" in after
    assert "Looked at Harbour Mug No. 1" in after
    told = shop.told[-1]
    assert (told.kind, told.shopper, told.item, told.slot) == ("view_item", "ben", "mug-1", 0)


def test_a_press_carries_the_slate_it_answers(shop: CornerShop, visitor: TestClient) -> None:
    press(visitor, "add_to_cart 3 mug-4", slate_id="slate-1")
    told = shop.told[-1]
    assert (told.slate_id, told.slot, told.surface) == ("slate-1", 3, "home")
    assert (told.price_micros, told.currency) == (13_600_000, "EUR")


def test_the_cart_fills_and_empties(shop: CornerShop, visitor: TestClient) -> None:
    press(visitor, "add_to_cart 0 mug-1", "ben")
    press(visitor, "add_to_cart 0 mug-1", "ben")
    page = visitor.get("/console/cart", params={"as": "ben"}).text
    assert "2 × €10.90" in page
    assert "€21.80" in page
    assert shop.asked[-1].surface == "cart"
    assert shop.asked[-1].items == ["mug-1"]
    press(visitor, "remove_from_cart - mug-1", "ben", where="cart")
    assert "The cart is empty" in visitor.get("/console/cart", params={"as": "ben"}).text


def test_buying_everything_is_one_order_with_a_line_an_item(
    shop: CornerShop, visitor: TestClient
) -> None:
    for item in ("mug-1", "mug-1", "lamp-2"):
        press(visitor, f"add_to_cart - {item}", "ben")
    answer = press(visitor, "checkout", "ben", where="cart")
    assert "Bought 2 lines" in answer.text
    lines = [told for told in shop.told if told.kind == "purchase"]
    assert len({line.order_id for line in lines}) == 1
    assert {(line.item, line.quantity, line.value_minor) for line in lines} == {
        ("mug-1", 2.0, 2180),
        ("lamp-2", 1.0, 900),
    }
    assert "The cart is empty" in answer.text
    assert "The cart is empty" in press(visitor, "checkout", "ben", where="cart").text


def test_without_scripts_a_press_leads_back_to_its_page(visitor: TestClient) -> None:
    page = visitor.get("/", params={"as": "ben"}).text
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token
    form = {
        "token": token[1],
        "as": "ben",
        "where": "item",
        "item": "mug 1",
        "do": "view_item - mug-1",
    }
    answer = visitor.post("/console/act", data=form, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console/item?as=ben&id=mug+1"


def test_a_new_visitor_gets_an_id_nobody_can_guess(visitor: TestClient) -> None:
    places = [visitor.get("/console/new", follow_redirects=False).headers["location"] for _ in "12"]
    assert places[0] != places[1]
    assert re.fullmatch(r"/\?as=anon-[\w-]{16,}", places[0])
    assert "New visitor" in visitor.get(places[0]).text


def test_the_page_hears_of_a_new_snapshot(shop: CornerShop, visitor: TestClient) -> None:
    assert "hx-trigger" not in visitor.get("/console/state").headers
    shop.state = replace(shop.state, snapshot="next", progress=None)
    heard = visitor.get("/console/state", params={"snapshot": ""})
    assert heard.headers["hx-trigger"] == "snapshot-changed"
    again = visitor.get(
        "/console/stage", params={"where": "home", "as": "ada", "before": ["mug-9"]}
    )
    assert "new here" in again.text


# --------------------------------------------------------------------- when things go wrong


def test_a_store_that_is_down_is_said_and_the_page_stays(
    shop: CornerShop, visitor: TestClient
) -> None:
    shop.broken = True
    answer = press(visitor, "view_item 0 mug-1")
    assert answer.status_code == 200
    assert "The store does not answer. Try again." in answer.text
    assert len(titles(answer.text)) == 12


@pytest.mark.parametrize(
    "do",
    [
        "",
        "view_item",
        "view_item 0",
        "refund 0 mug-1",
        "purchase 0 no-such-item",
        "view_item 0 " * 99,
    ],
)
def test_a_button_that_is_not_ours_tells_the_shop_nothing(
    shop: CornerShop, visitor: TestClient, do: str
) -> None:
    n = len(shop.told)
    assert press(visitor, do).status_code == 200
    assert len(shop.told) == n


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.sampled_from(["as", "q", "path", "page", "id", "where", "item", "snapshot", "before"]),
        st.text(max_size=300),
    ),
    st.sampled_from(
        ["/", "/console/item", "/console/cart", "/console/catalogue", "/console/stage"]
    ),
)
def test_any_address_has_a_page(query: dict[str, str], path: str) -> None:
    query = {key: value.encode(errors="replace").decode() for key, value in query.items()}
    assert VISITOR.get(path, params=query).status_code == 200


VISITOR = browser(CornerShop())


@settings(max_examples=30)
@given(st.text(max_size=200))
def test_any_press_has_an_answer(do: str) -> None:
    assert press(VISITOR, do.encode(errors="replace").decode()).status_code == 200


def test_a_form_too_long_is_refused(visitor: TestClient) -> None:
    assert press(visitor, "view_item 0 mug-1", before=["x" * 200] * 2_000).status_code == 403


# --------------------------------------------------------------------- nothing breaks out


def test_nothing_a_shop_or_visitor_says_becomes_markup() -> None:
    rows = [
        {
            "id": f"{EVIL}{n}",
            "title": EVIL,
            "description": EVIL,
            "brand": EVIL,
            "product_type": f"{EVIL} > {EVIL}",
            "color": EVIL,
            "image_link": 'javascript:alert("x")' if n else f"https://shop.example/{EVIL}",
            "price_micros": 1_000_000,
            "currency": "EUR",
        }
        for n in range(3)
    ]
    shop = CornerShop(rows)
    shop.name = EVIL
    shop.told = [Action(kind="add_to_cart", shopper=EVIL, item=f"{EVIL}0", at=1)]
    visitor = browser(shop)
    for path in ("/", "/console/item", "/console/cart", "/console/catalogue"):
        query = {"as": EVIL, "id": f"{EVIL}0", "q": EVIL, "path": EVIL}
        for asked in (query, {"as": EVIL, "id": f"{EVIL}0"}):
            page = visitor.get(path, params=asked).text
            assert "<script>alert" not in page
            assert "<img src=x" not in page
            assert "javascript:" not in page
            assert "alert(1)" in unescape(page)
    assert "<script>alert" not in press(visitor, f"view_item 0 {EVIL}1", EVIL).text


def test_pages_forbid_whatever_is_not_ours(visitor: TestClient) -> None:
    answer = visitor.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    # What the policy forbids would silently not work: styles and scripts within the page.
    assert not re.search(r"<script(?! src=\"/console/static/)", answer.text)
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=", answer.text)
    assert not re.search(r'(?:src|href)="https?://', answer.text)


# --------------------------------------------------------------------- who may


def test_forged_forms_are_refused(shop: CornerShop, visitor: TestClient) -> None:
    n = len(shop.told)
    form = {"as": "ada", "where": "home", "do": "view_item 0 mug-1"}
    visitor.get("/")
    assert visitor.post("/console/act", data=form).status_code == 403
    assert visitor.post("/console/act", data=form | {"token": "x" * 43}).status_code == 403
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        token = re.search(r'name="token" value="([^"]+)"', visitor.get("/").text)
        assert token
        sent = visitor.post("/console/act", data=form | {"token": token[1]}, headers=headers)
        assert sent.status_code == 403
    assert len(shop.told) == n


def test_without_keys_only_this_machine_is_answered(shop: CornerShop) -> None:
    assert browser(shop).get("/").status_code == 200
    assert browser(shop, host="localhost:8000").get("/").status_code == 200
    assert browser(shop, host="rebound.example").get("/").status_code == 403
    forwarded = browser(shop).get("/", headers={"x-forwarded-for": "203.0.113.9"})
    assert forwarded.status_code == 403
    app = FastAPI()
    app.include_router(create_console(shop))
    stranger = TestClient(app, base_url="http://127.0.0.1", client=("203.0.113.9", 1))
    for path in ("/", "/console/state", "/console/stage", "/console/catalogue", "/console/new"):
        assert stranger.get(path).status_code == 403
    assert stranger.post("/console/act", data={}).status_code == 403


def test_with_keys_an_admin_key_opens_it_from_elsewhere(shop: CornerShop) -> None:
    remote = browser(shop, keyed=True, host="shop.example")
    asked = remote.get("/")
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic")

    def sent(key: str) -> int:
        basic = b64encode(f"console:{key}".encode()).decode()
        return remote.get("/", headers={"authorization": f"Basic {basic}"}).status_code

    assert sent("admin") == 200
    assert sent("browser-key") == 401
    assert (
        remote.get("/", headers={"authorization": "Basic ÿ!".encode("latin-1")}).status_code == 401
    )


def test_the_styles_and_scripts_are_served_and_nothing_else(visitor: TestClient) -> None:
    for name, kind in (("console.css", "text/css"), ("htmx.min.js", "text/javascript")):
        answer = visitor.get(f"/console/static/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
    assert "http" not in visitor.get("/console/static/console.css").text
    assert visitor.get("/console/static/..%2Froutes.py").status_code == 404
    assert visitor.get("/console/static/htmx.LICENSE.txt").status_code == 404
