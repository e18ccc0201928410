"""A ledger says what each shopper owns, as the log does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.errors import SnapshotError
from habitue.facts import MS_PER_DAY, ActionKind, ActionLog
from habitue.portraits import contexts_as_of
from habitue.slates.ledger import Ledger, LedgerTable, RatingLedger
from habitue.slates.scanned import some_of
from habitue.store.contract import ActionColumns

N_SHOPPERS, N_ITEMS = 4, 6
PURCHASE, VIEW = ActionKind.purchase, ActionKind.view_item
Told = tuple[int, int, int, int, int]  # shopper, item, kind, day, order (-1: none)

TOLD = st.lists(
    st.tuples(
        st.integers(0, N_SHOPPERS - 1),
        st.integers(-1, N_ITEMS - 1),
        st.sampled_from([int(PURCHASE), int(VIEW)]),
        st.integers(0, 30),
        st.integers(-1, 3),
    ),
    max_size=25,
)


def make_log(told: list[Told]) -> ActionLog:
    told = sorted(told, key=lambda one: one[3])
    n = len(told)
    shopper, item, kind, day, order = np.array(told, np.int64).reshape(-1, 5).T
    return ActionLog(
        seq=np.arange(1, n + 1),
        at_ms=day * MS_PER_DAY,
        kind=kind.astype(np.uint8),
        shopper_row=shopper.astype(np.int32),
        item_row=item.astype(np.int32),
        order_row=np.where(kind == PURCHASE, order, -1).astype(np.int32),
        quantity=np.ones(n, np.float32),
        price_micros=np.zeros(n, np.int64),
        value_minor=np.zeros(n, np.int64),
        rating=np.full(n, np.nan, np.float32),
        n_shoppers=N_SHOPPERS,
        n_items=N_ITEMS,
    )


def columns_of(log: ActionLog) -> ActionColumns:
    return ActionColumns(
        log.seq, log.at_ms, log.kind, log.shopper_row, log.item_row, log.price_micros, log.rating,
        np.zeros(len(log), np.bool_),
    )  # fmt: skip


@given(TOLD)
def test_a_table_owns_what_a_context_of_the_past_owns(told: list[Told]) -> None:
    log = make_log(told)
    now_ms = 31 * MS_PER_DAY
    everyone = np.arange(N_SHOPPERS, dtype=np.int32)
    owned = contexts_as_of(
        log, everyone, np.full(N_SHOPPERS, now_ms), surface="home", length=5
    ).owned
    ledger = Ledger(PURCHASE, LedgerTable.of(log, PURCHASE))
    for shopper in range(N_SHOPPERS):
        since, until = owned.indptr[shopper], owned.indptr[shopper + 1]
        entries = ledger.of([shopper], now_ms)
        assert entries.item.tolist() == owned.item[since:until].tolist()
        assert entries.count.tolist() == owned.count[since:until].tolist()
        np.testing.assert_allclose(entries.age_days, owned.age_days[since:until], rtol=1e-6)
        first = owned.first_age_days[since:until]
        np.testing.assert_allclose(entries.first_age_days, first, rtol=1e-6)


@given(TOLD, st.integers(0, 25))
def test_told_later_or_written_down_before_is_the_same(told: list[Told], cut: int) -> None:
    log = make_log([(s, i, k, d, -1) for s, i, k, d, _ in told])  # orders apart: each counts
    before, after = log.take(slice(0, cut)), log.take(slice(cut, len(log)))
    whole = Ledger(PURCHASE, LedgerTable.of(log, PURCHASE))
    parted = Ledger(PURCHASE, LedgerTable.of(before, PURCHASE))
    parted.add(columns_of(after))
    for shoppers in ([0], [1], [2, 3], [3, 2, 1, 0]):
        a, b = whole.of(shoppers, 40 * MS_PER_DAY), parted.of(shoppers, 40 * MS_PER_DAY)
        assert a.item.tolist() == b.item.tolist()
        assert a.count.tolist() == b.count.tolist()
        np.testing.assert_allclose(a.age_days, b.age_days, rtol=1e-6)
        np.testing.assert_allclose(a.first_age_days, b.first_age_days, rtol=1e-6)


def test_two_lines_of_one_order_are_one_purchase() -> None:
    log = make_log([(0, 2, int(PURCHASE), 1, 0), (0, 2, int(PURCHASE), 1, 0)])
    assert LedgerTable.of(log, PURCHASE).count.tolist() == [1.0]


def test_a_table_comes_back_from_its_folder(tmp_path: Path) -> None:
    log = make_log([(1, 2, int(PURCHASE), 1, 0), (3, 0, int(PURCHASE), 4, 1)])
    LedgerTable.of(log, PURCHASE).save(tmp_path / "owned")
    entries = Ledger(PURCHASE, LedgerTable.load(tmp_path / "owned")).of([3], 5 * MS_PER_DAY)
    assert (entries.item.tolist(), entries.age_days.tolist()) == ([0], [1.0])
    with pytest.raises(SnapshotError, match="cannot be read"):
        LedgerTable.load(tmp_path / "nothing")


def test_the_forgotten_keep_nothing_told_since() -> None:
    ledger = Ledger(PURCHASE)
    ledger.add(columns_of(make_log([(0, 2, int(PURCHASE), 1, 0)])))
    ledger.forget(0)
    assert len(ledger.of([0], MS_PER_DAY).item) == 0


def test_thousands_told_since_are_each_found_again() -> None:
    """Against a plain dictionary, with people forgotten on the way."""
    rng = np.random.default_rng(2)
    ledger, known = Ledger(PURCHASE), dict[tuple[int, int], tuple[int, int]]()
    for turn in range(30):
        n = 400
        told = list(
            zip(
                rng.integers(0, 300, n).tolist(),
                rng.integers(0, 500, n).tolist(),
                [int(PURCHASE)] * n,
                rng.integers(0, 30, n).tolist(),
                [-1] * n,
                strict=True,
            )
        )
        ledger.add(columns_of(make_log(told)))
        for shopper, item, _, day, _ in told:
            count, last = known.get((shopper, item), (0, 0))
            known[shopper, item] = (count + 1, max(last, day))
        ledger.forget(turn * 7)
        known = {pair: held for pair, held in known.items() if pair[0] != turn * 7}
    for shopper in range(310):
        entries = ledger.of([shopper], 30 * MS_PER_DAY)
        mine = sorted((item, *held) for (who, item), held in known.items() if who == shopper)
        assert entries.item.tolist() == [item for item, _, _ in mine]
        assert entries.count.tolist() == [count for _, count, _ in mine]
        assert entries.age_days.tolist() == [30 - last for _, _, last in mine]
    assert ledger.held_bytes() < 60 * 12_000


def test_who_refused_nothing_costs_next_to_nothing() -> None:
    ledger = Ledger(ActionKind.not_interested)
    ledger.add(columns_of(make_log([(3, 2, int(PURCHASE), 1, 0)])))
    assert ledger.held_bytes() < 10_000


RATED = st.lists(
    st.tuples(
        st.integers(0, N_SHOPPERS - 1),
        st.integers(-1, N_ITEMS - 1),
        st.integers(0, 30),  # day
        st.one_of(st.none(), st.integers(1, 5)),
    ),
    max_size=30,
)


@given(RATED, RATED)
def test_ratings_told_live_are_those_of_the_log(first, second) -> None:
    """In two batches, the second of whenever; of an item the last rating counts."""
    told = [(*one, seq) for seq, one in enumerate([*first, *second])]
    log = make_log([(s, i, int(VIEW), day, -1) for s, i, day, _, _ in told])
    order = sorted(range(len(told)), key=lambda x: told[x][2])
    rating = np.array([np.nan if told[x][3] is None else told[x][3] for x in order], np.float32)
    log = replace(log, rating=rating)
    ledger = RatingLedger()
    batch = columns_of(log)
    early = np.isin(np.array(order), np.arange(len(first)))
    for which in (early, ~early):
        ledger.add(some_of(batch, which))
    shoppers = np.arange(N_SHOPPERS, dtype=np.int32)
    now = 31 * MS_PER_DAY
    asked = contexts_as_of(log, shoppers, np.full(N_SHOPPERS, now), surface="home", length=3)
    for shopper in range(N_SHOPPERS):
        mine: dict[int, tuple[int, set]] = {}
        for s, i, day, r, _ in told:
            if s == shopper and i >= 0 and r is not None:
                last, rated = mine.get(i, (-1, set()))
                mine[i] = (
                    (day, {r}) if day > last else (last, rated | {r} if day == last else rated)
                )
        for found in (
            ledger.of([shopper], now),
            None if asked.rated is None else asked.rated.take(np.array([shopper])),
        ):
            items = [] if found is None else found.item.tolist()
            assert sorted(items) == sorted(mine)
            for x, item in enumerate(items):
                assert found.rating[x] in mine[item][1]
                assert found.age_days[x] == pytest.approx(31 - mine[item][0])


def test_what_a_forgotten_shopper_rated_is_gone() -> None:
    ledger = RatingLedger()
    log = replace(make_log([(1, 2, int(VIEW), 3, -1)]), rating=np.array([4.0], np.float32))
    ledger.add(columns_of(log))
    assert ledger.of([1], 31 * MS_PER_DAY) is not None
    assert ledger.of([1], 3 * MS_PER_DAY) is None or not len(ledger.of([1], 3 * MS_PER_DAY).item)
    ledger.forget(1)
    assert ledger.of([1], 31 * MS_PER_DAY) is None
