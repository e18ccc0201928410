"""An item just posted is recommended: 1,000 of 1,000, within a second of the acknowledgement.

    python -m benchmarks.new_items [--items 1000] [--stock 5000] [--with-caps 41] [--folder KEPT]
        [--knowledge]

A round posts one item and then asks a surface until the item is in the slate. The time is from the
acknowledgement to that slate. ``fresh`` is asked as another shopper each time, for 12 items. The
others are those of a shop that was trained on its stock, asked for 100 items: ``item`` and ``cart``
with an item of the stock that the new one is a variant of (a word more in its title), ``home`` as a
shopper who looked at that item last. Caps on brands and categories are lifted, for what they leave
out is a question of rank: so it measures that an item is proposed and may be shown, and tells the
slot it was found at beside. Before, up to 41 items are asked for with the caps surfaces have, once
without room for new items beyond them and once with it, each of a kind (of 250) that no other is.
With ``--knowledge`` the stock is learnt by ``popular`` and ``knowledge`` alone, ordered by the
second, and slots are counted that tell what ties the new item to what the shopper has.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.freshness import Caller
from benchmarks.http_server import Server, served_settings

LATEST_SECONDS = 1.0
TRAINED = ("home", "item", "cart")
LIFTED = {
    f"surfaces.{surface}.rules.{cap}": 100
    for surface in TRAINED
    for cap in ("brand_cap", "category_cap")
}
KNOWING: dict[str, object] = {
    "training.sources": [{"source": "popular"}, {"source": "knowledge"}],
    "training.quotas": {"home": {"popular": 20, "knowledge": 200}},
    **{f"surfaces.{surface}.fuse": "zscore" for surface in TRAINED},
    **{f"surfaces.{surface}.weights": {"knowledge": 1.0} for surface in TRAINED},
}
_WORDS = [f"{a}{b}" for a in ("al", "bo", "cu", "de", "fi", "go") for b in "bdfgklmnprstvz"]


def described(n: int) -> dict[str, Any]:
    """What is said of item ``n`` of the stock: words, brand and kind go by its kind, of 250."""
    kind = n % 250
    words = np.random.default_rng(kind).choice(_WORDS, 4, replace=False).tolist()
    words.append(_WORDS[n // 250 % len(_WORDS)])
    return {
        "title": " ".join(words),
        "brand": f"Brand {kind % 40}",
        "product_type": f"Shop > Floor {kind % 10} > Kind {kind}",
        "price_micros": (5 + n % 90) * 1_000_000,
    }


def stock(port: int, items: int) -> None:
    """Items, and shoppers who look at and buy what is of one kind, over the last 60 days."""
    caller = Caller(port)
    now_ms = time.time_ns() // 1_000_000
    since_then = {"valid_from": now_ms - 90 * 86_400_000}
    for since in range(0, items, 500):
        numbers = range(since, min(since + 500, items))
        rows = [{"id": f"item-{n}", **described(n), **since_then} for n in numbers]
        caller.post("/v1/items", {"items": rows})
    rng = np.random.default_rng(3)
    for visit in range(0, 6_000, 50):
        rows = []
        for who in rng.integers(0, 1_500, 50).tolist():
            at = now_ms - int(rng.integers(1, 60 * 86_400_000))
            for step, shelf in enumerate((rng.zipf(1.3, 4) % max(items // 250, 1)).tolist()):
                item = f"item-{min(who % 250 + 250 * shelf, items - 1)}"
                told = {"shopper": f"regular-{who}", "item": item, "at": at + 1000 * step}
                rows.append({"kind": "view_item", **told})
                if step == 0:
                    rows.append({"kind": "purchase", "order_id": f"{visit}-{who}-{at}", **told})
        caller.post("/v1/events", {"actions": rows})
    caller.close()


def train(folder: Path, how: Mapping[str, object]) -> None:
    """Learn from the stock as it stands; with all default sources, unless told otherwise."""
    from habitue.app import Shop, build
    from habitue.settings import Settings

    with Shop(build(Settings.load(None, served_settings(folder, how)))) as shop:
        shop.train(seed=1)


def soonest(caller: Caller, asked: dict[str, Any], item: str) -> tuple[float, int, bool]:
    """Seconds until a slate holds the item, its slot, and whether that tells a path.

    Infinite where none did in time.
    """
    acknowledged = time.perf_counter()
    while time.perf_counter() - acknowledged < LATEST_SECONDS:
        slots = caller.post("/v1/recommend", asked)["items"]
        slate = [slot["item"] for slot in slots]
        if item in slate:
            at = slate.index(item)
            return time.perf_counter() - acknowledged, at + 1, "path" in slots[at]
    return float("inf"), 0, False


def measure(
    port: int, surface: str, items: int, n_stock: int, word: str, since: int | None = None
) -> int:
    """Post items one by one and look for each; how many were not found in time.

    From ``since`` on each is a variant of another kind, so that no two compete for one place.
    """
    caller = Caller(port)
    like = np.random.default_rng(5).permutation(n_stock)
    if since is not None:
        shelves = np.random.default_rng(6).integers(0, n_stock // 250, items)
        like = (since + np.arange(items)) % 250 + 250 * shelves
    found = np.empty((items, 3))
    for n in range(items):
        anchor = int(like[n % len(like)])
        new = {"id": f"{word}-{surface}-{n}", **described(anchor)}
        new["title"] += f" {word}"
        asked: dict[str, Any] = {"surface": surface, "shopper": f"visitor-{n % 100}", "n": 100}
        if surface == "fresh":
            asked["n"] = 12
        elif surface == "home":
            asked["shopper"] = f"visitor-{word}-{n}"
            seen = {"kind": "view_item", "shopper": asked["shopper"], "item": f"item-{anchor}"}
            caller.post("/v1/events", {"actions": [seen]})
        else:
            asked["items"] = [f"item-{anchor}"]
        caller.post("/v1/items", {"items": [new]})
        found[n] = soonest(caller, asked, new["id"])
    caller.close()
    seconds, slot, tied = found[np.isfinite(found[:, 0])].T
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1000 if len(seconds) else (0, 0)
    print(
        f"{surface}: {len(seconds):,} of {items:,} new items within {LATEST_SECONDS:g} s of the "
        f"acknowledgement: p50 {p50:.1f} ms, p99 {p99:.1f} ms; slot p50 "
        f"{np.median(slot) if len(slot) else 0:.0f}; {int(tied.sum()):,} with a path",
        flush=True,
    )
    return items - len(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--stock", type=int, default=5_000)
    parser.add_argument("--with-caps", type=int, default=41)
    parser.add_argument("--folder", type=Path, help="keeps the trained shop for the next run")
    parser.add_argument("--knowledge", action="store_true", help="learnt by what is known of items")
    asked = parser.parse_args()
    how = KNOWING if asked.knowledge else {}
    with tempfile.TemporaryDirectory() as name:
        folder = asked.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "snapshots" / "active.json").exists():
            with Server(folder) as server:
                stock(server.port, asked.stock)
            train(folder, how)
        word = f"new{time.time_ns()}"
        for beyond in (0, 1) if asked.with_caps else ():
            rules = {f"surfaces.{surface}.rules.fresh_beyond_caps": beyond for surface in TRAINED}
            print(f"with the caps the surfaces have, {beyond} fresh item beyond them:")
            with Server(folder, how | rules) as server:
                for place, surface in enumerate(TRAINED):
                    # kinds of their own, or what was posted before would compete
                    since = (2 * place + beyond) * 250 // 6
                    n = min(asked.with_caps, 250 // 6)
                    measure(server.port, surface, n, asked.stock, f"{word}b{beyond}", since)
        with Server(folder, how | LIFTED) as server:
            n_missed = sum(
                measure(server.port, surface, asked.items, asked.stock, word)
                for surface in ("fresh", *TRAINED)
            )
    raise SystemExit(n_missed > 0)


if __name__ == "__main__":
    main()
