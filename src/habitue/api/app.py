"""The application: every operation, wired to one shop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, BinaryIO

from fastapi import FastAPI
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from habitue.api import examples, wire
from habitue.api.ask import ASK, Ask, Reply
from habitue.api.cards import CardsDoor
from habitue.api.contract import Shop
from habitue.api.edge import Edge
from habitue.api.embeddings import embedding_operation
from habitue.api.facts import FactsDoor, JsonBody
from habitue.api.gate import Gate
from habitue.api.log import AccessLog
from habitue.api.messages import message_operations
from habitue.api.meters import Meters
from habitue.api.openapi import document
from habitue.api.operation import Example, Operation
from habitue.api.outlooks import outlook_operation
from habitue.api.people import PeopleDoor
from habitue.api.portraits import portrait_operation
from habitue.api.problems import MEDIA_TYPE, Problem, problem_of
from habitue.api.ratings import ratings_operation
from habitue.api.reference import reference_page
from habitue.api.running import RunningDoor
from habitue.api.slates import SlatesDoor
from habitue.api.snippet import snippet_routes
from habitue.api.trackers import tracker_operations
from habitue.errors import HabitueError
from habitue.facts.feeds.habitue_json import Sent
from habitue.privacy import Scope
from habitue.settings import Settings
from habitue.surfaces import SlateAnswer, SurfaceRequest

__all__ = ["create_app", "program_version"]

_HTTP = {404: ("not-found", "Nothing is here."), 405: ("method-not-allowed", "Not this way.")}


class _Api(FastAPI):
    """FastAPI within the edge: errors, ids and measurements of every layer pass through it."""

    edge: Callable[[Any], Any]
    operations: tuple[Operation, ...]
    trackers: tuple[Operation, ...]  # of protocols that others describe: not in our document

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Straight to the edge: the framework's own telemetry asks the environment every time."""
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> Any:
        """The usual layers, with the edge outside all of them."""
        return self.edge(super().build_middleware_stack())

    def openapi(self) -> dict[str, Any]:
        """The document of the operations."""
        if self.openapi_schema is None:
            self.openapi_schema = document(self.operations, version=self.version)
        return self.openapi_schema


def create_app(
    shop: Shop,
    settings: Settings | None = None,
    *,
    log: BinaryIO | None = None,
    named: str = "",
) -> FastAPI:
    """The HTTP interface of ``shop``. ``log`` receives the access log; nothing does without it.

    ``named`` is what the shop is called in the log and in measurements, where there are several.
    """
    settings = settings or Settings()
    gate = Gate(shop.keys, shop.tokens, settings.server, settings.limits)
    meters = Meters(named)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        del app
        yield
        await shop.drain()

    app = _Api(
        title="Habitué",
        version=program_version(),
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        redirect_slashes=False,
    )
    app.operations = (
        *_fact_operations(shop, settings, gate, meters),
        _slate_operation(shop, settings, gate, meters),
        _cards_operation(shop, settings, gate),
        *message_operations(shop, settings, gate),
        *_people_operations(shop, gate),
        portrait_operation(shop, gate),
        outlook_operation(shop, gate),
        embedding_operation(shop, gate),
        ratings_operation(shop, gate),
        *_running_operations(RunningDoor(shop, meters, app.version), gate),
    )
    access = AccessLog(log, requests=settings.server.access_log == "json", shop=named)
    app.trackers = tracker_operations(shop, settings, gate, meters, access)
    every = (*app.operations, *app.trackers)
    for operation in every:
        app.router.routes.append(
            Route(operation.path, operation, methods=[operation.method], name=operation.name)
        )
    app.router.routes += [reference_page(), *snippet_routes()]
    hot = {(one.method, one.path): one for one in every if "{" not in one.path}
    app.edge = lambda inner: Edge(
        inner, hot, gate, meters, access, most_bytes=settings.limits.body_bytes
    )
    for error in (HTTPException, Problem, HabitueError, Exception):
        app.add_exception_handler(error, _answer_problem)
    return app


def _fact_operations(shop: Shop, settings: Settings, gate: Gate, meters: Meters) -> list[Operation]:
    body = JsonBody(settings.limits)
    table: tuple[tuple[Sent, str, Scope, object, tuple[Example, ...], str], ...] = (
        ("action", "events", "browser", wire.ActionsBody, examples.EVENTS, "Tell what happened"),
        ("item", "items", "server", wire.ItemsBody, examples.ITEMS, "Add or change items"),
        ("shopper", "shoppers", "server", wire.ShoppersBody, examples.SHOPPERS, "Tell of shoppers"),
        ("link", "links", "server", wire.LinksBody, examples.LINKS, "Tie named things together"),
        ("consent", "consents", "browser", wire.ConsentsBody, examples.CONSENTS, "Note consent"),
        ("alias", "aliases", "server", wire.AliasesBody, examples.ALIASES, "Join two ids"),
    )
    return [
        Operation(
            name=f"post_{name}",
            method="POST",
            path=f"/v1/{name}",
            summary=summary,
            description=_FACTS,
            answer=FactsDoor(kind, body, shop, gate, meters, settings.clock).answer,
            gate=gate,
            needs=needs,
            takes=takes,
            gives={200: wire.AppendedAnswer, 207: wire.AppendedAnswer},
            problems=(409,),
            examples=shown,
            tag="facts",
        )
        for kind, name, needs, takes, shown, summary in table
    ]


