"""A shopper's rights over HTTP: one document of all that is held, and erasure."""

from __future__ import annotations

from tests.api.conftest import Client


def test_a_shopper_reads_all_that_is_held_of_them_and_nothing_of_others(client: Client) -> None:
    view = {"id": "a-1", "kind": "view_item", "item": "item-1", "at": 1_700_000_000_000}
    told = {
        "/v1/events": {
            "actions": [{**view, "shopper": "cookie-1"}, {**view, "id": "a-2", "shopper": "ben"}]
        },
        "/v1/aliases": {"aliases": [{"shopper": "anna", "alias": "cookie-1"}]},
        "/v1/consents": {"consents": [{"shopper": "anna", "denied": ["personalisation"]}]},
    }
    for path, body in told.items():
        assert client.post(path, json=body).status_code == 200
    answer = client.get("/v1/shoppers/cookie-1")
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert set(said["known_as"]) == {"anna", "cookie-1"}
    assert said["allowed"]["personalisation"] is False
    (action,) = said["held"]["action"]
    assert (action["kind"], action["item"]) == ("view_item", "item-1")
    assert action["at"] == "2023-11-14T22:13:20+00:00"
    assert not any("_row" in key for rows in said["held"].values() for one in rows for key in one)
    assert "ben" not in answer.text


def test_an_erased_shopper_has_no_document(client: Client) -> None:
    client.post(
        "/v1/events", json={"actions": [{"kind": "view_item", "shopper": "eve", "item": "item-2"}]}
    )
    assert client.get("/v1/shoppers/eve").status_code == 200
    assert client.request("DELETE", "/v1/shoppers/eve").json()["rows"]["action"] == 1
    assert client.get("/v1/shoppers/eve").status_code == 404
