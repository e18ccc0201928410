"""Properties of fact stores: any sequence of batches against a model, and many writers at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from habitue.errors import BadInput
from habitue.facts import NAMES, Action, Item
from habitue.store import appending, sql_store
from habitue.store.bulk import slices
from habitue.store.contract import Appended
from habitue.store.sql_store import SqlFactStore
from habitue.store.sqlite import SqliteFactStore
from tests.store.emptied import emptied, new_sqlite

NOON = 1_700_000_000_000
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlFactStore]:
    if request.param == "sqlite":
        opened: SqlFactStore = new_sqlite(tmp_path / "shop.db")
    else:
        opened = emptied(request.getfixturevalue("postgres_dsn"))
    yield opened
    opened.close()


@dataclass
class Model:
    """What a fact store is, in a few lines of plain Python: the stores are held to it."""

    held: dict[str, Action] = field(default_factory=dict)

    def append(self, batch: list[Action]) -> tuple[int, int, list[tuple[int, str]]]:
        verdicts: list[str] = []
        fresh: dict[str, Action] = {}
        for action in batch:
            assert action.id is not None
            known = self.held.get(action.id) or fresh.get(action.id)
            if known is None:
                fresh[action.id] = action
            verdicts.append("new" if known is None else "same" if known == action else "conflict")
        broken = {a.order_id for a, v in zip(batch, verdicts, strict=True) if v == "conflict"} - {
            None
        }
        for row, action in enumerate(batch):
            if action.order_id in broken and verdicts[row] != "conflict":
                if verdicts[row] == "new":
                    assert action.id is not None
                    del fresh[action.id]
                verdicts[row] = "order_incomplete"
        self.held |= fresh
        refused = [(row, v) for row, v in enumerate(verdicts) if v not in ("new", "same")]
        return verdicts.count("new"), verdicts.count("same"), refused


ACTIONS = st.builds(
    Action,
    kind=st.sampled_from(["purchase", "view_item"]),
    shopper=st.sampled_from(["ana", "bob", "eve"]),
    item=st.sampled_from(["cup", "pot"]),
    id=st.sampled_from([f"id-{n}" for n in range(8)]),
    at=st.just(NOON),
    order_id=st.sampled_from([None, None, "o1", "o2"]),
    price_micros=st.sampled_from([None, 5]),
    rating=st.sampled_from([None, 0.1]),
    query=st.sampled_from([None, "tea"]),
)


@pytest.mark.parametrize("worthwhile", [3, 100])
@settings(max_examples=30, suppress_health_check=SHARED)
@given(groups=st.lists(st.lists(st.lists(ACTIONS, max_size=6), min_size=1, max_size=3), max_size=4))
def test_any_sequence_of_commits_ends_as_in_the_model(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    worthwhile: int,
    groups: list[list[list[Action]]],
) -> None:
    monkeypatch.setattr(appending, "_WORTHWHILE", worthwhile)
    store = new_sqlite(tmp_path_factory.mktemp("s") / "shop.db")
    model = Model()
    try:
        for group in groups:
            told = store.append_many([store.prepare(one, received_at_ms=NOON) for one in group])
            for batch, appended in zip(group, told, strict=True):
                check_told(appended, *model.append(batch))
        check_held(store, model)
    finally:
        store.close()


def check_told(
    appended: Appended, new: int, duplicate: int, refused: list[tuple[int, str]]
) -> None:
    assert (appended.new, appended.duplicate) == (new, duplicate)
    assert [(r.row, r.problem) for r in appended.rejected] == refused
    assert len(appended.actions) == new


def check_held(store: SqlFactStore, model: Model) -> None:
    rows = [row for table in store.scan("action") for row in table.to_pylist()]
    shoppers, items = store.shopper_ids(), store.item_ids()
    held = {
        row["id"]: (
            NAMES[row["kind"]], shoppers[row["shopper_row"]], items[row["item_row"]],
            row["order_id"], row["price_micros"], row["query"],
        )
        for row in rows
    }  # fmt: skip
    assert len(rows) == len(held)
    assert held == {
        i: (a.kind, a.shopper, a.item, a.order_id, a.price_micros, a.query)
        for i, a in model.held.items()
    }
    seqs = [row["seq"] for row in rows]
    assert seqs == sorted(set(seqs))
    assert store.stored().facts["action"] == len(rows)


@settings(max_examples=20, suppress_health_check=SHARED)
@given(batch=st.lists(ACTIONS, min_size=1, max_size=12))
def test_a_table_of_actions_is_told_as_the_same_actions_are(
    tmp_path_factory: pytest.TempPathFactory, batch: list[Action]
) -> None:
    """Columns and structs are two doors to one store."""
    folder = tmp_path_factory.mktemp("s")
    by_struct, by_column = new_sqlite(folder / "a.db"), new_sqlite(folder / "b.db")
    names = ("kind", "shopper", "item", "id", "at", "order_id", "price_micros", "rating", "query")
    types = {"at": pa.int64(), "price_micros": pa.int64(), "rating": pa.float64()}
    table = pa.table(
        {n: pa.array([getattr(a, n) for a in batch], types.get(n, pa.string())) for n in names}
    )
    try:
        told = by_struct.append(batch, received_at_ms=NOON)
        bulk = by_column.append_columns(table, received_at_ms=NOON)
        assert (told.new, told.duplicate, told.rejected) == (
            bulk.new, bulk.duplicate, bulk.rejected,
        )  # fmt: skip
        assert rows_of(by_struct) == rows_of(by_column)
        again = by_struct.append_columns(table, received_at_ms=NOON + 1)
        assert again.new == 0
    finally:
        by_struct.close()
        by_column.close()


def rows_of(store: SqlFactStore) -> list[dict[str, object]]:
    return [row for table in store.scan("action") for row in table.to_pylist()]


@given(
    orders=st.lists(st.sampled_from([None, "a", "b", "c", "d"]), max_size=30),
    size=st.integers(1, 9),
)
def test_a_long_table_is_cut_between_orders(orders: list[str | None], size: int) -> None:
    table = pa.table({"order_id": pa.array(orders, pa.string()), "n": range(len(orders))})
    parts = slices(table, size)
    assert [n for _, part in parts for n in part["n"].to_pylist()] == list(range(len(orders)))
    assert [since for since, part in parts if len(part)] == [
        part["n"][0].as_py() for _, part in parts if len(part)
    ]
    held = [set(part["order_id"].to_pylist()) - {None} for _, part in parts]
    assert sum(map(len, held)) == len(set().union(*held))  # each order stands in one part
    if not any(orders):
        assert all(len(part) <= size for _, part in parts)


def test_a_table_stored_in_several_commits_is_told_as_one(
    store: SqlFactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_store, "_COMMIT_ROWS", 2)
    table = pa.table(
        {
            "kind": ["view_item", "dance", "purchase", "purchase", "dance", "view_item"],
            "shopper": ["ana", "ana", "bob", "bob", "ana", "eve"],
            "item": ["cup", "cup", "pot", "jug", "cup", "cup"],
            "order_id": [None, None, "o1", "o1", None, None],
        }
    )
    told = store.append_columns(table, received_at_ms=NOON)
    assert (told.new, [r.row for r in told.rejected]) == (4, [1, 4])
    assert told.new_items == ("cup", "pot", "jug")
    assert told.actions.shopper_row.tolist() == [0, 1, 1, 2]
    assert told.last_seq == store.stored().seq


def test_a_wrong_row_of_a_table_is_told_by_its_place(store: SqlFactStore) -> None:
    table = pa.table(
        {
            "kind": ["view_item", "dance", "login", "purchase", "view_item", "purchase", "login"],
            "shopper": ["ana", "ana", None, "bob", "ana\0", "bob", "eve"],
            "item": ["cup", "cup", None, None, "cup", "pot", None],
            "id": ["0", "1", "2", "3", "4", "5", "6"],
            "order_id": [None, None, None, "o1", None, "o1", ""],
            "rating": [float("nan"), None, None, None, None, None, 4.0],
        }
    )
    told = store.append_columns(table, received_at_ms=NOON)
    assert [(r.row, r.id, r.problem, r.field) for r in told.rejected] == [
        (1, "1", "invalid", "kind"),
        (2, "2", "invalid", "shopper"),
        (3, "3", "invalid", "item"),
        (4, "4", "invalid", None),
        (5, "5", "order_incomplete", "order_id"),
    ]
    assert told.new == 2
    assert [(r["id"], r["rating"], r["order_id"]) for r in rows_of(store)] == [
        ("0", None, None),
        ("6", 4.0, None),
    ]
    with pytest.raises(BadInput, match="'colour'"):
        store.append_columns(table.append_column("colour", table["id"]), received_at_ms=NOON)
    with pytest.raises(BadInput, match="'shopper'"):
        store.append_columns(table.drop_columns("shopper"), received_at_ms=NOON)


def test_batches_of_one_commit_may_say_different_things(
    store: SqlFactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are prepared by their callers, some with their neighbours, one holds a wrong row."""
    monkeypatch.setattr(appending, "_WORTHWHILE", 2)
    batches = [
        [Action(kind="login", shopper="ana", id="0"), view("bob", "cup", "1")],
        [Action(kind="view_item", shopper="eve", item="pot", id="2", at=5, rating=4)],
        [Action(kind="search", shopper="ana", id="3", at=6, query="tea")],
        [view("bob", "jug", "4"), Action(kind="dance", shopper="bob", id="5")],
        [Item(id="hat"), view("ana", "cup", "6")],
        [Action(kind="login", shopper="eve", at=7, extra={"a": 1}), view("eve", "cup", "0")],
    ]
    ready = [store.prepare(b, received_at_ms=NOON + n) for n, b in enumerate(batches)]
    assert [batch.columns is not None for batch in ready] == [True, *[False] * 4, True]
    told = store.append_many(ready)
    assert [(t.new, [(r.row, r.problem) for r in t.rejected]) for t in told] == [
        (2, []),
        (1, []),
        (1, []),
        (1, [(1, "invalid")]),
        (2, []),
        (1, [(1, "conflict")]),
    ]
    names = ("at_ms", "received_at_ms", "rating", "query", "extra")
    shoppers = store.shopper_ids()
    rows = [
        (row["id"], shoppers[row["shopper_row"]], *(row[name] for name in names))  # type: ignore[call-overload]
        for row in rows_of(store)
    ]
    assert [row if row[0] in "012346" else ("made up", *row[1:]) for row in rows] == [
        ("0", "ana", NOON, NOON, None, None, None),
        ("1", "bob", NOON, NOON, None, None, None),
        ("2", "eve", 5, NOON + 1, 4.0, None, None),
        ("3", "ana", 6, NOON + 2, None, "tea", None),
        ("4", "bob", NOON + 3, NOON + 3, None, None, None),
        ("6", "ana", NOON + 4, NOON + 4, None, None, None),
        ("made up", "eve", 7, NOON + 5, None, None, '{"a":1}'),
    ]
    again = store.append_many([store.prepare(batches[0], received_at_ms=NOON + 9)])
    assert (again[0].new, again[0].duplicate) == (0, 2)  # a time not said is no difference


