"""The ties of shoppers a store holds, as columns for learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from habitue.facts import Links
from habitue.store.columns import LINK
from habitue.store.contract import FactStore

__all__ = ["last_versions", "links_of_store"]

_BOTH_WAYS: Final = "friend"


def links_of_store(
    store: FactStore,
    watermark: int,
    canonical: NDArray[np.int32],
    readable: NDArray[np.bool_],
) -> Links | None:
    """Friendship, both ways, and trust, one way, as their last versions say; none: ``None``.

    ``canonical`` (n_shoppers,) is the person behind each row, and only ties of two ``readable``
    (n_shoppers,) persons are read. A tie stands from the moment its last version names; one told
    without a time is taken to have stood all along.
    """
    ends = ("head_row", "tail_row")
    standing = last_versions(store, watermark, (_BOTH_WAYS, "trust"), ends)
    told = standing.filter(*(pl.col(end).is_between(0, len(canonical) - 1) for end in ends))
    if not told.height:
        return None
    one, other = (canonical[told[end].to_numpy()] for end in ends)
    mutual = (told["kind"] == _BOTH_WAYS).to_numpy()
    ties = pl.DataFrame(
        {
            "shopper": np.concatenate([one, other[mutual]]),
            "known": np.concatenate([other, one[mutual]]),
            "weight": np.concatenate([told["weight"], told["weight"].filter(mutual)]),
            "at_ms": np.concatenate([told["at_ms"], told["at_ms"].filter(mutual)]),
        }
    )
    allowed = readable[ties["shopper"].to_numpy()] & readable[ties["known"].to_numpy()]
    ties = (
        ties.filter(allowed & (ties["shopper"] != ties["known"]).to_numpy())
        .group_by("shopper", "known")
        .agg(pl.col("weight").max(), pl.col("at_ms").min())
        .sort("shopper", "known")
    )
    if not ties.height:
        return None
    return Links(
        ties["shopper"].to_numpy().astype(np.int32),
        ties["known"].to_numpy().astype(np.int32),
        ties["weight"].to_numpy().astype(np.float32),
        ties["at_ms"].to_numpy(),
    )


def last_versions(
    store: FactStore, watermark: int, kinds: Sequence[str], ends: tuple[str, str]
) -> pl.DataFrame:
    """The links of these kinds that stand, by their last versions: one a pair of ends and relation.

    ``ends`` are the columns that name them. Where a version was told without a time, ``at_ms`` is
    0: it is taken to have stood all along.
    """
    columns = ("seq", "kind", *ends, "relation", "weight", "deleted", "at_ms", "received_at_ms")
    tables = list(store.scan("link", until_seq=watermark, columns=columns))
    table = pa.concat_tables(tables) if tables else LINK.empty_table().select(list(columns))
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return (
        frame.filter(pl.col("kind").is_in(kinds))
        .sort("seq")
        .unique(["kind", *ends, "relation"], keep="last", maintain_order=True)
        .filter(~pl.col("deleted"), pl.col("weight") > 0)
        .with_columns(
            at_ms=pl.when(pl.col("at_ms") == pl.col("received_at_ms"))
            .then(0)
            .otherwise(pl.col("at_ms"))
        )
    )
