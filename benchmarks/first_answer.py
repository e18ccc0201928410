"""How long after ``habitue serve`` begins a trained shop answers its first recommendation.

    python benchmarks/first_answer.py --store var/bench-100000-50000-1000000/shop.db
    python benchmarks/first_answer.py --store var/demo/shop.db --breakdown

Each run starts a process of its own and asks for a slate until one is answered by the active
snapshot; the median of ``--runs`` is told, in wall clock and in the server's CPU time. Kernels and
byte code are compiled (and lie in their caches) before the first run counts. With ``--breakdown``
one more process tells where its CPU time goes, step by step.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec

STEPS = """
import gc, sys, time
gc.disable()
lap = [0.0]
def step(what):
    now = time.process_time()
    print(f"    {what:28} {now - lap[0]:6.2f} s", flush=True)
    lap[0] = now
import habitue.cli.serving
from habitue.app import RunningShop, Shop, build, settings_for
step("imports: the shop")
import habitue.api.serve, habitue.console.backroom
step("imports: the interface")
settings = settings_for(sys.argv[1])
parts = build(settings)
parts.store.stored()
step("settings, store opened")
running = RunningShop(Shop(parts))
running.start()
step("the shop comes alive")
app = habitue.cli.serving.application(running, settings)
step("routes and pages")
from habitue.surfaces import SurfaceRequest
running.recommend(SurfaceRequest(surface="home", n=5), now_ms=time.time_ns() // 1_000_000)
step("first slate")
parts.close()
"""


def first_answer(store: Path) -> tuple[float, float]:
    """Seconds from the start of the process to a trained answer: wall clock, and its CPU time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "habitue", "serve", "--port", str(port), "--store", str(store)]
    began = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment())
    try:
        while not answered(port):
            if server.poll() is not None:
                raise SystemExit("the server ended before it answered")
            time.sleep(0.01)
        wall = time.perf_counter() - began
        ticks = Path(f"/proc/{server.pid}/stat").read_text().split()
        return wall, (int(ticks[13]) + int(ticks[14])) / os.sysconf("SC_CLK_TCK")
    finally:
        server.terminate()
        server.wait(60)


def environment() -> dict[str, str]:
    """This process's, with byte code written where Python would."""
    return {name: said for name, said in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def answered(port: int) -> bool:
    """Whether a slate is answered, and a snapshot made it."""
    body = msgspec.json.encode({"surface": "home", "n": 5})
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        line.request("POST", "/v1/recommend", body, {"Content-Type": "application/json"})
        answer = line.getresponse()
        return answer.status == 200 and bool(msgspec.json.decode(answer.read()).get("snapshot"))
    except OSError:
        return False
    finally:
        line.close()


def main() -> None:
    """Tell the median, and the steps where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path("var/bench-100000-50000-1000000/shop.db")
    parser.add_argument("--store", type=Path, default=default)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--breakdown", action="store_true")
    args = parser.parse_args()
    if not (args.store.with_suffix(".snapshots") / "active.json").exists():
        raise SystemExit(f"{args.store} has no active snapshot; benchmarks/recommend.py makes one")
    first_answer(args.store)
    runs = [first_answer(args.store) for _ in range(args.runs)]
    wall, cpu = zip(*runs, strict=True)
    print(
        f"  first trained answer {statistics.median(wall):.2f} s after the start "
        f"({min(wall):.2f} to {max(wall):.2f}), {statistics.median(cpu):.2f} CPU-seconds"
    )
    if args.breakdown:
        command = [sys.executable, "-c", STEPS, str(args.store)]
        subprocess.run(command, check=True, env=environment())


if __name__ == "__main__":
    main()
