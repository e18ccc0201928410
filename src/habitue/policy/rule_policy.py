"""The policy of one surface: its rules over the shelf as it is now, and ε-exploration."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.layout import sealed
from habitue.facts import MS_PER_DAY, NO_ROW, Context
from habitue.policy.allowed import (
    BOUGHT_HIDE,
    BOUGHT_REBUY,
    BOUGHT_SHOW,
    refused_items,
)
from habitue.policy.contract import Chosen
from habitue.policy.filters import matches
from habitue.policy.reading import parse_filter
from habitue.policy.rules import SurfaceRules
from habitue.policy.shelf import AVAILABILITY, SOLD_OUT, UNPOSTED, Shelf
from habitue.policy.slots import choose_pages

__all__ = ["Continued", "Merits", "RulePolicy"]

_BOUGHT: Final = {"show": BOUGHT_SHOW, "rebuy": BOUGHT_REBUY, "hide": BOUGHT_HIDE}
_EVERYTHING: Final = np.zeros(0, np.bool_)
_NO_ROWS: Final = np.zeros(0, np.int32)
_NO_TIMES: Final = np.zeros(0, np.int64)


def _no_times() -> NDArray[np.int64]:
    return _NO_TIMES


def _no_rows() -> NDArray[np.int32]:
    return _NO_ROWS


@dataclass(frozen=True, slots=True)
class Merits:
    """What floors and diversity ask of items, each asked for anew at every page."""

    first_seen_ms: Callable[[], NDArray[np.int64]] = _no_times
    """When each item entered the shop, 0 where nobody knows: (<= n_items,)."""
    times_shown: Callable[[], NDArray[np.int32]] = _no_rows
    """How often each item was shown to anybody: (<= n_items,), beyond it never."""


_NO_MERITS: Final = Merits()


class RulePolicy:
    """Fills slots by a surface's rules; a ``Policy``.

    The shelf may change under it: what an item's new version allows or forbids holds from the next
    ``choose`` on. ``due_days`` (n_items,) is the usual time between two purchases of an item by one
    shopper, NaN where none is known.
    """

    def __init__(
        self,
        rules: SurfaceRules,
        shelf: Shelf,
        *,
        due_days: NDArray[np.float32] | None = None,
        row_of: Callable[[str], int] | None = None,
        merits: Merits = _NO_MERITS,
    ) -> None:
        """``row_of`` turns a pinned item's id into its row, ``NO_ROW`` while nobody knows it."""
        self.rules = rules
        self.shelf = shelf
        due = np.zeros(0, np.float32) if due_days is None else due_days
        self._gap_days = due_days
        self._due_days = np.ascontiguousarray(due, np.float32) * np.float32(rules.rebuy_share)
        self._row_of = row_of or (lambda _: NO_ROW)
        self._states = np.zeros(256, np.bool_)
        self._states[[AVAILABILITY[name] for name in rules.availability]] = True
        self._states[SOLD_OUT] = False
        self._states[UNPOSTED] = rules.unposted
        self._pin_slot = np.array([pin.slot for pin in rules.pins], np.int64)
        self._merits = merits
        self.compare_by(np.zeros((0, 1), np.float32))
        self._fatigue = (
            rules.fatigue_shows or 0,
            rules.fatigue_days,
            math.log(rules.fatigue_damping) if rules.fatigue_damping > 0 else -math.inf,
        )
        self._wants = (
            rules.diversity, rules.fresh_floor, rules.exposure_floor, rules.fresh_beyond_caps
        )  # fmt: skip
        capped = rules.brand_cap is not None or rules.category_cap is not None
        self._asks_age = rules.fresh_floor > 0 or (capped and rules.fresh_beyond_caps > 0)
        self._numbers = (
            rules.rebuy_days or math.inf,
            _BOUGHT[rules.bought],
            rules.not_interested_days,
            math.log(rules.not_interested_damping),
            rules.brand_cap or 0,
            rules.category_cap or 0,
            rules.epsilon,
            rules.explore_pool,
        )
        self._include = None if rules.include is None else parse_filter(rules.include)
        self._exclude = None if rules.exclude is None else parse_filter(rules.exclude)
        self._boosts = [(parse_filter(one.filter), math.log(one.factor)) for one in rules.boosts]
        self._columns = (_EVERYTHING, np.zeros(0, np.float32))
        shelf.derive(self._renew)

    def changed(self, **rules: object) -> RulePolicy:
        """Another policy over the same shelf, with some of the rules otherwise. ``close`` it."""
        other = RulePolicy(
            self.rules.model_copy(update=rules),
            self.shelf,
            due_days=self._gap_days,
            row_of=self._row_of,
            merits=self._merits,
        )
        other.compare_by(self._vectors)
        return other

    def compare_by(self, vectors: NDArray[np.float32]) -> None:
        """Tell items apart by unit ``vectors`` (v, dim); by brand and category where one is 0.

        Call it before the policy is asked for slots.
        """
        if not self.rules.diversity:
            vectors = vectors[:0]
        self._vectors = sealed(vectors, np.float32)
        self._told: NDArray[np.bool_] = np.asarray(self._vectors.any(axis=1))

    def close(self) -> None:
        """Let go of the shelf."""
        self.shelf.underive(self._renew)

    # ------------------------------------------------------------------ columns over the shelf

    def _whole(self) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """What the rules say of every item on the shelf: whether it is allowed, its boost."""
        shelf, rules = self.shelf, self.rules
        allowed = self._states[shelf.state]
        allowed[shelf.n_items :] = False
        if rules.include is not None:
            allowed = allowed & shelf.mask(rules.include)
        if rules.exclude is not None:
            allowed = allowed & ~shelf.mask(rules.exclude)
        boost = np.zeros(len(shelf.state), np.float32)
        for one in rules.boosts:
            boost[shelf.mask(one.filter)] += np.float32(math.log(one.factor))
        return allowed, boost

    def _renew(self, row: int | None) -> None:
        """One item has changed, or (``None``) the shelf has grown."""
        if row is None:
            self._columns = self._whole()
            return
        allowed, boost = self._columns
        fields = self.shelf.fields(row)
        allowed[row] = (
            self._states[self.shelf.state[row]]
            and (self._include is None or matches(self._include, fields))
            and not (self._exclude is not None and matches(self._exclude, fields))
        )
        boost[row] = sum(term for one, term in self._boosts if matches(one, fields))

    # ------------------------------------------------------------------ choosing

    def choose(
        self,
        context: Context,
        item_row: NDArray[np.int32],
        score: NDArray[np.float32],
        n: int,
        rng: np.random.Generator,
    ) -> Chosen:
        """Fill the first ``n`` slots of each context from its candidates (B, m)."""
        return self.continued().choose(context, item_row, score, n, rng)

    def continued(
        self,
        *,
        hidden: NDArray[np.int32] | None = None,
        first_slot: int = 0,
        include: str | None = None,
        exclude: str | None = None,
    ) -> Continued:
        """This policy for one request: a later page of a slate, or with the caller's own filters.

        ``hidden`` are the rows of earlier pages, none of which comes again; ``first_slot`` is the
        slot this page begins with.
        Raises ``BadFilter``.
        """
        asked = _EVERYTHING
        if include is not None:
            asked = self.shelf.mask(include)
        if exclude is not None:
            barred = ~self.shelf.mask(exclude)
            asked = barred if include is None else asked[: len(barred)] & barred[: len(asked)]
        return Continued(self, _NO_ROWS if hidden is None else hidden, first_slot, asked)

    def pins(self) -> NDArray[np.int32]:
        """Rows of the pinned items, in the order of the rules; ``NO_ROW`` for unknown ones."""
        return np.array([self._row_of(pin.item) for pin in self.rules.pins], np.int32)