_FACTS = """A batch is answered when its good rows are durable and the next slate knows them.

200: every row is stored (or was before: the same id with the same body is no error). 207: some
rows were refused; `rejected` lists each with its place, its field and the reason. 409 or 422: none
was stored. Lines of one `order_id` are stored together or not at all. Rows without an id get one;
give your own to send a batch again safely."""


def _slate_operation(shop: Shop, settings: Settings, gate: Gate, meters: Meters) -> Operation:
    return Operation(
        name="recommend",
        method="POST",
        path="/v1/recommend",
        summary="Ask for a slate",
        description="The slate is logged; send its `slate_id` and `slot` with what comes of it.",
        answer=SlatesDoor(JsonBody(settings.limits), shop, gate, meters).answer,
        gate=gate,
        needs="browser",
        takes=SurfaceRequest,
        gives={200: SlateAnswer},
        problems=(404,),
        examples=examples.RECOMMEND,
        tag="slates",
    )


def _cards_operation(shop: Shop, settings: Settings, gate: Gate) -> Operation:
    return Operation(
        name="cards",
        method="POST",
        path="/v1/cards",
        summary="What a page shows of items",
        description="For pages that show a slate and do not know its items. Costs are not told.",
        answer=CardsDoor(JsonBody(settings.limits), shop).answer,
        gate=gate,
        needs="browser",
        takes=wire.CardsBody,
        gives={200: wire.CardsAnswer},
        examples=examples.CARDS,
        tag="slates",
    )


def _people_operations(shop: Shop, gate: Gate) -> list[Operation]:
    people = PeopleDoor(shop)
    which = {"id": ("The shopper's id, or an alias of it.", "s-1")}
    return [
        Operation(
            name="export_shopper",
            method="GET",
            path="/v1/shoppers/{id}",
            summary="Everything held of a shopper, as a document they can read",
            description=_ACCESS,
            answer=people.export,
            gate=gate,
            needs="server",
            gives={200: wire.AccessAnswer},
            problems=(404, 422),
            parameters=which,
            tag="privacy",
        ),
        Operation(
            name="erase_shopper",
            method="DELETE",
            path="/v1/shoppers/{id}",
            summary="Erase a shopper everywhere",
            answer=people.erase,
            gate=gate,
            needs="server",
            gives={200: wire.ErasedAnswer},
            problems=(404, 422),
            parameters=which,
            tag="privacy",
        ),
    ]


_ACCESS = """The answer to an access request: every fact that names the person, under any of their
ids, by kind and in order. Times are ISO 8601; the numbers by which the shop keeps rows are left
out."""


def _running_operations(door: RunningDoor, gate: Gate) -> list[Operation]:
    Answer = Callable[[Ask], Awaitable[Reply]]  # noqa: N806
    which = {"name": ("The snapshot's name, as listed.", "20250101T000000Z-1")}

    def operation(
        name: str,
        call: str,
        summary: str,
        answer: Answer,
        needs: Scope | None,
        gives: object,
        **more: Any,
    ) -> Operation:
        method, path = call.split()
        return Operation(
            name=name,
            method=method,
            path=path,
            summary=summary,
            answer=answer,
            gate=gate,
            needs=needs,
            gives={200: gives, **more.pop("also", {})},
            tag="running",
            **more,
        )

    one = wire.SnapshotAnswer
    return [
        operation(
            "list_snapshots",
            "GET /v1/snapshots",
            "The snapshots, newest first",
            door.snapshots,
            "admin",
            wire.SnapshotsAnswer,
        ),
        operation(
            "activate_snapshot",
            "POST /v1/snapshots/{name}/activate",
            "Answer from this snapshot from now on",
            door.activate,
            "admin",
            one,
            problems=(404, 409, 422),
            parameters=which,
        ),
        operation(
            "roll_back",
            "POST /v1/snapshots/rollback",
            "Answer from the snapshot before the active one",
            door.roll_back,
            "admin",
            one,
            problems=(404, 409),
        ),
        operation(
            "health", "GET /health", "The process answers", door.health, None, wire.HealthAnswer
        ),
        operation(
            "ready",
            "GET /ready",
            "Whether slates can be answered",
            door.ready,
            None,
            wire.ReadyAnswer,
            also={503: wire.ReadyAnswer},
        ),
        operation("metrics", "GET /metrics", "For Prometheus", door.metrics, "server", None),
    ]


async def _answer_problem(request: Request, error: Exception) -> Response:
    """What the framework or an operation behind the router refused, as a problem document."""
    if isinstance(error, HTTPException):
        kind, detail = _HTTP.get(error.status_code, ("refused", str(error.detail)))
        problem = Problem(error.status_code, kind, detail)
        headers = dict(error.headers or {})
    else:
        problem = problem_of(error)
        headers = {name.decode(): value.decode() for name, value in problem.headers}
    ask: Ask | None = request.scope.get(ASK)
    body = problem.body(ask.request_id if ask is not None else b"")
    return Response(body, problem.status, headers, media_type=MEDIA_TYPE.decode())


def program_version() -> str:
    """The version of this program, as it is installed."""
    try:
        return version("habitue")
    except PackageNotFoundError:
        return "0+unknown"
