"""The space in which items alike lie near each other, and the way into it for a new item."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.gather import sealed
from habitue.candidates.item_terms import price_places, price_terms, raw_terms

__all__ = ["ItemSpace", "SpaceConfig", "fit_space"]

_POWER_STEPS = 4
_SPARE_DIRECTIONS = 10


class SpaceConfig(BaseModel):
    """What makes two items alike, and how many numbers say so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dim: int = Field(default=64, ge=1, le=1024, description="length of an item's vector")
    max_terms: int = Field(default=50_000, ge=1, description="terms kept, the most frequent first")
    min_items: int = Field(default=2, ge=1, description="items a term must occur in")
    description_weight: float = Field(
        default=0.3, ge=0, description="weight of a word in the description; one in the title has 1"
    )
    text_weight: float = Field(default=1.0, ge=0, description="length of the block of words")
    attribute_weight: float = Field(
        default=0.7, ge=0, description="length of the block of attributes"
    )
    price_weight: float = Field(default=0.3, ge=0, description="length of the block of prices")
    price_marks: int = Field(default=8, ge=1, description="marks on the price scale")


class ItemSpace:
    """Terms, their rarity, and the directions they are reduced to."""

    def __init__(
        self,
        config: SpaceConfig,
        terms: pl.DataFrame,
        directions: NDArray[np.float32],
        places: NDArray[np.float64],
    ) -> None:
        self.config = config
        self._terms = terms  # block, term, number (uint32), rarity
        self._directions = sealed(directions, np.float32)  # (n_terms, dim)
        self._places = places  # (n_marks,) log prices

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._directions.shape[1])

    @property
    def n_terms(self) -> int:
        """Terms it knows."""
        return self._terms.height

    def vectors(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """Unit vectors (n, dim) of the items of a catalogue's frame; 0 where nothing is said."""
        return _unit(self.weigh(frame) @ self._directions)

    def weigh(self, frame: pl.DataFrame) -> sp.csr_matrix:
        """The weighted terms (n, n_terms) of items, before they are reduced."""
        raw = _all_terms(frame, self.config, self._places)
        return _weigh(raw, self._terms, self.config, frame.height)

    def save(self, path: Path) -> None:
        """Write terms and directions into the folder ``path``."""
        path.mkdir(parents=True, exist_ok=True)
        self._terms.write_ipc(path / "terms.arrow")
        np.save(path / "directions.npy", self._directions)
        np.save(path / "places.npy", self._places)

    @classmethod
    def load(cls, path: Path, config: SpaceConfig) -> Self:
        """The space written there, its directions memory-mapped."""
        return cls(
            config,
            pl.read_ipc(path / "terms.arrow"),
            np.load(path / "directions.npy", mmap_mode="r"),
            np.load(path / "places.npy"),
        )


def fit_space(
    frame: pl.DataFrame, config: SpaceConfig, rng: np.random.Generator
) -> tuple[ItemSpace, float]:
    """The space of a catalogue, and the share of its variance the directions keep."""
    places = price_places(frame, config.price_marks)
    raw = _all_terms(frame, config, places)
    terms = (
        raw.group_by("block", "term")
        .agg(items=pl.len())
        .filter((pl.col("items") >= config.min_items) | (pl.col("block") == "price"))
        .sort("items", "block", "term", descending=[True, False, False])
        .head(config.max_terms)
        .with_row_index("number")
        .with_columns(rarity=((1 + frame.height) / (1 + pl.col("items"))).log() + 1)
        .select("block", "term", "number", "rarity")
    )
    weighed = _weigh(raw, terms, config, frame.height)
    directions, kept = _directions(weighed, config.dim, rng)
    return ItemSpace(config, terms, directions, places), kept


def _all_terms(
    frame: pl.DataFrame, config: SpaceConfig, places: NDArray[np.float64]
) -> pl.DataFrame:
    raw = raw_terms(frame, description_weight=config.description_weight)
    return pl.concat([raw, price_terms(frame, places)])


def _weigh(raw: pl.DataFrame, terms: pl.DataFrame, config: SpaceConfig, n: int) -> sp.csr_matrix:
    """Values times rarity, each block of an item scaled to the block's weight."""
    block_weight = pl.DataFrame(
        {
            "block": ["text", "attribute", "price"],
            "weight": [config.text_weight, config.attribute_weight, config.price_weight],
        }
    )
    known = (
        raw.join(terms, on=["block", "term"])
        .join(block_weight, on="block")
        .with_columns(value=pl.col("value") * pl.col("rarity"))
        .with_columns(length=(pl.col("value") ** 2).sum().over("at", "block").sqrt())
        .select("at", "number", value=pl.col("value") / pl.col("length") * pl.col("weight"))
        .sort("at", "number")
    )
    values = known["value"].to_numpy().astype(np.float32)
    where = (known["at"].to_numpy(), known["number"].to_numpy())
    return sp.csr_matrix((values, where), shape=(n, terms.height))


def _directions(
    weighed: sp.csr_matrix, dim: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], float]:
    """The leading right singular vectors (n_terms, dim), by random projection; the variance kept.

    Where the matrix is smaller than ``dim`` the spare directions are 0.
    """
    n, n_terms = weighed.shape
    found = np.zeros((n_terms, dim), np.float32)
    width = min(dim + _SPARE_DIRECTIONS, n, n_terms)
    if width == 0 or weighed.nnz == 0:
        return found, 1.0
    basis = rng.standard_normal((n_terms, width)).astype(np.float32)
    for _ in range(_POWER_STEPS):
        basis = np.linalg.qr(weighed.T @ np.linalg.qr(weighed @ basis)[0])[0]
    projected = weighed @ basis  # (n, width)
    _, rotation = np.linalg.eigh(projected.T @ projected)
    kept = min(dim, width)
    found[:, :kept] = basis @ rotation[:, ::-1][:, :kept]
    whole = _variance_of_columns(weighed)
    return found, float(np.var(weighed @ found, axis=0).sum() / whole) if whole > 0 else 1.0


def _variance_of_columns(matrix: sp.csr_matrix) -> float:
    squares: Any = matrix.multiply(matrix)
    mean = np.asarray(matrix.mean(axis=0)).ravel()
    return float((np.asarray(squares.mean(axis=0)).ravel() - mean**2).sum())


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > 1e-6, vectors / np.maximum(length, 1e-6), 0).astype(np.float32)
