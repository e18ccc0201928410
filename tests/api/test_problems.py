"""Every error is a problem document, and nothing a client sends is the server's fault."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from habitue import errors
from habitue.api.problems import problem_of
from tests.api.conftest import Client, Served, opened, settings_in

JSON_HEADER = {"Content-Type": "application/json"}
POSTS = (
    "/v1/events", "/v1/items", "/v1/shoppers", "/v1/links", "/v1/consents", "/v1/aliases",
    "/v1/recommend",
)  # fmt: skip


def check(answer: httpx.Response, *statuses: int) -> dict[str, object]:
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert isinstance(said, dict)
    assert said["status"] == answer.status_code
    assert said["type"].startswith("https://")
    assert said["title"]
    assert said["request_id"] == answer.headers["x-request-id"]
    return said


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One shop for all bodies that cannot be read; server errors are answers, not exceptions."""
    limits = {"limits.body_bytes": 300_000, "limits.batch_rows": 50}
    with (
        opened(settings_in(tmp_path_factory.mktemp("shop"), limits)) as served,
        Client(served.app) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/v1/events/", 404),
        ("GET", "/v1/events", 405),
        ("DELETE", "/v1/recommend", 405),
        ("PUT", "/v1/shoppers/s-1", 405),
        ("GET", "/v1/shoppers/nobody", 404),
        ("DELETE", "/v1/shoppers/nobody", 404),
        ("GET", "/v1/shoppers/%00", 422),
        ("GET", "/v1/shoppers/%ED%A0%80", 404),
        ("GET", "/v1/shoppers/" + "x" * 201, 422),
        ("POST", "/v1/snapshots/none/activate", 404),
        ("POST", "/v1/snapshots/..%2F..%2Fetc/activate", 404),
        ("POST", "/v1/snapshots/rollback", 404),
    ],
)
def test_what_is_not_there_is_a_problem(
    lenient: Client, method: str, path: str, status: int
) -> None:
    check(lenient.request(method, path), status)


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"actions": [',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"actions":' * 20_000,
        b'{"actions": [{"kind": "view_item", "shopper": "\xff", "item": "i"}]}',
        b'{"items": [{"id": "\xed\xa0\x80"}]}',
        b"{} {}",
        b"\x00",
    ],
)
def test_a_body_that_is_no_json_is_refused(lenient: Client, path: str, body: bytes) -> None:
    check(lenient.post(path, content=body, headers=JSON_HEADER), 400, 422)


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"[" * 100_000])
def test_what_is_no_json_at_all_is_told_apart(lenient: Client, body: bytes) -> None:
    answer = lenient.post("/v1/events", content=body, headers=JSON_HEADER)
    assert str(check(answer, 400)["type"]).endswith("/not-json")


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"3",
        b'"text"',
        b"[1]",
        b"[[]]",
        b"[null]",
        b'{"actions": 3, "items": 3, "surface": 3}',
        b'{"unknown": 1}',
        b'[{"id": 1, "surface": 2}]',
        b'{"surface": "home", "n": 1e400}',
        b'{"surface": "home", "n": 99999999999999999999999999}',
        b'{"surface": "nowhere"}',
        b'{"surface": "home", "page": "forged"}',
        b'{"surface": "home", "filter": "price >>> ("}',
        b'{"surface": "home", "shopper": "\\u0000"}',
        b'{"events": 3, "client_id": "c"}',
        b'{"events": []}',
        b'{"actions": [{"kind": "view_item", "shopper": "\\u0000", "item": "i"}]}',
        b'{"actions": [{"kind": "rate", "shopper": "s", "item": "i", "rating": 1e999}]}',
    ],
)
def test_a_body_of_another_shape_is_refused(lenient: Client, path: str, body: bytes) -> None:
    answer = lenient.post(path, content=body, headers=JSON_HEADER)
    check(answer, 400, 422)


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "text/html", "application/json; charset=utf-16", "x"],
)
def test_a_body_of_another_type_is_refused(lenient: Client, path: str, content_type: str) -> None:
    answer = lenient.post(path, content=b"{}", headers={"Content-Type": content_type})
    assert "application/json" in str(check(answer, 415)["remedy"])


def test_a_compressed_body_is_refused(lenient: Client) -> None:
    headers = {**JSON_HEADER, "Content-Encoding": "gzip"}
    check(lenient.post("/v1/events", content=b"\x1f\x8b", headers=headers), 415)


