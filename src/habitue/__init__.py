"""Habitué: what happens in a shop becomes recommendations that bring its customers back.

>>> import habitue
>>> habitue.__all__
['Action', 'Alias', 'Consent', 'HabitueError', 'Item', 'Link', 'Shop', 'Shopper', 'open']

``habitue.open("shop.db")`` opens a shop; facts are ``Action``, ``Item`` and their kin.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from habitue.app.shop import Shop
    from habitue.app.shop import open_shop as open  # noqa: A004 - the word for it
    from habitue.errors import HabitueError
    from habitue.facts import Action, Alias, Consent, Item, Link, Shopper

__all__ = ["Action", "Alias", "Consent", "HabitueError", "Item", "Link", "Shop", "Shopper", "open"]

_HOME: Final = {
    "HabitueError": ("habitue.errors", "HabitueError"),
    "Shop": ("habitue.app.shop", "Shop"),
    "open": ("habitue.app.shop", "open_shop"),
} | {
    name: ("habitue.facts", name)
    for name in ("Action", "Alias", "Consent", "Item", "Link", "Shopper")
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for, so that the command line stays quick."""
    if name in _HOME:
        module, there = _HOME[name]
        return getattr(import_module(module), there)
    raise AttributeError(f"module 'habitue' has no attribute {name!r}")
