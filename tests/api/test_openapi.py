"""The OpenAPI document: true of every answer, and complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.api.conftest import Client, Served, opened, settings_in

EXAMPLES = int(os.environ.get("HABITUE_SCHEMATHESIS_EXAMPLES", "50"))
"""Of each operation: half within the schema, half outside it. `make bench` asks for 500."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
"""All that a document promises. That bodies outside the schema are refused is not among them: a
batch with one bad row is answered 207 with the row named, on purpose (tests/api/test_facts.py)."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One shop for all examples: what one posts the next may meet."""
    with opened(settings_in(tmp_path_factory.mktemp("shop"))) as one:
        yield one


def without_life(app: Any) -> Any:
    """The application as it answers requests: schemathesis would start and end it for each."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})

    return answer


OPERATIONS = [
    "POST /v1/events",
    "POST /v1/items",
    "POST /v1/shoppers",
    "POST /v1/links",
    "POST /v1/consents",
    "POST /v1/aliases",
    "POST /v1/recommend",
    "POST /v1/cards",
    "POST /v1/messages",
    "GET /v1/unsubscribe",
    "POST /v1/unsubscribe",
    "GET /v1/shoppers/{id}",
    "GET /v1/shoppers/{id}/portrait",
    "GET /v1/shoppers/{id}/outlook",
    "GET /v1/shoppers/{id}/embedding",
    "GET /v1/shoppers/{id}/ratings",
    "DELETE /v1/shoppers/{id}",
    "GET /v1/snapshots",
    "POST /v1/snapshots/{name}/activate",
    "POST /v1/snapshots/rollback",
    "GET /health",
    "GET /ready",
    "GET /metrics",
]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_is_as_the_document_says(
    shop: Served, name: str, mode: GenerationMode
) -> None:
    method, path = name.split()
    document = schemathesis.openapi.from_asgi(
        "/openapi.json", without_life(shop.app), headers={"Host": "127.0.0.1"}
    )
    operation = document[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.path_parameters):
        mode = GenerationMode.POSITIVE  # there is nothing to get wrong

    @hypothesis_settings(max_examples=EXAMPLES // 2, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def hold(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, headers={"Host": "127.0.0.1"})

    hold()


def described(shop: Served) -> dict[tuple[str, str], dict[str, Any]]:
    paths = shop.app.openapi()["paths"]
    return {
        (method.upper(), path): operation
        for path, operations in paths.items()
        for method, operation in operations.items()
    }


def test_the_routes_are_these(shop: Served) -> None:
    assert {f"{method} {path}" for method, path in described(shop)} == set(OPERATIONS)


def test_every_example_can_be_sent_as_it_stands(tmp_path: Path) -> None:
    with (
        opened(settings_in(tmp_path)) as served,
        Client(served.app) as client,
    ):
        sent = 0
        for (method, path), operation in described(served).items():
            content = operation.get("requestBody", {}).get("content", {})
            for example in content.get("application/json", {}).get("examples", {}).values():
                answer = client.request(method, path, json=example["value"])
                assert answer.status_code == 200, (path, answer.text)
                sent += 1
        assert sent >= 9


def test_every_operation_with_a_body_has_an_example_and_every_one_a_summary(shop: Served) -> None:
    for call, operation in described(shop).items():
        assert operation["summary"], call
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["examples"], call
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], call
            assert parameter["example"], call


def test_the_document_is_served(shop: Served) -> None:
    answer = Client(shop.app).get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == shop.app.openapi()
