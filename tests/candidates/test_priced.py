"""The network as a source that reads the prices of what shoppers did, new items' among them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from habitue.behaviour.config import BehaviourConfig, StudentConfig
from habitue.candidates.contract import ContinuingLearner, TrainingFacts
from habitue.candidates.item_prices import currency_of, listed_prices
from habitue.candidates.item_space import SpaceConfig
from habitue.candidates.roster import learner_of, load_source
from habitue.candidates.sequence import SequenceConfig, SequenceSource
from habitue.facts import MS_PER_DAY, ActionLog, Catalogue, Context
from tests.candidates.shop import NOW_MS, VIEW, catalogue_of, log_of, requests
from tests.candidates.test_sequence import CONFIG

SHELVES = 4
SEEN = 240
N = SHELVES + SEEN  # items 0 to 3 are what those of a price go on to
MICROS = 1_000_000


def shelf_of(item: int) -> int:
    """Which quarter of the prices an item's is in."""
    return (item * 7) % SHELVES


def price(item: int, times: int = 1) -> int | None:
    """Of what is looked at; of what all go on to no price is known."""
    if item < SHELVES:
        return None
    return times * (10 * MICROS * (shelf_of(item) + 1) + item)


def config(**change: object) -> SequenceConfig:
    behaviour = BehaviourConfig.model_validate(
        {
            **CONFIG.behaviour.model_dump(), "price_steps": SHELVES, "content": False,
            "dropout": 0.0, "input_dropout": 0.0,
            "loss": {"negatives": 16, "own_past": "competes"}, **change,
        }
    )  # fmt: skip
    return CONFIG.model_copy(update={"behaviour": behaviour, "validation_share": 0.2})


def catalogue(n: int = N, *, times: int = 1, **columns: list[object]) -> Catalogue:
    return catalogue_of(n, price_micros=[price(item, times) for item in range(n)], **columns)


def looking(n: int = SEEN, *, since_day: float = 0.0) -> ActionLog:
    """Each looks at something nobody else looks at, then at what all go on to after its price."""
    rows = []
    for shopper in range(n):
        item, day = SHELVES + shopper, since_day + shopper / 100
        rows += [(day, VIEW, shopper, item, -1), (day + 0.5, VIEW, shopper, shelf_of(item), -1),
                 (day + 1.5, VIEW, shopper, item, -1),
                 (day + 2.0, VIEW, shopper, shelf_of(item), -1)]  # fmt: skip
    return log_of(rows, n_items=N)


def facts(log: ActionLog | None = None, told: Catalogue | None = None) -> TrainingFacts:
    return TrainingFacts(looking() if log is None else log, told or catalogue(), NOW_MS)


def learnt(said: SequenceConfig, given: TrainingFacts | None = None) -> SequenceSource:
    made = learner_of(said).fit(given or facts(), np.random.default_rng(1))
    assert isinstance(made, SequenceSource)
    return made


@pytest.fixture(scope="module")
def source() -> SequenceSource:
    return learnt(config())


NEW = tuple(range(N, N + 8))


def extended(made: SequenceSource, **columns: list[object]) -> SequenceSource:
    """With eight items posted since, two of each quarter of the prices."""
    return made.extend(catalogue(N + 8, **columns))


def looked_at(*items: int) -> Context:
    return requests([[(item, VIEW, 0.5)] for item in items])


def first(made: SequenceSource, *items: int) -> list[int]:
    return made.propose(looked_at(*items), 1).item_row[:, 0].tolist()


def test_new_items_are_known_by_their_price_alone(source: SequenceSource) -> None:
    longer = extended(source)
    assert first(longer, *NEW) == [shelf_of(item) for item in NEW]
    assert longer.extend(catalogue(N + 8)) is longer
    assert source.prices is not None
    assert not len(source.prices.tail), "and the source before stays as it was"


def test_without_the_input_nothing_is_known_of_them() -> None:
    longer = extended(learnt(config(price_steps=0)))
    found = longer.propose(looked_at(*NEW), 1)
    assert len(set(found.item_row[:, 0].tolist())) == 1, "all are answered alike"