@pytest.mark.parametrize("n", [1, 49, 799, 800, 1_651])
def test_a_batch_of_any_length_comes_back_as_it_was_sent(store: SqlFactStore, n: int) -> None:
    """Some fields say the same of every action, some differ, some are said now and then."""
    batch = [
        Action(
            kind="view_item",
            shopper=f"s{k % 7}",
            item=None if n == 1 else f"i{k % 3}",
            id=f"{k:05}",
            at=NOON + k,
            currency="EUR",
            quantity=1,
            slot=k % 2,
            query="" if k % 5 else "tea",
            session_id=None if k % 3 else f"session {k}",
            platform="",
            seconds=0.0,
        )
        for k in range(n)
    ]
    if n == 1:
        batch = [msgspec.structs.replace(batch[0], kind="login")]
    told = store.append(batch, received_at_ms=NOON)
    assert (told.new, told.rejected) == (n, ())
    names = ("id", "at_ms", "currency", "quantity", "slot", "query", "session_id", "platform")
    assert [tuple(row[name] for name in (*names, "seconds")) for row in rows_of(store)] == [
        (
            f"{k:05}", NOON + k, "EUR", 1.0, k % 2, None if k % 5 else "tea",
            None if k % 3 else f"session {k}", None, 0.0,
        )
        for k in range(n)
    ]  # fmt: skip
    again = store.append([*batch[1:], batch[0]], received_at_ms=NOON + 1)
    assert (again.new, again.duplicate) == (0, n)


