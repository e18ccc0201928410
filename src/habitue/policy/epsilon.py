"""ε-exploration over the slots of a page, written plainly: what the compiled policy must equal.

Slots are filled one after another. Of the candidates still allowed (not shown yet, no cap reached,
and where the slots left just suffice for a floor, those that count towards it), the best is shown
with probability 1 - ε; with probability ε one of the first ``pool`` of them by score is drawn, each
as likely as the other. So given the earlier slots each of the k in the pool has the propensity
ε / k, and the best 1 - ε more: they sum to one over all that could have been chosen, which is what
inverse-propensity estimates rest on.

The best is the one with the highest score, or, where a page is to be diverse, with the highest
marginal relevance: (1 - d) times its relevance (its score's place between the least and the highest
among the candidates, 0 to 1) less d times its likeness to the most alike item on the page.

References:
    Langford and Zhang, "The Epoch-Greedy Algorithm for Contextual Multi-armed Bandits" (2007);
    Swaminathan et al., "Off-policy evaluation for slate recommendation" (2017);
    Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and
    Producing Summaries" (1998).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.facts import NO_ROW

__all__ = ["Caps", "Ranked", "Wants", "allowed", "fill_plainly", "slot_distribution"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """The candidates of one context that the rules leave, best first."""

    item_row: NDArray[np.int32]  # (m,)
    brand: NDArray[np.int32]  # (m,) -1 where none is known: never capped
    category: NDArray[np.int32]  # (m,)


@dataclass(frozen=True, slots=True)
class Caps:
    """Most items of one brand and of one category on a page; 0 is no cap."""

    brand: int = 0
    category: int = 0
    fresh_beyond: int = 0  # so many more where they are fresh


def _unlike(row: int, other: int) -> float:  # noqa: ARG001 - nothing is known of the two
    return 0.0


@dataclass(frozen=True, slots=True)
class Wants:
    """What a page is to be besides good: diverse, with room for the fresh and the rare."""

    diversity: float = 0.0
    alike: Callable[[int, int], float] = _unlike  # of two rows, 0 to 1
    worth: Sequence[float] = ()  # (m,) of the ranked, falling
    fresh_floor: int = 0
    fresh: frozenset[int] = frozenset()  # rows
    exposure_floor: int = 0
    rare: frozenset[int] = frozenset()

    def eligible(self, rows: Sequence[int], shown: Sequence[int], n_left: int) -> list[int]:
        """Places in ``rows`` a slot may take for ``n_left`` slots still to reach the floors."""
        need_fresh = self.fresh_floor - len(self.fresh.intersection(shown))
        need_rare = self.exposure_floor - len(self.rare.intersection(shown))
        fresh = [x for x, row in enumerate(rows) if row in self.fresh]
        rare = [x for x, row in enumerate(rows) if row in self.rare]
        either = sorted({*fresh, *rare})
        every = list(range(len(rows)))
        must_fresh, must_rare = 0 < n_left <= need_fresh, 0 < n_left <= need_rare
        if must_fresh and must_rare:
            return sorted({*fresh} & {*rare}) or either or every
        if must_fresh or must_rare:
            return (fresh if must_fresh else rare) or every
        if need_fresh > 0 and need_rare > 0 and need_fresh + need_rare >= n_left:
            return either or every
        return every

    def best(self, ranked: NDArray[np.int32], places: Sequence[int], shown: Sequence[int]) -> int:
        """The place among ``places`` of the highest marginal relevance."""
        if not self.diversity:
            return places[0]
        most, least = self.worth[0], self.worth[-1]

        def marginal(place: int) -> float:
            relevance = (self.worth[place] - least) / (most - least) if most > least else 0.0
            near = max((self.alike(int(ranked[place]), row) for row in shown), default=0.0)
            return (1 - self.diversity) * relevance - self.diversity * max(near, 0.0)

        return max(places, key=lambda place: (marginal(place), -place))


def slot_distribution(
    n_allowed: int, epsilon: float, pool: int, best: int = 0
) -> NDArray[np.float64]:
    """The probability of each of the allowed candidates to fill the next slot.

    They stand in order of score; ``best`` is the place of the one shown where nothing is tried.

    >>> slot_distribution(4, 0.2, 2)
    array([0.9, 0.1, 0. , 0. ])
    """
    chance = np.zeros(n_allowed)
    k = min(n_allowed, pool)
    chance[:k] = epsilon / max(k, 1)
    chance[best : best + 1] += 1 - epsilon
    return chance


def allowed(
    ranked: Ranked,
    caps: Caps,
    shown: Sequence[tuple[int, int, int]],
    fresh: frozenset[int] = frozenset(),
) -> list[int]:
    """Places in ``ranked`` that may fill the next slot after ``shown`` (row, brand, category).

    ``fresh`` rows may stand beyond a cap, as many as ``caps`` say.
    """
    rows = {row for row, _, _ in shown}
    brands = [brand for _, brand, _ in shown]
    categories = [category for _, _, category in shown]

    def fits(row: int, code: int, cap: int, others: list[int]) -> bool:
        most = cap + caps.fresh_beyond * (row in fresh)
        return cap == 0 or code < 0 or others.count(code) < most

    return [
        place
        for place, (row, brand, category) in enumerate(
            zip(ranked.item_row, ranked.brand, ranked.category, strict=True)
        )
        if row not in rows
        and fits(row, brand, caps.brand, brands)
        and fits(row, category, caps.category, categories)
    ]


def fill_plainly(
    ranked: Ranked,
    n: int,
    *,
    caps: Caps,
    epsilon: float,
    pool: int,
    draws: NDArray[np.float64],
    pins: Sequence[tuple[int, int, int, int]] = (),
    wants: Wants | None = None,
) -> tuple[list[int], list[float]]:
    """Rows and propensities of ``n`` slots of one page.

    ``pins`` are (slot, row, brand, category): they count against caps and floors from the start.
    ``draws`` (n,) are uniform in [0, 1): one draw decides whether a slot explores and with what.
    """
    wants = wants or Wants()
    pinned = {slot: row for slot, row, _, _ in pins}
    shown = [(row, brand, category) for _, row, brand, category in pins]
    rows: list[int] = []
    chances: list[float] = []
    n_left = n - len(pinned)
    for slot in range(n):
        if slot in pinned:
            rows.append(pinned[slot])
            chances.append(1.0)
            continue
        places = allowed(ranked, caps, shown, wants.fresh)
        if not places:
            rows.append(NO_ROW)
            chances.append(0.0)
            continue
        there = [row for row, _, _ in shown]
        fit = wants.eligible([int(ranked.item_row[place]) for place in places], there, n_left)
        places = [places[x] for x in fit]
        which = best = places.index(wants.best(ranked.item_row, places, there))
        k = min(len(places), pool)
        draw = float(draws[slot])
        if draw < epsilon:
            which = min(int(draw / epsilon * k), k - 1)
        place = places[which]
        rows.append(int(ranked.item_row[place]))
        chances.append(float(slot_distribution(len(places), epsilon, pool, best)[which]))
        shown.append((rows[-1], int(ranked.brand[place]), int(ranked.category[place])))
        n_left -= 1
    return rows, chances
