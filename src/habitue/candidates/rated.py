"""Whose ratings a request may be read from, and which it brings along."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.layout import plain
from habitue.facts import NO_ROW, Context, Rated

__all__ = ["raters"]


def raters(context: Context) -> tuple[NDArray[np.int32], Rated]:
    """The shopper of each request (B,), and what each has rated: nobody's without consent."""
    shopper = plain(context.shopper_row, np.int32)
    rated = context.rated or Rated.nothing(len(context))
    if len(context.personal) and not context.personal.all():
        shopper = np.where(context.personal, shopper, np.int32(NO_ROW))
        own = np.repeat(context.personal, np.diff(rated.indptr))
        counts = np.diff(rated.indptr) * context.personal
        indptr = np.concatenate([[0], np.cumsum(counts)])
        rated = Rated(indptr, rated.item[own], rated.rating[own], rated.age_days[own])
    return shopper, rated
