"""The peers of the Online Retail benchmark: other people's models and plain rules, tuned alike.

Every setting was chosen on October (fit to 2011-09-30) by ``tune``; ``CHOSEN`` keeps what it found,
so that a run takes minutes.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import lapack

from habitue.evaluation.replay import Asked, Lister
from habitue.evaluation.splits import Split
from habitue.facts import MS_PER_DAY
from habitue.metrics import hits_of, ndcg

Scores = NDArray[np.float32]  # (n_users, n_items)


def cut_ms(split: Split) -> int:
    """The moment every question of a by-time split is asked."""
    return int(split.now_ms[0])


def counts(split: Split) -> sp.csr_matrix:
    """Orders of each item by each shopper before the cut."""
    log = split.train
    ones = np.ones(len(log), np.float32)
    shape = (log.n_shoppers, log.n_items)
    matrix = sp.csr_matrix((ones, (log.shopper_row, log.item_row)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def _weighted(split: Split, weight: str) -> sp.csr_matrix:
    matrix = counts(split)
    if weight == "binary":
        matrix.data[:] = 1
    elif weight == "log":
        matrix.data = np.log2(1 + matrix.data)
    return matrix


def recent_popularity(split: Split, *, days: float, of: str) -> Scores:
    """Order lines, or distinct shoppers, of the last days."""
    log = split.train.between(int(cut_ms(split) - days * MS_PER_DAY), cut_ms(split))
    item = log.item_row
    if of == "shoppers":
        pairs = np.unique((log.shopper_row.astype(np.int64) << 32) | item)
        item = (pairs & 0xFFFFFFFF).astype(np.int32)
    popular = np.bincount(item, minlength=log.n_items).astype(np.float32)
    return np.broadcast_to(popular, (len(split.shopper_row), log.n_items))


def new_buyers(split: Split, *, days: float) -> NDArray[np.float64]:
    """For each item, shoppers whose first purchase of it lies in the last days."""
    log = split.train
    _, first = np.unique((log.shopper_row.astype(np.int64) << 32) | log.item_row, return_index=True)
    recent = first[log.at_ms[first] >= cut_ms(split) - days * MS_PER_DAY]
    return np.bincount(log.item_row[recent], minlength=log.n_items).astype(np.float64)


def als(split: Split, *, factors: int, regularization: float, alpha: float, weight: str) -> Scores:
    """Implicit-feedback matrix factorisation of the library ``implicit``."""
    from implicit.als import AlternatingLeastSquares

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AlternatingLeastSquares(
            factors=factors, regularization=regularization, alpha=alpha, iterations=15,
            num_threads=1, random_state=1,
        )  # fmt: skip
        model.fit(_weighted(split, weight), show_progress=False)
    return np.asarray(model.user_factors[split.shopper_row] @ model.item_factors.T)


def item_knn(split: Split, *, kind: str, neighbours: int, weight: str) -> Scores:
    """Item-to-item neighbours of the library ``implicit``."""
    from implicit import nearest_neighbours as knn

    kinds = {
        "tfidf": knn.TFIDFRecommender, "bm25": knn.BM25Recommender, "cosine": knn.CosineRecommender
    }  # fmt: skip
    matrix = _weighted(split, weight)
    model = kinds[kind](K=neighbours, num_threads=1)
    model.fit(matrix, show_progress=False)
    similar = model.similarity.tocsr()
    similar.setdiag(0)
    return np.asarray((matrix[split.shopper_row] @ similar).toarray(), np.float32)


def ease(split: Split, *, l2: float, weight: str) -> Scores:
    """Embarrassingly shallow autoencoder (Steck 2019), in closed form."""
    matrix = _weighted(split, weight)
    gram = np.asarray((matrix.T @ matrix).todense(), np.float64)
    diagonal = np.diag_indices(len(gram))
    gram[diagonal] += l2
    factor, _ = lapack.dpotrf(gram, lower=1, overwrite_a=1)
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = inverse / (-np.diag(inverse))
    weights[diagonal] = 0
    return np.asarray(matrix[split.shopper_row] @ weights.astype(np.float32))


def blend(split: Split, *, share: float, days: float, **of_als: Any) -> Scores:
    """ALS, standardised for each shopper, plus the log of the last days' new buyers."""
    score = als(split, **of_als)
    score = (score - score.mean(1, keepdims=True)) / (score.std(1, keepdims=True) + 1e-9)
    return np.asarray(score + share * np.log(new_buyers(split, days=days) / days + 0.1), np.float32)


