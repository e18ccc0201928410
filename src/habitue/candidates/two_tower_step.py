"""From what a shopper did to the shopper's vector: the tower of shoppers as it serves.

Row by row, so that a request is answered with the same bits whatever it is asked beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.requests import Read
from habitue.behaviour.streams import GAP_STEPS
from habitue.candidates.layout import plain, sealed

__all__ = ["COUNT_STEPS", "N_KINDS", "PLACES", "Ratings", "ShopperTower", "ratings_before", "warm"]

PLACES = 64
"""Places from the end that weights are learnt for; those further back share the last."""
N_KINDS = 64
COUNT_STEPS = 8
"""Steps of how many actions were read: one more for each doubling."""

Floats = NDArray[np.float32]


class Ratings(NamedTuple):
    """Who rated what, in standard units: ragged rows by shopper, in order of time."""

    indptr: NDArray[np.int64]  # (n_shoppers + 1,)
    item: NDArray[np.int32]  # (N,)
    value: Floats  # (N,)
    at_ms: NDArray[np.int64]  # (N,)


class _Pooling(NamedTuple):
    """Log weights of an action in each of the pools, by what is said of it."""

    by_place: Floats  # (PLACES, pools)
    by_kind: Floats  # (N_KINDS, pools)
    by_age: Floats  # (GAP_STEPS, pools)


class ShopperTower:
    """The weights of the tower, and what it makes of requests.

    Each pool is a mean of the items acted on, with weights by place, kind and age. Pools, and what
    ratings say, go through hidden layers that also see how much was done, when and what last; what
    comes out is added to a mix of the pools.
    """

    def __init__(self, weights: Mapping[str, NDArray[Any]], temperature: float) -> None:
        """``weights`` by name, as they were learnt."""
        self.weights = {name: sealed(value, np.float32) for name, value in weights.items()}
        self.temperature = temperature
        one = self.weights
        self._pooling = _Pooling(one["by_place"], one["by_kind"], one["by_age"])
        self._n_layers = sum(name.startswith("layer") and name.endswith("weight") for name in one)

    @property
    def pools(self) -> int:
        """Pools it reads."""
        return int(self.weights["by_place"].shape[1])

    @property
    def reads_ratings(self) -> bool:
        """Whether ratings were learnt from."""
        dim = len(self.weights["after_gain"])
        return len(self.weights["input_gain"]) > self.pools * dim

    @classmethod
    def silent(cls, dim: int, pools: int, temperature: float) -> Self:
        """The tower of which nothing could be learnt: it answers with 0."""
        width = pools * dim
        return cls(
            {
                "by_place": np.zeros((PLACES, pools)), "by_kind": np.zeros((N_KINDS, pools)),
                "by_age": np.zeros((GAP_STEPS, pools)), "mix": np.zeros(pools),
                "input_gain": np.zeros(width), "input_bias": np.zeros(width),
                "count": np.zeros((COUNT_STEPS, dim)), "waiting": np.zeros((GAP_STEPS, dim)),
                "kind": np.zeros((N_KINDS, dim)),
                "layer0_weight": np.zeros((dim, width)), "layer0_bias": np.zeros(dim),
                "after_gain": np.zeros(dim), "after_bias": np.zeros(dim),
            },
            temperature,
        )  # fmt: skip

    def queries(
        self, tokens: Read, vectors: Floats, tail: Floats, liked: Floats | None = None
    ) -> Floats:
        """What each request's shopper wants next: (B, dim), 0 where nothing known was done.

        ``vectors`` (n_items, dim) and ``tail`` (n_tail, dim) are what items are read by, ``liked``
        (B, dim) is what ratings say; products with unit item vectors are the scores.
        """
        n, dim, one = len(tokens.end), vectors.shape[1], self.weights
        width = self.pools * dim
        x = np.zeros((n, len(one["input_gain"])), np.float32)
        count = np.zeros(n, np.int64)
        pool(
            plain(tokens.item_row, np.int32), plain(tokens.kind, np.int64),
            plain(tokens.age, np.int64), plain(tokens.end, np.int64), self._pooling, vectors, tail,
            x, count,
        )  # fmt: skip
        pools = x[:, :width].copy()
        if liked is not None and self.reads_ratings:
            x[:, width:] = liked
        normalise(x, one["input_gain"], one["input_bias"], x)
        kind = tokens.kind[np.arange(n), np.maximum(tokens.end, 0)] if tokens.kind.size else count
        step = np.minimum(np.log2(np.maximum(count, 1)).astype(np.int64), COUNT_STEPS - 1)
        beside = one["count"][step] + one["waiting"][tokens.waiting] + one["kind"][kind]
        for layer in range(self._n_layers):
            weight, bias = one[f"layer{layer}_weight"], one[f"layer{layer}_bias"]
            wider = beside if layer == 0 else np.zeros((n, len(bias)), np.float32)
            dense(x, weight, bias, layer + 1 < self._n_layers, wider)
            x = wider
        query = np.empty((n, dim), np.float32)
        finish(x, pools, one["mix"], one["after_gain"], one["after_bias"], count,
               self.temperature, query)  # fmt: skip
        return query


@nb.njit(cache=True, nogil=True)
def pool(
    item_row: NDArray[np.int32],
    kind: NDArray[np.int64],
    age: NDArray[np.int64],
    end: NDArray[np.int64],
    pooling: _Pooling,
    vectors: Floats,
    tail: Floats,
    out: Floats,
    count: NDArray[np.int64],
) -> None:
    """Fill the pools (B, pools * dim) of each request and the ``count`` of known items in them."""
    n_base, dim = vectors.shape
    n_rows = n_base + tail.shape[0]
    n_pools = pooling.by_place.shape[1]
    weight = np.empty((item_row.shape[1], n_pools), np.float32)
    for b in range(item_row.shape[0]):
        count[b] = 0
        for p in range(n_pools):
            largest = np.float32(-np.inf)
            for x in range(end[b] + 1):
                if 0 <= item_row[b, x] < n_rows:
                    place = min(end[b] - x, pooling.by_place.shape[0] - 1)
                    weight[x, p] = (
                        pooling.by_place[place, p]
                        + pooling.by_kind[kind[b, x], p]
                        + pooling.by_age[age[b, x], p]
                    )
                    largest = max(largest, weight[x, p])
            mass = np.float32(0.0)
            for x in range(end[b] + 1):
                if 0 <= item_row[b, x] < n_rows:
                    weight[x, p] = np.exp(weight[x, p] - largest)
                    mass += weight[x, p]
                    count[b] += p == 0
            for x in range(end[b] + 1):
                row = item_row[b, x]
                if not 0 <= row < n_rows:
                    continue
                share = weight[x, p] / mass
                for d in range(dim):
                    value = vectors[row, d] if row < n_base else tail[row - n_base, d]
                    out[b, p * dim + d] += share * value


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def normalise(x: Floats, gain: Floats, bias: Floats, out: Floats) -> None:
    """Fill each row (B, n) less its mean, over its deviation, times the gain, plus the bias."""
    n = x.shape[1]
    for b in range(x.shape[0]):
        mean = np.float32(0.0)
        for i in range(n):
            mean += x[b, i]
        mean /= np.float32(n)
        square = np.float32(0.0)
        for i in range(n):
            square += (x[b, i] - mean) ** 2
        scale = np.float32(1.0) / np.sqrt(square / np.float32(n) + np.float32(1e-5))
        for i in range(n):
            out[b, i] = (x[b, i] - mean) * scale * gain[i] + bias[i]


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def dense(x: Floats, weight: Floats, bias: Floats, rectified: bool, out: Floats) -> None:
    """Add ``x`` (B, n) times ``weight`` (m, n) and the ``bias`` (m,) to ``out``.

    It is no less than 0 afterwards where ``rectified``.
    """
    for b in range(x.shape[0]):
        for o in range(weight.shape[0]):
            total = np.float32(0.0)
            for i in range(weight.shape[1]):
                total += x[b, i] * weight[o, i]
            total += out[b, o] + bias[o]
            out[b, o] = max(total, np.float32(0.0)) if rectified else total


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def finish(
    x: Floats,
    pools: Floats,
    mix: Floats,
    gain: Floats,
    bias: Floats,
    count: NDArray[np.int64],
    temperature: float,
    out: Floats,
) -> None:
    """Fill the query (B, dim): the last layer ``x`` and a mix of the pools, normalised.

    Its length is one over the temperature, or 0 where nothing was read.
    """
    n, dim = x.shape
    for b in range(n):
        for d in range(dim):
            total = x[b, d]
            for p in range(mix.shape[0]):
                total += mix[p] * pools[b, p * dim + d]
            out[b, d] = total
    normalise(out, gain, bias, out)
    for b in range(n):
        length = np.float32(0.0)
        for d in range(dim):
            length += out[b, d] * out[b, d]
        scale = np.float32(0.0)
        if count[b] > 0 and length > 0.0:
            scale = np.float32(1.0) / (np.sqrt(length) * np.float32(temperature))
        for d in range(dim):
            out[b, d] *= scale


@nb.njit(cache=True, nogil=True)
def ratings_before(
    shopper_row: NDArray[np.int32],
    now_ms: NDArray[np.int64],
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    value: Floats,
    fitted: Ratings,
) -> tuple[NDArray[np.int64], NDArray[np.int32], Floats]:
    """What the shopper of each request (B,) had rated before it, flat: (P,) whose, items, weights.

    Rows ``indptr`` of ``item`` and ``value`` are what the requests say, which goes before what was
    ``fitted``. A weight is the rating in standard units over one more than how many there are.
    """
    most = item.shape[0]
    for b in range(len(shopper_row)):
        s = shopper_row[b]
        if 0 <= s < len(fitted.indptr) - 1:
            most += fitted.indptr[s + 1] - fitted.indptr[s]
    whose, row = np.empty(most, np.int64), np.empty(most, np.int32)
    weight = np.empty(most, np.float32)
    n = 0
    for b in range(len(shopper_row)):
        begin, s = n, shopper_row[b]
        for x in range(indptr[b], indptr[b + 1]):
            whose[n], row[n], weight[n] = b, item[x], value[x]
            n += 1
        said = n
        if 0 <= s < len(fitted.indptr) - 1:
            for x in range(fitted.indptr[s], fitted.indptr[s + 1]):
                if fitted.at_ms[x] >= now_ms[b]:
                    break
                again = False
                for y in range(begin, said):
                    again |= row[y] == fitted.item[x]
                if not again:
                    whose[n], row[n], weight[n] = b, fitted.item[x], fitted.value[x]
                    n += 1
        for y in range(begin, n):
            weight[y] /= np.float32(n - begin + 1)
    return whose[:n], row[:n], weight[:n]


@nb.njit(cache=True, nogil=True)
def liked(
    whose: NDArray[np.int64],
    row: NDArray[np.int32],
    weight: Floats,
    vectors: Floats,
    tail: Floats,
    out: Floats,
) -> None:
    """Add the items ``row`` (P,) times their weights to the vectors (B, dim) of whose they are."""
    n_base, dim = vectors.shape
    for x in range(len(whose)):
        if 0 <= row[x] < n_base:
            for d in range(dim):
                out[whose[x], d] += weight[x] * vectors[row[x], d]
        elif n_base <= row[x] < n_base + tail.shape[0]:
            for d in range(dim):
                out[whose[x], d] += weight[x] * tail[row[x] - n_base, d]


def warm() -> None:
    """Compile this module's kernels for the types requests bring, or read them from disk."""
    vectors = sealed(np.eye(2), np.float32)
    codes = np.zeros((1, 1), np.int64)
    tokens = Read(np.zeros((1, 1), np.int32), codes, codes, codes, codes[0], codes[0])
    ShopperTower.silent(2, 1, 1.0).queries(tokens, vectors, vectors)
    nobody, one = np.zeros(1, np.int32), np.ones(1, np.float32)
    row = sealed(nobody, np.int32)
    fitted = Ratings(
        sealed(np.array([0, 1]), np.int64), row, sealed(one, np.float32), sealed(row, np.int64)
    )
    found = ratings_before(nobody, codes[0], np.array([0, 1]), nobody, one, fitted)
    liked(*found, vectors, vectors, np.zeros((1, 2), np.float32))
