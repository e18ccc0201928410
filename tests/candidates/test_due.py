"""What is due again: by a shop whose people buy milk every week and bread every month."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from habitue.candidates.again import AgainConfig, AgainLearner, AgainSource
from habitue.candidates.due import Due
from habitue.facts import MS_PER_DAY, ActionKind, ActionLog, Owned
from habitue.portraits import Cycles, contexts_as_of
from habitue.slates.ledger import Ledger, LedgerTable
from tests.candidates.shop import BUY, facts_of, log_of, requests

MILK, BREAD, SHIRT, N_ITEMS = 0, 1, 2, 12


def weekly_shop() -> ActionLog:
    """Every shopper comes weekly: milk each time, bread each fourth, else something once."""
    rng = np.random.default_rng(4)
    rows = []
    for shopper in range(60):
        first = rng.uniform(0, 7)
        once = rng.permutation(np.arange(SHIRT, N_ITEMS)).tolist()
        for week in range(30):
            order, day = shopper * 100 + week, first + 7.0 * week
            rows.append((day, BUY, shopper, MILK, order))
            if week % 4 == 0:
                rows.append((day, BUY, shopper, BREAD, order))
            if once and week % 3 == 1:
                rows.append((day, BUY, shopper, once.pop(), order))
    return log_of(rows, n_items=N_ITEMS)


LEARNT = Due.of(weekly_shop(), np.full(N_ITEMS, -1, np.int32), np.random.default_rng(0))


def owned(item: int, count: float, age: float, gap: float) -> Owned:
    return Owned(
        np.array([0, 1]),
        np.array([item], np.int32),
        np.array([count], np.float32),
        np.array([age], np.float32),
        np.array([age + gap * (count - 1)], np.float32),
    )


def odds(due: Due, *args: float) -> float:
    return float(due.log_odds(owned(*args))[0])  # type: ignore[arg-type]


def test_bread_is_due_when_its_month_is_over_and_not_before() -> None:
    just, half, due = (odds(LEARNT, BREAD, 6, age, 28) for age in (7.0, 14.0, 28.0))
    assert just < due
    assert half < due
    assert due > 1.0  # likelier than not
    assert just < -1.0


def test_what_is_bought_once_by_all_is_not_due() -> None:
    assert odds(LEARNT, SHIRT, 1, 28, 0) < odds(LEARNT, MILK, 1, 7, 0)
    assert odds(LEARNT, SHIRT, 1, 28, 0) < -2.0


def test_before_anything_is_learnt_the_cycle_is_the_best_time() -> None:
    tent = Due.unlearnt(Cycles.told(np.array([8.0], np.float32), 30.0))
    found = [odds(tent, 0, 1, age, 0) for age in (1.0, 4.0, 8.0, 16.0, 64.0)]
    np.testing.assert_allclose(found, -np.log([8.0, 2.0, 1.0, 2.0, 8.0]), atol=1e-5)
    assert odds(tent, 0, 3, 8, 8) == pytest.approx(np.log(3), abs=1e-5)


def test_a_shop_with_too_few_returns_learns_no_hazard() -> None:
    few = log_of([(day, BUY, 0, 0, -1) for day in (0.0, 5.0, 10.0)])
    due = Due.of(few, np.full(1, -1, np.int32), np.random.default_rng(0))
    assert odds(due, 0, 3, 5, 5) > odds(due, 0, 3, 1, 5)
    assert len(due.item) == 0


def test_the_running_shop_and_the_log_say_the_same() -> None:
    """What is told one by one to a ledger is due as what is read off the log."""
    log = weekly_shop()
    now = int(log.at_ms[-1]) + 3 * MS_PER_DAY
    who = np.arange(log.n_shoppers, dtype=np.int32)
    read = contexts_as_of(log, who, np.full(len(who), now), surface="home", length=0).owned
    half = len(log) // 2
    ledger = Ledger(ActionKind.purchase, LedgerTable.of(log.take(slice(0, half)), ActionKind(BUY)))
    ledger.add(_columns(log.take(slice(half, len(log)))))
    expected = LEARNT.log_odds(read)
    for shopper in (0, 17, 59):
        held = ledger.of([shopper], now)
        live = Owned(
            np.array([0, len(held.item)]), held.item, held.count, held.age_days,
            held.first_age_days,
        )  # fmt: skip
        mine = slice(read.indptr[shopper], read.indptr[shopper + 1])
        np.testing.assert_allclose(LEARNT.log_odds(live), expected[mine], atol=1e-3)


def _columns(log: ActionLog):
    from habitue.store.contract import ActionColumns

    return ActionColumns(
        log.seq, log.at_ms, log.kind, log.shopper_row, log.item_row, log.price_micros, log.rating,
        np.zeros(len(log), np.bool_),
    )  # fmt: skip


def test_the_source_proposes_the_chance_and_comes_back_from_its_folder(tmp_path: Path) -> None:
    facts = facts_of(weekly_shop())
    source = AgainLearner(AgainConfig(fades="cycle")).fit(facts, np.random.default_rng(0))
    asked = requests([[]], owned=[[(MILK, 5.0, 7.0), (SHIRT, 1.0, 40.0)]])
    found = source.propose(asked, 3)
    assert found.item_row.tolist() == [[MILK, SHIRT, -1]]
    assert source.due is not None
    chance = 1 / (1 + np.exp(-source.due.log_odds(asked.owned)))
    np.testing.assert_allclose(found.score[0, :2], chance, rtol=1e-5)
    source.save(tmp_path / "again")
    back = AgainSource.load(tmp_path / "again").propose(asked, 3)
    np.testing.assert_array_equal(back.score, found.score)


def test_by_half_lives_it_is_orders_halved_with_age() -> None:
    config = AgainConfig(fades="half_life", half_life_days=10)
    source = AgainLearner(config).fit(facts_of(weekly_shop()), np.random.default_rng(0))
    asked = requests([[]], owned=[[(MILK, 4.0, 20.0), (BREAD, 3.0, 0.0)]])
    assert source.propose(asked, 2).item_row.tolist() == [[BREAD, MILK]]
    assert source.propose(asked, 2).score.tolist() == [[3.0, 1.0]]
