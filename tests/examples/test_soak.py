"""The soak tells memory that grows from memory that only wavers."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.soak import batch, judge, slope

TOLD = Namespace(actions=3_000_000, shoppers=100_000, items=5_000, known=0, live=10_000)


def replay(leak: float, tmp_path: Path) -> bool:
    """What is said of 300 samples whose unaccounted memory grows by ``leak`` bytes an action."""
    rng = np.random.default_rng(1)
    actions = np.arange(1, 301) * 10_000
    other = 3e8 + 2e7 * np.tanh(actions / 3e5) + leak * actions + rng.normal(0, 2e5, 300)
    bought = 30.0 * actions
    outcome: dict[str, Any] = {
        "series": {
            "actions": actions.tolist(),
            "parts": [
                {"own": o + b, "mapped": 1e8, "who bought what": b}
                for o, b in zip(other.tolist(), bought.tolist(), strict=True)
            ],
        },
        "own at the start": 3e8, "seconds": 60.0, "CPU seconds": 60.0, "slates": 750,
        "live shoppers held": 10_000, "pairs": 1_000_000, "shown to": 0, "moments": "",
        "problems": [],
    }  # fmt: skip
    return judge(outcome, Namespace(**vars(TOLD), plot=tmp_path / "soak.svg"))


def test_memory_that_levels_off_passes_though_what_is_accounted_for_grows(tmp_path: Path) -> None:
    assert replay(0.0, tmp_path)
    assert (tmp_path / "soak.svg").stat().st_size > 10_000


def test_a_leak_of_a_few_bytes_an_action_is_noticed(tmp_path: Path) -> None:
    assert not replay(3.0, tmp_path)


def test_more_than_the_bound_is_noticed_even_where_it_stands_still(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.soak.BOUND_CACHES", 0.0)
        patch.setattr("benchmarks.soak.BOUND_PAIR", 50)
        patch.setattr("benchmarks.soak.BOUND_EVER", 0)
        assert not replay(0.0, tmp_path)


def test_a_slope_lies_in_its_interval() -> None:
    x = np.arange(200.0)
    y = 2.5 * x + np.random.default_rng(3).normal(0, 5, 200)
    a, low, high = slope(x, y, np.random.default_rng(4))
    assert low < 2.5 < high
    assert low < a < high
    assert high - low < 0.2


def test_every_shopper_has_come_by_the_end_of_warm_up() -> None:
    rng = np.random.default_rng(5)
    seen: set[str] = set()
    for since in range(0, TOLD.actions // 3, 50_000):
        seen.update(batch(rng, since, 50_000, TOLD)["shopper"].to_pylist())
    assert len(seen) == TOLD.shoppers
