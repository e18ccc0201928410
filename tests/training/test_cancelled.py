"""A cancelled purchase counts until the day it was taken back: its mark came later."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from habitue.facts import Action
from habitue.store.sqlite import SqliteFactStore
from habitue.training.dataset import NEVER_MS, facts_of_store

BOUGHT, BACK = 1_690_000_000_000, 1_695_000_000_000


def test_a_purchase_stands_until_its_refund_whatever_its_mark_says(tmp_path: Path) -> None:
    line: dict[str, Any] = {"shopper": "anna", "item": "tea", "quantity": 6.0}
    with_mark = Action(kind="purchase", at=BOUGHT, extra={"cancelled": True}, **line)
    store = SqliteFactStore(tmp_path / "shop.db")
    store.append(
        [
            with_mark,
            Action(kind="purchase", at=BOUGHT, shopper="ben", item="tea", quantity=6.0),
            Action(
                kind="purchase", at=BOUGHT, shopper="ben", item="p", extra={"non_product": True}
            ),
            Action(kind="refund", at=BACK, **line),
        ],
        received_at_ms=BACK,
    )
    facts = facts_of_store(store, allowed_unless_said=["personalisation"])
    store.close()
    assert facts.log.at_ms.tolist() == [BOUGHT, BOUGHT, BACK]  # the non-product is left out
    assert facts.void_from_ms.tolist() == [BACK, NEVER_MS, NEVER_MS]


def test_a_refund_of_an_order_takes_back_all_lines_its_shopper_bought_before(
    tmp_path: Path,
) -> None:
    def line(shopper: str, item: str, order: str, at: int = BOUGHT) -> Action:
        return Action(kind="purchase", shopper=shopper, item=item, order_id=order, at=at)

    bought = [line("anna", "tea", "o-1"), line("anna", "cup", "o-1"), line("anna", "pot", "o-2"),
              line("ben", "tea", "o-3")]  # fmt: skip
    refunds = [
        Action(kind="refund", shopper="anna", order_id="o-1", at=BACK),
        Action(kind="refund", shopper="anna", order_id="o-3", at=BACK),  # not hers
        Action(kind="refund", shopper="anna", order_id="o-9", at=BACK),  # of nothing known
    ]
    store = SqliteFactStore(tmp_path / "shop.db")
    told = store.append([*bought, *refunds], received_at_ms=BACK)
    later = store.append([line("anna", "jam", "o-1", BACK + 1)], received_at_ms=BACK + 1)
    facts = facts_of_store(store, allowed_unless_said=["personalisation"])
    store.close()
    assert not [*told.rejected, *later.rejected]
    assert facts.void_from_ms.tolist() == [BACK, BACK, *[NEVER_MS] * 6]


def test_a_refund_of_neither_an_item_nor_an_order_is_refused(tmp_path: Path) -> None:
    store = SqliteFactStore(tmp_path / "shop.db")
    told = store.append([Action(kind="refund", shopper="anna", at=BACK)], received_at_ms=BACK)
    store.close()
    assert [one.field for one in told.rejected] == ["item"]


def test_refunds_in_bulk_go_by_the_same_rule(tmp_path: Path) -> None:
    refunds = pa.table({"kind": ["refund"] * 2, "shopper": ["anna"] * 2, "order_id": ["o-1", None]})
    store = SqliteFactStore(tmp_path / "shop.db")
    told = store.append_columns(refunds, received_at_ms=BACK)
    store.close()
    assert (told.new, [one.row for one in told.rejected]) == (1, [1])
