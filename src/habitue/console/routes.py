"""The pages at ``/``: read the request, ask the window, fill in a template."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from habitue.app import RunningShop
from habitue.console import wording
from habitue.console.backroom import Backroom
from habitue.console.contract import Shop
from habitue.console.deeds import checkout, facts_of, read_deed
from habitue.console.guard import COOKIE, HEADERS, Guard
from habitue.console.views import Shelves, Visitor, Window
from habitue.errors import BadInput, HabitueError
from habitue.slates.fallback import FALLBACKS

__all__ = ["create_console"]

_TYPES: Final = {
    "console.css": "text/css; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "figtree.woff2": "font/woff2",
    "figtree-ext.woff2": "font/woff2",
}
_LONGEST: Final = 200
_FORM_FIELDS: Final = 400
_FORM_BYTES: Final = 256 * 1024

Form = dict[str, list[str]]


def _templates() -> Environment:
    loader = PackageLoader("habitue.console", "pages")
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(money=wording.money, minor=wording.money_minor, count=wording.count)
    made.globals.update(ago=wording.ago, deeds=wording.DEEDS, fallbacks=FALLBACKS, link=_link)
    return made


def _link(to: str, **query: object) -> str:
    """An address of ours with what is not empty of ``query`` (``as_`` stands for ``as``)."""
    said = {key.rstrip("_"): str(value) for key, value in query.items() if value not in ("", None)}
    return f"{to}?{urlencode(said)}" if said else to


def create_console(
    shop: Shop | RunningShop,
    *,
    keyed: Callable[[], bool] = lambda: False,
    admits: Callable[[str], bool] = lambda _key: False,
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> APIRouter:
    """The console's pages, at ``/`` and under ``/console``.

    ``keyed`` says whether any API key is configured, ``admits`` whether a key has the scope admin:
    without keys only this machine is answered, with keys also who holds an admin one.
    """
    seen = Backroom(shop, clock_ms=clock_ms) if isinstance(shop, RunningShop) else shop
    window = Window(seen, Shelves(seen), time.perf_counter_ns)
    pages = _Pages(window, Guard(keyed, admits), _templates(), clock_ms)
    router = APIRouter(include_in_schema=False)
    for path, answer in (
        ("/", pages.home),
        ("/console/item", pages.item),
        ("/console/cart", pages.cart),
        ("/console/catalogue", pages.catalogue),
        ("/console/stage", pages.stage),
        ("/console/state", pages.state),
        ("/console/new", pages.newcomer),
        ("/console/static/{name}", pages.static),
    ):
        router.add_api_route(path, answer, methods=["GET"], response_class=HTMLResponse)
    router.add_api_route("/console/act", pages.act, methods=["POST"], response_class=HTMLResponse)
    return router


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the visitor stands: a page, and what it is about."""

    where: str  # home, item or cart
    item: str = ""


