"""Ratings as the textbooks have them: read, split, and foretold in the ways they teach.

MovieLens 100K (Harper and Konstan, 2015) is read from ``HABITUE_DATA``, where the public data sets
lie; docs/guides/data says where they come from. All the maths here is numpy and scipy.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("HABITUE_DATA") or ROOT.parent / "shared" / "data") / "movielens_100k"
OUT = Path(os.environ.get("HABITUE_EXAMPLES_OUT") or ROOT / "var" / "examples")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ratings:
    """Who gave which film how many stars: three columns (n,) and the size of the whole matrix."""

    user: NDArray[np.int64]
    film: NDArray[np.int64]
    stars: Floats
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.stars)

    def take(self, which: NDArray[np.int64]) -> Ratings:
        """Some of them."""
        return Ratings(self.user[which], self.film[which], self.stars[which], self.shape)

    def matrix(self, values: Floats | None = None) -> sp.csr_matrix:
        """The ratings, or other values in their places, as a sparse matrix; blanks are zeros."""
        told = self.stars if values is None else values
        return sp.csr_matrix((told, (self.user, self.film)), shape=self.shape)

    def split(self, n_held: int, rng: np.random.Generator) -> tuple[Ratings, Ratings]:
        """The ratings to learn from, and ``n_held`` drawn at random to be foretold."""
        order = rng.permutation(len(self))
        return self.take(np.sort(order[n_held:])), self.take(np.sort(order[:n_held]))


def movielens() -> Ratings:
    """The 100,000 ratings: 943 people, 1,682 films, 1 to 5 stars."""
    table = _read("inter").select(
        pl.col("user_id", "item_id").cast(pl.Int64) - 1, pl.col("rating").cast(pl.Float64)
    )
    user, film, stars = (table[name].to_numpy() for name in table.columns)
    return Ratings(user, film, stars, (int(user.max()) + 1, int(film.max()) + 1))


def films() -> pl.DataFrame:
    """The films in the order of the matrix's columns: title, genres as a list."""
    return (
        _read("item")
        .with_columns(pl.col("item_id").cast(pl.Int64))
        .sort("item_id")
        .select(title="movie_title", genres=pl.col("class").str.split(" "))
    )


def _read(name: str) -> pl.DataFrame:
    """A table as RecBole keeps it, its columns without their types."""
    table = pl.read_parquet(DATA / f"ml-100k.{name}.parquet")
    return table.rename(lambda column: column.partition(":")[0])


# --------------------------------------------------------------- ways to foretell a rating


@dataclass(frozen=True)
class Biases:
    """What a rating is without taste: the mean, how kind the person is, how good the film."""

    mean: float
    user: Floats
    film: Floats

    def at(self, ratings: Ratings) -> Floats:
        """The rating each pair would get."""
        return self.mean + self.user[ratings.user] + self.film[ratings.film]


def biases(train: Ratings, damping: float = 5.0, sweeps: int = 10) -> Biases:
    """Means of people and films in turn, each drawn towards 0 as if by ``damping`` ratings more.

    Koren, Bell and Volinsky, "Matrix factorization techniques for recommender systems", 2009.
    """
    mean = float(train.stars.mean())
    user, film = np.zeros(train.shape[0]), np.zeros(train.shape[1])
    for _ in range(sweeps):
        left = train.stars - mean - user[train.user]
        film = _damped(train.film, left, damping, train.shape[1])
        left = train.stars - mean - film[train.film]
        user = _damped(train.user, left, damping, train.shape[0])
    return Biases(mean, user, film)


def _damped(code: NDArray[np.int64], value: Floats, damping: float, n: int) -> Floats:
    total = np.bincount(code, value, n)
    return np.asarray(total / (np.bincount(code, minlength=n) + damping))


def truncated_svd(matrix: sp.csr_matrix, k: int) -> tuple[Floats, Floats, Floats]:
    """The ``k`` largest singular triplets: U (n, k), s (k,), V (m, k), largest first."""
    start = np.random.default_rng(0).random(min(matrix.shape))
    u, s, vt = svds(matrix, k=k, v0=start)
    return u[:, ::-1], s[::-1], vt[::-1].T


@dataclass(frozen=True)
class Factors:
    """Biases, and a vector for each person and film whose product says how tastes meet."""

    biases: Biases
    user: Floats  # (n_users, k)
    film: Floats  # (n_films, k)

    def at(self, ratings: Ratings) -> Floats:
        """The rating each pair would get."""
        meeting = np.einsum("nk,nk->n", self.user[ratings.user], self.film[ratings.film])
        return self.biases.at(ratings) + meeting

    def all(self) -> Floats:
        """The whole matrix of foretold ratings."""
        rank = self.biases.mean + self.biases.user[:, None] + self.biases.film[None, :]
        return np.asarray(rank + self.user @ self.film.T)


def factorise(train: Ratings, k: int, penalty: float, sweeps: int = 15) -> Factors:
    """Biases, then vectors fitted to what they leave over, on the ratings there are and no blank.

    Alternating ridge regressions, each penalised by how many ratings it has: Zhou, Wilkinson,
    Schreiber and Pan, "Large-scale parallel collaborative filtering for the Netflix prize", 2008.
    """
    base = biases(train)
    left = train.matrix(train.stars - base.at(train))
    turned = left.T.tocsr()
    rng = np.random.default_rng(0)
    user = np.zeros((train.shape[0], k))
    film = rng.normal(0, 0.1, (train.shape[1], k))
    for _ in range(sweeps):
        _regress(left, film, user, penalty)
        _regress(turned, user, film, penalty)
    return Factors(base, user, film)


def _regress(known: sp.csr_matrix, other: Floats, mine: Floats, penalty: float) -> None:
    """Each row's vector anew, from the vectors of what it rated."""
    for row in range(len(mine)):
        part = slice(known.indptr[row], known.indptr[row + 1])
        x, y = other[known.indices[part]], known.data[part]
        if len(y):
            mine[row] = np.linalg.solve(x.T @ x + penalty * len(y) * np.eye(x.shape[1]), x.T @ y)
