"""The whole public surface in Python. What changes here, users notice: say so in the changelog."""

from __future__ import annotations

import inspect
import subprocess
import sys

import habitue


def test_the_names_of_the_package() -> None:
    assert habitue.__all__ == [
        "Action",
        "Alias",
        "Consent",
        "HabitueError",
        "Item",
        "Link",
        "Shop",
        "Shopper",
        "open",
    ]
    assert all(hasattr(habitue, name) for name in habitue.__all__)


def test_the_methods_of_a_shop() -> None:
    methods = {
        name: list(inspect.signature(method).parameters)[1:]
        for name, method in inspect.getmembers(habitue.Shop, inspect.isfunction)
        if not name.startswith("_")
    }
    assert methods == {
        "activate": ["name"],
        "backup": ["path"],
        "catch_up": [],
        "close": [],
        "compare": ["first", "second", "n", "seed", "progress"],
        "embedding": ["shopper", "source", "now_ms"],
        "embeddings": ["source", "now_ms"],
        "evaluate": ["split", "rebuy", "n", "seed", "folds", "curve", "ablate", "progress"],
        "export": ["shopper"],
        "extend": [],
        "follow_snapshot": [],
        "forget": ["shopper"],
        "ingest": ["what", "mapping", "query", "rejects", "progress"],
        "outlook": ["shopper", "now_ms"],
        "outlooks": ["now_ms"],
        "portrait": ["shopper", "now_ms"],
        "portraits": ["now_ms"],
        "ratings": ["shopper", "items", "level", "now_ms"],
        "recommend": ["shopper", "surface", "items", "n", "filter", "page", "now_ms", "seed"],
        "report": ["name"],
        "retain": [],
        "roll_back": [],
        "send": ["campaign", "progress", "seed"],
        "snapshots": [],
        "stored": [],
        "train": ["activate", "seed", "progress"],
        "tune": ["minutes", "rebuy", "n", "seed", "progress"],
    }


def test_importing_the_package_brings_nothing_heavy() -> None:
    code = (
        "import sys, habitue.cli; "
        "print(*sorted({m.partition('.')[0] for m in sys.modules} & "
        "{'polars', 'numpy', 'numba', 'lightgbm', 'faiss', 'pydantic', 'fastapi', 'sqlalchemy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