def test_of_an_item_without_a_price_nothing_is_read(source: SequenceSource) -> None:
    """Nor of one in another currency, nor of one nobody knows: all are answered alike."""
    euros: list[object] = ["EUR"] * N + ["USD", "EUR", None, None, None, None, None, None]
    made = learnt(config(), facts(told=catalogue(currency=euros[:N])))
    longer = extended(made, currency=euros)
    told = longer.prices.read(np.array([-1, 0, *NEW, N + 99], np.int32)) if longer.prices else []
    assert list(told)[:3] == [0, 0, 0]
    assert list(told)[3:-1] == [shelf_of(item) + 1 for item in NEW[1:]]
    assert list(told)[-1] == 0
    nothing = source.extend(catalogue_of(N + 2, price_micros=[1] * N + [None, 0]))
    found = nothing.propose(looked_at(N, N + 1), 4)
    np.testing.assert_array_equal(found.item_row[0], found.item_row[1])


def test_a_price_told_otherwise_counts_from_then_on(source: SequenceSource) -> None:
    """Though nothing else is told of the item."""
    longer = extended(source)
    dear = NEW[[shelf_of(item) for item in NEW].index(0)]
    told = catalogue(N + 8).frame.filter(pl.col("item_row") == dear)
    raised = longer.extend(
        Catalogue(told.with_columns(price_micros=pl.lit(99 * MICROS, dtype=pl.Int64)))
    )
    assert first(longer, dear) == [0]
    assert first(raised, dear) == [SHELVES - 1]


def test_it_is_served_as_it_was_learnt(source: SequenceSource, tmp_path: Path) -> None:
    """By the graph and in eight bits; the steps are read back."""
    source.save(tmp_path / "model")
    served = load_source(tmp_path / "model")
    assert isinstance(served, SequenceSource)
    assert served.prices is not None
    some = looked_at(*NEW, 7, 8)
    here, there = (extended(one).propose(some, 5) for one in (source, served))
    np.testing.assert_array_equal(there.item_row, here.item_row)
    np.testing.assert_allclose(there.score, here.score, rtol=1e-4)
    small = source.in_eight_bits()
    small.save(tmp_path / "small")
    again = load_source(tmp_path / "small")
    assert isinstance(again, SequenceSource)
    assert first(extended(again), *NEW) == [shelf_of(item) for item in NEW]


def test_what_was_paid_counts_before_what_is_listed() -> None:
    """All are listed at one price, and paid for at theirs."""
    log = looking()
    paid = np.array([price(item) or 0 for item in log.item_row.tolist()])
    flat = catalogue_of(N, price_micros=[None] * SHELVES + [MICROS] * SEEN)
    made = learnt(config(), facts(replace(log, price_micros=paid), flat))
    assert made.prices is not None
    listed = learnt(config())
    assert listed.prices is not None
    items = slice(SHELVES, None)
    np.testing.assert_array_equal(made.prices.steps.item[items], listed.prices.steps.item[items])
    assert first(extended(made), *NEW) == [shelf_of(item) for item in NEW]


def test_a_shop_without_prices_is_learnt_as_ever(tmp_path: Path) -> None:
    """Also where the config asks for what nobody knows."""
    given = TrainingFacts(looking(60), catalogue_of(N), NOW_MS)
    made = [learnt(one, given) for one in (config(), config(price_steps=0))]
    some = looked_at(9, 10, 11)
    np.testing.assert_array_equal(*(one.propose(some, 4).score for one in made))
    made[0].save(tmp_path / "model")
    loaded = load_source(tmp_path / "model")
    assert isinstance(loaded, SequenceSource)
    assert loaded.prices is None
    assert loaded.extend(catalogue(N + 8)).prices is None


