"""ε-exploration over the slots of a page, written plainly: what the compiled policy must equal.

Slots are filled one after another. Of the candidates still allowed (not shown yet, no cap reached),
the best is shown with probability 1 - ε; with probability ε one of the best ``pool`` of them is
drawn, each as likely as the other. So given the earlier slots the best has the propensity
1 - ε + ε / k and each other of the k in the pool ε / k: they sum to one over all that could have
been chosen, which is what inverse-propensity estimates rest on.

References:
    Langford and Zhang, "The Epoch-Greedy Algorithm for Contextual Multi-armed Bandits" (2007);
    Swaminathan et al., "Off-policy evaluation for slate recommendation" (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.facts import NO_ROW

__all__ = ["Caps", "Ranked", "allowed", "fill_plainly", "slot_distribution"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """The candidates of one context that the rules leave, best first."""

    item_row: NDArray[np.int32]  # (m,)
    brand: NDArray[np.int32]  # (m,) -1 where none is known: never capped
    category: NDArray[np.int32]  # (m,)


@dataclass(frozen=True, slots=True)
class Caps:
    """Most items of one brand and of one category in a slate, over all its pages; 0 is no cap."""

    brand: int = 0
    category: int = 0


def slot_distribution(n_allowed: int, epsilon: float, pool: int) -> NDArray[np.float64]:
    """The probability of each of the allowed candidates, best first, to fill the next slot.

    >>> slot_distribution(4, 0.2, 2)
    array([0.9, 0.1, 0. , 0. ])
    """
    chance = np.zeros(n_allowed)
    k = min(n_allowed, pool)
    chance[:k] = epsilon / max(k, 1)
    chance[:1] += 1 - epsilon
    return chance


def allowed(ranked: Ranked, caps: Caps, shown: Sequence[tuple[int, int, int]]) -> list[int]:
    """Places in ``ranked`` that may fill the next slot after ``shown`` (row, brand, category)."""
    rows = {row for row, _, _ in shown}
    brands = [brand for _, brand, _ in shown]
    categories = [category for _, _, category in shown]

    def fits(code: int, cap: int, others: list[int]) -> bool:
        return cap == 0 or code < 0 or others.count(code) < cap

    return [
        place
        for place, (row, brand, category) in enumerate(
            zip(ranked.item_row, ranked.brand, ranked.category, strict=True)
        )
        if row not in rows
        and fits(brand, caps.brand, brands)
        and fits(category, caps.category, categories)
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
    earlier: Sequence[tuple[int, int, int]] = (),
) -> tuple[list[int], list[float]]:
    """Rows and propensities of ``n`` slots of one page.

    ``pins`` are (slot, row, brand, category) and ``earlier``, what earlier pages showed, (row,
    brand, category): both count against the caps from the start.
    ``draws`` (n,) are uniform in [0, 1): one draw decides whether a slot explores and with what.
    """
    pinned = {slot: row for slot, row, _, _ in pins}
    shown = [*earlier, *((row, brand, category) for _, row, brand, category in pins)]
    rows: list[int] = []
    chances: list[float] = []
    for slot in range(n):
        if slot in pinned:
            rows.append(pinned[slot])
            chances.append(1.0)
            continue
        places = allowed(ranked, caps, shown)
        if not places:
            rows.append(NO_ROW)
            chances.append(0.0)
            continue
        k = min(len(places), pool)
        draw = float(draws[slot])
        which = min(int(draw / epsilon * k), k - 1) if draw < epsilon else 0
        place = places[which]
        rows.append(int(ranked.item_row[place]))
        chances.append(float(slot_distribution(len(places), epsilon, pool)[which]))
        shown.append((rows[-1], int(ranked.brand[place]), int(ranked.category[place])))
    return rows, chances
