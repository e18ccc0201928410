"""What a request stands on: its recent actions and anchors, each with a weight that fades."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

import numba as nb
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.layout import plain
from habitue.facts import ActionKind, Context, Owned, code_of
from habitue.facts.kind_names import INTEREST, KindName

__all__ = ["ProfileConfig", "Reads", "Weigher", "codes_of", "warm", "weigh_profile"]

_MINUTES_PER_DAY: Final = 1440.0


Reads = Literal["both", "profile", "anchors"]
"""Which part of a request a source looks at."""


def codes_of(names: tuple[str, ...]) -> tuple[ActionKind, ...]:
    """The kinds of these GA4 names."""
    return tuple(code_of(name) for name in names)


class ProfileConfig(BaseModel):
    """How a profile forgets, and what stands in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind_weight: dict[KindName, float] = Field(
        default=dict(INTEREST),
        description="weight of an action by its kind; kinds not named count nothing",
    )
    position_decay: float = Field(
        default=0.9, gt=0, le=1, description="factor for each moment further back"
    )
    half_life_days: float = Field(
        default=60.0, gt=0, description="age at which an action counts half"
    )
    power_decay: float = Field(
        default=0.0, ge=0, le=4, description="exponent of a fall with age that slows down; 0: none"
    )
    power_minutes: float = Field(
        default=1.0, gt=0, description="age from which that fall is felt, in minutes"
    )
    max_actions: int = Field(default=100, ge=1, description="most recent actions looked at")
    reads: Reads = Field(
        default="both", description="recent actions, anchor items of the surface, or both"
    )
    anchor_weight: float = Field(default=1.0, gt=0, description="weight of each anchor item")
    beside_anchor: float = Field(
        default=0.1, ge=0, le=1, description="share of the profile where the surface has anchors"
    )


class Weigher:
    """A profile config made ready: turns contexts into rows and weights."""

    def __init__(self, config: ProfileConfig) -> None:
        self.config = config
        weight = np.zeros(256, np.float32)
        for name, value in config.kind_weight.items():
            weight[int(code_of(name))] = value
        self.kind_weight = weight  # (256,) by code
        self.anchor_weight = 0.0 if config.reads == "profile" else config.anchor_weight
        self._beside = {"both": config.beside_anchor, "profile": 1.0, "anchors": 0.0}[config.reads]
        self.half_life_days = config.half_life_days
        self._power_days = config.power_minutes / _MINUTES_PER_DAY
        self._power_decay = config.power_decay
        self._last: tuple[Context, NDArray[np.int32], NDArray[np.float32]] | None = None

    @classmethod
    def of(cls, config: ProfileConfig) -> Weigher:
        """The weigher of a config, shared by all sources that weigh alike."""
        return _weigher_of(config.model_dump_json())

    def weigh(self, context: Context) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Item rows and weights, each (B, A + L): anchors first, then recent actions.

        A weight of 0 marks what does not count. A shopper who has not allowed personalisation
        stands on the anchors alone. A source is asked to propose and then to score, so the last
        context's answer is kept.
        """
        last = self._last
        if last is not None and last[0] is context:
            return last[1], last[2]
        recent = plain(context.recent_item, np.int32)
        anchors = plain(context.anchor_item, np.int32)
        shape = (recent.shape[0], anchors.shape[1] + recent.shape[1])
        items = np.empty(shape, np.int32)
        weights = np.empty(shape, np.float32)
        personal = context.personal
        if self.config.reads == "anchors":
            personal = np.zeros(len(context), np.bool_)
        weigh_profile(
            recent,
            plain(context.recent_kind, np.uint8),
            plain(context.recent_age_days, np.float32),
            anchors,
            plain(personal, np.bool_),
            self.kind_weight,
            self.config.position_decay,
            self.half_life_days,
            self._power_days,
            self._power_decay,
            self.anchor_weight,
            self._beside,
            self.config.max_actions,
            items,
            weights,
        )
        self._last = (context, items, weights)
        return items, weights


@lru_cache(maxsize=64)
def _weigher_of(config: str) -> Weigher:
    return Weigher(ProfileConfig.model_validate_json(config))


@nb.njit(cache=True, nogil=True)
def weigh_profile(
    recent_item: NDArray[np.int32],
    recent_kind: NDArray[np.uint8],
    recent_age_days: NDArray[np.float32],
    anchor_item: NDArray[np.int32],
    personal: NDArray[np.bool_],
    kind_weight: NDArray[np.float32],
    position_decay: float,
    half_life_days: float,
    power_days: float,
    power_decay: float,
    anchor_weight: float,
    beside_anchor: float,
    max_actions: int,
    out_item: NDArray[np.int32],
    out_weight: NDArray[np.float32],
) -> None:
    """Fill the rows and weights (B, A + L) of what each request stands on; 0 where nothing counts.

    A position is a moment: actions of the same age (the lines of one order) share it. With age a
    weight falls by half-lives and, if asked, by ``(1 + age / power_days) ** -power_decay``: much
    within a visit, little from one week to the next.
    """
    n_anchors = anchor_item.shape[1]
    for b in range(recent_item.shape[0]):
        anchors = 0
        for a in range(n_anchors):
            out_item[b, a] = anchor_item[b, a]
            out_weight[b, a] = 0.0
            if anchor_item[b, a] >= 0 and anchor_weight > 0.0:
                out_weight[b, a] = anchor_weight
                anchors += 1
        share = beside_anchor if anchors > 0 else 1.0
        if personal.shape[0] > 0 and not personal[b]:
            share = 0.0
        position = -1
        counted = 0
        last_age = np.float32(-1.0)
        power = 1.0
        at_position = 0.0
        for p in range(recent_item.shape[1]):
            at = n_anchors + p
            out_item[b, at] = recent_item[b, p]
            out_weight[b, at] = 0.0
            weight = kind_weight[recent_kind[b, p]]
            if recent_item[b, p] < 0 or weight <= 0.0 or share <= 0.0 or counted >= max_actions:
                continue
            age = recent_age_days[b, p]
            if position < 0 or age != last_age:
                position += 1
                last_age = age
                power = power * position_decay if position > 0 else 1.0
                at_position = power * np.exp2(-age / half_life_days)
                if power_decay > 0.0:
                    at_position *= (1.0 + age / power_days) ** -power_decay
            counted += 1
            out_weight[b, at] = share * weight * at_position


def warm() -> None:
    """Compile this module's kernel for the types requests bring, or read it from disk."""
    nobody = np.zeros((1, 1), np.int32)
    context = Context(
        surface="home",
        now_ms=np.zeros(1, np.int64),
        shopper_row=np.zeros(1, np.int32),
        recent_item=nobody,
        recent_kind=np.zeros((1, 1), np.uint8),
        recent_age_days=np.zeros((1, 1), np.float32),
        anchor_item=nobody,
        owned=Owned.nothing(1),
    )
    Weigher(ProfileConfig(kind_weight={"view_item": 1.0})).weigh(context)
