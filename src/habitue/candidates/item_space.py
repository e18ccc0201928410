"""The space in which items alike lie near each other, and the way into it for a new item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.item_terms import (
    PRICE,
    log_prices,
    price_nearness,
    price_places,
    price_terms,
    raw_terms,
    terms_of,
    terms_of_words,
)
from habitue.candidates.layout import sealed
from habitue.facts import Catalogue

__all__ = ["ItemSpace", "SpaceConfig", "fit_space", "told_of"]

_POWER_STEPS = 4
_SPARE_DIRECTIONS = 10
_ITEMS_FOR_A_DIRECTION = 16
_PLAINLY = 64  # so few items are read one by one: 0.1 ms each, where frames cost 15 ms at least


class SpaceConfig(BaseModel):
    """What makes two items alike, and how many numbers say so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dim: int = Field(default=128, ge=1, le=1024, description="length of an item's vector")
    max_terms: int = Field(default=50_000, ge=1, description="terms kept, the most frequent first")
    min_items: int = Field(default=2, ge=1, description="items a term must occur in")
    description_weight: float = Field(
        default=0.3, ge=0, description="weight of a word in the description; one in the title has 1"
    )
    text_weight: float = Field(default=1.0, ge=0, description="length of the block of words")
    attribute_weight: float = Field(
        default=0.7, ge=0, description="length of the block of attributes"
    )
    price_weight: float = Field(default=0.1, ge=0, description="length of the block of prices")
    flattening: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="how far strong directions are scaled down to the weak: 0 not at all, 1 wholly",
    )
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
        self._terms = terms  # term, number (uint32), block (uint8), rarity
        self._block = terms["block"].to_numpy()  # (n_terms,)
        self._rarity = terms["rarity"].to_numpy()  # (n_terms,)
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

    @cached_property
    def _number(self) -> dict[str, int]:
        return dict(zip(self._terms["term"], self._terms["number"], strict=True))

    def vectors(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """Unit vectors (n, dim) of the items of a catalogue's frame; 0 where nothing is said."""
        return self.reduce(self.weigh(frame))

    def reduce(self, weighed: sp.csr_matrix) -> NDArray[np.float32]:
        """Unit vectors of items already weighed."""
        return _units(weighed @ self._directions)

    def of_words(self, texts: Sequence[str | None]) -> NDArray[np.float32]:
        """Unit vectors (n, dim) of words searched, as of items with such titles.

        0 where none of the words is known.
        """
        if len(texts) > _PLAINLY:
            return self.vectors(pl.DataFrame({"title": pl.Series(texts, dtype=pl.String)}))
        at, number, value = self._numbered(terms_of_words(text) for text in texts)
        value = value * self._rarity[number] * self.config.text_weight
        found = np.zeros((len(texts), self.dim), np.float32)
        np.add.at(found, at, value[:, None].astype(np.float32) * self._directions[number])
        return _units(found)

    def weigh(self, frame: pl.DataFrame) -> sp.csr_matrix:
        """The weighted terms (n, n_terms) of items, before they are reduced."""
        if frame.height <= _PLAINLY:
            return self._scaled(*self._read_plainly(frame), frame.height)
        return self._scaled(
            *_found(_all_terms(frame, self.config, self._places), self._terms), frame.height
        )

    def _read_plainly(
        self, frame: pl.DataFrame
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Places, term numbers and values of a few items, without joining frames."""
        near = price_nearness(log_prices(frame), self._places)

        def told(place: int, item: Mapping[str, Any]) -> Iterable[tuple[int, str, float]]:
            priced = (
                (PRICE, f"price~{mark}", near[place, mark]) for mark in np.flatnonzero(near[place])
            )
            return chain(terms_of(item, description_weight=self.config.description_weight), priced)

        return self._numbered(
            told(place, item) for place, item in enumerate(frame.iter_rows(named=True))
        )

    def _numbered(
        self, told: Iterable[Iterable[tuple[int, str, float]]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Places, term numbers and values of what is ``told`` of each, its known terms alone."""
        at: list[int] = []
        number: list[int] = []
        value: list[float] = []
        for place, terms in enumerate(told):
            for _, term, times in terms:
                if (known := self._number.get(term)) is not None:
                    at.append(place)
                    number.append(known)
                    value.append(times)
        return np.array(at, np.int64), np.array(number, np.int64), np.array(value, np.float64)

    def _scaled(
        self,
        at: NDArray[np.int64],
        number: NDArray[np.int64],
        value: NDArray[np.float64],
        n: int,
    ) -> sp.csr_matrix:
        """Values times rarity, each block of an item scaled to the block's weight."""
        config = self.config
        weight = np.array([config.text_weight, config.attribute_weight, config.price_weight])
        value = value * self._rarity[number]
        block = self._block[number]
        length = np.sqrt(np.bincount(at * len(weight) + block, value**2, n * len(weight)))
        value = value / length[at * len(weight) + block] * weight[block]
        return sp.csr_matrix(
            (value.astype(np.float32), (at, number)), shape=(n, self._terms.height)
        )

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
) -> tuple[ItemSpace, NDArray[np.float32], float]:
    """The space of a catalogue, its items' vectors, and the share of variance they keep."""
    places = price_places(frame, config.price_marks)
    raw = _all_terms(frame, config, places)
    terms = (
        raw.group_by("term")
        .agg(items=pl.len(), block=pl.col("block").min())
        .filter((pl.col("items") >= config.min_items) | (pl.col("block") == PRICE))
        .sort("items", "term", descending=[True, False])
        .head(config.max_terms)
        .with_row_index("number")
        .with_columns(rarity=((1 + frame.height) / (1 + pl.col("items"))).log() + 1)
        .select("term", "number", "block", "rarity")
    )
    blank = ItemSpace(config, terms, np.zeros((terms.height, config.dim), np.float32), places)
    weighed = blank._scaled(*_found(raw, terms), frame.height)
    directions, kept = _directions(weighed, config.dim, rng)
    directions = _flatter(weighed, directions, config.flattening)
    space = ItemSpace(config, terms, directions, places)
    return space, space.reduce(weighed), kept


def told_of(
    catalogue: Catalogue,
    n_items: int,
    config: SpaceConfig,
    rng: np.random.Generator,
    known: ItemSpace | None = None,
) -> tuple[ItemSpace | None, NDArray[np.float32] | None]:
    """The space of what is told of items, and each one's place in it (n_items, dim).

    None where nothing is told. Where a space is ``known`` from an earlier training, it is kept.
    """
    frame = catalogue.frame
    if "title" not in frame.columns:
        return None, None
    if known is None:
        space, vectors, _ = fit_space(frame, config, rng)
    else:
        space, vectors = known, known.vectors(frame)
    if not vectors.any():
        return None, None
    content = np.zeros((n_items, space.dim), np.float32)
    content[: frame.height] = vectors
    return space, content


def _units(vectors: NDArray[Any]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > 1e-6, vectors / np.maximum(length, 1e-6), 0).astype(np.float32)


def _all_terms(
    frame: pl.DataFrame, config: SpaceConfig, places: NDArray[np.float64]
) -> pl.DataFrame:
    raw = raw_terms(frame, description_weight=config.description_weight)
    return pl.concat([raw, price_terms(frame, places)])


def _found(
    raw: pl.DataFrame, terms: pl.DataFrame
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Places, term numbers and values of what the space knows."""
    known = raw.select("at", "term", "value").join(terms.select("term", "number"), on="term")
    return (
        known["at"].to_numpy().astype(np.int64),
        known["number"].to_numpy().astype(np.int64),
        known["value"].to_numpy(),
    )


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
        basis = np.linalg.qr(weighed.T @ (weighed @ basis))[0]
    projected = weighed @ basis  # (n, width)
    _, rotation = np.linalg.eigh(projected.T @ projected)
    kept = min(dim, width)
    found[:, :kept] = basis @ rotation[:, ::-1][:, :kept]
    whole = _variance_of_columns(weighed)
    return found, float(np.var(weighed @ found, axis=0).sum() / whole) if whole > 0 else 1.0


def _flatter(
    weighed: sp.csr_matrix, directions: NDArray[np.float32], flattening: float
) -> NDArray[np.float32]:
    """The directions scaled by their strength to the power of ``-flattening``.

    What most items share (a price, a common word) else outweighs what tells them apart: on Online
    Retail, NDCG@10 of content alone is 0.052 flattened and 0.042 not. But where there are few items
    for each direction, flat means that nothing is like anything: below 16 it is done in proportion.
    """
    n, dim = weighed.shape[0], directions.shape[1]
    flattening *= min(1.0, n / (_ITEMS_FOR_A_DIRECTION * dim))
    strength = np.linalg.norm(weighed @ directions, axis=0)
    strongest = strength.max(initial=0.0)
    if strongest == 0:
        return directions
    relative = np.maximum(strength / strongest, 0.01)  # weaker than that is noise
    return np.asarray(directions * relative**-flattening, np.float32)


def _variance_of_columns(matrix: sp.csr_matrix) -> float:
    squares: Any = matrix.multiply(matrix)
    mean = np.asarray(matrix.mean(axis=0)).ravel()
    return float((np.asarray(squares.mean(axis=0)).ravel() - mean**2).sum())