def later() -> TrainingFacts:
    """The first half of the shoppers once more: they look at what has become twice as dear."""
    rows = [looking(), looking(SEEN // 2, since_day=401.0)]
    log = log_of(
        [
            (int(at) / MS_PER_DAY, int(VIEW), int(who), int(item), -1)
            for one in rows
            for at, who, item in zip(one.at_ms, one.shopper_row, one.item_row, strict=True)
        ],
        n_items=N,
    )
    return TrainingFacts(log, catalogue(times=2), NOW_MS + 10 * MS_PER_DAY)


def test_a_later_training_goes_on_and_keeps_the_cuts(source: SequenceSource) -> None:
    learner = learner_of(config())
    assert isinstance(learner, ContinuingLearner)
    on = learner.go_on(source, later(), np.random.default_rng(2))
    anew = learnt(config(), later())
    assert isinstance(on, SequenceSource)
    assert on.measured["went_on"] == 1
    assert source.prices is not None
    assert on.prices is not None
    assert anew.prices is not None
    np.testing.assert_array_equal(on.prices.steps.cuts, source.prices.steps.cuts)
    assert (anew.prices.steps.cuts > on.prices.steps.cuts).all()
    step = on.prices.steps.item[SHELVES:]
    assert (step >= source.prices.steps.item[SHELVES:]).all()
    assert (step == SHELVES).mean() > 0.5, "what is twice as dear stands higher"


def test_it_begins_anew_where_the_earlier_one_read_no_prices() -> None:
    unpriced = TrainingFacts(looking(60), catalogue_of(N), NOW_MS)
    earlier = learnt(config(), unpriced)
    learner = learner_of(config())
    assert isinstance(learner, ContinuingLearner)
    on = learner.go_on(earlier, facts(), np.random.default_rng(1))
    assert isinstance(on, SequenceSource)
    assert on.measured["went_on"] == 0
    assert first(extended(on), *NEW) == [shelf_of(item) for item in NEW]


def test_another_shop_begins_with_what_prices_said_here(tmp_path: Path) -> None:
    """Cheap is cheap by its own prices, in another money; nobody there has looked in between."""
    goals = ("lamp", "chair", "table", "clock")
    titles: list[object] = [*goals, *["thing"] * (SEEN + 8)]
    told = config(content=True, unnamed=0.7).model_copy(
        update={"space": SpaceConfig(min_items=1, price_weight=0.0)}
    )
    learnt(told, facts(told=catalogue(title=titles[:N]))).save(tmp_path / "first")
    begun = told.model_copy(update={"begin_from": tmp_path / "first"})
    log = looking(8)
    ends = np.isin([shelf_of(item) for item in (log.shopper_row + SHELVES).tolist()], [0, 3])
    made = learnt(begun, facts(log.take(ends), catalogue(times=150, title=titles[:N])))
    assert made.prices is not None
    assert made.prices.steps.cuts.min() > 1000 * MICROS, "the cuts are its own"
    longer = made.extend(catalogue(N + 8, times=150, title=titles))
    assert first(longer, *NEW) == [shelf_of(item) for item in NEW]


def test_a_student_reads_what_its_teacher_reads() -> None:
    made = learnt(config(student=StudentConfig(dim=16).model_dump()))
    assert made.search.dim == 16
    goals = np.tile(np.arange(SHELVES, dtype=np.int32), (len(NEW), 1))
    found = extended(made).score(looked_at(*NEW), goals).argmax(axis=1)
    assert found.tolist() == [shelf_of(item) for item in NEW]


def test_prices_are_those_in_the_money_that_most_are_told_in() -> None:
    frame = pl.DataFrame({"price_micros": [5, None, 7, 9, 0, 3],
                          "currency": ["EUR", "USD", "USD", "EUR", "USD", None]})  # fmt: skip
    assert currency_of(frame) == "EUR"
    assert listed_prices(frame, "EUR").tolist() == [5, 0, 0, 9, 0, 3]
    assert listed_prices(frame, "").tolist() == [5, 0, 7, 9, 0, 3], "none was named: any will do"
    assert currency_of(frame.drop("currency")) == ""
    assert listed_prices(frame.drop("currency"), "").tolist() == [5, 0, 7, 9, 0, 3]
    assert listed_prices(frame.drop("price_micros"), "EUR").tolist() == [0] * 6
    assert currency_of(frame.clear()) == ""
