"""What counts as taking an item in a shop where nobody buys: ratings, likes, sign-ups.

Sources, features and rules speak of purchases. In a shop of another kind the kinds of action that
stand in their place are read as purchases, alike in training and in serving; facts stay as told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitue.facts.kinds import CONVERSIONS, ActionKind
from habitue.facts.log import ActionLog

__all__ = ["could_be_bought", "participle", "read_as", "taken_in"]

_LADDER: Final = (
    (ActionKind.sign_up, ActionKind.attend, ActionKind.generate_lead),
    (ActionKind.rate, ActionKind.review),
    (ActionKind.like,),
    (ActionKind.add_to_wishlist,),
)
"""Kinds that may stand where purchases stand, the strongest first."""

_TAKEN: Final[dict[str, str]] = {
    "sign_up": "chosen", "attend": "attended", "generate_lead": "asked for", "rate": "rated",
    "review": "reviewed", "like": "liked", "add_to_wishlist": "put aside",
}  # fmt: skip
"""What was done with an item, by the kind that stands for a purchase, in a shopper's words."""

_UNDERSTOOD: Final = (ActionKind.like, ActionKind.add_to_wishlist)
"""Kinds that have a meaning of their own beside purchases."""

_FEW: Final = 0.01
_PART: Final = 0.1


def could_be_bought(conversions: Iterable[ActionKind]) -> tuple[str, ...]:
    """Which of a shop's conversions stand beside purchases, where nothing else is known of it.

    >>> could_be_bought([ActionKind.purchase, ActionKind.sign_up])
    ('sign_up',)
    """
    wanted = frozenset(conversions)
    rungs = [kind for rung in _LADDER for kind in rung]
    return tuple(kind.name for kind in rungs if kind in wanted and kind not in _UNDERSTOOD)


def taken_in(log: ActionLog, conversions: Iterable[ActionKind] = CONVERSIONS) -> tuple[str, ...]:
    """The kinds read as purchases in a shop with this log.

    Where there are purchases, only those the shop names among its conversions that nothing else
    speaks of. Where there are none, or less than a hundredth as many, the kinds it names; if it
    names none that happened, the strongest that makes up a tenth of all that could stand for them.
    """
    with_item = log.kind[(log.item_row >= 0) & (log.shopper_row >= 0)]
    count = np.bincount(with_item, minlength=256)
    wanted = frozenset(conversions)
    rungs = [[kind for kind in rung if count[kind]] for rung in _LADDER]
    all_kinds = [kind for rung in rungs for kind in rung]
    total = int(count[all_kinds].sum())
    if count[ActionKind.purchase] > _FEW * total or not total:
        said = could_be_bought(wanted)
        return tuple(kind.name for kind in all_kinds if kind.name in said)
    named = [kind for kind in all_kinds if kind in wanted]
    strongest = next(rung for rung in rungs if count[rung].sum() >= _PART * total)
    return tuple(kind.name for kind in named or strongest)


def read_as(taken: Iterable[str]) -> NDArray[np.uint8]:
    """The code each kind is read as: (256,), ``taken`` as purchases, the others as themselves."""
    table = np.arange(256, dtype=np.uint8)
    table[[int(ActionKind[name]) for name in taken]] = int(ActionKind.purchase)
    return table


def participle(taken: tuple[str, ...]) -> str:
    """What was done with an item, in a shopper's words.

    >>> participle(()), participle(("rate", "review"))
    ('bought', 'rated')
    """
    return _TAKEN[taken[0]] if taken else "bought"
