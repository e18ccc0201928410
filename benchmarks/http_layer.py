"""What the HTTP layer itself costs: the shop answers at once, so that only the layer is left.

    python benchmarks/http_layer.py

Processor time of one request in this process, without a socket: Habitué's own application beside
Starlette with msgspec (the floor) and FastAPI as it is usually written. All three decode the body,
check its shape and encode the same answer; Habitué also asks who calls, gives the request an id,
measures it and writes a line of log.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import Body, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.ingest_raw import made
from habitue.api import create_app
from habitue.api.wire import ActionsBody
from habitue.settings import Settings
from habitue.store.contract import Appended
from habitue.surfaces import SlateAnswer, Slot, SurfaceRequest

SLATE = SlateAnswer(
    slate_id="018bcfe5-6800-7000-8000-000000000001",
    surface="home",
    items=[
        Slot(f"item-{n}", 1.0, 0.95, "covisit", "Because you looked at it", [f"item-{n + 1}"])
        for n in range(12)
    ],
    snapshot="20250101T000000Z",
    arm="main",
    seen_seq=7,
)
SLATE_BODY = b'{"surface":"home","shopper":"shopper-1","n":12}'
EVENTS_BODY = msgspec.json.encode({"actions": made(100, 1, scattered=False)})


class NoKeys:
    def __len__(self) -> int:
        return 0


class Instant:
    """A shop that does nothing."""

    keys, tokens = NoKeys(), None

    async def append(self, facts: Any, *, received_at_ms: int) -> Appended:
        return Appended(len(facts), 0, 0, 7, (), None)  # type: ignore[arg-type]

    def recommend(self, request: SurfaceRequest, *, now_ms: int) -> SlateAnswer:
        return SLATE


def habitue(log: str) -> Any:
    settings = Settings.load(None, {"server.access_log": log})
    return create_app(Instant(), settings, log=Path("/dev/null").open("wb"))  # type: ignore[arg-type]


def starlette() -> Any:
    slate, actions = msgspec.json.Decoder(SurfaceRequest), msgspec.json.Decoder(ActionsBody)
    encode = msgspec.json.Encoder().encode

    async def recommend(request: Request) -> Response:
        slate.decode(await request.body())
        return Response(encode(SLATE), media_type="application/json")

    async def events(request: Request) -> Response:
        n = len(actions.decode(await request.body()).actions)
        return Response(b'{"accepted":%d}' % n, media_type="application/json")

    return Starlette(
        routes=[
            Route("/v1/recommend", recommend, methods=["POST"]),
            Route("/v1/events", events, methods=["POST"]),
        ]
    )


def fastapi() -> Any:
    app = FastAPI()

    @app.post("/v1/recommend")
    async def recommend(body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        msgspec.convert(body, SurfaceRequest)
        return msgspec.to_builtins(SLATE)  # type: ignore[no-any-return]

    @app.post("/v1/events")
    async def events(body: Annotated[dict[str, Any], Body()]) -> dict[str, int]:
        return {"accepted": len(msgspec.convert(body, ActionsBody).actions)}

    return app


async def ask(app: Any, path: str, body: bytes, n: int) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", 200) == 200, message

    length = str(len(body)).encode()
    for _ in range(n):
        scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(),
            "query_string": b"", "root_path": "", "http_version": "1.1", "scheme": "http",
            "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 9),
            "headers": [
                (b"host", b"127.0.0.1"), (b"content-type", b"application/json"),
                (b"content-length", length),
            ],
        }  # fmt: skip
        await app(scope, receive, send)


def main() -> None:
    print("µs of processor time a request")
    print(f"{'':34}{'recommend':>12}{'100 events':>12}")
    for name, app in (
        ("Starlette with msgspec", starlette()),
        ("Habitué", habitue("off")),
        ("Habitué, writing its access log", habitue("json")),
        ("FastAPI as usual", fastapi()),
    ):
        figures = []
        for path, body, n in (
            ("/v1/recommend", SLATE_BODY, 5_000),
            ("/v1/events", EVENTS_BODY, 1_000),
        ):
            asyncio.run(ask(app, path, body, 100))
            started = time.process_time()
            asyncio.run(ask(app, path, body, n))
            figures.append((time.process_time() - started) / n * 1e6)
        print(f"{name:34}{figures[0]:12.1f}{figures[1]:12.1f}", flush=True)


if __name__ == "__main__":
    main()