def own_frequency(split: Split, *, half_life_days: float) -> Scores:
    """What the shopper bought most often, fading with age; popularity breaks ties."""
    log = split.train
    faded = 0.5 ** ((cut_ms(split) - log.at_ms) / MS_PER_DAY / half_life_days)
    matrix = sp.csr_matrix(
        (faded, (log.shopper_row, log.item_row)), shape=(log.n_shoppers, log.n_items)
    )
    popular = recent_popularity(split, days=21, of="shoppers")
    own = np.asarray(matrix[split.shopper_row].todense(), np.float32)
    return own + np.float32(1e-4) * popular / popular.max()


@dataclass(frozen=True)
class Peer:
    """One peer: how it scores, and the settings tried."""

    score: Callable[..., Scores]
    grid: dict[str, tuple[Any, ...]]

    def settings(self) -> Iterator[dict[str, Any]]:
        for values in itertools.product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))


_ALS_GRID: dict[str, tuple[Any, ...]] = {
    "factors": (16, 32, 64, 128), "regularization": (0.1, 1.0, 10.0, 50.0),
    "alpha": (1.0, 5.0, 20.0), "weight": ("binary", "log"),
}  # fmt: skip

PEERS: dict[str, Peer] = {
    "recent popularity": Peer(
        recent_popularity, {"days": (7, 14, 21, 28, 56), "of": ("lines", "shoppers")}
    ),
    "item-kNN": Peer(
        item_knn,
        {
            "kind": ("tfidf", "bm25", "cosine"),
            "neighbours": (20, 50, 100, 200, 500, 2000),
            "weight": ("binary", "log", "count"),
        },
    ),
    "ALS": Peer(als, _ALS_GRID),
    "EASE": Peer(
        ease,
        {"l2": (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0), "weight": ("binary", "log", "count")},
    ),
    "blend": Peer(blend, {"share": (0.25, 0.5, 1.0, 2.0, 4.0, 8.0), "days": (7,), **_ALS_GRID}),
    "own frequency": Peer(own_frequency, {"half_life_days": (15, 30, 60, 120, 1e9)}),
}


CHOSEN: dict[str, dict[str, dict[str, Any]]] = {
    "new": {
        "recent popularity": {"days": 7, "of": "lines"},
        "item-kNN": {"kind": "bm25", "neighbours": 2000, "weight": "count"},
        "ALS": {"factors": 128, "regularization": 50.0, "alpha": 5.0, "weight": "binary"},
        "EASE": {"l2": 300.0, "weight": "binary"},
        "blend": {
            "share": 4.0, "days": 7, "factors": 128, "regularization": 10.0, "alpha": 1.0,
            "weight": "binary",
        },
    },
    "again": {
        "recent popularity": {"days": 21, "of": "shoppers"},
        "item-kNN": {"kind": "bm25", "neighbours": 500, "weight": "count"},
        "ALS": {"factors": 128, "regularization": 10.0, "alpha": 1.0, "weight": "log"},
        "EASE": {"l2": 10.0, "weight": "count"},
        "own frequency": {"half_life_days": 1e9},
    },
}  # fmt: skip
"""What was best on October, for new items alone and with re-purchases counted.

ALS among re-purchases was chosen from a part of its grid (64 and 128 factors, regularisation 0.1
and 10, alpha 1 and 5); ``--retune`` goes through all of it.
"""


def lister_of(split: Split, score: Scores) -> Lister:
    """Lists of the best of a full score matrix (n_users, n_items), as evaluation asks for them."""
    place = np.full(split.train.n_shoppers, -1)
    place[split.shopper_row] = np.arange(len(split))

    def lister(asked: Asked, n: int, rng: np.random.Generator) -> NDArray[np.int32]:
        mine = np.array(score[place[asked.context.shopper_row]], np.float32)
        mine[:, ~asked.available] = -np.inf
        mine[np.repeat(np.arange(len(mine)), asked.excluded.count), asked.excluded.item] = -np.inf
        best = np.argpartition(-mine, n, axis=1)[:, :n]
        order = np.argsort(-np.take_along_axis(mine, best, 1), axis=1, kind="stable")
        return np.take_along_axis(best, order, 1).astype(np.int32)

    return lister


def tune(split: Split, name: str) -> tuple[dict[str, Any], float]:
    """The settings of a peer that are best on ``split``, and their NDCG@10."""
    from habitue.evaluation.replay import lists_of

    best: tuple[dict[str, Any], float] = ({}, -1.0)
    for setting in PEERS[name].settings():
        lister = lister_of(split, PEERS[name].score(split, **setting))
        items = lists_of(split, lister, 10, np.random.default_rng(0), length=1)
        hits = hits_of(items, split.relevant.indptr, split.relevant.item)
        found = float(ndcg(hits, split.relevant.count).mean())
        if found > best[1]:
            best = (setting, found)
    return best