def test_a_body_that_is_too_long_is_refused(lenient: Client) -> None:
    long = b'{"actions": [' + b" " * 300_000 + b"]}"
    check(lenient.post("/v1/events", content=long, headers=JSON_HEADER), 413)

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(long), 10_000):
            yield long[start : start + 10_000]

    check(lenient.post("/v1/events", content=parts(), headers=JSON_HEADER), 413)


def test_a_body_for_a_page_beside_the_interface_is_bounded_too(served: Served) -> None:
    @served.app.post("/page")
    async def page(request: Request) -> int:
        return len(await request.body())

    with Client(served.app) as client:
        assert client.post("/page", content=b"x" * 1000).json() == 1000
        long = b"x" * (served.settings.limits.body_bytes + 1)
        check(client.post("/page", content=long), 413)


def test_too_many_rows_are_refused(lenient: Client) -> None:
    rows = [{"kind": "login", "shopper": "s-1"}] * 51
    check(lenient.post("/v1/events", json={"actions": rows}), 413)


def test_a_request_id_is_kept_when_it_is_one(lenient: Client) -> None:
    kept = lenient.get("/nowhere", headers={"X-Request-Id": "trace-0001"})
    assert check(kept, 404)["request_id"] == "trace-0001"
    other = lenient.get("/nowhere", headers={"X-Request-Id": "no {spaces}"})
    assert check(other, 404)["request_id"] != "no {spaces}"


@pytest.mark.parametrize("path", POSTS)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["actions", "items", "events", "id", "kind", "at", "surface"])
                | st.text(max_size=5),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_whatever_is_the_servers_fault(lenient: Client, path: str, body: object) -> None:
    content = json.dumps(body).encode()
    assert lenient.post(path, content=content, headers=JSON_HEADER).status_code < 500


def test_what_breaks_inside_is_told_without_its_inside(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret-shopper")

    monkeypatch.setattr(served.running, "recommend", broken)
    monkeypatch.setattr(served.running, "export", broken)
    client = Client(served.app)
    for answer in (
        client.post("/v1/recommend", json={"surface": "home", "shopper": "secret-shopper"}),
        client.get("/v1/shoppers/secret-shopper"),
    ):
        said = check(answer, 500)
        assert "secret-shopper" not in answer.text
        lines = [json.loads(line) for line in served.log.getvalue().splitlines()]
        failure = next(
            line
            for line in lines
            if line["event"] == "failure" and line["request_id"] == said["request_id"]
        )
        assert failure["error"] == "ZeroDivisionError"
        assert "broken" in failure["where"][-1]
    assert "secret-shopper" not in served.log.getvalue().decode()


def test_a_store_that_does_not_answer_is_unavailable_and_not_acknowledged(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise errors.Unavailable("The disk is full.", remedy="Make room.")

    monkeypatch.setattr(served.running, "append", broken)
    client = Client(served.app)
    answer = client.post("/v1/events", json={"actions": [{"kind": "login", "shopper": "s"}]})
    assert check(answer, 503)["remedy"] == "Make room."
    assert answer.headers["retry-after"] == "1"


def test_every_error_of_the_house_has_its_status() -> None:
    made = {
        name: problem_of(getattr(errors, name)("wrong")).status
        for name in errors.__all__
        if name != "HabitueError"
    }
    assert made == {
        "BadInput": 422,
        "BadSetting": 422,
        "BadMapping": 422,
        "BadFilter": 422,
        "Conflict": 409,
        "NotFound": 404,
        "Refused": 403,
        "Unauthorised": 401,
        "ConsentMissing": 403,
        "TooMany": 429,
        "StoreError": 503,
        "Unavailable": 503,
        "SchemaTooNew": 503,
        "SnapshotError": 409,
        "SnapshotRefused": 409,
        "MissingPiece": 501,
    }


def test_pages_of_a_small_shop_are_not_a_problem(tmp_path: Path) -> None:
    with (
        opened(settings_in(tmp_path)) as served,
        Client(served.app) as client,
    ):
        seen: list[str] = []
        page = None
        while True:
            ask = {"surface": "home", "n": 6} | ({"page": page} if page else {})
            slate = client.post("/v1/recommend", json=ask).json()
            seen += [slot["item"] for slot in slate["items"]]
            page = slate["next_page"]
            if page is None:
                break
        assert len(seen) == len(set(seen)) > 6
