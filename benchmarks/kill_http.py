"""SIGKILL under load over HTTP: what was acknowledged is there, once, and every order is whole.

    python benchmarks/kill_http.py [--kills 200] [--actions 100000] [--postgres ADDRESS]

Clients send orders over HTTP; after a random number of acknowledgements the server is killed with
requests in flight, started again, and what was not answered is sent again under the same ids. At
the end the store is opened and every acknowledged action looked for.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.http_load import drive, request
from benchmarks.http_server import Server
from habitue.facts.ids import uuid7s

__all__ = ["Killing", "Verdict", "verdict_of"]

ORDERS, LINES = 4, 5
NOW_MS = 1_750_000_000_000


@dataclass
class Killing:
    """A run of lives, each ended by SIGKILL; what was sent and what was acknowledged."""

    server: Server
    clients: int = 8
    seed: int = 0
    sent: dict[int, bytes] = field(default_factory=dict)  # by batch, until acknowledged
    acknowledged: set[int] = field(default_factory=set)
    resent: int = 0
    starts: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._number = 0

    def live(self, batches: int) -> None:
        """One life: send until ``batches`` are acknowledged, then kill with more in flight."""
        self.starts.append(self.server.start())
        left = batches

        def read(number: int, status: int, body: bytes) -> None:
            nonlocal left
            assert status == 200, body
            assert json.loads(body)["accepted"] == ORDERS * LINES, body
            self.acknowledged.add(number)
            del self.sent[number]
            left -= 1
            if left == 0:
                self.server.end(signal.SIGKILL)

        requests = self._requests(again=list(self.sent.items()))
        uvloop.run(drive(self.server.port, requests, clients=self.clients, reader=read))
        assert left <= 0, "the server ended by itself"

    def finish(self) -> None:
        """One more life in which all that is left is sent, and the server ends in order."""
        with self.server as server:

            def read(number: int, status: int, body: bytes) -> None:
                assert status == 200, body
                self.acknowledged.add(number)
                del self.sent[number]

            left = iter(list(self.sent.items()))
            uvloop.run(drive(server.port, left, clients=self.clients, reader=read))
        assert not self.sent

    def _requests(self, again: list[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        self.resent += len(again)
        yield from again
        while True:
            number = self._number
            self._number += 1
            self.sent[number] = self._batch(number)
            yield number, self.sent[number]

    def _batch(self, number: int) -> bytes:
        ids = uuid7s(NOW_MS + number, ORDERS * LINES)
        actions = [
            {
                "id": f"{number}:{ids[line]}",
                "kind": "purchase",
                "shopper": f"shopper-{self._rng.randrange(500)}",
                "item": f"item-{self._rng.randrange(200)}",
                "order_id": f"order-{number}-{line // LINES}",
                "quantity": 1 + line,
                "at": NOW_MS + number,
            }
            for line in range(ORDERS * LINES)
        ]
        return request("/v1/events", msgspec.json.encode({"actions": actions}))


@dataclass(frozen=True)
class Verdict:
    """What the store held after all lives."""

    acknowledged: int  # actions
    lost: int
    doubled: int
    broken_orders: int


def verdict_of(killing: Killing, address: str) -> Verdict:
    """Open the store and look for everything that was acknowledged."""
    from benchmarks.ingest_http import opened

    store = opened(address)
    held: Counter[int] = Counter()
    lines: Counter[str] = Counter()
    ids: Counter[str] = Counter()
    for table in store.scan("action", columns=("id", "order_id")):
        for identity, order in zip(
            table["id"].to_pylist(), table["order_id"].to_pylist(), strict=True
        ):
            held[int(identity.partition(":")[0])] += 1
            lines[order] += 1
            ids[identity] += 1
    store.close()
    size = ORDERS * LINES
    return Verdict(
        acknowledged=len(killing.acknowledged) * size,
        lost=sum(size - min(held[number], size) for number in killing.acknowledged),
        doubled=sum(count - 1 for count in ids.values()),
        broken_orders=sum(count != LINES for count in lines.values()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--actions", type=int, default=100_000, help="acknowledged, at least")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--postgres", help="address of an empty database; else SQLite")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        address = asked.postgres or f"sqlite:///{folder}/shop.db"
        killing = Killing(Server(folder, {"store.address": address}), clients=asked.clients)
        mean = asked.actions / (asked.kills * ORDERS * LINES)
        rng = random.Random(1)
        for life in range(asked.kills):
            killing.live(1 + round(rng.uniform(0.2, 1.9) * mean))
            if (life + 1) % 20 == 0:
                done = len(killing.acknowledged) * ORDERS * LINES
                print(f"{life + 1} kills, {done:,} actions acknowledged", flush=True)
        while len(killing.acknowledged) * ORDERS * LINES < asked.actions:
            killing.live(round(mean))
        killing.finish()
        verdict = verdict_of(killing, address)
        print(
            f"{len(killing.starts)} kills, {verdict.acknowledged:,} actions acknowledged, "
            f"{killing.resent:,} batches sent again: {verdict.lost} lost, {verdict.doubled} "
            f"doubled, {verdict.broken_orders} orders in part; a start took "
            f"{sum(killing.starts) / len(killing.starts):.2f} s"
        )
        raise SystemExit(bool(verdict.lost or verdict.doubled or verdict.broken_orders))


if __name__ == "__main__":
    main()
