"""Shoppers of an open shop as vectors: one as of now, all as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from habitue.app.reading import asking_everybody, facts_read, row_known
from habitue.candidates.contract import EmbeddingSource
from habitue.candidates.embedded import Embedding, embedding_source
from habitue.candidates.vectors import units
from habitue.errors import SnapshotError
from habitue.slates.live import Asked
from habitue.slates.live_tail import as_they_are

if TYPE_CHECKING:
    from habitue.app.wiring import Parts

__all__ = ["embed", "embed_all"]


def embed(parts: Parts, shopper: str, source: str | None, now_ms: int) -> Embedding:
    """Where a shopper lies; withheld where they do not allow personalisation.

    Raises ``NotFound`` for a stranger and the erased, ``SnapshotError`` where the snapshot that
    answers has no vectors of shoppers, ``BadInput`` where the ``source`` has none.
    """
    live = parts.live
    if not live.people.consent.allows(row_known(parts, shopper)):
        return Embedding.withheld(shopper, now_ms)
    snapshot, chosen = _chosen(parts, source)
    context = live.context(Asked("home", now_ms, shopper)).context
    (vector,) = units(chosen.vectors(context))
    return Embedding.of(shopper, now_ms, snapshot, chosen.name, vector)


def embed_all(parts: Parts, source: str | None, now_ms: int) -> pl.DataFrame:
    """Where all lie who allow personalisation and of whom something is known, a row each.

    Columns: ``shopper``, ``vector`` (an array of 32-bit floats). Raises as ``embed`` does. Costs
    O(N) for the log, and for each shopper what the source costs to ask.
    """
    _, chosen = _chosen(parts, source)
    log = facts_read(parts).as_of(now_ms).log
    who, found = [], []
    for some, context in asking_everybody(parts, log, now_ms):
        who.append(some)
        found.append(units(chosen.vectors(context)))
    row = np.concatenate(who) if who else np.empty(0, np.int32)
    vectors = np.concatenate(found) if found else np.empty((0, 1), np.float32)
    order = np.argsort(row)
    order = order[vectors[order].any(axis=1)]
    ids = np.array([*parts.store.shopper_ids(), None], dtype=object)
    return pl.DataFrame(
        {
            "shopper": pl.Series(ids[row[order]], dtype=pl.String),
            "vector": pl.Series(vectors[order], dtype=pl.Array(pl.Float32, vectors.shape[1])),
        }
    )


def _chosen(parts: Parts, source: str | None) -> tuple[str, EmbeddingSource]:
    """The snapshot that answers, and the source that is asked."""
    answering = parts.switch.current
    if not answering.name:
        raise SnapshotError(
            "There are no vectors of shoppers before a training.",
            remedy="Train first: habitue train.",
        )
    return answering.name, embedding_source(as_they_are(answering.pipeline.sources), source)
