"""Learning what sides of items mean to shoppers, from the vectors of items that were acted on.

What an item is to shoppers is foretold by its sides, each a vector. How far a relation can be
trusted is learnt in closed form: for each relation the item is foretold from the other items of its
sides alone, and weights of at least 0 are found with which all relations together foretell best.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import nnls

from habitue.candidates.item_graph import ItemGraph

__all__ = ["PENALTIES", "chosen_penalty", "incidence", "relation_weights", "side_vectors"]

Floats = NDArray[np.float64]

_OTHERS: Final = 30.0  # items of nothing that stand beside those of a side: few say little
_JUDGED: Final = 5_000  # items foretold at most: what a relation says of them is held at once
_BELIEVED: Final = 300.0  # edges that the weight of all relations together counts for each
PENALTIES: Final = (300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
"""Ridge penalties on the vectors of sides that are tried, in items."""
_HELD_OUT: Final = 5  # one item of so many is foretold to choose among them,
_MOST_HELD: Final = 2_000  # so many at most,
_ASKED: Final = 1_000  # for so many shoppers
_SOLVES: Final = 30  # steps of the conjugate gradient at most
_SETTLED: Final = 1e-4  # of the error at the start


def incidence(graph: ItemGraph) -> sp.csr_matrix:
    """How strongly each item has each side: (n_items, n_sides), sparse."""
    table = graph.table
    shape = (table.n_items, len(graph))
    return sp.csr_matrix(
        (table.edge["strength"].astype(np.float64), table.edge["item"], table.indptr), shape=shape
    )


def relation_weights(
    graph: ItemGraph, item: Floats, support: Floats, shopper: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """How far each relation foretells items beside the best one: (n_relations,) 0 to 1; its edges.

    ``item`` (n_items, dim) are the vectors of the items acted on, ``support`` (n_items,) by how
    many, 0 for the others. What counts is what shoppers (n_shoppers, dim) would see of an error.
    Each item is foretold by other items alone, so a side of a single item foretells nothing; asked
    for are the items most acted on.
    """
    whole, root, there = incidence(graph).tocsc(), _root(shopper), support > 0
    judged = np.argsort(-support, kind="stable")[: min(_JUDGED, int(there.sum()))]
    trust = np.sqrt(np.sqrt(support[judged]))[:, None]
    target = (item[judged] @ root * trust).astype(np.float32).ravel()
    n = len(graph.relations)
    gram, pull = np.zeros((n, n)), np.zeros(n)
    count, seen = np.zeros(n, np.int64), np.zeros(n, np.int64)
    foretold: list[NDArray[np.float32]] = []
    for r in range(n):
        part = whole[:, graph.relation_of == r].tocsr()
        found = _from_others(part, item, there, judged) @ root * trust
        count[r], seen[r] = part.nnz, part[judged].nnz
        foretold.append(found.astype(np.float32).ravel())
        pull[r] = float(foretold[r] @ target)
        for other in range(r + 1):
            gram[r, other] = gram[other, r] = float(foretold[r] @ foretold[other])
    return _solved(gram, pull, seen), count


def _from_others(
    part: sp.csr_matrix, item: Floats, there: NDArray[np.bool_], judged: NDArray[np.int64]
) -> Floats:
    """The judged items as sums of the means of their sides, themselves left out: (n, dim)."""
    known = sp.diags_array(there.astype(np.float64)) @ part
    total = known.T @ item
    mass = np.asarray(known.multiply(known).sum(axis=0)).ravel()
    edge = part[judged].tocoo()
    share = edge.data / (np.maximum(mass[edge.col] - edge.data**2, 0) + _OTHERS)
    shape = (len(judged), part.shape[1])
    others = sp.csr_matrix((share, (edge.row, edge.col)), shape) @ total
    itself = np.bincount(edge.row, share * edge.data, len(judged))
    return np.asarray(others - itself[:, None] * item[judged])


def _solved(gram: Floats, pull: Floats, count: NDArray[np.int64]) -> Floats:
    """The weights, the largest 1; with few edges they are held to what one for all would be."""
    if gram.sum() <= 0 or pull.sum() <= 0:
        return np.ones(len(pull))
    even = pull.sum() / gram.sum()
    own = gram.diagonal()
    hold = own * _BELIEVED / np.maximum(count, 1) + 1e-9 * own.max()
    factor = np.linalg.cholesky(gram + np.diag(hold))
    weight, _ = nnls(factor.T, np.linalg.solve(factor, pull + hold * even))
    return np.asarray(weight / weight.max()) if weight.max() > 0 else np.ones(len(pull))


def _root(shopper: Floats) -> Floats:
    """A root of the shoppers' second moments (dim, dim)."""
    dim = shopper.shape[1]
    moments = shopper.T @ shopper / max(len(shopper), 1)
    return np.asarray(np.linalg.cholesky(moments + 1e-9 * np.eye(dim)))


def chosen_penalty(
    whole: sp.csr_matrix, item: Floats, wanted: sp.csr_matrix, shopper: Floats,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """The penalty with which items drawn by lot are ranked best that are foretold from the others.

    Ranked they are among themselves for shoppers (n_shoppers, dim) who ``wanted`` any: by the gain
    of all that each wanted, discounted by rank. Where none can be asked it is the largest.
    """
    support = np.bincount(wanted.indices, minlength=wanted.shape[1])
    acted = rng.permutation(np.flatnonzero((support > 0) & (np.diff(whole.indptr) > 0)))
    held = acted[: min(len(acted) // _HELD_OUT, _MOST_HELD)]
    asked = rng.permutation(np.flatnonzero(np.diff(wanted[:, held].indptr)))[:_ASKED]
    if not len(asked):
        return PENALTIES[0]
    there = support > 0
    there[held] = False
    right = wanted[asked][:, held].toarray() > 0
    gain = []
    for penalty in PENALTIES:
        foretold = whole[held] @ side_vectors(whole, item, there, penalty)
        order = np.argsort(-(shopper[asked] @ foretold.T), axis=1, kind="stable")
        gain.append(float(_gain(np.take_along_axis(right, order, axis=1)).mean()))
    return PENALTIES[int(np.argmax(gain))]


def _gain(hit: NDArray[np.bool_]) -> Floats:
    """The gain of each row's hits (n, m), discounted by rank, beside that of the best order."""
    discount = 1 / np.log2(np.arange(hit.shape[1]) + 2)
    best = np.cumsum(discount)[hit.sum(axis=1) - 1]
    return np.asarray((hit * discount).sum(axis=1) / best)


def side_vectors(
    whole: sp.csr_matrix, item: Floats, there: NDArray[np.bool_], penalty: float
) -> Floats:
    """The vectors of sides (n_sides, dim) whose sums come nearest to the items that are ``there``.

    A ridge regression with ``penalty``, by conjugate gradients for all columns at once.
    """
    known = whole[there]
    found = np.zeros((whole.shape[1], item.shape[1]))
    rest = np.asarray(known.T @ item[there])
    step, size = rest.copy(), (rest**2).sum(axis=0)
    enough = _SETTLED**2 * size
    for _ in range(_SOLVES):
        if (size <= enough).all():
            break
        image = known.T @ (known @ step) + penalty * step
        far = size / np.maximum((step * image).sum(axis=0), 1e-30)
        found += far * step
        rest -= far * image
        before, size = size, (rest**2).sum(axis=0)
        step = rest + size / np.maximum(before, 1e-30) * step
    return found
