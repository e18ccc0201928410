"""The source ``factor``: it finds what ratings rest on, and what it says of them is so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.candidates import TrainingFacts
from habitue.candidates.factor import FactorConfig, FactorLearner, FactorSource
from habitue.candidates.sides import ItemSide, Sides, side_of
from habitue.facts import NO_ROW, Context, Rated
from tests.candidates.shop import NOW_MS, RATE, catalogue_of, facts_of, log_of, requests

N_SHOPPERS, N_ITEMS = 150, 40
NOISE = 0.5
METHODS: dict[str, dict[str, Any]] = {
    "svdpp": {},
    "als": {"loss": "squared"},
    "sgd": {"rounds": 30, "learning_rate": 0.02, "regularisation": 0.03},
}


def truth(rng: np.random.Generator) -> NDArray[np.float64]:
    """What everybody would give: biases, a taste for brands, and a hidden factor."""
    brand = np.arange(N_ITEMS) % 2 * 2 - 1
    shopper, item = rng.normal(0, 0.4, (N_SHOPPERS, 1)), rng.normal(0, 0.5, N_ITEMS)
    likes, hidden = rng.normal(0, 0.6, (N_SHOPPERS, 1)), rng.normal(0, 0.8, (N_SHOPPERS, 1))
    return 3.0 + shopper + item + likes * brand + hidden * rng.normal(0, 0.8, N_ITEMS)


def shop_of_ratings() -> tuple[TrainingFacts, NDArray[np.float64], NDArray[np.bool_]]:
    """A rectangular shop where half of all pairs are rated, what is true, and which half."""
    rng = np.random.default_rng(8)
    true = truth(rng)
    seen = rng.random(true.shape) < 0.5
    shopper, item = np.nonzero(seen)
    rows = [
        (380.0 * at / len(item), RATE, s, i, -1)
        for at, (s, i) in enumerate(rng.permutation(np.stack([shopper, item], 1)).tolist())
    ]
    log = log_of(rows, n_shoppers=N_SHOPPERS, n_items=N_ITEMS)
    rating = true[log.shopper_row, log.item_row] + rng.normal(0, NOISE, len(log))
    catalogue = catalogue_of(
        N_ITEMS,
        brand=[("Leaf", "Bean")[n % 2] for n in range(N_ITEMS)],
        price_micros=[1_000_000 * (n + 1) for n in range(N_ITEMS)],
    )
    return facts_of(replace(log, rating=rating.astype(np.float32)), catalogue), true, seen


FACTS, TRUE, SEEN = shop_of_ratings()


@pytest.fixture(scope="module", params=METHODS)
def source(request: pytest.FixtureRequest) -> FactorSource:
    config = FactorConfig(method=request.param, factors=4, mood=0.0, **METHODS[request.param])
    return FactorLearner(config).fit(FACTS, np.random.default_rng(1))


@pytest.fixture(scope="module")
def plain() -> FactorSource:
    """Without what having rated an item says, so that ratings alone count."""
    config = FactorConfig(method="als", loss="squared", factors=3)
    return FactorLearner(config).fit(FACTS, np.random.default_rng(1))


def asked(*rated: tuple[int, float, float], shopper: int = NO_ROW, **more: Any) -> Context:
    return requests([[]], shoppers=[shopper], rated=[rated], **more)


def test_what_was_not_seen_is_foretold(source: FactorSource) -> None:
    """As far as noise allows; the mean of each item is much further off."""
    shopper, item = np.nonzero(~SEEN)
    at = np.full(len(item), NOW_MS)
    told, spread = source.pairs(shopper.astype(np.int32), item.astype(np.int32), at)
    true = np.clip(TRUE[shopper, item], *source.bounds)
    off = np.sqrt(np.mean((told - true) ** 2))
    means = np.array([TRUE[SEEN[:, i], i].mean() for i in range(N_ITEMS)])
    assert off < 0.6 * np.sqrt(np.mean((means[item] - true) ** 2))
    assert spread.min() > 0.8 * NOISE


def test_intervals_hold_what_they_promise(source: FactorSource) -> None:
    rng = np.random.default_rng(2)
    inside = []
    for shopper in range(0, N_SHOPPERS, 3):
        items = np.flatnonzero(~SEEN[shopper]).astype(np.int32)
        told = source.foretell(asked(shopper=shopper), items)
        low, high = source.interval(told, 0.8)
        given = np.clip(TRUE[shopper, items] + rng.normal(0, NOISE, len(items)), *source.bounds)
        inside.append((low <= given) & (given <= high))
    assert 0.72 < np.concatenate(inside).mean() < 0.88


def test_a_stranger_is_read_as_the_shopper_who_rated_the_same(source: FactorSource) -> None:
    """Ratings of a request count as those of the training do."""
    own = FACTS.log.shopper_row == 3
    log = FACTS.log.take(own)
    ages = (NOW_MS - log.at_ms) / 86_400_000
    rated = list(zip(log.item_row.tolist(), log.rating.tolist(), ages.tolist(), strict=True))
    items = np.arange(N_ITEMS, dtype=np.int32)
    known = source.foretell(asked(shopper=3), items)
    stranger = source.foretell(asked(*rated), items)
    np.testing.assert_allclose(stranger.rating, known.rating, atol=1e-4)
    again = source.foretell(asked(*rated, shopper=3), items)
    np.testing.assert_allclose(again.rating, known.rating, atol=1e-4)


def test_the_later_rating_of_an_item_counts(source: FactorSource) -> None:
    item = int(FACTS.log.item_row[FACTS.log.shopper_row == 3][0])
    for rating in (1.0, 5.0):
        told = source.foretell(asked((item, rating, 0.1), shopper=3), np.array([item], np.int32))
        place = told.rated_item.tolist().index(item)
        assert told.rated[place] == pytest.approx(rating, abs=1e-5)


def test_the_parts_come_to_the_rating_and_to_the_score(source: FactorSource) -> None:
    items = np.arange(N_ITEMS, dtype=np.int32)
    context = asked((0, 5.0, 1.0), (7, 1.0, 2.0), shopper=5)
    told = source.foretell(context, items)
    sides = np.asarray(told.by_side.sum(axis=1)).ravel()
    whole = told.usual + told.shopper + told.mood + told.taste + sides
    np.testing.assert_allclose(np.clip(whole, *source.bounds), told.rating, atol=1e-6)
    np.testing.assert_allclose(source.score(context, items[None])[0], whole, atol=1e-4)


def test_who_is_not_known_is_foretold_what_is_usual(source: FactorSource) -> None:
    told = source.foretell(asked(), np.array([4, NO_ROW, 10_000], np.int32))
    mean = FACTS.log.rating.mean()
    assert told.rating[0] == pytest.approx(np.clip(told.usual[0], *source.bounds))
    assert told.rating[1:] == pytest.approx([mean, mean], abs=1e-4)
    everything = source.foretell(asked(), np.arange(N_ITEMS, dtype=np.int32))
    assert told.spread[1] > everything.spread.mean()


def test_without_consent_no_rating_is_read(source: FactorSource) -> None:
    items = np.arange(4, dtype=np.int32)[None]
    refused = asked((0, 1.0, 1.0), shopper=5, personal=[False])
    np.testing.assert_array_equal(source.score(refused, items), source.score(asked(), items))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, N_ITEMS - 1), st.integers(1, 5), st.integers(0, 20)),
        min_size=2, max_size=8, unique_by=lambda one: one[0],
    )
)  # fmt: skip
def test_what_a_rating_is_said_to_move_is_lost_without_it(
    plain: FactorSource, rated: list[tuple[int, int, int]]
) -> None:
    items = np.arange(0, N_ITEMS, 7, dtype=np.int32)

    def personal(lines: list[tuple[int, float, float]]) -> NDArray[np.float64]:
        told = plain.foretell(asked(*lines), items)
        return told.taste + np.asarray(told.by_side.sum(axis=1)).ravel()

    lines = sorted(((i, float(r), day / 1000) for i, r, day in rated), key=lambda one: one[2])
    told = plain.foretell(asked(*lines), items)
    for j, row in enumerate(told.rated_item.tolist()):
        lost = personal(lines) - personal([line for line in lines if line[0] != row])
        np.testing.assert_allclose(told.moved[:, j], lost, atol=1e-5)


def test_ratings_of_one_mood_are_seen_through(plain: FactorSource) -> None:
    """Four low ratings within minutes say less of a shopper than four on different days."""
    items = np.array([30, 31], np.int32)
    lines = [(n, 1.5, 0.0005 * n) for n in range(4)]
    at_once = plain.foretell(asked(*[(i, r, 20 + age) for i, r, age in lines]), items)
    apart = plain.foretell(asked(*[(i, r, 20.0 + i) for i, r, _ in lines]), items)
    assert at_once.shopper > apart.shopper
    assert abs(at_once.mood) < 1e-6
    assert plain.foretell(asked(*lines), items).mood < -0.1


def test_kinds_may_stand_for_ratings() -> None:
    log = replace(FACTS.log, rating=np.full(len(FACTS.log), np.nan, np.float32))
    facts = replace(FACTS, log=log)
    nothing = FactorLearner(FactorConfig()).fit(facts, np.random.default_rng(1))
    assert nothing.measured["ratings"] == 0
    some = FactorLearner(FactorConfig(kind_rating={"rate": 4.0})).fit(
        facts, np.random.default_rng(1)
    )
    assert some.measured["ratings"] == len(log)
    assert some.foretell(asked(), np.array([0], np.int32)).rating == pytest.approx([4.0])


def test_a_number_lies_between_two_marks_and_a_name_is_a_side() -> None:
    sides = Sides.of(FACTS.catalogue, N_ITEMS, min_items=2, marks=4)
    of_ninth = {sides.term[c]: v for c, v in zip(*_line(sides, 8), strict=True)}
    assert {side_of(term).kind for term in of_ninth} == {"brand", "price"}
    assert side_of("brand=leaf", "Leaf") == ItemSide("brand", "Leaf")
    lengths = np.sqrt(np.asarray(sides.matrix.multiply(sides.matrix).sum(axis=1)).ravel())
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-5)
    saved = Sides.of_arrays(sides.arrays(), N_ITEMS)
    assert (saved.term, saved.written) == (sides.term, sides.written)
    assert (saved.matrix != sides.matrix).nnz == 0


def _line(sides: Sides, row: int) -> tuple[list[int], list[float]]:
    line = sides.matrix[row]
    return line.indices.tolist(), line.data.tolist()


def test_ratings_of_a_batch_are_taken_by_row() -> None:
    rated = Rated(
        np.array([0, 2, 2, 3]), np.array([1, 2, 3], np.int32), np.array([5, 4, 1], np.float32),
        np.array([0.0, 1.0, 2.0], np.float32),
    )  # fmt: skip
    taken = rated.take(np.array([2, 0]))
    assert taken.indptr.tolist() == [0, 1, 3]
    assert taken.item.tolist() == [3, 1, 2]
    assert taken.rating.tolist() == [1.0, 5.0, 4.0]
