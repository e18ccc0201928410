"""A crawler over HTTP: stored, counted in the metrics, and without a say in others' slates."""

from __future__ import annotations

import re
import time

from tests.api.conftest import Client, Served


def robots_told(client: Client, key: str) -> float:
    told = client.get("/metrics", headers={"Authorization": f"Bearer {key}"}).text
    found = re.search(r"^habitue_robots (\S+)$", told, re.MULTILINE)
    assert found, told
    return float(found[1])


def crawl(client: Client, shopper: str, step_ms: int, item: str) -> None:
    """700 looks at one item, the last of them a while ago."""
    since = int(time.time() * 1000) - 700 * step_ms - 60_000
    actions = [
        {"kind": "view_item", "shopper": shopper, "item": item, "at": since + step_ms * n}
        for n in range(700)
    ]
    for start in range(0, 700, 100):
        answer = client.post("/v1/events", json={"actions": actions[start : start + 100]})
        assert answer.status_code == 200, answer.text


def test_a_crawler_moves_nobody_elses_slate(anywhere: Served) -> None:
    key = anywhere.key("server")
    with Client(anywhere.app) as plain:

        class Keyed:
            def get(self, path: str, **more: object) -> object:
                return plain.get(path, **more)

            def post(self, path: str, **more: object) -> object:
                return plain.post(path, headers={"Authorization": f"Bearer {key}"}, **more)

        client: Client = Keyed()  # type: ignore[assignment]
        assert robots_told(client, key) == 0
        stats = anywhere.shop.parts.live.stats
        row = anywhere.shop.parts.live.item_row("item-1")
        crawl(client, "crawler", 1_500, "item-1")
        assert robots_told(client, key) == 1
        moved = anywhere.shop.parts.live.stats.total[row, 0]
        assert moved < 700  # what gave it away, and nothing after
        crawl(client, "crawler", 1_500, "item-1")
        assert anywhere.shop.parts.live.stats.total[row, 0] == moved
        assert stats is anywhere.shop.parts.live.stats
        people = anywhere.shop.parts.live.stats.total[row, 0]
        for who in range(3):
            one = {"kind": "view_item", "shopper": f"person-{who}", "item": "item-1"}
            assert client.post("/v1/events", json={"actions": [one]}).status_code == 200
        assert anywhere.shop.parts.live.stats.total[row, 0] == people + 3
        assert anywhere.actions == 1_403
        assert robots_told(client, key) == 1
