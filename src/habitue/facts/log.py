"""The columns of the fact log: actions and items as arrays, for everything that learns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from habitue.facts.circumstances import Circumstances
from habitue.facts.kinds import ActionKind

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MS_PER_DAY", "ActionLog", "Catalogue"]

MS_PER_DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class ActionLog:
    """Actions in order of time (then ``seq``), one row an action, N rows.

    Rows of shoppers and items are the store's: stable for ever, so a later log's rows extend an
    earlier log's. ``n_shoppers`` and ``n_items`` are one more than the highest row handed out.
    """

    seq: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    kind: NDArray[np.uint8]
    shopper_row: NDArray[np.int32]
    item_row: NDArray[np.int32]  # NO_ROW for actions without an item
    order_row: NDArray[np.int32]  # dense code of order_id; NO_ROW outside orders
    quantity: NDArray[np.float32]  # 1 where not said
    price_micros: NDArray[np.int64]  # unit price in the base currency; 0 where not said
    value_minor: NDArray[np.int64]  # line total in the base currency; 0 where not said
    rating: NDArray[np.float32]  # NaN where not said
    n_shoppers: int
    n_items: int
    circumstances: Circumstances | None = None
    """Surface, platform, device, locale and words searched, N rows; none where nobody said any."""

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64] | slice) -> ActionLog:
        """The rows ``which`` selects, in this log's order."""
        columns = {
            f.name: getattr(self, f.name)[which]
            for f in fields(self)
            if f.name not in ("n_shoppers", "n_items", "circumstances")
        }
        said = self.circumstances
        return replace(self, **columns, circumstances=None if said is None else said.take(which))

    def before(self, at_ms: int) -> ActionLog:
        """Actions that happened earlier than ``at_ms``; a view, O(log N)."""
        return self.take(slice(0, int(np.searchsorted(self.at_ms, at_ms, side="left"))))

    def between(self, since_ms: int, until_ms: int) -> ActionLog:
        """Actions with ``since_ms <= at < until_ms``; a view, O(log N)."""
        first, last = np.searchsorted(self.at_ms, [since_ms, until_ms], side="left")
        return self.take(slice(int(first), int(last)))

    def of_kinds(self, kinds: Iterable[ActionKind]) -> ActionLog:
        """Actions of these kinds."""
        wanted = np.zeros(256, np.bool_)
        wanted[[int(kind) for kind in kinds]] = True
        return self.take(wanted[self.kind])


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items as of one instant: a Polars frame with one row an item row, in row order.

    Columns are the fields of ``Item`` (``id``, ``title``, ``brand``, ``product_type``,
    ``price_micros``, ``availability``, ...) plus ``item_row`` (int32), ``first_seen_ms`` (int64)
    and ``deleted`` (bool). Rows known only from actions hold nulls.
    """

    frame: pl.DataFrame

    def __len__(self) -> int:
        return self.frame.height