def view(shopper: str, item: str, fact_id: str) -> Action:
    return Action(kind="view_item", shopper=shopper, item=item, id=fact_id)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_many_writers_get_one_order_and_readers_never_see_a_hole(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Stores of their own stand for processes: rows and seqs are agreed on in the database."""

    def opened() -> SqlFactStore:
        if kind == "sqlite":
            return SqliteFactStore(tmp_path / "shop.db", wait_seconds=60)
        from habitue.store.postgres import PostgresFactStore

        return PostgresFactStore(request.getfixturevalue("postgres_dsn"), wait_seconds=60)

    if kind == "postgres":
        emptied(request.getfixturevalue("postgres_dsn")).close()
    stores = [opened() for _ in range(4)]
    reader, seen, done = opened(), [0], threading.Event()

    def write(k: int) -> None:
        for n in range(15):
            facts = [
                Action(
                    kind="view_item", shopper=f"s{(n + k) % 7}", item=f"i{n}-{j}", id=f"{k}/{n}/{j}"
                )
                for j in range(5)
            ]
            stores[k].append(facts, received_at_ms=NOON)

    def read() -> None:
        """Read on from the last seq seen: what commits later must stand behind it."""
        while True:
            last_round = done.is_set()
            for table in reader.scan("action", since_seq=seen[-1], columns=["seq"]):
                seen.extend(table["seq"].to_pylist())
            if last_round:
                return

    threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    reading = threading.Thread(target=read)
    for thread in (*threads, reading):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reading.join()
    assert len(seen) - 1 == 4 * 15 * 5
    assert seen == sorted(set(seen))
    shoppers, items = reader.shopper_ids(), reader.item_ids()
    assert sorted(filter(None, shoppers)) == [f"s{n}" for n in range(7)]
    assert len(items) == len(set(items)) == 75
    for row in rows_of(reader):
        k, n, j = str(row["id"]).split("/")
        assert shoppers[row["shopper_row"]] == f"s{(int(n) + int(k)) % 7}"  # type: ignore[call-overload]
        assert items[row["item_row"]] == f"i{n}-{j}"  # type: ignore[call-overload]
    for one in (*stores, reader):
        one.close()
