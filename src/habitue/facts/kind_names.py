"""Kinds of action as settings name them, and how much of an interest each shows unless said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator

from habitue.facts.kinds import ActionKind

__all__ = ["INTEREST", "KindName", "known_kind"]


def known_kind(name: str) -> str:
    """The name itself; raises ``ValueError``, naming those there are, for one that is none."""
    if name not in ActionKind.__members__:
        known = ", ".join(sorted(ActionKind.__members__))
        raise ValueError(f"{name!r} is no kind of action: no such kind among {known}")
    return name


KindName = Annotated[str, AfterValidator(known_kind)]
"""The GA4 name of a kind of action."""

INTEREST: Final[Mapping[str, float]] = {
    "view_item": 1.0,
    "select_item": 1.0,
    "add_to_wishlist": 2.0,
    "add_to_cart": 3.0,
    "purchase": 4.0,
    "like": 2.0,
    "review": 1.0,
    "rate": 1.0,
}
"""How much of an interest an action of each kind shows, where nothing else is set."""
