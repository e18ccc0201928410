"""From what a shop stored to what its slates earned, on the embedded store itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from habitue.evaluation import outcomes_of, rates_by
from habitue.facts import Action, Alias, Shown
from habitue.store.sqlite import SqliteFactStore

HOUR = 3_600_000


def shown(name: str, at: int, shopper: str | None, items: list[str]) -> Shown:
    n = len(items)
    return Shown(
        id=name,
        at=at,
        shopper=shopper,
        surface="home",
        snapshot="s1",
        arm="main",
        items=items,
        scores=[1.0] * n,
        propensities=[0.9] * n,
        sources=["popular"] * n,
    )


def test_a_shop_sees_what_its_slates_earned(tmp_path: Path) -> None:
    store = SqliteFactStore(tmp_path / "shop.db")
    store.append(
        [
            Action(kind="view_item", shopper="ben", item="tea", id="1", at=HOUR),
            Action(kind="view_item", shopper="ben", item="cup", id="2", at=HOUR),
            shown("slate-1", 2 * HOUR, "ana", ["cup", "tea"]),
            shown("slate-2", 2 * HOUR, None, ["tea"]),
            # Ana looks at the tea she was shown, and buys it under her other name.
            Action(
                kind="select_item",
                shopper="ana",
                item="tea",
                id="3",
                at=3 * HOUR,
                slate_id="slate-1",
                slot=1,
            ),
            Alias(shopper="ana", alias="ana-phone", at=3 * HOUR),
            Action(
                kind="purchase",
                shopper="ana-phone",
                item="tea",
                id="4",
                at=4 * HOUR,
                order_id="o1",
                value_minor=250,
                currency="EUR",
            ),
        ],
        received_at_ms=5 * HOUR,
    )
    outcomes = outcomes_of(store)
    store.close()
    earned = outcomes.select("slate_id", "slot", "clicked", "converted", "value_minor")
    assert earned.sort("slate_id", "slot").rows() == [
        ("slate-1", 0, False, False, 0),
        ("slate-1", 1, True, True, 250),
        ("slate-2", 0, False, False, 0),
    ]
    (home,) = rates_by(outcomes, "surface", np.random.default_rng(0))
    assert (home.n_slates, home.n_slots) == (2, 3)
    assert home.conversion.estimate == 1 / 2


def test_a_shop_that_showed_nothing_has_no_outcomes(tmp_path: Path) -> None:
    store = SqliteFactStore(tmp_path / "shop.db")
    outcomes = outcomes_of(store)
    store.close()
    assert outcomes.height == 0
    assert outcomes.schema["clicked"] == pl.Boolean
    assert rates_by(outcomes, "surface", np.random.default_rng(0)) == []
