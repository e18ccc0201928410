"""Facts and settings as a shop means them: what stands for a purchase is read as one.

The names of kinds in the settings of sources are read alike, so that a source told to count
ratings still counts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

import numpy as np
from pydantic import BaseModel

from habitue.facts import ActionKind
from habitue.facts.meaning import read_as, taken_in
from habitue.training.config import TrainingConfig
from habitue.training.dataset import ShopFacts

__all__ = ["facts_read", "kinds_read", "understood"]

_KIND_FIELDS: Final = frozenset(
    {"kinds", "kinds_from", "kinds_to", "seen_by", "kind_weight", "kind_rating"}
)
_ONCE: Final = 0.95
"""Share of takings that are a shopper's first of the item, where things are taken once."""

Config = TypeVar("Config", bound=BaseModel)


def understood(
    facts: ShopFacts, config: TrainingConfig, conversions: Iterable[ActionKind]
) -> tuple[ShopFacts, TrainingConfig]:
    """What a training reads of these facts, and by which settings.

    Nothing changes where purchases are what a shop lives of. Where the kinds that stand for them
    hardly ever repeat (a film is rated once), what was taken is not learnt to be taken again.
    """
    taken = taken_in(facts.log, conversions)
    if not taken:
        return facts, config
    read = facts_read(facts, taken)
    changes: dict[str, Any] = {
        "taken": taken,
        "sources": tuple(_renamed(source, taken) for source in config.sources),
    }
    if _taken_once(read):
        changes["rebuy"] = False
    return read, config.model_copy(update=changes)


def facts_read(facts: ShopFacts, taken: Iterable[str]) -> ShopFacts:
    """The same facts with ``taken`` kinds as purchases."""
    log = facts.log
    return replace(facts, log=replace(log, kind=read_as(taken)[log.kind]))


def kinds_read(conversions: Iterable[ActionKind], taken: Iterable[str]) -> frozenset[ActionKind]:
    """A shop's conversions as such facts name them."""
    table, said = read_as(taken), frozenset(taken)
    read = frozenset(ActionKind(int(table[kind])) for kind in conversions)
    return read if not said or ActionKind.purchase in read else read | {ActionKind.purchase}


def _taken_once(facts: ShopFacts) -> bool:
    log = facts.log.of_kinds((ActionKind.purchase,))
    log = log.take((log.item_row >= 0) & (log.shopper_row >= 0))
    pair = log.shopper_row.astype(np.int64) << 32 | log.item_row
    return len(np.unique(pair)) >= _ONCE * len(pair)


def _renamed(config: Config, taken: tuple[str, ...]) -> Config:
    """A config whose fields name ``taken`` kinds as purchases."""
    changes: dict[str, Any] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            changes[name] = _renamed(value, taken)
        elif name not in _KIND_FIELDS or not set(value) & set(taken):
            continue
        elif isinstance(value, Mapping):
            merged: dict[str, float] = {}
            for kind, weight in value.items():
                read = "purchase" if kind in taken else kind
                merged[read] = max(merged.get(read, 0.0), weight)
            changes[name] = merged
        else:
            changes[name] = tuple(
                dict.fromkeys("purchase" if kind in taken else kind for kind in value)
            )
    return config.model_copy(update=changes) if changes else config
