"""A long day in one process: 1M shoppers, 100k items, 24M actions, and memory watched.

    python benchmarks/soak.py [--actions 24000000] [--shoppers 1000000] [--http 1000000]

A shop is made with ``--known`` actions and trained, in a process of its own. Then the running shop
is opened and every further action is stored durably and told to live state as a commit is, as fast
as it goes, with slates in between, many of them for shoppers who have left live state. Memory that
is the process's own (``RssAnon``: mapped models are the kernel's to drop) is sampled all along,
beside what each part says it holds. What others showed is recorded besides (``--shown`` slates a
batch), and every 4M actions a campaign is sent, people make friends, and a page of people is asked
for.

Warm-up is the first third: every shopper has come by then. After it a line is fitted through
memory, with a 95 % interval by a bootstrap of blocks. What nobody accounts for must not grow, and
what came on top of libraries, items and models must stay within 1 KB a live shopper, 96 bytes a
pair of shopper and item bought, 800 bytes a shopper whose showings are followed, 72 a shopper who
ever came (consents, showings, ties, names), and caches that are bounded by themselves.
``--http`` replays that many over HTTP into a server of its own, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

DAY_MS = 86_400_000
NOW_MS = time.time_ns() // 1_000_000
DAYS = 30
BATCH = 20_000
SLATES_A_BATCH = 5
SAMPLES = 300
KINDS = ("view_item", "add_to_cart", "purchase", "like", "not_interested")
SHARES = (0.775, 0.08, 0.12, 0.02, 0.005)
A_MOMENT = 200
"""Batches between two campaigns, and between two times that people make friends."""
BOUND_SHOPPER, BOUND_PAIR, BOUND_SHOWN, BOUND_EVER = 1_000, 96, 800, 72  # bytes
BOUND_CACHES = 300e6
"""Bytes: SQLite's pages (128 MB to write with, 16 a reader), and a million names it has keyed."""
NOISE: Final = 0.5
"""Bytes an action that unaccounted memory may grow by: 12 MB over the whole replay."""

Columns = dict[str, NDArray[Any]]


def number(name: str, count: NDArray[np.int64]) -> pa.Array:
    """Ids as text."""
    return pa.array([f"{name}-{x}" for x in count.tolist()])


def batch(rng: np.random.Generator, since: int, n: int, told: argparse.Namespace) -> pa.Table:
    """The actions from ``since`` on. One of eight is a shopper's who may never have come before."""
    place = np.arange(since, since + n)
    shopper = np.minimum((rng.pareto(0.8, n) * told.shoppers / 50), told.shoppers - 1).astype(int)
    shopper = shopper * 7_919 % told.shoppers  # who is busy is not in order of who came first
    turn = place % 8 == 0
    shopper[turn] = place[turn] // 8 % told.shoppers
    item = np.minimum(rng.pareto(0.9, n) * told.items / 60, told.items - 1).astype(int)
    item = item * 7_919 % told.items
    kind = rng.choice(len(KINDS), n, p=SHARES)
    orders = [
        f"o-{x}" if k == 2 else None for x, k in zip(place.tolist(), kind.tolist(), strict=True)
    ]
    total = told.known + told.actions
    return pa.table(
        {
            "kind": pa.array(np.array(KINDS)[kind]),
            "shopper": number("shopper", shopper),
            "item": number("item", item),
            "at": NOW_MS - DAYS * DAY_MS + place * DAYS * DAY_MS // total,
            "order_id": pa.array(orders, pa.string()),
        }
    )


def prepare(folder: Path, told: argparse.Namespace) -> None:
    """A shop with its items, its first actions, and a snapshot trained on them."""
    import habitue
    from habitue import Item
    from habitue.training.config import TrainingSettings

    rng = np.random.default_rng(1)
    quick = TrainingSettings(evaluate=False, windows=1, visits=300, starts=1000)
    from benchmarks.soak_people import newcomers

    with habitue.open(folder / "shop.db", overrides={"training": quick.model_dump()}) as shop:
        shop.ingest(
            [
                Item(
                    id=f"item-{x}",
                    title=f"word{x % 3000} word{x % 517}",
                    brand=f"brand-{x % 900}",
                    product_type=f"Shop > Floor {x % 20} > Aisle {x % 500}",
                    price_micros=1_000_000 * (1 + x % 97),
                    valid_from=NOW_MS - 300 * DAY_MS,
                )
                for x in range(told.items)
            ]
        )
        shop.ingest(newcomers(told.shoppers, NOW_MS - 200 * DAY_MS))
        for since in range(0, told.known, BATCH):
            shop.ingest(batch(rng, since, min(BATCH, told.known - since), told))
        shop.train()


