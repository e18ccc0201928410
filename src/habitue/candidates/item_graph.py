"""Items and what is said of them, as a graph: item, relation, entity.

A side is an entity with the relation by which items have it: directed by Ridley Scott, made by
Acme. Sides come from an item's own attributes and from triples; two items of one side are a path of
two edges apart. An entity that is an item itself has its own side, so one edge leads there.
"""

from __future__ import annotations

from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.item_terms import attribute_terms, attributes_of, spellings
from habitue.candidates.layout import sealed
from habitue.candidates.neighbours import NeighbourTable
from habitue.facts import NO_ROW, Catalogue, Triples

__all__ = ["Edges", "GraphOfItemsConfig", "ItemGraph", "Side"]

_PLAINLY: Final = 64  # so few items are read one by one, where frames would cost more
_NAME: Final = "sides.arrow"


class GraphOfItemsConfig(BaseModel):
    """Which sides there are, and how much one of them says of an item."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attributes: bool = Field(
        default=True, description="what is told of items themselves is read beside the triples"
    )
    least_items: int = Field(default=2, ge=1, description="items that a side must have")
    most_sides: int = Field(default=200_000, ge=1, description="sides kept, the commonest first")
    rarity: float = Field(
        default=0.5, ge=0, le=4, description="exponent by which a rare side says more"
    )
    crowd: float = Field(
        default=0.5, ge=0, le=1,
        description="exponent by which one of many sides of the same relation says less",
    )  # fmt: skip
    broad_share: float = Field(
        default=0.2, gt=0, le=1, description="share of the items from which a side is no reason"
    )


class Edges(NamedTuple):
    """E edges from items to their sides."""

    at: NDArray[np.int64]  # (E,) item rows, or places in a frame
    side: NDArray[np.int32]  # (E,)
    value: NDArray[np.float64]  # (E,) the triple's weight; 1 of attributes


class Side(NamedTuple):
    """What a side is called."""

    relation: str
    entity: str
    row: int  # of the item that the entity is, ``NO_ROW`` where it is none


class ItemGraph:
    """The sides there are, and each item's."""

    def __init__(
        self, config: GraphOfItemsConfig, sides: pl.DataFrame, table: NeighbourTable
    ) -> None:
        """``sides`` holds term, relation, entity, row, items, rarity and factor of each, by number.

        ``table`` leads from items to sides; a live tail of newer items may stand behind it.
        """
        self.config = config
        self.sides = sides
        self.table = table
        self._rarity = sides["rarity"].to_numpy()  # (n_sides,)
        self._factor = sides["factor"].to_numpy()  # (n_sides,) of the relation
        names = sides["relation"].unique(maintain_order=True)
        codes = pl.DataFrame({"relation": names, "code": np.arange(len(names), dtype=np.int32)})
        joined = sides.join(codes, on="relation", maintain_order="left")
        self.relations: tuple[str, ...] = tuple(names)
        self.relation_of: NDArray[np.int32] = joined["code"].to_numpy()
        """The relation of each side: (n_sides,) into ``relations``."""

    def __len__(self) -> int:
        return self.sides.height

    def side(self, number: int) -> Side:
        """What a side is called."""
        return self._named[number]

    @classmethod
    def of(
        cls, catalogue: Catalogue, triples: Triples | None, n_items: int, config: GraphOfItemsConfig
    ) -> Self:
        """The graph of the first ``n_items`` rows of a catalogue, every relation as strong."""
        told = _told(catalogue, triples, n_items, config)
        counted = (
            told.group_by("term")
            .agg(
                pl.col("relation").first(), pl.col("entity").first(), pl.col("row").max(),
                items=pl.len(),
            )
            .filter(pl.col("items") >= config.least_items)
            .sort("items", "term", descending=[True, False])
            .head(config.most_sides)
            .with_columns(
                rarity=((n_items + 1) / pl.col("items")).log() ** config.rarity, factor=pl.lit(1.0)
            )
            .sort("relation", "term")
        )  # fmt: skip
        nothing = NeighbourTable.of_csr(
            np.zeros(n_items + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32),
            n_targets=counted.height,
        )  # fmt: skip
        graph = cls(config, counted, nothing)
        number = counted.select("term").with_row_index("side")
        known = told.join(number, on="term").sort("at", "side")
        edges = Edges(
            known["at"].to_numpy().astype(np.int64),
            known["side"].to_numpy().astype(np.int32),
            known["value"].to_numpy(),
        )
        return cls(config, counted, graph._tabled(edges, n_items))

    def weighed(self, relation_weight: NDArray[np.float64]) -> ItemGraph:
        """The same, an edge as strong as the root of its relation's weight (n_relations,) says.

        Edges of relations without a weight are left out.
        """
        factor, table = np.sqrt(relation_weight)[self.relation_of], self.table
        item = np.repeat(np.arange(table.n_items, dtype=np.int32), np.diff(table.indptr))
        side = table.edge["item"]
        strength = (table.edge["strength"] * factor[side]).astype(np.float32)
        told = NeighbourTable.of_edges(
            item, side, strength, n_items=table.n_items, n_targets=table.n_targets
        )
        sides = self.sides.with_columns(factor=pl.Series(self._factor * factor))
        return ItemGraph(self.config, sides, told)

    def with_table(self, table: NeighbourTable) -> ItemGraph:
        """The same sides with other items."""
        other = copy(self)
        other.table = table
        return other

    def read(self, frame: pl.DataFrame) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Sides and strengths (n, width) of items given as a catalogue's frame, 0 for no more."""
        edges = self._read_plainly(frame) if frame.height <= _PLAINLY else self._read(frame)
        strength = self._strengths(edges)
        length = np.bincount(edges.at, minlength=frame.height)
        begins = np.cumsum(length) - length
        out = np.zeros((frame.height, int(length.max(initial=0))), np.float32)
        side = np.zeros(out.shape, np.int32)
        order = np.argsort(edges.at, kind="stable")
        place = np.arange(len(order)) - np.repeat(begins, length)
        side[edges.at[order], place] = edges.side[order]
        out[edges.at[order], place] = strength[order]
        return side, out

    @cached_property
    def telling(self) -> NDArray[np.float32]:
        """How much a side tells as a reason: (n_sides,), 0 where too many items have it.

        It is the square of the information in it: shoppers go by what is common, and are told of
        what is rare.
        """
        n_items, items = max(self.table.n_items, 1), self.sides["items"].to_numpy()
        broad = items > max(self.config.broad_share * n_items, 2.0)
        return sealed(np.where(broad, 0, np.log((n_items + 1) / items) ** 2), np.float32)

    @cached_property
    def _named(self) -> list[Side]:
        return list(map(Side._make, self.sides.select("relation", "entity", "row").iter_rows()))

    @cached_property
    def _number(self) -> dict[str, int]:
        return {term: number for number, term in enumerate(self.sides["term"].to_list())}

    def _read_plainly(self, frame: pl.DataFrame) -> Edges:
        at: list[int] = []
        side: list[int] = []
        for place, item in enumerate(frame.iter_rows(named=True)):
            for term in sorted(attributes_of(item)) if self.config.attributes else ():
                if (known := self._number.get(term)) is not None:
                    at.append(place)
                    side.append(known)
        return Edges(np.array(at, np.int64), np.array(side, np.int32), np.ones(len(at)))

    def _read(self, frame: pl.DataFrame) -> Edges:
        number = self.sides.select("term").with_row_index("side")
        known = attribute_terms(frame).join(number, on="term").sort("at", "term")
        if not self.config.attributes:
            known = known.clear()
        at = known["at"].to_numpy().astype(np.int64)
        return Edges(at, known["side"].to_numpy().astype(np.int32), np.ones(len(at)))

    def _strengths(self, edges: Edges) -> NDArray[np.float32]:
        """What each side says of its item, the less the more the relation says of it."""
        value = edges.value * self._rarity[edges.side]
        key = edges.at * len(self.relations) + self.relation_of[edges.side]
        said, place = np.unique(key, return_inverse=True)
        length = np.sqrt(np.bincount(place, value**2, len(said)))[place]
        strength = value / np.maximum(length, 1e-9) ** self.config.crowd
        return np.asarray(strength * self._factor[edges.side], np.float32)

    def _tabled(self, edges: Edges, n_items: int) -> NeighbourTable:
        return NeighbourTable.of_edges(
            edges.at.astype(np.int32), edges.side, self._strengths(edges), n_items=n_items,
            n_targets=len(self),
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """Write the sides into the folder ``path``; the table is the caller's to keep."""
        path.mkdir(parents=True, exist_ok=True)
        self.sides.write_ipc(path / _NAME)

    @classmethod
    def load(cls, path: Path, table: NeighbourTable, config: GraphOfItemsConfig) -> Self:
        """The sides written there, with their table."""
        return cls(config, pl.read_ipc(path / _NAME), table)


def _told(
    catalogue: Catalogue, triples: Triples | None, n_items: int, config: GraphOfItemsConfig
) -> pl.DataFrame:
    """Every edge once: ``at``, ``term``, ``relation``, ``entity``, ``row`` and ``value``."""
    parts = [_of_triples(triples, n_items)]
    if config.attributes:
        parts.append(_of_attributes(catalogue.frame.head(n_items)))
    columns = ("at", "term", "relation", "entity", "row", "value")
    told = pl.concat([part.select(columns) for part in parts])
    return told.unique(["at", "term"], keep="first", maintain_order=True)


def _of_attributes(frame: pl.DataFrame) -> pl.DataFrame:
    term = pl.col("term")
    return (
        attribute_terms(frame)
        .join(spellings(frame), on="term", how="left", maintain_order="left")
        .select(
            at=pl.col("at").cast(pl.UInt32), term="term",
            relation=term.str.extract(r"^([^=]*)="),
            entity=pl.coalesce("name", term.str.replace(r"^[^=]*=", "")),
            row=pl.lit(NO_ROW, pl.Int32), value=pl.lit(1.0),
        )
        .sort("at", "term")
    )  # fmt: skip


def _of_triples(triples: Triples | None, n_items: int) -> pl.DataFrame:
    """The edges of triples, and one from each entity that is an item to the side that it is."""
    if triples is None:
        text, none = pl.String(), pl.Int32()
        return pl.DataFrame(
            schema={"at": pl.UInt32(), "term": text, "relation": text, "entity": text, "row": none,
                    "value": pl.Float64()}
        )  # fmt: skip
    relation = np.array(triples.relations, object)[triples.relation]
    row = triples.entity_row[triples.entity]
    told = pl.DataFrame(
        {
            "at": triples.item_row, "relation": pl.Series(relation.tolist(), dtype=pl.String),
            "entity": pl.Series(
                np.array(triples.entities, object)[triples.entity].tolist(), dtype=pl.String
            ),
            "number": triples.entity, "row": row, "value": triples.weight.astype(np.float64),
        }
    )  # fmt: skip
    own = told.filter(pl.col("row") != NO_ROW).with_columns(at=pl.col("row"), value=pl.lit(1.0))
    tidy = pl.col("entity").str.strip_chars().str.to_lowercase()
    return (
        pl.concat([told, own.unique(["relation", "number"], maintain_order=True)])
        .filter(pl.col("at") < n_items)
        .with_columns(pl.col("at").cast(pl.UInt32), term=pl.format("{}={}", "relation", tidy))
    )
