"""Decoding and checking a batch of 100 actions as JSON, beside msgspec alone.

python benchmarks/decode_json.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from habitue.facts.feeds.ga4 import decode_ga4
from habitue.facts.feeds.habitue_json import decode
from habitue.facts.ids import uuid7s

NOW_MS = 1_700_000_000_000


def micros(work: Callable[[], object], rounds: int = 9, calls: int = 300) -> float:
    """The least CPU time of a call over some rounds, in microseconds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(calls):
            work()
        best = min(best, (time.process_time() - start) / calls)
    return best * 1e6


def batch() -> bytes:
    ids = uuid7s(NOW_MS, 100)
    actions = [
        {
            "id": ids[n],
            "kind": "purchase" if n % 3 == 0 else "view_item",
            "shopper": f"shopper-{n % 17}",
            "item": f"item-{n * 37 % 1000}",
            "at": NOW_MS - n * 1000,
            "price_micros": 2_550_000,
            "quantity": 1,
            "currency": "EUR",
            "session_id": "s-123",
            "surface": "home",
        }
        for n in range(100)
    ]
    return msgspec.json.encode({"actions": actions})


def ga4() -> bytes:
    items = [{"item_id": f"i{n}", "price": 9.5, "quantity": 1} for n in range(4)]
    params = {"currency": "EUR", "transaction_id": "T1", "items": items}
    events = [{"name": "purchase", "params": params}] * 25
    return msgspec.json.encode(
        {"client_id": "c1", "timestamp_micros": NOW_MS * 1000, "events": events}
    )


def main() -> None:
    body, events = batch(), ga4()
    bare = micros(lambda: msgspec.json.decode(body))
    ours = micros(lambda: decode(body, now_ms=NOW_MS))
    one_bad = body.replace(b'"view_item"', b'"view_itm"', 1)
    print(f"100 actions, {len(body):,} bytes")
    print(f"msgspec to dicts, unchecked  {bare:7.0f} µs CPU")
    print(f"decoded and checked          {ours:7.0f} µs CPU ({ours / bare:.1f} x)")
    alone = micros(lambda: decode(one_bad, now_ms=NOW_MS))
    print(f"with one bad row             {alone:7.0f} µs CPU")
    said = micros(lambda: decode_ga4(events, now_ms=NOW_MS), calls=30)
    print(f"100 order lines of 25 GA4 events, {len(events):,} bytes: {said:7.0f} µs CPU")


if __name__ == "__main__":
    main()
