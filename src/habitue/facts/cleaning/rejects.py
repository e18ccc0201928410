"""Rows that were refused: where they stood, why, and what they said, so that they can be mended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["BadRow"]


@dataclass(frozen=True, slots=True)
class BadRow:
    """One refused row of a batch or a file."""

    row: int  # its place among the rows sent, from 0
    field: str | None  # the field that is wrong; None when it is the row as a whole
    reason: str  # what is wrong and what to do
    id: str | None = None  # the fact's own id, where it could be read
    fact: str = "action"  # the kind of fact it was sent as
    problem: Literal["invalid", "order_incomplete"] = "invalid"  # the latter: sound, but another
    # line of its order is wrong
