"""Single requests as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from habitue.facts import NO_ROW, Context, Owned, Rated

__all__ = ["stacked"]


def stacked(contexts: Sequence[Context]) -> Context:
    """Single requests to one surface as one batch; what was shown is left to the caller."""

    def padded(name: str, nothing: int) -> NDArray[Any]:
        parts = [getattr(one, name)[0] for one in contexts]
        whole = np.full((len(parts), max(map(len, parts))), nothing, parts[0].dtype)
        for line, part in zip(whole, parts, strict=True):
            line[: len(part)] = part
        return whole

    owned = [one.owned for one in contexts]
    indptr = np.zeros(len(contexts) + 1, np.int64)
    np.cumsum([len(one.item) for one in owned], out=indptr[1:])
    return Context(
        contexts[0].surface,
        np.concatenate([one.now_ms for one in contexts]),
        np.concatenate([one.shopper_row for one in contexts]),
        padded("recent_item", NO_ROW),
        padded("recent_kind", 0),
        padded("recent_age_days", 0),
        padded("anchor_item", NO_ROW),
        Owned(
            indptr,
            np.concatenate([one.item for one in owned]),
            np.concatenate([one.count for one in owned]),
            np.concatenate([one.age_days for one in owned]),
            np.concatenate([one.first_age_days for one in owned]),
        ),
        tuple(one.device[0] for one in contexts),
        tuple(one.locale[0] for one in contexts),
        tuple(one.query[0] for one in contexts),
        np.concatenate([one.personal for one in contexts]),
        platform=tuple(one.platform[0] for one in contexts),
        rated=_stacked_ratings(contexts),
    )


def _stacked_ratings(contexts: Sequence[Context]) -> Rated | None:
    """What the shoppers of single requests have rated; none where none has."""
    if all(one.rated is None for one in contexts):
        return None
    rated = [one.rated or Rated.nothing(1) for one in contexts]
    return Rated(
        np.cumsum([0, *(len(one.item) for one in rated)]),
        np.concatenate([one.item for one in rated]),
        np.concatenate([one.rating for one in rated]),
        np.concatenate([one.age_days for one in rated]),
    )