@dataclass(frozen=True, slots=True)
class Continued:
    """A ``RulePolicy`` with what one request adds to it; itself a ``Policy``."""

    policy: RulePolicy
    hidden: NDArray[np.int32]
    first_slot: int
    asked: NDArray[np.bool_]  # (n_items,), empty: everything

    def choose(
        self,
        context: Context,
        item_row: NDArray[np.int32],
        score: NDArray[np.float32],
        n: int,
        rng: np.random.Generator,
    ) -> Chosen:
        """Fill ``n`` slots of each context from its candidates (B, m)."""
        policy, batch = self.policy, len(context)
        allowed, log_boost = policy._columns  # before the shelf's arrays, which may only be longer
        shelf, owned = policy.shelf, context.owned
        more = np.empty(batch, np.bool_)
        chosen = Chosen(
            np.empty((batch, n), np.int32),
            np.empty((batch, n), np.float32),
            np.empty((batch, n), np.float32),
            more,
        )
        hidden, pin_slot, pins = self.hidden, policy._pin_slot, np.empty((batch, 0), np.int32)
        if len(pin_slot):
            pins = np.stack([self._pins(context, b) for b in range(batch)])
            later = policy.pins()[pin_slot >= self.first_slot + n]
            hidden = np.concatenate([hidden, later])
            pin_slot = pin_slot - self.first_slot
        shown_item, shown_age = context.shown_item, context.shown_age_days
        if not policy._fatigue[0] or len(shown_item) != batch:
            shown_item, shown_age = np.empty((batch, 0), np.int32), np.empty((batch, 0), np.float32)
        rules, merits = policy.rules, policy._merits
        choose_pages(
            item_row,
            score,
            rng.random((batch, n)),
            context.now_ms,
            context.recent_item,
            context.recent_kind,
            context.recent_age_days,
            shown_item,
            shown_age,
            context.anchor_item,
            hidden,
            owned.indptr,
            owned.item,
            owned.age_days,
            allowed,
            self.asked,
            log_boost,
            shelf.brand,
            shelf.category,
            policy._due_days,
            pin_slot,
            pins,
            policy._numbers,
            policy._fatigue,
            policy._wants,
            int(rules.fresh_days * MS_PER_DAY),
            merits.first_seen_ms() if policy._asks_age else _NO_TIMES,
            rules.exposure_shows,
            merits.times_shown() if rules.exposure_floor else _NO_ROWS,
            policy._vectors,
            policy._told,
            chosen.item_row,
            chosen.score,
            chosen.propensity,
            more,
        )
        if len(pin_slot):
            more |= (pins[:, pin_slot >= n] >= 0).any(axis=1)
        return chosen

    def _pins(self, context: Context, b: int) -> NDArray[np.int32]:
        """Pinned rows that can be had and that this shopper has not refused."""
        hidden = np.concatenate([context.anchor_item[b], self.hidden])
        pins = self.policy.pins()
        state = self.policy.shelf.state
        refused = refused_items(
            context.recent_item[b],
            context.recent_kind[b],
            context.recent_age_days[b],
            self.policy.rules.not_interested_days,
        )
        fine = (pins >= 0) & (pins < self.policy.shelf.n_items)
        fine[fine] = self.policy._states[state[pins[fine]]]
        fine &= ~np.isin(pins, refused) & ~np.isin(pins, hidden)
        return np.where(fine, pins, NO_ROW).astype(np.int32)
