"""People shop on the web and in an app under other names: knowing that they are one person pays.

The truth is known: what a list is worth is the number of clicks it will get. A shop that sees one
platform only serves people worse; seeing both without knowing who is who helps little; and once the
names are merged it serves them as if they had had one name all along.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import habitue
from habitue.candidates.als import AlsConfig, AlsLearner
from habitue.facts import Alias
from habitue.metrics import paired_lift
from habitue.portraits import contexts_as_of
from habitue.training.dataset import facts_of_store
from habitue.world import World, WorldConfig, build_world
from habitue.world.platforms import APP, TwoPlatforms, on_two_platforms

NOW_MS = 1_790_000_000_000
CONFIG = WorldConfig(n_items=300, n_shoppers=800, days=60, visits_per_day=0.1)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(NOW_MS, seed=5, config=CONFIG)


@pytest.fixture(scope="module")
def parted(world: World) -> TwoPlatforms:
    return on_two_platforms(world, np.random.default_rng(1), app_share=0.7)


@pytest.fixture(scope="module")
def asked(parted: TwoPlatforms) -> list[str]:
    """Web names of those who were seen on both platforms."""
    in_app = {alias.shopper for alias in parted.aliases}
    return sorted(in_app & set(parted.on_web["shopper"]))


def clicks(
    folder: Path, world: World, table: pl.DataFrame, aliases: Sequence[Alias], asked: list[str]
) -> NDArray[np.float64]:
    """The clicks each person's list of ten will get from a shop that was told this: (len(asked),).

    The shop learns by ALS alone, from what its store gives training to read.
    """
    with habitue.open(folder / "shop.db") as shop:
        shop.ingest([*world.items()])
        shop.ingest(table)
        shop.ingest(list(aliases))
        store = shop.parts.store
        known = facts_of_store(store).as_of(NOW_MS)
        row = store.shopper_rows(asked)
        source = AlsLearner(AlsConfig()).fit(known, np.random.default_rng(0))
        context = contexts_as_of(
            known.log, row, np.full(len(row), NOW_MS), surface="home", length=100
        )
        ids = store.item_ids()
        lists = source.propose(context, 10).item_row.tolist()
    return np.array(
        [
            world.click_probability(shopper, [ids[item] for item in items if item >= 0]).sum()
            for shopper, items in zip(asked, lists, strict=True)
        ]
    )


def test_hiding_a_platform_costs_and_merging_regains(
    tmp_path: Path, world: World, parted: TwoPlatforms, asked: list[str]
) -> None:
    told: dict[str, tuple[pl.DataFrame, list[Alias]]] = {
        "one name": (world.action_table, []),
        "merged": (parted.actions, parted.aliases),
        "apart": (parted.actions, []),
        "undone": (
            parted.actions,
            [*parted.aliases, *(undone(alias) for alias in parted.aliases)],
        ),
        "web only": (parted.on_web, []),
    }
    got = {}
    for name, (table, aliases) in told.items():
        (tmp_path / name).mkdir()
        got[name] = clicks(tmp_path / name, world, table, aliases, asked)
    rng = np.random.default_rng(0)
    hidden = paired_lift(got["web only"], got["one name"], rng)
    assert hidden.high < -0.05, f"hiding the app: {hidden}"
    for worse in ("web only", "apart", "undone"):
        regained = paired_lift(got["merged"], got[worse], rng)
        assert regained.low > 0.05, f"merging against {worse}: {regained}"
    whole = paired_lift(got["merged"], got["one name"], rng)
    assert -0.02 < whole.low < whole.high < 0.02, f"merged against one name: {whole}"


def undone(alias: Alias) -> Alias:
    return Alias(shopper=alias.shopper, alias=alias.alias, at=NOW_MS - 1, undo=True)


def test_parting_a_world_loses_and_invents_nothing(world: World, parted: TwoPlatforms) -> None:
    table = parted.actions
    assert table.drop("shopper", "platform").equals(world.action_table.drop("shopper", "platform"))
    in_app = table["platform"] == APP
    assert (table["shopper"].str.starts_with("app:") == in_app).all()
    assert table["shopper"].str.strip_prefix("app:").equals(world.action_table["shopper"])
    assert 0.6 < in_app.mean() < 0.8  # type: ignore[operator]
    visits = (
        table.drop_nulls("session_id").group_by("session_id").agg(pl.col("platform").n_unique())
    )
    assert visits["platform"].max() == 1
    names = {alias.alias for alias in parted.aliases}
    assert names == set(table.filter(in_app)["shopper"])
