"""What may differ between two trainings: which sources, their main numbers, and the ranker's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from pydantic import BaseModel

from habitue.candidates.item_knn import ItemKnnConfig
from habitue.candidates.linear import LinearConfig
from habitue.candidates.roster import SourceConfig
from habitue.candidates.trending import TrendingConfig
from habitue.candidates.user_knn import UserKnnConfig
from habitue.training.config import TrainingConfig

__all__ = ["OFFERED", "Knob", "Value", "config_of", "offering", "space_of", "start_of"]

Value = bool | int | float


@dataclass(frozen=True, slots=True)
class Knob:
    """One number that is turned, between two ends; or a source that is there or not."""

    name: str  # "use <source>", "<source>.<field>", "ranker.<field>"
    low: float = 0.0
    high: float = 1.0
    whole: bool = False
    log: bool = False

    @property
    def switch(self) -> bool:
        """Whether it is a source that is there or not."""
        return self.name.startswith(_USE)


_USE: Final = "use "

_OF_SOURCE: Final[Mapping[str, tuple[Knob, ...]]] = {
    "popular": (Knob("half_life_days", 1, 90, log=True), Knob("window_days", 1, 60, log=True)),
    "trending": (
        Knob("short_half_life_days", 0.5, 14, log=True),
        Knob("long_half_life_days", 7, 180, log=True),
    ),
    "fresh": (),
    "covisit": (
        Knob("half_life_days", 7, 365, log=True),
        Knob("crowd_damping", 0, 1.5),
        Knob("damping_to", 0, 1),
    ),
    "linear": (
        Knob("penalty", 5, 2000, log=True),
        Knob("closeness", 0, 0.95),
        Knob("half_life_days", 7, 365, log=True),
    ),
    "item_knn": (
        Knob("neighbours", 20, 400, whole=True, log=True),
        Knob("half_life_days", 7, 365, log=True),
    ),
    "user_knn": (
        Knob("neighbours", 20, 400, whole=True, log=True),
        Knob("half_life_days", 7, 365, log=True),
    ),
    "als": (
        Knob("factors", 16, 192, whole=True, log=True),
        Knob("regularisation", 0.3, 60, log=True),
        Knob("half_life_days", 14, 720, log=True),
    ),
    "bpr": (
        Knob("factors", 16, 192, whole=True, log=True),
        Knob("learning_rate", 0.01, 0.2, log=True),
        Knob("regularisation", 0.0005, 0.1, log=True),
    ),
    "content": (Knob("neighbours", 20, 200, whole=True, log=True),),
    "again": (Knob("half_life_days", 10, 365, log=True),),
    "graph": (
        Knob("position_decay", 0.4, 1),
        Knob("temperature", 0.03, 0.3, log=True),
        Knob("epochs", 3, 30, whole=True, log=True),
    ),
    "sequence": (
        Knob("behaviour.dim", 32, 256, whole=True, log=True),
        Knob("behaviour.layers", 1, 3, whole=True),
        Knob("behaviour.schedule.rate", 3e-4, 1e-2, log=True),
        Knob("behaviour.schedule.epochs", 5, 40, whole=True, log=True),
    ),
    "two_tower": (
        Knob("dim", 32, 256, whole=True, log=True),
        Knob("pools", 1, 6, whole=True),
        Knob("schedule.rate", 3e-4, 1e-2, log=True),
        Knob("schedule.epochs", 2, 15, whole=True, log=True),
    ),
    "cold": (),
}
"""The main numbers of each kind of source; those a config leaves unsaid (none) stay so."""

_OF_RANKER: Final = (
    Knob("leaves", 4, 63, whole=True, log=True),
    Knob("learning_rate", 0.02, 0.2, log=True),
    Knob("rounds", 40, 400, whole=True, log=True),
    Knob("min_leaf_rows", 20, 1000, whole=True, log=True),
)

_STEP: Final = 16  # vectors are as long as a multiple of it

OFFERED: Final[tuple[SourceConfig, ...]] = (
    TrendingConfig(),
    LinearConfig(half_life_days=90.0, exact_items=2000),
    ItemKnnConfig(),
    UserKnnConfig(),
)
"""Sources that are tried beside those a shop has; off in what it starts from."""

_OFFERED_QUOTA: Final[Mapping[str, int]] = {"home": 60, "item": 40, "cart": 40}


def offering(config: TrainingConfig, extra: Collection[SourceConfig] = OFFERED) -> TrainingConfig:
    """The config with sources to try beside its own, and what they may propose."""
    there = {one.name for one in config.sources}
    more = [one for one in extra if one.name not in there]
    quotas = {
        surface: quota | {one.name: _OFFERED_QUOTA[surface] for one in more}
        if surface in _OFFERED_QUOTA
        else quota
        for surface, quota in config.quotas.items()
    }
    return config.model_copy(update={"sources": (*config.sources, *more), "quotas": quotas})


def space_of(config: TrainingConfig) -> list[Knob]:
    """Every knob of a config: what a surface names is always there; networks only with PyTorch."""
    always = {*config.needed, *config.weighed()}
    knobs: list[Knob] = []
    for source in config.sources:
        if source.name not in always:
            knobs.append(Knob(_USE + source.name))
        if source.source in ("sequence", "graph", "two_tower") and find_spec("torch") is None:
            continue
        knobs += [
            Knob(f"{source.name}.{one.name}", one.low, one.high, one.whole, one.log)
            for one in _OF_SOURCE.get(source.source, ())
            if _value(source, one.name) is not None
        ]
    knobs += [
        Knob(f"ranker.{one.name}", one.low, one.high, one.whole, one.log) for one in _OF_RANKER
    ]
    return knobs


def start_of(config: TrainingConfig, offered: TrainingConfig) -> dict[str, Value]:
    """Where each knob of ``offered`` stands in ``config``; what it does not have is off."""
    there = {one.name for one in config.sources}
    by_name = {one.name: one for one in offered.sources}
    found: dict[str, Value] = {}
    for knob in space_of(offered):
        name, _, field = knob.name.partition(".")
        if knob.switch:
            found[knob.name] = knob.name.removeprefix(_USE) in there
            continue
        value = _value(offered.ranker if name == "ranker" else by_name[name], field)
        least, most = min(max(value, knob.low), knob.high), knob.high
        found[knob.name] = round(least) if knob.whole else min(least, most)
    return found


def config_of(offered: TrainingConfig, said: Mapping[str, Value]) -> TrainingConfig:
    """The config with its knobs turned as said; quotas of sources that are off stay and are idle.

    Switching every source off leaves them all on: a shop has to propose something.
    """
    off = [name.removeprefix(_USE) for name, on in said.items() if name.startswith(_USE) and not on]
    sources = tuple(_turned(one, said, one.name) for one in offered.sources)
    ranker = _turned(offered.ranker, said, "ranker")
    turned = offered.model_copy(update={"sources": sources, "ranker": ranker})
    left = turned.without(off)
    return left if any(left.quota("home").values()) else turned


def _turned(model: Any, said: Mapping[str, Value], prefix: str) -> Any:
    for name, value in said.items():
        if name.startswith(prefix + "."):
            model = _with(model, name.removeprefix(prefix + ".").split("."), value)
    return model


def _with(model: BaseModel, path: list[str], value: Value) -> BaseModel:
    first, *rest = path
    if rest:
        value_ = _with(getattr(model, first), rest, value)
        return model.model_copy(update={first: value_})
    if first in ("factors", "dim"):
        value = max(_STEP, round(value / _STEP) * _STEP)
    return model.model_copy(update={first: value})


def _value(model: BaseModel, path: str) -> Any:
    value: Any = model
    for part in path.split("."):
        value = getattr(value, part)
    return value
