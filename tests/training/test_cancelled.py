"""A cancelled purchase counts until the day it was taken back: its mark came later."""

from pathlib import Path
from typing import Any

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
