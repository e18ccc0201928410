"""Where item vectors begin: items acted on near each other begin near each other.

A truncated SVD of the normalised co-occurrences, ``D^-1/2 (T + T') D^-1/2 + I``, where ``T`` counts
what followed what within ten actions, each a factor 0.9 less. On Beauty it lifts NDCG@10 by 0.007
over vectors that begin at random.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from habitue.behaviour.streams import Streams

__all__ = ["begun_near", "co_occurrence_vectors", "ties_of"]

_WITHIN: Final = 10
_FALL: Final = 0.9
_POWER_STEPS: Final = 6
_SPARE: Final = 16
_NEWEST: Final = 50  # of each shopper's actions, those that are read


def begun_near(streams: Streams, dim: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Where the items' own vectors begin in a network: (n_items, dim), with a little noise."""
    near = co_occurrence_vectors(streams, dim, rng)
    noise = rng.standard_normal(near.shape).astype(np.float32) * 0.2
    return np.asarray((near * np.float32(np.sqrt(dim)) + noise) * 0.05, np.float32)


def co_occurrence_vectors(
    streams: Streams, dim: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Unit vectors (n_items, dim); items without a neighbour get a random direction.

    Costs O(T + n_items dim^2).
    """
    n = streams.n_items
    ties = ties_of(streams)
    degree = np.asarray(ties.sum(axis=1)).ravel() + 1
    scale = sp.diags(degree**-0.5)
    near = (scale @ ties @ scale + sp.eye(n, format="csr")).astype(np.float32).tocsr()
    width = min(dim + _SPARE, n)
    basis = np.linalg.qr(near @ rng.standard_normal((n, width)).astype(np.float32))[0]
    for _ in range(_POWER_STEPS):
        basis = np.linalg.qr(near @ basis)[0]
    strength, turned = np.linalg.eigh(basis.T @ (near @ basis))
    kept = min(dim, width)
    vectors = np.zeros((n, dim), np.float32)
    vectors[:, :kept] = (basis @ turned[:, -kept:]) * np.sqrt(np.maximum(strength[-kept:], 0))
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    alone = length[:, 0] < 1e-6
    vectors[alone] = rng.standard_normal((int(alone.sum()), dim))
    length[alone] = np.linalg.norm(vectors[alone], axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-6), np.float32)


def ties_of(streams: Streams) -> sp.csr_matrix:
    """``T + T'`` (n_items, n_items): what was acted on within ten actions of what."""
    stream = streams.stream()
    newest = np.arange(len(streams)) >= streams.start[stream + 1] - _NEWEST
    stream, item = stream[newest], streams.item_row[newest]
    before, after, weight = [], [], []
    for step in range(1, _WITHIN + 1):
        same = np.flatnonzero(stream[step:] == stream[:-step])
        before.append(item[same])
        after.append(item[same + step])
        weight.append(np.full(len(same), _FALL ** (step - 1), np.float32))
    where = (np.concatenate(before), np.concatenate(after))
    counted = sp.csr_matrix(
        (np.concatenate(weight), where), shape=(streams.n_items, streams.n_items)
    )
    return (counted + counted.T).tocsr()
