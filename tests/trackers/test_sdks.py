"""The trackers' own SDKs, unmodified but for their host, deliver to a running shop."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.trackers.conftest import PERSON, Running, all_odd


def order(items: list[str]) -> dict[str, Any]:
    lines = [{"product_id": item, "price": 9.5, "quantity": 2} for item in items]
    return {"order_id": "order-1", "currency": "EUR", "products": lines}


Track = Callable[[str, dict[str, Any]], None]


def hold(running: Running, track: Track, kept: Callable[[], None]) -> None:
    """A view colours the next slate, what was bought leaves it, and a resend changes nothing."""
    assert not all_odd(running.slate())
    track("Product Viewed", {"product_id": "item-1", "name": "Thing 1", "price": 1.0})
    kept()
    seen = running.slate()
    assert all_odd(seen), seen
    track("Order Completed", order(seen[:2]))
    kept()
    assert not set(seen[:2]) & set(running.slate(n=18))
    assert running.served.actions == 3


def test_segments_python_sdk_delivers(running: Running) -> None:
    from segment.analytics.client import Client

    wrong: list[Exception] = []
    for packed in (False, True):
        client = Client(
            running.key,
            host=running.url,
            gzip=packed,
            on_error=lambda error, _: wrong.append(error),
        )
        client.identify(PERSON, {"plan": "gold"})
        client.flush()
        client.join()
    client = Client(running.key, host=running.url, on_error=lambda error, _: wrong.append(error))
    hold(running, lambda name, said: client.track(PERSON, name, said), client.flush)
    client.join()
    assert wrong == []
    assert running.served.shop.stored().facts["shopper"] == 1


def test_rudderstacks_python_sdk_delivers(running: Running) -> None:
    from rudderstack.analytics.client import Client

    wrong: list[Exception] = []
    client = Client(running.key, host=running.url, on_error=lambda error, _: wrong.append(error))
    hold(running, lambda name, said: client.track(PERSON, name, said), client.flush)
    client.join()
    assert wrong == []


def test_posthogs_python_sdk_delivers(running: Running) -> None:
    from posthog import Posthog

    wrong: list[Exception] = []
    client = Posthog(
        running.key, host=running.url, gzip=True, on_error=lambda error, _: wrong.append(error)
    )
    client.set(distinct_id=PERSON, properties={"plan": "gold"})
    hold(
        running,
        lambda name, said: client.capture(name, distinct_id=PERSON, properties=said) and None,
        client.flush,
    )
    assert not client.evaluate_flags(PERSON).is_enabled("a-flag")
    client.shutdown()
    assert wrong == []
    assert running.served.shop.stored().facts["shopper"] == 1


def test_segments_node_sdk_delivers(running: Running, node_modules: Path) -> None:
    def track(name: str, said: dict[str, Any]) -> None:
        subprocess.run(
            ["node", "deliver.mjs", running.url, running.key, PERSON, name, json.dumps(said)],
            cwd=node_modules, check=True, timeout=60,
        )  # fmt: skip

    hold(running, track, lambda: None)


def test_ga4s_measurement_protocol_delivers(running: Running) -> None:
    """Bodies as Google documents them; it publishes no SDK that sends them."""

    def track(name: str, said: dict[str, Any]) -> None:
        lines = said.get("products", [said])
        items = [
            {"item_id": line["product_id"], "price": line["price"], "quantity": 2} for line in lines
        ]
        params: dict[str, Any] = {"currency": "EUR", "items": items}
        if "order_id" in said:
            params["transaction_id"] = said["order_id"]
        kind = {"Product Viewed": "view_item", "Order Completed": "purchase"}[name]
        told = httpx.post(
            f"{running.url}/mp/collect",
            params={"measurement_id": "G-1A2B3C4D5E", "api_secret": running.key},
            json={"client_id": "555.1234567890123456", "user_id": PERSON,
                  "timestamp_micros": time.time_ns() // 1000,
                  "non_personalized_ads": False,
                  "events": [{"name": kind, "params": params}]},
        )  # fmt: skip
        assert told.status_code == 204

    hold(running, track, lambda: None)


def test_matomos_requests_deliver(running: Running) -> None:
    """Query strings as ``matomo.js`` writes them, which Python sends as the browser would."""

    def track(name: str, said: dict[str, Any]) -> None:
        shared = {
            "idsite": 1, "rec": 1, "r": 123456, "h": 12, "m": 30, "s": 1, "send_image": 0,
            "url": "https://www.shop.example/", "_id": "4f9d0c2b7a61e358", "_idn": 0,
            "uid": PERSON, "cookie": 1, "res": "1920x1080", "pv_id": "a1b2c3",
            "token_auth": running.key, "pdf": 1, "qt": 0, "realp": 0, "wma": 0, "fla": 0,
            "java": 0, "ag": 0,
        }  # fmt: skip
        if name == "Product Viewed":
            said = {"_pks": said["product_id"], "_pkn": said["name"], "_pkp": said["price"]}
        else:
            lines = [[p["product_id"], "", [], p["price"], p["quantity"]] for p in said["products"]]
            said = {"idgoal": 0, "ec_id": said["order_id"], "revenue": 38,
                    "ec_items": json.dumps(lines)}  # fmt: skip
        told = httpx.get(f"{running.url}/matomo.php", params={**shared, **said})
        assert told.status_code == 204

    hold(running, track, lambda: None)