@dataclass(frozen=True, slots=True)
class _Pages:
    window: Window
    guard: Guard
    templates: Environment
    clock_ms: Callable[[], int]

    async def home(self, request: Request) -> Response:
        """The start page."""
        return await self._page(request, _Place("home"))

    async def item(self, request: Request) -> Response:
        """An item's own page."""
        item = _said(request, "id")
        if not item:
            return RedirectResponse(_link("/", as_=_said(request, "as")), 303, headers=HEADERS)
        return await self._page(request, _Place("item", item))

    async def cart(self, request: Request) -> Response:
        """The visitor's cart."""
        return await self._page(request, _Place("cart"))

    async def _page(self, request: Request, place: _Place) -> Response:
        if refused := self.guard.refusal(request):
            return refused
        token = self.guard.token(request)
        html = await run_in_threadpool(self._whole, request, place, token)
        answer = HTMLResponse(html, headers=HEADERS)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="lax", path="/")
        return answer

    def _whole(self, request: Request, place: _Place, token: str) -> str:
        regulars = self.window.regulars()
        shopper = _said(request, "as") or (regulars[0].id if regulars else "")
        filled = self._stage(place, self.window.visitor(shopper), ())
        filled |= self._catalogue(request) if place.where == "home" else {}
        filled |= {"regulars": regulars, "standing": self.window.shop.standing()}
        filled |= {"report": self.window.shop.report(), "token": token, "note": ""}
        return self.templates.get_template(f"{place.where}.html").render(filled)

    def _stage(self, place: _Place, visitor: Visitor, before: tuple[str, ...]) -> dict[str, Any]:
        """What changes with every deed: the slate, the cart, what is known of the visitor."""
        shelf, now_ms = self.window.shelves.now(), self.clock_ms()
        anchors = {"item": (place.item,), "cart": tuple(visitor.cart)}.get(place.where, ())
        lines = self.window.lines(visitor) if place.where == "cart" else ()
        slate = self.window.slate(place.where, visitor, items=anchors, before=before, now_ms=now_ms)
        return {
            "shop": self.window.shop,
            "shelf": shelf,
            "place": place,
            "visitor": visitor,
            "slate": slate,
            "lines": lines,
            "card": shelf.card(place.item) if place.item else None,
            "now_ms": now_ms,
        }

    def _catalogue(self, request: Request) -> dict[str, Any]:
        words, path = _said(request, "q"), _said(request, "path")
        page = _said(request, "page")
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1
        shelf = self.window.shelves.now()
        return {
            "found": shelf.find(words=words, path=path, page=number),
            "words": words,
            "path": path,
            "shelf": shelf,
            "shop": self.window.shop,
        }

    async def catalogue(self, request: Request) -> Response:
        """The catalogue alone, for search, departments and paging."""
        if refused := self.guard.refusal(request):
            return refused
        shopper = _said(request, "as")
        filled = await run_in_threadpool(self._catalogue, request)
        filled |= {"visitor": Visitor(shopper, ()), "token": self.guard.token(request)}
        where = _link("/", as_=shopper, q=filled["words"], path=filled["path"])
        return self._part("_catalogue.html", filled, {"hx-push-url": where})

    async def stage(self, request: Request) -> Response:
        """The slate and what is known, made anew: asked for when a snapshot became active."""
        if refused := self.guard.refusal(request):
            return refused
        where, item = _said(request, "where"), _said(request, "item")
        place = _Place(where if where in ("home", "item", "cart") else "home", item)
        before = tuple(request.query_params.getlist("before"))
        return await run_in_threadpool(
            self._answer, place, _said(request, "as"), before, "", self.guard.token(request)
        )

    async def state(self, request: Request) -> Response:
        """What the shop holds; says in a header when another snapshot answers than ``snapshot``."""
        if refused := self.guard.refusal(request):
            return refused
        standing = self.window.shop.standing()
        changed = standing.snapshot != _said(request, "snapshot")
        filled = {"standing": standing, "shop": self.window.shop}
        return self._part(
            "_state.html", filled, {"hx-trigger": "snapshot-changed"} if changed else {}
        )

    async def newcomer(self, request: Request) -> Response:
        """A visitor nobody has seen before."""
        if refused := self.guard.refusal(request):
            return refused
        made = f"anon-{secrets.token_urlsafe(12)}"
        return RedirectResponse(_link("/", as_=made), 303, headers=HEADERS)

    async def act(self, request: Request) -> Response:
        """Tell the shop what a button says, then show what changes."""
        if refused := self.guard.refusal(request):
            return refused
        form = await _read_form(request)
        token = _field(form, "token")
        if self.guard.forged(request, token):
            return HTMLResponse("This form did not come from this page. Load it again.", 403)
        place = _Place(_field(form, "where") or "home", _field(form, "item"))
        if place.where not in ("home", "item", "cart"):
            place = _Place("home")
        try:
            note = await self._done(form)
        except HabitueError as error:
            note = str(error)
        shopper = _field(form, "as")
        if "hx-request" not in request.headers:
            return RedirectResponse(_back(place, shopper), 303, headers=HEADERS)
        before = tuple(form.get("before", []))
        return await run_in_threadpool(self._answer, place, shopper, before, note, token)

    async def _done(self, form: Form) -> str:
        """Store the facts of a form; returns what to tell the visitor."""
        shopper, do, now_ms = _field(form, "as"), _field(form, "do"), self.clock_ms()
        currency = self.window.shop.currency
        if do == "checkout":
            visitor = await run_in_threadpool(self.window.visitor, shopper)
            lines = self.window.lines(visitor)
            if not lines:
                raise BadInput("The cart is empty.")
            facts = checkout(shopper, lines, now_ms, currency)
            told = f"Bought {len(lines)} line{'s' if len(lines) > 1 else ''}"
        else:
            deed = read_deed(
                do,
                shopper=shopper,
                surface=_field(form, "surface"),
                slate_id=_field(form, "slate_id"),
            )
            card = self.window.shelves.now().card(deed.item)
            if not card.known:
                raise BadInput("This item is no longer sold.")
            facts = facts_of(deed, card, now_ms, currency)
            told = f"{wording.DEEDS[deed.kind].capitalize()} {card.title}"
        appended = await self.window.shop.append(facts, received_at_ms=now_ms)
        if appended.rejected:
            raise BadInput(appended.rejected[0].message)
        return told

    def _answer(
        self, place: _Place, shopper: str, before: tuple[str, ...], note: str, token: str
    ) -> Response:
        filled = self._stage(place, self.window.visitor(shopper), before)
        return self._part("_answer.html", filled | {"note": note, "token": token})

    def _part(
        self, name: str, filled: dict[str, Any], more: dict[str, str] | None = None
    ) -> Response:
        html = self.templates.get_template(name).render(filled)
        return HTMLResponse(html, headers=HEADERS | (more or {}))

    async def static(self, name: str) -> Response:
        """The style sheet, the script and the fonts: public, and the same for everyone."""
        if name not in _TYPES:
            return HTMLResponse("Nothing is here.", 404)
        content = resources.files("habitue.console").joinpath("static", name).read_bytes()
        headers = HEADERS | {"cache-control": "public, max-age=3600"}
        return Response(content, media_type=_TYPES[name], headers=headers)


def _said(request: Request, name: str) -> str:
    """A query parameter, cut to what an id may be long; empty where it is not said."""
    return request.query_params.get(name, "")[:_LONGEST]


async def _read_form(request: Request) -> Form:
    """The fields of a form as browsers send them; nothing where it is longer than ours ever are."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_BYTES:
            return {}
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_FORM_FIELDS)
    except ValueError:
        return {}


def _field(form: Form, name: str) -> str:
    return form.get(name, [""])[0][: _LONGEST * 3]


def _back(place: _Place, shopper: str) -> str:
    if place.where == "home":
        return _link("/", as_=shopper)
    return _link(f"/console/{place.where}", as_=shopper, id=place.item)
