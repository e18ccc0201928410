"""Slots are filled in turn; what each was filled with, and with what probability, is exact."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.candidates.layout import sealed
from habitue.facts import NO_ROW
from habitue.policy.epsilon import (
    Caps,
    Ranked,
    Wants,
    allowed,
    fill_plainly,
    slot_distribution,
)
from habitue.policy.slots import fill_slots

Pages = tuple[Ranked, int, Caps, float, int, list[float], list[int]]


def fill(
    ranked: Ranked,
    n: int,
    *,
    caps: Caps,
    epsilon: float,
    pool: int,
    draws: NDArray[np.float64],
    pins: list[tuple[int, int]] | None = None,
    wants: Wants | None = None,
    vectors: NDArray[np.float32] | None = None,
) -> tuple[list[int], list[float]]:
    """The compiled kernel, called as the plain one is."""
    wants = wants or Wants()
    size = int(max(ranked.item_row.max(initial=0), 0, *(row for _, row in pins or []))) + 1
    brand, category = np.full(size, -1, np.int32), np.full(size, -1, np.int32)
    brand[ranked.item_row], category[ranked.item_row] = ranked.brand, ranked.category
    m = len(ranked.item_row)
    worth = np.array(wants.worth or np.linspace(1, 0, m), np.float32)
    vectors = np.zeros((0, 2), np.float32) if vectors is None else vectors
    rows, score, chance = np.empty(n, np.int32), np.empty(n, np.float32), np.empty(n, np.float32)
    more = fill_slots(
        np.arange(m),
        ranked.item_row,
        np.linspace(1, 0, m, dtype=np.float32),
        worth,
        brand,
        category,
        caps.brand,
        caps.category,
        np.array([slot for slot, _ in pins or []], np.int64),
        np.array([row for _, row in pins or []], np.int32),
        epsilon,
        pool,
        draws,
        (wants.diversity, wants.fresh_floor, wants.exposure_floor, caps.fresh_beyond),
        np.array([7 if row in wants.fresh else 0 for row in range(size)], np.int64),
        7,
        np.array([0 if row in wants.rare else 5 for row in range(size)], np.int32),
        5,
        sealed(vectors, np.float32),
        vectors.any(axis=1),
        rows,
        score,
        chance,
    )
    assert more == bool(set(ranked.item_row.tolist()) - set(rows.tolist()))
    return rows.tolist(), chance.tolist()


@st.composite
def pages(draw: st.DrawFn) -> Pages:
    m = draw(st.integers(0, 12))
    codes = st.lists(st.integers(-1, 2), min_size=m, max_size=m)
    ranked = Ranked(
        np.array(draw(st.permutations(range(m))), np.int32),
        np.array(draw(codes), np.int32),
        np.array(draw(codes), np.int32),
    )
    n = draw(st.integers(1, 6))
    caps = Caps(draw(st.integers(0, 2)), draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    epsilon = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    pool = draw(st.integers(1, 8))
    draws = draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=n, max_size=n))
    pinned = draw(st.lists(st.integers(0, n - 1), unique=True, max_size=min(2, m)))
    return ranked, n, caps, epsilon, pool, draws, pinned


@st.composite
def diverse_pages(draw: st.DrawFn) -> tuple[Pages, Wants, NDArray[np.float32]]:
    """Pages that want something. Vectors along the axes and worths in quarters: no rounding."""
    page = draw(pages())
    ranked = page[0]
    m = len(ranked.item_row)
    axes = [(0, 0), (1, 0), (0, 1), (-1, 0)]
    vectors = np.array(
        draw(st.lists(st.sampled_from(axes), min_size=m, max_size=m)), np.float32
    ).reshape(m, 2)
    code = {
        int(row): (int(ranked.brand[x]), int(ranked.category[x]))
        for x, row in enumerate(ranked.item_row)
    }

    def alike(row: int, other: int) -> float:
        if vectors[row].any() and vectors[other].any():
            return float(vectors[row] @ vectors[other])
        same = zip(code[row], code[other], strict=True)
        return sum(0.5 for mine, theirs in same if mine == theirs >= 0)

    rows = st.frozensets(st.integers(0, max(m - 1, 0)))
    quarters = draw(st.lists(st.integers(0, 4), min_size=m, max_size=m))
    wants = Wants(
        diversity=draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        alike=alike,
        worth=sorted((x / 4 for x in [0, 4, *quarters][-m:]), reverse=True) if m else (),
        fresh_floor=draw(st.integers(0, 4)),
        fresh=draw(rows),
        exposure_floor=draw(st.integers(0, 4)),
        rare=draw(rows),
    )
    return page, wants, vectors


def both_ways(
    page: Pages, wants: Wants | None = None, vectors: NDArray[np.float32] | None = None
) -> None:
    ranked, n, caps, epsilon, pool, draws, pinned = page
    pins = [(slot, int(ranked.item_row[x])) for x, slot in enumerate(pinned)]
    codes = [(int(ranked.brand[x]), int(ranked.category[x])) for x in range(len(pinned))]
    told = {"caps": caps, "epsilon": epsilon, "pool": pool, "draws": np.array(draws)}
    rows, chances = fill(ranked, n, pins=pins, wants=wants, vectors=vectors, **told)  # type: ignore[arg-type]
    plain_rows, plain_chances = fill_plainly(
        ranked,
        n,
        pins=[(slot, row, *code) for (slot, row), code in zip(pins, codes, strict=True)],
        wants=wants,
        **told,  # type: ignore[arg-type]
    )
    assert rows == plain_rows
    assert chances == pytest.approx(plain_chances, rel=1e-6)
    shown = [row for row in rows if row != NO_ROW]
    assert len(shown) == len(set(shown))


@given(pages())
def test_the_kernel_fills_as_the_plain_policy_does(page: Pages) -> None:
    both_ways(page)


@given(diverse_pages())
def test_the_kernel_wants_what_the_plain_policy_wants(
    told: tuple[Pages, Wants, NDArray[np.float32]],
) -> None:
    both_ways(*told)


@pytest.mark.parametrize("epsilon", [0.3, 1.0])
@pytest.mark.parametrize("diversity", [0.0, 0.7])
def test_propensities_of_a_page_with_wishes_sum_to_one(epsilon: float, diversity: float) -> None:
    """As below, with a best that need not be the first and floors that narrow the choice."""
    ranked = Ranked(np.arange(5, dtype=np.int32), np.zeros(5, np.int32), np.full(5, -1, np.int32))
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0]], np.float32)
    wants = Wants(
        diversity=diversity,
        worth=(1.0, 0.9, 0.8, 0.7, 0.0),
        fresh_floor=1,
        fresh=frozenset({1, 3}),
        exposure_floor=1,
        rare=frozenset({3, 4}),
    )
    cells = (np.arange(12) + 0.5) / 12  # divisible by every k in play
    chance_of: dict[tuple[int, ...], float] = {}
    for draws in product(epsilon * cells, repeat=3):
        for best in product((False, True), repeat=3):
            told = np.where(best, 1 - 1e-9, draws)
            if epsilon == 1.0 and any(best):
                continue
            rows, chances = fill(
                ranked, 3, caps=Caps(), epsilon=epsilon, pool=3, draws=told, wants=wants,
                vectors=vectors,
            )  # fmt: skip
            assert 1 in rows or 3 in rows
            assert 3 in rows or 4 in rows
            probability = float(np.prod(chances))
            assert chance_of.setdefault(tuple(rows), probability) == pytest.approx(probability)
    assert sum(chance_of.values()) == pytest.approx(1.0, abs=1e-5)


def test_marginal_relevance_by_hand() -> None:
    """Relevance 1, 0.75, 0.5, 0; the second is the first again, the third is unlike both."""
    ranked = Ranked(
        np.arange(4, dtype=np.int32), np.full(4, -1, np.int32), np.full(4, -1, np.int32)
    )
    vectors = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], np.float32)
    told = {"caps": Caps(), "epsilon": 0.0, "pool": 4, "draws": np.zeros(4), "vectors": vectors}
    orders = {
        # After 0: item 1 is worth 0.75 (1 - d) - d, item 2 is worth 0.5 (1 - d).
        0.0: [0, 1, 2, 3],
        0.1: [0, 1, 2, 3],
        0.5: [0, 2, 3, 1],
    }
    for diversity, order in orders.items():
        wants = Wants(diversity=diversity, worth=(4.0, 3.0, 2.0, 0.0))
        assert fill(ranked, 4, wants=wants, **told)[0] == order  # type: ignore[arg-type]


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_propensities_sum_to_one_over_everything_that_could_be_chosen(epsilon: float) -> None:
    """Walk the whole tree of pages: draws in the middle of every cell of the unit interval."""
    ranked = Ranked(
        np.arange(5, dtype=np.int32),
        np.array([0, 0, 1, 1, -1], np.int32),
        np.array([0, 1, 0, 1, 0], np.int32),
    )
    caps, pool, n = Caps(brand=1), 3, 3
    cells = (np.arange(60) + 0.5) / 60  # divisible by every k in play, so no cell straddles
    chance_of: dict[tuple[int, ...], float] = {}
    for draws in product(cells, repeat=2):  # two slots drawn; the third follows with its best
        rows, chances = fill(
            ranked, n, caps=caps, epsilon=epsilon, pool=pool, draws=np.array([*draws, 0.999])
        )
        first_two = tuple(rows[:2])
        probability = chances[0] * chances[1]
        assert chance_of.setdefault(first_two, probability) == pytest.approx(probability)
    assert sum(chance_of.values()) == pytest.approx(1.0, abs=1e-6)
    if epsilon == 0.3:
        # Slot 0: k = 3 (rows 0, 1, 2). After row 0 its brand is full: 2, 3, 4 remain.
        assert chance_of[(0, 2)] == pytest.approx((0.7 + 0.1) * (0.7 + 0.1))
        assert chance_of[(1, 2)] == pytest.approx(0.1 * 0.8)
        assert chance_of[(2, 4)] == pytest.approx(0.1 * 0.1)
        # After row 2 its brand is full: rows 0, 1 and 4 remain.
        assert chance_of[(2, 0)] == pytest.approx(0.1 * 0.8)


def test_pages_come_as_often_as_their_propensities_say() -> None:
    ranked = Ranked(
        np.arange(6, dtype=np.int32),
        np.array([0, 0, 0, 1, 1, 2], np.int32),
        np.full(6, -1, np.int32),
    )
    rng = np.random.default_rng(7)
    n_pages = 40_000
    seen: dict[tuple[int, ...], int] = {}
    chance: dict[tuple[int, ...], float] = {}
    for draws in rng.random((n_pages, 3)):
        rows, chances = fill(ranked, 3, caps=Caps(brand=1), epsilon=0.4, pool=4, draws=draws)
        seen[tuple(rows)] = seen.get(tuple(rows), 0) + 1
        chance[tuple(rows)] = float(np.prod(chances))
    for page, times in seen.items():
        expected = n_pages * chance[page]
        assert abs(times - expected) < 5 * np.sqrt(expected) + 1
    assert sum(chance.values()) == pytest.approx(1.0, abs=1e-5)


@given(st.integers(0, 20), st.floats(0, 1), st.integers(1, 30))
def test_a_slot_distribution_is_one(n_allowed: int, epsilon: float, pool: int) -> None:
    chance = slot_distribution(n_allowed, epsilon, pool)
    assert (chance >= 0).all()
    assert chance.sum() == pytest.approx(1.0 if n_allowed else 0.0)


def test_a_capped_brand_ends_and_the_page_may_stay_short() -> None:
    ranked = Ranked(
        np.array([4, 2, 7], np.int32), np.array([1, 1, 1], np.int32), np.array([0, 1, 2], np.int32)
    )
    rows, chances = fill(ranked, 3, caps=Caps(brand=2), epsilon=0.0, pool=10, draws=np.full(3, 0.5))
    assert rows == [4, 2, NO_ROW]
    assert chances == [1.0, 1.0, 0.0]
    assert allowed(ranked, Caps(brand=2), [(4, 1, 0), (2, 1, 1)]) == []
