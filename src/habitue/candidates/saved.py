"""How a source lies on disk: one ``source.json`` and one ``.npy`` file an array."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.errors import SchemaTooNew, SnapshotError

__all__ = ["FORMAT", "Saved", "read", "read_weights", "write", "write_weights"]

FORMAT = 1
"""Raised whenever a reader of the last format would misread the new one."""


_WEIGHTS = "weights.npz"


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What ``source.json`` holds."""

    source: str  # which kind of source reads this folder
    config: dict[str, Any]
    format: int = FORMAT
    numbers: dict[str, int] = {}
    measured: dict[str, float] = {}


def write(path: Path, saved: Saved, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the folder ``path``; ``source.json`` comes last, so a half-written one is refused."""
    path.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array, allow_pickle=False)
    (path / "source.json").write_bytes(msgspec.json.format(msgspec.json.encode(saved)))


def read(path: Path, source: str) -> tuple[Saved, dict[str, NDArray[Any]]]:
    """What ``write`` wrote, its arrays memory-mapped.

    Raises ``SnapshotError`` where the folder does not hold a ``source``, ``SchemaTooNew`` where a
    newer Habitué wrote it.
    """
    try:
        saved = msgspec.json.decode((path / "source.json").read_bytes(), type=Saved)
    except FileNotFoundError:
        raise SnapshotError(
            f"{path} holds no source.", remedy="Activate another snapshot, or train again."
        ) from None
    except msgspec.DecodeError as error:
        raise SnapshotError(
            f"{path / 'source.json'} cannot be read: {error}.", remedy="Train again."
        ) from None
    if saved.format > FORMAT:
        raise SchemaTooNew(
            f"{path} has source format {saved.format}; this Habitué reads up to {FORMAT}.",
            remedy="Upgrade Habitué, or train again with this one.",
        )
    if saved.source != source:
        raise SnapshotError(f"{path} holds a source of kind {saved.source!r}, not {source!r}.")
    return saved, {
        file.stem: np.load(file, mmap_mode="r", allow_pickle=False)
        for file in sorted(path.glob("*.npy"))
    }


def write_weights(path: Path, weights: Mapping[str, NDArray[Any]]) -> None:
    """Write into the folder ``path`` what a later training goes on from, by name."""
    np.savez(path / _WEIGHTS, allow_pickle=False, **weights)


def read_weights(path: Path) -> Mapping[str, NDArray[Any]]:
    """What ``write_weights`` wrote: each read from the file when it is asked for."""
    if not (path / _WEIGHTS).exists():
        return {}
    weights: Mapping[str, NDArray[Any]] = np.load(path / _WEIGHTS, allow_pickle=False)
    return weights
