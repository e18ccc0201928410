"""Items follow their versions: the one in force stands on the shelf, whoever told it and when."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.facts import NO_ROW, Item
from habitue.policy.shelf import AVAILABILITY, DELETED, SOLD_OUT, UNPOSTED
from habitue.slates.live_items import LiveItems
from habitue.store.sqlite import SqliteFactStore

NOW = 1_700_000_000_000

VERSIONS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from("abcd"), "valid_from": st.integers(NOW - 4, NOW + 4)},
        optional={
            "title": st.sampled_from(["Mug", "Plate"]),
            "brand": st.sampled_from(["Acme", "ACME", "Bolt", ""]),
            "product_type": st.sampled_from(["Home > Mugs > Blue", "Home> Mugs", "Toys", ""]),
            "price_micros": st.sampled_from([0, 2_000_000, 5_000_000]),
            "availability": st.sampled_from(["in_stock", "out_of_stock", "preorder"]),
            "stock": st.integers(0, 1),
            "deleted": st.booleans(),
            "description": st.just("long"),
            "attributes": st.just({"colour": "blue"}),
        },
    ),
    min_size=1,
    max_size=12,
)


def in_force(versions: list[dict[str, Any]], item_id: str, now_ms: int) -> dict[str, Any] | None:
    """Of an item's versions that have begun the one that began last; of two, the one told last."""
    begun = [one for one in versions if one["id"] == item_id and one["valid_from"] <= now_ms]
    return max(reversed(begun), key=lambda one: one["valid_from"], default=None)


def names(codes: np.ndarray, row: int, of: dict[str, int]) -> str | None:
    return None if codes[row] == NO_ROW else {code: name for name, code in of.items()}[codes[row]]


def check(items: LiveItems, versions: list[dict[str, Any]], now_ms: int) -> None:
    """Everything held of every item, against the versions themselves."""
    shelf, columns = items.shelf, items.columns
    for item_id in {one["id"] for one in versions}:
        row, said = items.row(item_id), in_force(versions, item_id, now_ms)
        assert items.title(row) == ((said or {}).get("title") or item_id)
        if said is None:
            assert shelf.state[row] == UNPOSTED
            assert shelf.fields(row) == {}
            assert columns.first_seen_ms[row] == 0
            continue
        wanted = AVAILABILITY[said.get("availability", "in_stock")]
        wanted = SOLD_OUT if said.get("stock") == 0 else wanted
        assert shelf.state[row] == (DELETED if said.get("deleted") else wanted)
        steps = [step.strip() for step in said.get("product_type", "").split(">")][:2]
        category, brand = " > ".join(steps) or None, said.get("brand") or None
        assert names(columns.category, row, columns.categories) == category
        assert names(columns.brand, row, columns.brands) == brand
        shelved = names(shelf.category, row, shelf._categories.code)
        assert shelved == (category.casefold() if category else None)
        price = said.get("price_micros", 0) / 1e6
        assert columns.log_price[row] == pytest.approx(
            math.log(price) if price else math.nan, nan_ok=True
        )
        fields = shelf.fields(row)
        assert fields["id"] == item_id
        assert "description" not in fields
        assert fields.get("price", 0) == price
        assert fields.get("attributes.colour") == said.get("attributes", {}).get("colour")


@settings(max_examples=30, deadline=None)
@given(VERSIONS, st.integers(0, 12), st.integers(1, 12))
def test_read_or_told_the_version_in_force_stands(
    versions: list[dict[str, Any]], n_read: int, at_once: int
) -> None:
    with TemporaryDirectory() as folder:
        store = SqliteFactStore(Path(folder) / "shop.db")
        items = LiveItems()
        told = [Item(**one) for one in versions]
        before, after = told[:n_read], told[n_read:]
        if before:
            store.append(before, received_at_ms=NOW)
        items.extend(store)
        items.read(store, 0, store.stored().seq, NOW)
        for first in range(0, len(after), at_once):
            batch = after[first : first + at_once]
            store.append(batch, received_at_ms=NOW)
            items.extend(store)
            items.take(batch, NOW)
        check(items, versions, NOW)
        items.come_into_force(NOW + 2)
        check(items, versions, NOW + 2)
        store.close()


def test_an_item_is_first_seen_when_its_first_version_began(tmp_path: Path) -> None:
    store = SqliteFactStore(tmp_path / "shop.db")
    store.append([Item(id="a", valid_from=NOW), Item(id="b", valid_from=NOW)], received_at_ms=NOW)
    store.append([Item(id="a", valid_from=NOW - 50)], received_at_ms=NOW)
    items = LiveItems()
    items.extend(store)
    items.read(store, 0, store.stored().seq, NOW)
    assert items.columns.first_seen_ms[:2].tolist() == [NOW - 50, NOW]
    store.close()


def test_filters_and_rules_hold_after_a_large_import(tmp_path: Path) -> None:
    store = SqliteFactStore(tmp_path / "shop.db")
    store.append([Item(id=f"i{x}", brand="Acme") for x in range(300)], received_at_ms=NOW)
    items = LiveItems()
    items.extend(store)
    items.read(store, 0, store.stored().seq, NOW)
    acme = items.shelf.mask('brand == "Acme"')
    seen: list[int | None] = []
    items.shelf.derive(seen.append)
    changed = [Item(id=f"i{x}", brand="Bolt") for x in range(100, 300)]
    store.append(changed, received_at_ms=NOW + 1)
    items.take(changed, NOW + 1)
    assert acme[:300].tolist() == [x < 100 for x in range(300)]
    assert seen == [None, None]
    one = [Item(id="i7", brand="Bolt")]
    store.append(one, received_at_ms=NOW + 2)
    items.take(one, NOW + 2)
    assert not acme[7]
    assert seen == [None, None, 7]
    store.close()
