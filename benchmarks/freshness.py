"""An acknowledged action is in the next recommendation: 10,000 of 10,000, and how soon.

    python benchmarks/freshness.py [--rounds 10000] [--clients 4] [--items 5000] [--redis ADDRESS]

A round is one shopper who asks for a slate, says ``not_interested`` of its first item, and asks
again: the second answer's ``seen_seq`` must reach the acknowledged one, and the item must be gone.
The time of a round is from sending the action to having the second slate.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.http_load import request
from benchmarks.http_server import Server


class Caller:
    """One connection, kept alive."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        self._socket.sendall(request(path, json.dumps(body).encode()))
        data = b""
        while True:
            data += self._socket.recv(65536)
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                at = data.index(b"content-length: ")
                length = int(data[at + 16 : data.index(b"\r\n", at)])
                if len(data) >= end + 4 + length:
                    assert data[9:12] == b"200", data
                    return json.loads(data[end + 4 :])

    def close(self) -> None:
        self._socket.close()


def rounds(port: int, client: int, n: int, seconds: list[float], misses: list[str]) -> None:
    caller = Caller(port)
    for turn in range(n):
        shopper = f"shopper-{client}-{turn % 500}"
        ask = {"surface": "home", "shopper": shopper, "n": 12}
        unwanted = caller.post("/v1/recommend", ask)["items"][0]["item"]
        action = {"kind": "not_interested", "shopper": shopper, "item": unwanted}
        started = time.perf_counter()
        told = caller.post("/v1/events", {"actions": [action]})
        slate = caller.post("/v1/recommend", ask)
        seconds.append(time.perf_counter() - started)
        if slate["seen_seq"] < told["last_seq"]:
            misses.append(f"{shopper}: seen {slate['seen_seq']} of {told['last_seq']}")
        if unwanted in [slot["item"] for slot in slate["items"]]:
            misses.append(f"{shopper}: {unwanted} is still there")
    caller.close()


def stock(port: int, items: int) -> None:
    """Items, and enough purchases that each is popular by a different amount."""
    caller = Caller(port)
    for since in range(0, items, 500):
        rows = [
            {"id": f"item-{n}", "title": f"Item {n}", "product_type": f"Kind {n % 50}"}
            for n in range(since, min(since + 500, items))
        ]
        caller.post("/v1/items", {"items": rows})
    rng = np.random.default_rng(3)
    for _ in range(20):
        bought = rng.zipf(1.3, 500) % items
        rows = [
            {"kind": "purchase", "shopper": f"regular-{n}", "item": f"item-{item}"}
            for n, item in enumerate(bought)
        ]
        caller.post("/v1/events", {"actions": rows})
    caller.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--redis", default="memory", help="address of Redis for live state")
    parser.add_argument("--postgres", help="address of an empty database; else SQLite")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        overrides: dict[str, object] = {"live.address": asked.redis}
        if asked.postgres:
            overrides["store.address"] = asked.postgres
        with Server(Path(name), overrides) as server:
            stock(server.port, asked.items)
            time.sleep(1)  # what is popular is counted beside the requests
            seconds: list[float] = []
            misses: list[str] = []
            each = asked.rounds // asked.clients
            rounds(server.port, -1, 50, [], misses)
            threads = [
                threading.Thread(target=rounds, args=(server.port, n, each, seconds, misses))
                for n in range(asked.clients)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1000
    print(
        f"{len(seconds) - len(misses):,} of {len(seconds):,} actions were known to the next slate; "
        f"action and slate together p50 {p50:.2f} ms, p99 {p99:.2f} ms (target 20 ms)"
    )
    for miss in misses[:10]:
        print(miss)
    raise SystemExit(bool(misses))


if __name__ == "__main__":
    main()
