"""The same people on several platforms, who have another name on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from habitue.facts import Alias
from habitue.world.world import World

__all__ = ["APP", "TwoPlatforms", "on_two_platforms"]

APP: Final = "app"


@dataclass(frozen=True, slots=True)
class TwoPlatforms:
    """A world's history as a shop sees it that has a web shop and an app with accounts of its own.

    On the web people have the world's ids. In the app they have others, ``app:`` before the same.
    """

    actions: pl.DataFrame  # as ``World.action_table``
    aliases: list[Alias]  # who of the app is who on the web, from the start

    @property
    def on_web(self) -> pl.DataFrame:
        """What was done on the web."""
        return self.actions.filter(pl.col("platform") != APP)


def on_two_platforms(
    world: World, rng: np.random.Generator, *, app_share: float = 0.5
) -> TwoPlatforms:
    """Part a world's visits: each is made in the app with chance ``app_share``, or on the web."""
    table = world.action_table
    visit = table.select(pl.coalesce("session_id", "order_id", "id")).to_series()
    _, code = np.unique(visit.to_numpy(), return_inverse=True)
    in_app = pl.Series((rng.random(int(code.max(initial=-1)) + 1) < app_share)[code])
    name = pl.format("app:{}", "shopper")
    parted = table.with_columns(
        platform=pl.when(in_app).then(pl.lit(APP)).otherwise("platform"),
        shopper=pl.when(in_app).then(name).otherwise("shopper"),
    )
    both = table.filter(in_app)["shopper"].unique(maintain_order=True)
    aliases = [Alias(shopper=one, alias=f"app:{one}", at=world.start_ms) for one in both]
    return TwoPlatforms(parted, aliases)
