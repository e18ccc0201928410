"""What every fact store keeps to: one suite, run on each.

A subclass gives the fixture ``store``, an empty store; everything else goes through the contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from habitue.errors import BadInput, NotFound
from habitue.facts import (
    NO_ROW,
    Action,
    ActionKind,
    Alias,
    Consent,
    Fact,
    Item,
    Link,
    Shopper,
    Shown,
)
from habitue.store.contract import Appended, FactStore

NOON = 1_700_000_000_000


def view(shopper: str, item: str, fact_id: str | None = None, **more: Any) -> Action:
    return Action(kind="view_item", shopper=shopper, item=item, id=fact_id, **more)


def order(shopper: str, order_id: str, *items: str) -> list[Action]:
    return [
        Action(
            kind="purchase",
            shopper=shopper,
            item=item,
            id=f"{order_id}/{line}",
            order_id=order_id,
            quantity=2,
            price_micros=1_500_000,
            value_minor=300,
            currency="EUR",
        )
        for line, item in enumerate(items)
    ]


def slate(slate_id: str, shopper: str | None, *items: str) -> Shown:
    n = len(items)
    return Shown(
        id=slate_id,
        at=NOON,
        shopper=shopper,
        surface="home",
        snapshot="s1",
        arm="a",
        items=list(items),
        scores=[0.5] * n,
        propensities=[1.0] * n,
        sources=["popular"] * n,
    )


def told(appended: Appended) -> tuple[int, int, int]:
    return appended.new, appended.duplicate, appended.conflict


def column(store: FactStore, kind: Any, name: str, **window: int) -> list[Any]:
    tables = store.scan(kind, columns=[name], **window)  # type: ignore[arg-type]
    return [value for table in tables for value in table[name].to_pylist()]


class FactStoreContract:
    """Idempotent, whole orders, dense rows, one order of ``seq``; identity, consent, erasure."""

    @pytest.fixture
    def store(self) -> FactStore:
        raise AssertionError("give an empty store")

    def append(self, store: FactStore, *facts: Fact, at: int = NOON) -> Appended:
        return store.append(facts, received_at_ms=at)

    # -- what is stored comes back ------------------------------------------------------------

    def test_every_field_of_an_action_comes_back_as_it_was_sent(self, store: FactStore) -> None:
        sent = Action(
            kind="review", shopper="ana", id="r1", at=NOON - 5, item="cup", quantity=1.5,
            price_micros=10**15, value_minor=-7, currency="EUR", order_id="o\t1", surface="item",
            slate_id="s1", slot=3, session_id="x", platform="web", device="phone", locale="de",
            query="a\\b\n'c'", rating=4.5, text="很好\r\n\\N", seconds=0.25, score=-1e-9,
            coupon="", extra={"b": 1, "a": None},
        )  # fmt: skip
        assert told(self.append(store, sent)) == (1, 0, 0)
        (row,) = [row for table in store.scan("action") for row in table.to_pylist()]
        assert row.pop("seq") == 1
        assert row == {
            "id": "r1", "at_ms": NOON - 5, "received_at_ms": NOON, "kind": 31, "shopper_row": 0,
            "item_row": 0, "quantity": 1.5, "price_micros": 10**15, "value_minor": -7,
            "currency": "EUR", "order_id": "o\t1", "surface": "item", "slate_id": "s1", "slot": 3,
            "session_id": "x", "platform": "web", "device": "phone", "locale": "de",
            "query": "a\\b\n'c'", "rating": 4.5, "text": "很好\r\n\\N", "seconds": 0.25,
            "score": float(np.float32(-1e-9)), "coupon": None, "extra": '{"a":null,"b":1}',
        }  # fmt: skip

    def test_what_was_not_said_is_null_beside_what_was(self, store: FactStore) -> None:
        self.append(
            store,
            view("ana", "cup", "1", surface="home", price_micros=5),
            Action(kind="search", shopper="ana", id="2", query="cups"),
        )
        assert column(store, "action", "surface") == ["home", None]
        assert column(store, "action", "price_micros") == [5, None]
        assert column(store, "action", "item_row") == [0, NO_ROW]

    def test_a_fact_without_a_time_happened_when_it_arrived(self, store: FactStore) -> None:
        late = datetime(2023, 11, 14, 22, 13, 19, tzinfo=UTC)
        self.append(store, view("ana", "cup", "1"), view("ana", "cup", "2", at=late))
        assert column(store, "action", "at_ms") == [NOON, NOON - 1000]

    def test_facts_without_an_id_get_ids_that_sort_by_time(self, store: FactStore) -> None:
        for at in range(3):
            self.append(store, view("ana", "cup"), view("ana", "cup"), at=NOON + at)
        ids = column(store, "action", "id")
        assert len(set(ids)) == 6
        assert ids == sorted(ids)

    # -- idempotency --------------------------------------------------------------------------

    def test_the_same_id_with_the_same_body_is_stored_once(self, store: FactStore) -> None:
        facts = [view("ana", "cup", "1", at=NOON - 9), view("ana", "pot", "2")]
        assert told(self.append(store, *facts)) == (2, 0, 0)
        assert told(self.append(store, *facts, at=NOON + 60_000)) == (0, 2, 0)
        assert told(self.append(store, *facts[:1], *facts[:1])) == (0, 2, 0)
        assert store.stored().facts["action"] == 2

    def test_the_same_id_with_another_body_is_a_conflict_told_by_row(
        self, store: FactStore
    ) -> None:
        self.append(store, view("ana", "cup", "1", at=NOON))
        changed = [
            view("ana", "pot", "1", at=NOON),
            view("bob", "cup", "1", at=NOON),
            view("ana", "cup", "1", at=NOON + 1),
            view("ana", "cup", "1", at=NOON, rating=1.0),
        ]
        for other in changed:
            appended = self.append(store, view("ana", "cup"), other)
            assert told(appended) == (1, 0, 1)
            assert [(r.row, r.id, r.problem) for r in appended.rejected] == [(1, "1", "conflict")]
        assert store.stored().facts["action"] == 1 + len(changed)

    def test_within_a_batch_the_first_of_an_id_counts(self, store: FactStore) -> None:
        appended = self.append(
            store, view("ana", "cup", "1"), view("ana", "cup", "1"), view("ana", "pot", "1")
        )
        assert told(appended) == (1, 1, 1)
        assert column(store, "action", "item_row") == [0]

    def test_uuids_in_another_spelling_are_other_ids(self, store: FactStore) -> None:
        lower = "018bcfe5-6800-7000-8000-00000000abcd"
        spellings = [lower, lower.upper(), lower.replace("-", ""), lower[:-1], "x" * 36, "é" * 36]
        assert told(self.append(store, *(view("ana", "cup", s) for s in spellings))) == (6, 0, 0)
        assert column(store, "action", "id") == spellings

    def test_a_newcomer_beside_a_conflict_is_stored(self, store: FactStore) -> None:
        self.append(store, view("ana", "cup", "1"))
        appended = self.append(store, view("ana", "pot", "1"), view("eve", "jug", "2"))
        assert told(appended) == (1, 0, 1)
        assert appended.actions.shopper_row.tolist() == [1]

    # -- orders -------------------------------------------------------------------------------

    def test_an_order_is_stored_whole(self, store: FactStore) -> None:
        lines = order("ana", "o1", "cup", "pot", "jug")
        assert told(self.append(store, *lines)) == (3, 0, 0)
        assert column(store, "action", "order_id") == ["o1"] * 3

    def test_an_order_with_a_wrong_line_is_not_stored_but_its_neighbours_are(
        self, store: FactStore
    ) -> None:
        wrong = Action(kind="purchase", shopper="ana", id="w", order_id="o1")  # names no item
        appended = self.append(store, *order("ana", "o1", "cup"), wrong, *order("bob", "o2", "pot"))
        assert told(appended) == (1, 0, 0)
        assert [(r.row, r.problem, r.field) for r in appended.rejected] == [
            (0, "order_incomplete", "order_id"),
            (1, "invalid", "item"),
        ]
        assert column(store, "action", "order_id") == ["o2"]

    def test_an_order_with_a_line_in_conflict_is_not_stored(self, store: FactStore) -> None:
        self.append(store, view("ana", "cup", "o1/1"))
        appended = self.append(store, *order("ana", "o1", "cup", "pot"), view("ana", "jug"))
        assert told(appended) == (1, 0, 1)
        assert [(r.row, r.problem) for r in appended.rejected] == [
            (0, "order_incomplete"),
            (1, "conflict"),
        ]
        assert store.stored().facts["action"] == 2

    def test_lines_that_come_later_complete_an_order(self, store: FactStore) -> None:
        lines = order("ana", "o1", "cup", "pot", "jug")
        self.append(store, *lines[:2])
        assert told(self.append(store, *lines)) == (1, 2, 0)

    # -- what cannot be stored ----------------------------------------------------------------

    @pytest.mark.parametrize(
        ("fact", "field"),
        [
            (Action(kind="dance", shopper="ana"), "kind"),
            (Action(kind="add_to_cart", shopper="ana"), "item"),
            (Action(kind="login", shopper=""), "shopper"),
            (Action(kind="login", shopper="a\0b"), None),
            (Action(kind="login", shopper="a\ud800"), None),
            (view("ana", "cup", rating=float("nan")), "rating"),
            (view("ana", "cup", price_micros=10**19), "price_micros"),
            (view("ana", "cup", at=10**17), None),
            (view("ana", "cup", slot=1.5), "slot"),
            (Item(id="cup", title="\0"), None),
        ],
    )
    def test_a_wrong_fact_is_told_and_the_good_ones_beside_it_are_stored(
        self, store: FactStore, fact: Fact, field: str | None
    ) -> None:
        appended = self.append(store, view("ana", "cup", "1"), fact, view("bob", "pot", "2"))
        assert told(appended) == (2, 0, 0)
        assert [(r.row, r.problem, r.field) for r in appended.rejected] == [(1, "invalid", field)]
        assert appended.rejected[0].message
        assert column(store, "action", "id") == ["1", "2"]

    def test_nothing_is_a_batch_too(self, store: FactStore) -> None:
        appended = self.append(store)
        assert told(appended) == (0, 0, 0)
        assert appended.last_seq == store.stored().seq

    # -- seq, rows and what live state is told ------------------------------------------------

    def test_rows_are_handed_out_in_order_of_first_appearance(self, store: FactStore) -> None:
        self.append(store, Item(id="pot"), view("bob", "cup"), Shopper(id="ana"), Item(id="jug"))
        self.append(store, view("ana", "jug"), view("eve", "pan"), view("bob", "pot"))
        assert store.item_ids() == ["pot", "cup", "jug", "pan"]
        assert store.shopper_ids() == ["bob", "ana", "eve"]
        assert store.item_ids(2) == ["jug", "pan"]
        asked = np.array([2, NO_ROW, 0, 2], np.int32)
        assert store.ids_of_shoppers(asked) == ["eve", None, "bob", "eve"]
        assert store.item_rows(["pan", "nobody", "pot"]).tolist() == [3, NO_ROW, 0]
        assert store.shopper_rows(["eve", "nobody", "bob"]).tolist() == [2, NO_ROW, 0]
        stored = store.stored()
        assert (stored.n_items, stored.n_shoppers) == (4, 3)

    def test_seq_is_one_space_over_all_kinds_and_grows_by_commit(self, store: FactStore) -> None:
        seqs: list[list[int]] = []
        for step in range(3):
            before = store.stored().seq
            facts = [view("ana", "cup"), Item(id="cup", title=str(step)), Consent(shopper="ana")]
            after = self.append(store, *facts, at=NOON + step).last_seq
            seqs.append(
                sorted(
                    seq
                    for kind in ("action", "item", "consent")
                    for seq in column(store, kind, "seq", since_seq=before)
                )
            )
            assert all(before < seq <= after for seq in seqs[-1])
        assert [len(s) for s in seqs] == [3, 2, 2]  # the same consent again is a duplicate
        flat = [seq for s in seqs for seq in s]
        assert len(set(flat)) == len(flat)

    def test_the_new_actions_are_told_as_columns(self, store: FactStore) -> None:
        self.append(store, Shopper(id="bob"), view("ana", "cup", "1"))
        actions = self.append(
            store,
            view("ana", "cup", "1"),
            view("bob", "pot", "2", at=NOON - 1, price_micros=7, rating=3.0, quantity=2.0),
            view("bob", "cup", "3"),
            Action(kind="login", shopper="eve", id="4"),
        ).actions
        assert actions.shopper_row.tolist() == [0, 0, 2]
        assert actions.item_row.tolist() == [1, 0, NO_ROW]
        assert actions.kind.tolist() == [ActionKind.view_item] * 2 + [ActionKind.login]
        assert actions.at_ms.tolist() == [NOON - 1, NOON, NOON]
        assert actions.price_micros.tolist() == [7, 0, 0]
        assert actions.quantity.tolist() == [2, 1, 1]
        assert np.isnan(actions.rating).tolist() == [False, True, True]
        assert actions.new_shopper.tolist() == [True, False, True]
        assert actions.seq.tolist() == column(store, "action", "seq")[1:]

    def test_a_scan_has_a_since_an_until_and_only_the_columns_asked_for(
        self, store: FactStore
    ) -> None:
        for n in range(5):
            self.append(store, view("ana", "cup", str(n)))
        tables = list(store.scan("action", since_seq=1, until_seq=4, columns=["id", "seq"]))
        assert [table.column_names for table in tables] == [["id", "seq"]]
        assert tables[0]["id"].to_pylist() == ["1", "2", "3"]
        assert list(store.scan("action", since_seq=5)) == []
        with pytest.raises(BadInput, match="no column 'price'"):
            list(store.scan("action", columns=["price"]))

    def test_history_is_the_last_item_actions_by_time(self, store: FactStore) -> None:
        self.append(store, view("ana", "cup", "1", at=NOON + 3), view("bob", "cup", "2"))
        self.append(store, view("ana", "pot", "3", at=NOON + 9), view("ana", "jug", "4", at=NOON))
        self.append(store, Action(kind="login", shopper="ana", at=NOON + 99))
        self.append(store, view("ana", "pan", "5", at=NOON + 9))  # the same time, stored later
        assert store.history(0, 3)["id"].to_pylist() == ["5", "3", "1"]
        assert store.history(7, 3).num_rows == 0
        history = store.history(0, 9)
        assert store.recent(0, 9) == list(
            zip(
                *(history[c].to_pylist() for c in ("seq", "at_ms", "kind", "item_row")), strict=True
            )
        )

    # -- versions, ties, slates ---------------------------------------------------------------

    def test_items_are_versioned_and_the_same_version_is_stored_once(
        self, store: FactStore
    ) -> None:
        first, second = Item(id="cup", title="Cup"), Item(id="cup", title="Cup, blue")
        assert told(self.append(store, first, first)) == (1, 1, 0)
        assert told(self.append(store, second, at=NOON + 1)) == (1, 0, 0)
        assert told(self.append(store, first, at=NOON + 2)) == (1, 0, 0)  # changed back
        dated = Item(id="cup", title="Cup", valid_from=NOON - 50, deleted=True)
        assert told(self.append(store, dated, dated)) == (1, 1, 0)
        assert told(self.append(store, dated, at=NOON + 3)) == (0, 1, 0)
        assert column(store, "item", "valid_from_ms") == [NOON, NOON + 1, NOON + 2, NOON - 50]
        assert column(store, "item", "deleted") == [False, False, False, True]
        assert column(store, "item", "id") == ["cup"] * 4

    def test_links_consents_and_shoppers_come_back(self, store: FactStore) -> None:
        facts = [
            Link(kind="friend", head="ana", tail="bob", weight=0.5),
            Link(kind="knowledge", head="cup", relation="goes_with", tail="pot"),
            Consent(shopper="ana", granted=["messages"], denied=["research"]),
            Shopper(id="ana", country="DE"),
        ]
        assert told(self.append(store, *facts)) == (4, 0, 0)
        assert told(self.append(store, *facts, at=NOON + 1)) == (0, 4, 0)
        assert column(store, "link", "head") == ["ana", "cup"]
        assert column(store, "link", "tail") == ["bob", "pot"]
        assert column(store, "link", "tail_row") == [1, NO_ROW]
        assert column(store, "link", "weight") == [0.5, 1.0]
        assert column(store, "consent", "granted") == ['["messages"]']
        assert column(store, "consent", "denied") == ['["research"]']
        assert '"country":"DE"' in column(store, "shopper", "body")[0]

    def test_a_slate_is_stored_once_and_another_under_its_id_is_a_conflict(
        self, store: FactStore
    ) -> None:
        assert told(self.append(store, slate("s1", "ana", "cup"), slate("s2", None, "cup"))) == (
            2, 0, 0,
        )  # fmt: skip
        appended = self.append(store, slate("s1", "ana", "cup"), slate("s1", "ana", "pot"))
        assert told(appended) == (0, 1, 1)
        assert column(store, "shown", "shopper_row") == [0, NO_ROW]
        assert column(store, "shown", "body")[0] == '[["cup"],[0.5],[1.0],["popular"],[]]'

    # -- identity -----------------------------------------------------------------------------

    def test_an_alias_is_resolved_when_read_and_can_be_undone(self, store: FactStore) -> None:
        self.append(store, view("ana", "cup"), view("cookie", "pot"), view("phone", "jug"))
        self.append(store, Alias(shopper="cookie", alias="phone"))
        self.append(store, Alias(shopper="ana", alias="cookie"))
        assert store.shopper_rows(["ana", "cookie", "phone"]).tolist() == [0, 0, 0]
        assert store.canonical_shoppers().tolist() == [0, 0, 0]
        assert column(store, "action", "shopper_row") == [0, 1, 2]  # facts stay as they were
        self.append(store, Alias(shopper="ana", alias="cookie", undo=True))
        assert store.shopper_rows(["ana", "cookie", "phone"]).tolist() == [0, 1, 1]
        assert store.canonical_shoppers().tolist() == [0, 1, 1]

    @pytest.mark.parametrize(
        "ring",
        [
            [Alias(shopper="ana", alias="ana")],
            [Alias(shopper="ana", alias="bob"), Alias(shopper="bob", alias="ana")],
            [
                Alias(shopper="ana", alias="bob"),
                Alias(shopper="bob", alias="eve"),
                Alias(shopper="eve", alias="ana"),
            ],
        ],
    )
    def test_aliases_that_form_a_ring_are_refused(
        self, store: FactStore, ring: Sequence[Alias]
    ) -> None:
        appended = self.append(store, *ring)
        assert [(r.row, r.problem) for r in appended.rejected] == [(len(ring) - 1, "invalid")]
        assert store.shopper_rows(["ana"]).tolist() == [0]

    def test_an_alias_has_one_shopper(self, store: FactStore) -> None:
        self.append(store, Alias(shopper="ana", alias="cookie"))
        assert told(self.append(store, Alias(shopper="ana", alias="cookie"))) == (0, 1, 0)
        assert len(self.append(store, Alias(shopper="bob", alias="cookie")).rejected) == 1
        undo = Alias(shopper="bob", alias="cookie", undo=True)
        assert len(self.append(store, undo).rejected) == 1

    # -- a shopper's rights -------------------------------------------------------------------

    def everything_about(self, shopper: str, friend: str) -> list[Fact]:
        return [
            view(shopper, "cup", f"{shopper}-1"),
            Action(
                kind="search", shopper=shopper, id=f"{shopper}-2", query="a secret of " + shopper
            ),
            Shopper(id=shopper, country="DE"),
            Consent(shopper=shopper, granted=["messages"]),
            Link(kind="friend", head=shopper, tail=friend),
            Link(kind="trust", head=friend, tail=shopper),
            slate(f"slate-{shopper}", shopper, "cup"),
        ]

    def test_an_export_holds_everything_of_every_alias(self, store: FactStore) -> None:
        self.append(store, *self.everything_about("ana", "bob"), view("cookie", "pot", "c1"))
        self.append(store, view("bob", "jug", "b1"), Alias(shopper="ana", alias="cookie"))
        found = store.export("cookie")
        assert {kind: len(rows) for kind, rows in found.items()} == {
            "action": 3, "shopper": 1, "consent": 1, "link": 2, "shown": 1, "alias": 1, "name": 2,
        }  # fmt: skip
        assert [(a["id"], a["kind"], a["item"]) for a in found["action"]] == [
            ("ana-1", "view_item", "cup"),
            ("ana-2", "search", None),
            ("c1", "view_item", "pot"),
        ]
        with pytest.raises(NotFound):
            store.export("nobody")

    def test_an_erased_shopper_is_gone_from_every_table_and_others_stay(
        self, store: FactStore
    ) -> None:
        self.append(store, *self.everything_about("ana", "bob"), view("cookie", "pot", "c1"))
        self.append(store, Alias(shopper="ana", alias="cookie"), view("bob", "jug", "b1"))
        erased = store.forget("ana", now_ms=NOON + 1)
        assert erased.rows == {
            "action": 3, "shopper": 1, "consent": 1, "link": 2, "shown": 1, "alias": 1, "name": 2,
        }  # fmt: skip
        assert store.shopper_ids() == [None, "bob", None]
        assert store.ids_of_shoppers(np.arange(3, dtype=np.int32)) == [None, "bob", None]
        assert store.erased_shoppers().tolist() == [0, 2]
        assert store.shopper_rows(["ana", "cookie", "bob"]).tolist() == [NO_ROW, NO_ROW, 1]
        assert column(store, "action", "id") == ["b1"]
        stored = store.stored().facts
        assert stored == {**dict.fromkeys(stored, 0), "action": 1}
        assert store.history(0, 9).num_rows == 0
        with pytest.raises(NotFound):
            store.forget("ana")

    def test_a_row_and_a_seq_are_never_given_again(self, store: FactStore) -> None:
        self.append(store, view("ana", "cup", "1"))
        seq = store.stored().seq
        store.forget("ana", now_ms=NOON)
        again = self.append(store, view("ana", "cup", "1"))
        assert told(again) == (1, 0, 0)  # what it said before is nowhere to be compared with
        assert again.actions.shopper_row.tolist() == [1]
        assert again.actions.new_shopper.tolist() == [True]
        assert again.actions.seq[0] > seq
        assert store.erased_shoppers().tolist() == [0]

    # -- retention ----------------------------------------------------------------------------

    def test_what_is_older_than_it_is_kept_goes_and_the_rest_stays(self, store: FactStore) -> None:
        self.append(store, *(view("ana", "cup", f"old-{n}", at=NOON - 9) for n in range(3)))
        self.append(store, *self.everything_about("ana", "bob"), view("bob", "jug", "new", at=NOON))
        late = self.append(store, view("ana", "pot", "late", at=NOON - 9))
        before = store.stored()
        assert store.expire("action", before_ms=NOON - 8) == 4
        assert "new" in column(store, "action", "id")
        assert not {"old-0", "old-1", "old-2", "late"} & set(column(store, "action", "id"))
        assert store.expire("action", before_ms=NOON - 8) == 0
        after = store.stored()
        assert after.facts == {**before.facts, "action": before.facts["action"] - 4}
        assert (after.seq, after.n_items, after.n_shoppers) == (late.last_seq, 3, before.n_shoppers)
        assert after.epoch != before.epoch
        assert store.item_ids() == ["cup", "jug", "pot"]
        assert store.shopper_rows(["ana", "bob"]).tolist() == [0, 1]
        assert store.history(0, 9)["item_row"].to_pylist() == [0]

    def test_slates_expire_by_when_they_were_shown(self, store: FactStore) -> None:
        self.append(store, slate("first", "ana", "cup"), slate("second", None, "cup"))
        self.append(store, view("ana", "cup", "a", at=NOON - 9))
        assert store.expire("shown", before_ms=NOON) == 0
        assert store.expire("shown", before_ms=NOON + 1) == 2
        assert column(store, "shown", "id") == []
        assert column(store, "action", "id") == ["a"]

    def test_what_says_what_holds_now_does_not_expire(self, store: FactStore) -> None:
        with pytest.raises(BadInput):
            store.expire("item", before_ms=NOON)  # type: ignore[arg-type]

    def test_a_fact_that_expired_is_stored_again_if_it_is_sent_again(
        self, store: FactStore
    ) -> None:
        seq = self.append(store, view("ana", "cup", "1", at=NOON - 9)).last_seq
        store.expire("action", before_ms=NOON)
        again = self.append(store, view("ana", "pot", "1", at=NOON + 9))
        assert told(again) == (1, 0, 0)
        assert again.actions.seq[0] > seq
        assert again.actions.shopper_row.tolist() == [0]