# ---------------------------------------------------------------------- memory


def memory(pid: int | str = "self") -> dict[str, float]:
    """Memory of a process by what backs it, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    said = dict(line.split(":", 1) for line in lines)
    return {
        name: int(said[field].split()[0]) * 1024.0
        for name, field in (("own", "RssAnon"), ("mapped", "RssFile"))
    }


def holders(parts: Any) -> dict[str, float]:
    """What each part of the running shop says it holds, in bytes."""
    live, counters = parts.live, parts.live.counters
    return {
        "live shoppers": float(parts.live_state.held_bytes()),
        "item statistics": counters.stats.bytes_per_item() * counters.stats.n_items,
        "who bought what": float(counters.held_bytes()),
        "what was shown": float(live.impressions.held_bytes()),
        "who knows whom": float(live.ties.held_bytes()),
        "names and consents": 120.0 * live.people.held() + live.people.consent.held_bytes(),
    }


@dataclass
class Series:
    """Samples of memory over a replay."""

    actions: list[int] = field(default_factory=list)
    parts: list[dict[str, float]] = field(default_factory=list)

    def add(self, actions: int, found: dict[str, float]) -> None:
        self.actions.append(actions)
        self.parts.append(found)

    def column(self, name: str) -> NDArray[np.float64]:
        return np.array([found[name] for found in self.parts])


def slope(
    x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator, n: int = 2000
) -> tuple[float, float, float]:
    """A least-squares slope and its 95 % interval, by resampling blocks of neighbours."""
    length = max(2, round(len(x) ** 0.5))
    starts = rng.integers(0, len(x) - length + 1, (n, -(-len(x) // length)))
    rows = (starts[:, :, None] + np.arange(length)).reshape(n, -1)[:, : len(x)]
    found = [np.polyfit(x[row], y[row], 1)[0] for row in rows]
    return float(np.polyfit(x, y, 1)[0]), *map(float, np.quantile(found, [0.025, 0.975]))


# ---------------------------------------------------------------------- in process


def soak(folder: Path, told: argparse.Namespace) -> dict[str, Any]:
    """Replay into the running shop of this process; the samples and what was done."""
    from benchmarks.soak_people import Moments, shown_elsewhere
    from habitue.app import build, settings_for

    rng, asking = np.random.default_rng(2), np.random.default_rng(3)
    parts = build(settings_for(folder / "shop.db", overrides=SETTINGS | _live(told)))
    slating = parts.come_alive(NOW_MS)
    moments = Moments(parts, told.shoppers, memory)
    series, every = Series(), max(BATCH, told.actions // SAMPLES // BATCH * BATCH)
    found = memory() | holders(parts)
    began = {"own at the start": found["own"], "models, mapped": found["mapped"]}
    wall, cpu = time.perf_counter(), time.process_time()
    for done in range(0, told.actions, BATCH):
        since = told.known + done
        table = batch(rng, since, BATCH, told)
        at_ms = int(table["at"][-1].as_py())
        appended = parts.store.append_columns(table, received_at_ms=at_ms)
        assert appended.new == BATCH, appended.rejected[:3]
        slating.live.take((), appended, at_ms)
        elsewhere = shown_elsewhere(asking, done, told.shown, told.shoppers, told.items, at_ms)
        parts.store.append(elsewhere, received_at_ms=at_ms)
        now_ms = time.time_ns() // 1_000_000
        slating.live.catch_up(now_ms)
        slating.popular.refresh(now_ms)
        _ask(slating, told, at_ms, asking)
        if done // BATCH % A_MOMENT == 0:
            moments.pass_one(at_ms)
        if (done + BATCH) % every == 0:
            series.add(done + BATCH, memory() | holders(parts))
            if len(series.actions) % 10 == 0:
                _say(done + BATCH, told.actions, wall, series.parts[-1])
    assert slating.live.impressions is not None
    outcome = {
        "series": {"actions": series.actions, "parts": series.parts},
        **began,
        "seconds": time.perf_counter() - wall,
        "CPU seconds": time.process_time() - cpu,
        "slates": told.actions // BATCH * SLATES_A_BATCH,
        "live shoppers held": slating.live_state.held(),  # type: ignore[attr-defined]
        "shown to": slating.live.impressions.held(),
        "pairs": slating.live.counters.stats.n_pairs,
        "moments": moments.told(),
        "problems": list(parts.problems),
    }
    parts.close()
    return outcome


SETTINGS: Final = {"surfaces.home.rules.fatigue_shows": 3, "messages.per_week": 100,
                   "messages.quiet_from": 0, "messages.quiet_until": 0}  # fmt: skip
"""Showings are followed, and messages leave at any hour."""


def _live(told: argparse.Namespace) -> dict[str, int]:
    return {"live.max_shoppers": told.live}


def _ask(slating: Any, told: argparse.Namespace, at_ms: int, rng: np.random.Generator) -> None:
    """A few slates, most for shoppers who have left live state."""
    from habitue.surfaces import SurfaceRequest

    for who in rng.integers(0, told.shoppers, SLATES_A_BATCH).tolist():
        request = SurfaceRequest(surface="home", shopper=f"shopper-{who}", n=12)
        slating.surfaces.recommend(request, at_ms, rng)


def _say(done: int, of: int, since: float, found: dict[str, float]) -> None:
    rate = done / (time.perf_counter() - since)
    print(
        f"    {done:,} of {of:,}: {rate:,.0f} actions/s, {found['own'] / 1e6:,.0f} MB of its own",
        file=sys.stderr,
        flush=True,
    )


def judge(outcome: dict[str, Any], told: argparse.Namespace) -> bool:
    """Print the table; whether memory stayed within the bound and did not grow unaccounted."""
    series = Series(outcome["series"]["actions"], outcome["series"]["parts"])
    x = np.array(series.actions, np.float64)
    warm = x > told.actions / 3
    names = [name for name in series.parts[0] if name not in ("own", "mapped")]
    own = series.column("own")
    other = own - sum(series.column(name) for name in names)
    rng = np.random.default_rng(4)
    rate = told.actions / outcome["seconds"]
    print(
        f"{told.actions:,} actions of {told.shoppers:,} shoppers on {told.items:,} items and "
        f"{outcome['slates']:,} slates in {outcome['seconds']:,.0f} s ({rate:,.0f} actions/s), "
        f"{outcome['CPU seconds']:,.0f} CPU-s; problems: {outcome['problems'] or 'none'}"
    )
    print(f"{'memory, MB':24}{'warm':>10}{'at the end':>12}   bytes an action after warm-up")
    verdict = (0.0, 0.0, 0.0)
    for name, y in [*((n, series.column(n)) for n in names), ("everything else", other),
                    ("of its own, all", own)]:  # fmt: skip
        a, low, high = slope(x[warm], y[warm], rng)
        if name == "everything else":
            verdict = (a, low, high)
        print(
            f"{name:24}{y[warm][0] / 1e6:>10,.1f}{y[-1] / 1e6:>12,.1f}"
            f"   {a:+.2f} [{low:+.2f}, {high:+.2f}]"
        )
    late = x > told.actions / 2
    a, low, high = slope(x[late], other[late], rng)
    print(f"{'everything else, in the last half':46}   {a:+.2f} [{low:+.2f}, {high:+.2f}]")
    print(f"{'models, mapped':24}{'':10}{series.column('mapped')[-1] / 1e6:>12,.1f}")
    grown = own[-1] - outcome["own at the start"]
    held, pairs, shown = (outcome[name] for name in ("live shoppers held", "pairs", "shown to"))
    bound = (
        BOUND_SHOPPER * held + BOUND_PAIR * pairs + BOUND_SHOWN * shown
        + BOUND_EVER * told.shoppers + BOUND_CACHES
    )  # fmt: skip
    print(
        f"{held:,} live shoppers, {shown:,} whose showings are followed and {pairs:,} pairs of "
        f"shopper and item bought: {outcome['moments']}; {grown / 1e6:,.0f} MB more "
        f"than {outcome['own at the start'] / 1e6:,.0f} MB at the start "
        f"(bound {bound / 1e6:,.0f} MB)"
    )
    within, still = grown <= bound, verdict[1] <= NOISE
    print(f"within the bound: {within}; what nobody accounts for stands still: {still}")
    plot(x / 1e6, series, names, other, told)
    return bool(within and still)


def plot(
    x: NDArray[np.float64],
    series: Series,
    names: list[str],
    other: NDArray[np.float64],
    told: argparse.Namespace,
) -> None:
    """Memory by holder over the replay, as a picture in ``var/``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    bands = [other, *(series.column(name) for name in names)]
    axes.stackplot(x, np.maximum(bands, 0) / 1e6, labels=["everything else", *names])
    axes.plot(x, series.column("own") / 1e6, color="black", linewidth=1, label="of its own, all")
    axes.axvline(told.actions / 3e6, color="grey", linestyle=":", label="end of warm-up")
    axes.set(xlabel="million actions", ylabel="MB", title="Memory of a running shop")
    axes.legend(loc="lower right", fontsize=8)
    told.plot.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(told.plot)
    print(f"plotted: {told.plot}")


