"""Beyond accuracy, list by list: how varied is a list, and does it keep a shopper's proportions?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from habitue.evaluation.splits import Split
from habitue.facts import ActionKind
from habitue.metrics import intra_list_diversity, list_shares, miscalibration
from habitue.portraits import ItemColumns

__all__ = ["TASTED", "breadth_of", "tastes_of"]

TASTED = (
    ActionKind.view_item, ActionKind.select_item, ActionKind.add_to_cart, ActionKind.purchase,
)  # fmt: skip
"""Kinds that show a taste for a category."""

_CHUNK = 512  # lists worked on at once


def breadth_of(
    split: Split, item_row: NDArray[np.int32], columns: ItemColumns
) -> dict[str, NDArray[np.float64]]:
    """Diversity and miscalibration of lists (B, n), by category and brand: each (B,).

    Two items have half in common that share a category or a brand, all that share both. A list is
    miscalibrated as far as its categories stray from those its shopper looked at and bought before
    (Steck 2018). Neither is there where the catalogue names no category.
    """
    category, brand = _codes(columns.category, split), _codes(columns.brand, split)
    if (category < 0).all():
        return {}
    n = item_row.shape[1]
    n_groups = int(category.max()) + 1
    diverse, strayed = np.full(len(split), np.nan), np.full(len(split), np.nan)
    for start in range(0, len(split), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(split)))
        lists = item_row[rows]
        diverse[rows] = intra_list_diversity(*_described(lists, category, brand))
        strayed[rows] = miscalibration(
            tastes_of(split, split.shopper_row[rows], category, n_groups),
            list_shares(lists, category, n_groups),
        )
    return {f"diversity@{n}": diverse, f"miscalibration@{n}": strayed}


def tastes_of(
    split: Split, shopper_row: NDArray[np.int32], category: NDArray[np.int32], n_groups: int
) -> NDArray[np.float64]:
    """What share of what each shopper (S,) looked at or bought fell in each category: (S, G).

    Read from the training part alone; 0 throughout for who did nothing there.
    """
    log = split.train.of_kinds(TASTED)
    order = np.argsort(shopper_row, kind="stable")
    place = np.searchsorted(shopper_row[order], log.shopper_row)
    place = np.minimum(place, len(order) - 1)
    counted = (shopper_row[order][place] == log.shopper_row) & (log.item_row >= 0)
    counted[counted] = category[log.item_row[counted]] >= 0
    cell = order[place[counted]] * n_groups + category[log.item_row[counted]]
    size = len(shopper_row)
    count = np.bincount(cell, minlength=size * n_groups).reshape(size, n_groups)
    total = count.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(
        count, total, out=np.zeros(count.shape), where=total > 0
    )
    return shares


def _described(
    lists: NDArray[np.int32], category: NDArray[np.int32], brand: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The lists over the items they hold alone, and of each of those its category and brand."""
    held = np.unique(lists[lists >= 0])
    renumbered = np.where(lists >= 0, np.searchsorted(held, lists), -1).astype(np.int32)
    parts = [_one_hot(codes[held]) for codes in (category, brand)]
    return renumbered, np.hstack(parts)


def _one_hot(codes: NDArray[np.int32]) -> NDArray[np.float64]:
    values, place = np.unique(codes, return_inverse=True)
    vectors = np.eye(len(values))[place]
    vectors[codes < 0] = 0.0
    return vectors


def _codes(codes: NDArray[np.int32], split: Split) -> NDArray[np.int32]:
    """Codes of every item row of the split; -1 for rows the catalogue does not reach."""
    out = np.full(split.n_items, -1, np.int32)
    known = min(len(codes), split.n_items)
    out[:known] = codes[:known]
    return out
