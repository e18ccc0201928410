"""What is known of items beside their own fields: triples of item, relation and entity, as columns.

A film is directed by somebody, a part fits an engine, an album has a sequel. What two items have in
common that way is known before anybody has acted on either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["REVERSED", "Triples"]

REVERSED = "^"
"""Stands before a relation that was told the other way about: the entity was its head."""


@dataclass(frozen=True, slots=True)
class Triples:
    """T triples: the item ``item_row`` has ``relation`` to ``entity``, both codes into names."""

    item_row: NDArray[np.int32]  # (T,)
    relation: NDArray[np.int32]  # (T,) into ``relations``
    entity: NDArray[np.int32]  # (T,) into ``entities``
    weight: NDArray[np.float32]  # (T,) above 0
    at_ms: NDArray[np.int64]  # (T,) since when
    relations: tuple[str, ...]
    entities: tuple[str, ...]  # what each is called before a shopper
    entity_row: NDArray[np.int32]  # (n_entities,) the item that the entity is, NO_ROW for none

    def __len__(self) -> int:
        return len(self.item_row)

    def before(self, until_ms: int) -> Triples:
        """The triples that held before that moment."""
        held = self.at_ms < until_ms
        return replace(
            self, item_row=self.item_row[held], relation=self.relation[held],
            entity=self.entity[held], weight=self.weight[held], at_ms=self.at_ms[held],
        )  # fmt: skip