# ---------------------------------------------------------------------- over HTTP


def over_http(folder: Path, told: argparse.Namespace) -> bool:
    """Batches of 100 over 16 connections into a server; its memory a few times a second."""
    from benchmarks.http_load import drive, request
    from benchmarks.http_server import Server

    n_batches = told.http // 100
    series = Series()
    sent = [0]

    def bodies() -> Any:
        rng = np.random.default_rng(5)
        for some in range(n_batches):
            rows = batch(rng, some * 100, 100, told).to_pylist()
            for row in rows:
                row.pop("at")
            sent[0] = (some + 1) * 100
            yield some, request("/v1/events", json.dumps({"actions": rows}).encode())

    with Server(folder, _live(told)) as server:
        assert server.process.pid is not None
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.25):
                series.add(sent[0], memory(server.process.pid or 0))

        watcher = threading.Thread(target=watch)
        watcher.start()
        outcome = asyncio.run(drive(server.port, bodies(), clients=16))
        stop.set()
        watcher.join()
    x, own = np.array(series.actions, np.float64), series.column("own")
    warm = x > told.http / 3
    a, low, high = slope(x[warm], own[warm], np.random.default_rng(6))
    print(
        f"over HTTP: {told.http:,} actions in {outcome.seconds:,.0f} s "
        f"({told.http / outcome.seconds:,.0f}/s), answers {dict(outcome.statuses)}; memory of the "
        f"server {own[warm][0] / 1e6:,.0f} to {own[-1] / 1e6:,.0f} MB, "
        f"{a:+.1f} [{low:+.1f}, {high:+.1f}] bytes an action after warm-up"
    )
    bound = BOUND_SHOPPER * told.live + BOUND_PAIR * told.http + 2_000 * told.items + BOUND_CACHES
    return set(outcome.statuses) == {200} and own[-1] - own[0] <= bound


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--actions", type=int, default=24_000_000)
    parser.add_argument("--shoppers", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--known", type=int, default=400_000, help="actions trained on first")
    parser.add_argument("--live", type=int, default=100_000, help="live.max_shoppers")
    parser.add_argument("--shown", type=int, default=250, help="slates of others a batch")
    parser.add_argument("--http", type=int, default=1_000_000, help="0: not over HTTP")
    parser.add_argument("--plot", type=Path, default=Path("var/soak.svg"))
    parser.add_argument("--step", choices=("prepare", "soak"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.step == "prepare":
        prepare(told.folder, told)
        return
    if told.step == "soak":
        (told.folder / "soak.json").write_text(json.dumps(soak(told.folder, told)))
        return
    with tempfile.TemporaryDirectory() as made:
        for step in ("prepare", "soak"):
            command = [sys.executable, __file__, *sys.argv[1:], "--step", step, "--folder", made]
            subprocess.run(command, check=True)
        passed = judge(json.loads((Path(made) / "soak.json").read_text()), told)
    if told.http:
        with tempfile.TemporaryDirectory() as made:
            passed &= over_http(Path(made), told)
    raise SystemExit(not passed)


if __name__ == "__main__":
    main()
