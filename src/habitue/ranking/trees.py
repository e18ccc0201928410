"""Boosted trees as flat arrays, scored by a compiled loop that the processor takes in many lanes.

LightGBM trains them; it is not needed to score them. A forest gives what LightGBM's ``predict``
gives (raw scores), to float32. Where values are missing, or a tree has too many leaves for
``lanes.py``, rows walk down the trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.errors import BadInput, SnapshotError
from habitue.ranking.lanes import Lanes

__all__ = ["Forest"]

_MISSING: Final = {"None": 0, "Zero": 1, "NaN": 2}
_ZERO: Final = np.float32(1e-35)


@dataclass(frozen=True, slots=True)
class Forest:
    """All nodes of all trees in one numbering; a leaf is its own child, so no walk can leave it."""

    feature: NDArray[np.int32]  # (n_nodes,)
    threshold: NDArray[np.float32]  # (n_nodes,) go left where value <= threshold
    child: NDArray[np.int32]  # (2 * n_nodes,) right, left of each node in turn
    value: NDArray[np.float32]  # (n_nodes,) 0 at inner nodes
    missing: NDArray[np.uint8]  # (n_nodes,) 2 * kind of missing + goes left then
    root: NDArray[np.int32]  # (n_trees,)
    depth: NDArray[np.int32]  # (n_trees,)
    n_features: int
    lanes: Lanes | None = field(init=False, default=None)  # where no tree has too many leaves

    def __post_init__(self) -> None:
        lanes = Lanes.of(self.feature, self.threshold, self.child, self.value, self.root)
        object.__setattr__(self, "lanes", lanes)

    @classmethod
    def of_dump(cls, dump: Mapping[str, Any]) -> Self:
        """The forest of ``Booster.dump_model()``; refuses categorical splits (``BadInput``)."""
        flat = _Flattened()
        roots, depths = [], []
        for tree in dump["tree_info"]:
            root, depth = flat.add(tree["tree_structure"])
            roots.append(root)
            depths.append(depth)
        return cls(
            np.array(flat.feature, np.int32),
            np.array(flat.threshold, np.float32),
            np.array(flat.child, np.int32).ravel(),
            np.array(flat.value, np.float32),
            np.array(flat.missing, np.uint8),
            np.array(roots, np.int32),
            np.array(depths, np.int32),
            int(dump["max_feature_idx"]) + 1,
        )

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raw scores (n,) of rows (n, n_features); NaN goes where LightGBM sends it."""
        if x.shape[1] != self.n_features:
            raise BadInput(
                f"These trees read {self.n_features} features, the rows hold {x.shape[1]}.",
                remedy="Train the ranker again with the sources and features of this version.",
            )
        rows = np.ascontiguousarray(x, np.float32)
        if _plain(rows, self.missing):
            if self.lanes is not None:
                return self.lanes.predict(rows)
            return np.asarray(
                _walk(rows, self.feature, self.threshold, self.child, self.value, self.root,
                      self.depth)
            )  # fmt: skip
        return np.asarray(
            _walk_missing(rows, self.feature, self.threshold, self.child, self.value,
                          self.missing, self.root, self.depth)
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """Write the arrays to the file ``path`` (.npz)."""
        np.savez(path, **{f.name: getattr(self, f.name) for f in fields(self) if f.init})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The forest in the file ``path``; raises ``SnapshotError`` if it is not one."""
        try:
            with np.load(path) as saved:
                arrays = {
                    f.name: saved[f.name] for f in fields(cls) if f.init and f.name != "n_features"
                }
                return cls(**arrays, n_features=int(saved["n_features"]))
        except (OSError, KeyError, ValueError) as problem:
            raise SnapshotError(
                f"The trees in {path} cannot be read: {problem}.",
                remedy="Train again, or activate another snapshot.",
            ) from problem


class _Flattened:
    """Nodes in order of a walk from each root."""

    def __init__(self) -> None:
        self.feature: list[int] = []
        self.threshold: list[float] = []
        self.child: list[list[int]] = []
        self.value: list[float] = []
        self.missing: list[int] = []

    def add(self, node: Mapping[str, Any]) -> tuple[int, int]:
        """Number ``node`` and all below it; returns its number and the depth below it."""
        me = len(self.feature)
        self.feature.append(0)
        self.threshold.append(np.inf)
        self.child.append([me, me])
        self.value.append(0.0)
        self.missing.append(0)
        if "leaf_value" in node:
            self.value[me] = float(node["leaf_value"])
            return me, 0
        if node["decision_type"] != "<=":
            raise BadInput(
                f"Trees with {node['decision_type']!r} splits cannot be scored here.",
                remedy="Train without categorical features.",
            )
        self.feature[me] = int(node["split_feature"])
        self.threshold[me] = _at_most(float(node["threshold"]))
        self.missing[me] = 2 * _MISSING[node["missing_type"]] + bool(node["default_left"])
        left, left_depth = self.add(node["left_child"])
        right, right_depth = self.add(node["right_child"])
        self.child[me] = [right, left]
        return me, 1 + max(left_depth, right_depth)


def _at_most(threshold: float) -> float:
    """The largest float32 not above a float64: the same float32 values pass either.

    >>> _at_most(0.1) <= 0.1
    True
    """
    near = np.float32(threshold)
    if float(near) > threshold:
        near = np.nextafter(near, np.float32(-np.inf))
    return float(near)


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _plain(x: NDArray[np.float32], missing: NDArray[np.uint8]) -> bool:
    """Whether no value is NaN and no node treats 0 as missing."""
    for k in range(len(missing)):
        if missing[k] >> 1 == 1:
            return False
    total = np.float32(0.0)
    flat = x.reshape(-1)
    for k in range(len(flat)):
        total += flat[k] * np.float32(0.0)  # NaN and infinity stay, everything else is 0
    return bool(total == total)


@nb.njit(cache=True, nogil=True)
def _walk(
    x: NDArray[np.float32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float32],
    child: NDArray[np.int32],
    value: NDArray[np.float32],
    root: NDArray[np.int32],
    depth: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Eight rows go down each tree together, so that the loads of one hide those of the others."""
    n = x.shape[0]
    out = np.zeros(n, np.float64)
    for t in range(len(root)):
        r = root[t]
        i = 0
        while i + 8 <= n:
            a = b = c = d = e = f = g = h = r
            for _ in range(depth[t]):
                a = child[2 * a + np.int32(x[i, feature[a]] <= threshold[a])]
                b = child[2 * b + np.int32(x[i + 1, feature[b]] <= threshold[b])]
                c = child[2 * c + np.int32(x[i + 2, feature[c]] <= threshold[c])]
                d = child[2 * d + np.int32(x[i + 3, feature[d]] <= threshold[d])]
                e = child[2 * e + np.int32(x[i + 4, feature[e]] <= threshold[e])]
                f = child[2 * f + np.int32(x[i + 5, feature[f]] <= threshold[f])]
                g = child[2 * g + np.int32(x[i + 6, feature[g]] <= threshold[g])]
                h = child[2 * h + np.int32(x[i + 7, feature[h]] <= threshold[h])]
            out[i] += value[a]
            out[i + 1] += value[b]
            out[i + 2] += value[c]
            out[i + 3] += value[d]
            out[i + 4] += value[e]
            out[i + 5] += value[f]
            out[i + 6] += value[g]
            out[i + 7] += value[h]
            i += 8
        while i < n:
            a = r
            for _ in range(depth[t]):
                a = child[2 * a + np.int32(x[i, feature[a]] <= threshold[a])]
            out[i] += value[a]
            i += 1
    return out.astype(np.float32)


@nb.njit(cache=True, nogil=True)
def _walk_missing(
    x: NDArray[np.float32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float32],
    child: NDArray[np.int32],
    value: NDArray[np.float32],
    missing: NDArray[np.uint8],
    root: NDArray[np.int32],
    depth: NDArray[np.int32],
) -> NDArray[np.float32]:
    """One row at a time, with LightGBM's rules for NaN and, where a node says so, for 0."""
    out = np.zeros(x.shape[0], np.float64)
    for i in range(x.shape[0]):
        for t in range(len(root)):
            k = root[t]
            for _ in range(depth[t]):
                v = x[i, feature[k]]
                kind = missing[k] >> 1
                if v != v and kind != 2:
                    v = np.float32(0.0)
                if (kind == 2 and v != v) or (kind == 1 and abs(v) <= _ZERO):
                    left = np.int32(missing[k] & 1)
                else:
                    left = np.int32(v <= threshold[k])
                k = child[2 * k + left]
            out[i] += value[k]
    return out.astype(np.float32)
