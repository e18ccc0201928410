"""The OpenAPI document, made from the very types that decode the bodies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from habitue.api.operation import Operation
from habitue.api.problems import ProblemDocument
from habitue.facts.kinds import ActionKind

__all__ = ["document"]

_REFERENCE: Final = "#/components/schemas/{name}"
_ANY_BODY: Final = (400, 408, 413, 415, 422)
_ANY_KEY: Final = (401, 403, 429)
_PROBLEM: Final = "application/problem+json"


def document(operations: Sequence[Operation], *, version: str) -> dict[str, Any]:
    """The document of these operations (OpenAPI 3.1)."""
    types = {id(kind): kind for kind in _types(operations)}
    schemas, components = msgspec.json.schema_components(
        list(types.values()), ref_template=_REFERENCE
    )
    schema = dict(zip(types, schemas, strict=True))
    if "Action" in components:
        components["Action"]["properties"]["kind"]["enum"] = list(ActionKind.__members__)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, schema
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Habitué",
            "version": version,
            "summary": "Recommendations that bring a shop's customers back.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {str(status): _problem(status, schema) for status in _problems()},
            "securitySchemes": _security_schemes(),
        },
    }


def _types(operations: Sequence[Operation]) -> list[object]:
    found: list[object] = [ProblemDocument]
    for operation in operations:
        every = (operation.takes, *operation.gives.values())
        found += [kind for kind in every if not _is_text(kind)]
    return found


def _operation(operation: Operation, schema: dict[int, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(operation, schema),
    }
    if operation.description:
        described["description"] = operation.description
    names = re.findall(r"{(\w+)}", operation.path)
    if names or operation.queries:
        described["parameters"] = [_parameter(name, operation) for name in names]
        described["parameters"] += [_query(name, operation) for name in operation.queries]
    if operation.takes is not None:
        described["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {
                    "schema": schema[id(operation.takes)],
                    "examples": {
                        re.sub(r"\W+", "_", example.summary.lower()): {
                            "summary": example.summary,
                            "value": msgspec.to_builtins(example.body),
                        }
                        for example in operation.examples
                    },
                }
            },
        }
    if operation.needs is not None:
        schemes = ["bearer", "header"] + (["address"] if operation.needs == "browser" else [])
        described["security"] = [{scheme: []} for scheme in schemes] + [{}]
        described["x-scope"] = operation.needs
    return described


def _parameter(name: str, operation: Operation) -> dict[str, Any]:
    description, example = operation.parameters[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        "example": example,
    }


def _query(name: str, operation: Operation) -> dict[str, Any]:
    description, example, required = operation.queries[name]
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


def _responses(operation: Operation, schema: dict[int, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in operation.gives.items():
        content: dict[str, Any] = {str(kind or "text/plain"): {"schema": {"type": "string"}}}
        if not _is_text(kind):
            content = {"application/json": {"schema": schema[id(kind)]}}
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    statuses = {500, 503, *operation.problems}
    statuses |= set(_ANY_BODY) if operation.takes is not None else set()
    statuses |= set(_ANY_KEY) if operation.needs is not None else set()
    for status in sorted(statuses):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{status}"})
    return responses


def _is_text(kind: object) -> bool:
    """Whether a body is text, plain or of the media type that is named."""
    return kind is None or isinstance(kind, str)


def _problems() -> tuple[int, ...]:
    return (*sorted({*_ANY_BODY, *_ANY_KEY, 404, 409, 500, 501, 503}),)


def _problem(status: int, schema: dict[int, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {_PROBLEM: {"schema": schema[id(ProblemDocument)]}},
    }
    if status in (429, 503):
        response["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        }
    return response


def _security_schemes() -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "address": {
            "type": "apiKey",
            "in": "query",
            "name": "key",
            "description": "A browser key, for sendBeacon, which can set no header.",
        },
    }
