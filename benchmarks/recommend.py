"""How long a recommendation takes, full path, at 100k items, 50k shoppers and 1M actions.

    python benchmarks/recommend.py                  # in process, stage by stage
    python benchmarks/recommend.py --http           # over HTTP: one worker, one core
    python benchmarks/recommend.py --items 10000 --shoppers 5000 --actions 100000

The shop is generated with cluster structure (500 clusters; a shopper likes three), written through
the product's own append path, trained with all default sources, and kept in ``--folder`` for the
next run. Over HTTP the worker is pinned to core 0 and the load generator to core 1. Times are wall
clock; "CPU" is this thread's own time, which other processes disturb less.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from habitue.app.wiring import Slating

DAY = 86_400_000
NOW = time.time_ns() // 1_000_000
KINDS = ("view_item", "add_to_cart", "purchase", "like")
SHARES = (0.78, 0.08, 0.12, 0.02)
N_CLUSTERS = 500


def generate(folder: Path, n_items: int, n_shoppers: int, n_actions: int) -> None:
    """Write the shop through the store's append path, in batches as an import does."""
    from habitue.facts import Action, Item
    from habitue.store.sqlite import SqliteFactStore

    rng = np.random.default_rng(1)
    cluster = rng.integers(0, N_CLUSTERS, n_items)
    members = [np.flatnonzero(cluster == c) for c in range(N_CLUSTERS)]
    words = [f"word{x}" for x in range(3000)]
    store = SqliteFactStore(folder / "shop.db")
    began = time.perf_counter()
    for first in range(0, n_items, 20_000):
        store.append(
            [
                Item(
                    id=f"item-{x}",
                    title=" ".join(words[cluster[x] * 5 + y] for y in (0, x % 5)) + words[x % 3000],
                    description=f"{words[(x * 7) % 3000]} {words[cluster[x] * 5 + 1]}",
                    brand=f"brand-{x % 900}",
                    product_type=f"Shop > Floor {cluster[x] % 20} > Aisle {cluster[x]}",
                    price_micros=int(1_000_000 * np.exp(rng.normal(3, 1))),
                    valid_from=NOW - 300 * DAY,
                )
                for x in range(first, min(first + 20_000, n_items))
            ],
            received_at_ms=NOW - 300 * DAY,
        )
    print(f"  {n_items:,} items appended in {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    shopper = np.minimum((rng.pareto(1.5, n_actions) * n_shoppers / 8).astype(int), n_shoppers - 1)
    shopper = rng.permutation(n_shoppers)[shopper]
    shopper[:n_shoppers] = np.arange(n_shoppers)
    tastes = rng.integers(0, N_CLUSTERS, (n_shoppers, 3))
    liked = tastes[shopper, rng.integers(0, 3, n_actions)]
    place = np.minimum(rng.pareto(1.2, n_actions) * 8, 1e6).astype(int)
    item = np.array([members[c][p % len(members[c])] for c, p in zip(liked, place, strict=True)])
    at = np.sort(NOW - (rng.random(n_actions) ** 1.5 * 180 * DAY).astype(np.int64))
    kind = rng.choice(len(KINDS), n_actions, p=SHARES)
    order = rng.permutation(n_actions)  # who did what is not in order of the shopper's number
    shopper, item = shopper[order], item[order]
    for first in range(0, n_actions, 20_000):
        rows = range(first, min(first + 20_000, n_actions))
        store.append(
            [
                Action(
                    kind=KINDS[kind[x]],
                    shopper=f"shopper-{shopper[x]}",
                    item=f"item-{item[x]}",
                    at=int(at[x]),
                    order_id=f"order-{x}" if KINDS[kind[x]] == "purchase" else None,
                )
                for x in rows
            ],
            received_at_ms=int(at[rows[-1]]),
        )
    print(f"  {n_actions:,} actions appended in {time.perf_counter() - began:.1f} s")
    store.close()


def train(folder: Path) -> None:
    """Fit all default sources and the rankers, as ``habitue train`` does, without measuring."""
    from habitue.store.snapshots import SnapshotStore
    from habitue.store.sqlite import SqliteFactStore
    from habitue.training.config import TrainingConfig
    from habitue.training.dataset import facts_of_store
    from habitue.training.snapshots import write_snapshot
    from habitue.training.train import train

    began = time.perf_counter()
    store = SqliteFactStore(folder / "shop.db")
    facts = facts_of_store(store)
    print(f"  facts read in {time.perf_counter() - began:.1f} s")
    config = TrainingConfig(evaluate=False, windows=1, visits=1000)
    trained = train(facts, config, rng=np.random.default_rng(2), now_ms=NOW)
    print(f"  trained in {time.perf_counter() - began:.1f} s: {', '.join(trained.rankers)}")
    snapshots = SnapshotStore(folder / "shop.snapshots")
    made = write_snapshot(trained, snapshots, now_ms=NOW, lineage=store.stored().lineage)
    snapshots.activate(made.manifest.id, now_ms=NOW)
    store.close()


def resident_mb() -> float:
    """Memory of this process now, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def in_process(folder: Path, n_requests: int) -> None:
    """Requests of random shoppers, one after another; then the same stage by stage."""
    from habitue.app import build, settings_for
    from habitue.store.live_memory import MemoryLiveState
    from habitue.surfaces.slate import SurfaceRequest

    before, began = resident_mb(), time.perf_counter()
    parts = build(settings_for(folder / "shop.db"))
    slating = parts.come_alive(NOW)
    print(
        f"  alive in {time.perf_counter() - began:.1f} s, {resident_mb() - before:,.0f} MB for "
        f"{slating.live.n_items:,} items and the models"
    )
    for source in slating.switch.current.pipeline.sources:
        recall = getattr(source, "measured", {}).get("recall_at_100")
        if recall is not None:
            print(f"  {source.name}: recall@100 {recall:.4f} of its vector index")
    rng = np.random.default_rng(3)
    who = [f"shopper-{x}" for x in rng.integers(0, parts.store.stored().n_shoppers, n_requests)]
    encode = msgspec.json.Encoder().encode
    for surface, reasons in (("home", True), ("home", False), ("item", True), ("cart", True)):
        requests = [
            SurfaceRequest(
                surface=surface,
                shopper=one,
                n=20,
                reasons=reasons,
                items=[] if surface == "home" else [f"item-{rng.integers(slating.live.n_items)}"],
            )
            for one in who
        ]
        for request in requests[:300]:
            encode(slating.surfaces.recommend(request, NOW, rng))
        gc.collect()
        gc.freeze()
        spent = np.empty(n_requests)
        cpu = time.thread_time()
        for x, request in enumerate(requests):
            since = time.perf_counter()
            encode(slating.surfaces.recommend(request, NOW, rng))
            spent[x] = time.perf_counter() - since
        cpu = (time.thread_time() - cpu) / n_requests
        what = f"{surface} {'with' if reasons else 'without'} reasons"
        print(f"  {what:20} {quantiles(spent)}   {1 / cpu:,.0f} a CPU-second")
    live = slating.live_state
    if isinstance(live, MemoryLiveState):
        print(
            f"  {live.held_bytes() / max(live.held(), 1):,.0f} bytes a live shopper on average "
            f"({live.held():,} are here, up to {live.length} actions of each)"
        )
    stages(slating, who, rng)
    parts.close()


def stages(slating: Slating, who: list[str], rng: np.random.Generator) -> None:
    """The same requests, each stage on its own, in CPU time."""
    from habitue.slates.live import Asked

    servable = slating.switch.current
    pipeline, policy = servable.pipeline, servable.policies["home"]
    quota = pipeline.quotas["home"]
    ranker = pipeline.ranker("home")
    spent: dict[str, list[float]] = {}
    n_candidates = []
    clock = time.thread_time

    def lap(stage: str, since: float) -> float:
        spent.setdefault(stage, []).append(clock() - since)
        return clock()

    for one in who:
        t = clock()
        context = slating.live.context(Asked("home", NOW, one)).context
        t = lap("context", t)
        for source in pipeline.sources:
            if quota.get(source.name):
                source.propose(context, quota[source.name])
                t = lap(f"propose: {source.name}", t)
        found = pipeline.candidates(context, rebuy=True)
        t = lap("all of propose again, and union", t)
        n_candidates.append(int((found.item_row >= 0).sum()))
        scores = found.scores()
        t = lap("scores of all sources", t)
        batch = ranker.features.make(context, found.item_row, source_score=scores)
        t = lap("features", t)
        score = ranker.trees.score_features(batch, found.item_row)
        t = lap("trees", t)
        policy.continued().choose(context, found.item_row, score, 20, rng)
        t = lap("policy", t)
        slates = pipeline.recommend(context, 20, rng, policy=policy, rebuy=True)
        t = clock()
        servable.explainer.explain(context, slates, slating.live.items.title)
        lap("reasons", t)
    print(f"  {np.mean(n_candidates):.0f} candidates; CPU time by stage")
    for stage, seconds in spent.items():
        print(f"    {stage:36} {quantiles(np.array(seconds))}")


def over_http(folder: Path, n_requests: int) -> None:
    """One worker on core 0, the load on core 1: one client, then four, with keep-alive."""
    from benchmarks.http_load import drive, request

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "habitue", "serve", "--port", str(port)]
    server = subprocess.Popen(
        ["taskset", "-c", "0", *command, "--store", str(folder / "shop.db")],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "HABITUE_SERVER__ACCESS_LOG": "off"},
    )
    try:
        began = time.perf_counter()
        _wait_for(port, server)
        print(f"  serving {time.perf_counter() - began:.1f} s after its start")
        os.sched_setaffinity(0, {1})
        rng = np.random.default_rng(4)
        n_shoppers = 50_000
        bodies = [
            {"surface": "home", "shopper": f"shopper-{x}", "n": 20}
            for x in rng.integers(0, n_shoppers, n_requests + 500)
        ]
        made = [request("/v1/recommend", msgspec.json.encode(body)) for body in bodies]
        asyncio.run(drive(port, iter(list(enumerate(made[:500]))), clients=1))
        for clients in (1, 4):
            told = asyncio.run(drive(port, iter(list(enumerate(made[500:]))), clients=clients))
            p50, p99 = told.quantile_ms(0.5), told.quantile_ms(0.99)
            print(
                f"  {clients} client{'s' * (clients > 1)}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, "
                f"{n_requests / told.seconds:,.0f} requests/s, answers {dict(told.statuses)}"
            )
        memory = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * 4096 / 1e6
        ticks = Path(f"/proc/{server.pid}/stat").read_text().split()
        cpu = (int(ticks[13]) + int(ticks[14])) / os.sysconf("SC_CLK_TCK")
        print(f"  the server holds {memory:,.0f} MB and has used {cpu:.1f} CPU-seconds")
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Until a recommendation is answered."""
    import http.client

    body = msgspec.json.encode({"surface": "home", "n": 5})
    while server.poll() is None:
        try:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            line.request("POST", "/v1/recommend", body, {"Content-Type": "application/json"})
            if line.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit("the server ended before it answered")


def quantiles(seconds: NDArray[np.float64]) -> str:
    """Mean and quantiles in microseconds."""
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e6
    return f"mean {seconds.mean() * 1e6:7.0f}   p50 {p50:7.0f}   p99 {p99:7.0f} µs"


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--shoppers", type=int, default=50_000)
    parser.add_argument("--actions", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--http", action="store_true", help="over HTTP instead of in process")
    parser.add_argument("--folder", type=Path, default=None)
    args = parser.parse_args()
    place = args.folder or Path("var") / f"bench-{args.items}-{args.shoppers}-{args.actions}"
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "shop.db").exists():
        generate(place, args.items, args.shoppers, args.actions)
    if not (place / "shop.snapshots" / "active.json").exists():
        train(place)
    if args.http:
        over_http(place, args.requests)
    else:
        in_process(place, args.requests)
