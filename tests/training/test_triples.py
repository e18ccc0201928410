"""Knowledge in a store, as triples of items."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from habitue.facts import NO_ROW, Action, Item, Link, Triples
from habitue.store.sqlite import SqliteFactStore
from habitue.training.dataset import facts_of_store

DAY = 86_400_000
T0 = 1_700_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteFactStore]:
    opened = SqliteFactStore(tmp_path / "shop.db")
    opened.append(
        [Item(id="alien"), Item(id="aliens"), Action(kind="view_item", shopper="a", item="alien")],
        received_at_ms=T0,
    )
    yield opened
    opened.close()


def knows(head: str, relation: str, tail: str, **more: object) -> Link:
    return Link(kind="knowledge", head=head, relation=relation, tail=tail, **more)


def told(triples: Triples | None) -> set[tuple[int, str, str, float]]:
    assert triples is not None
    return {
        (int(item), triples.relations[r], triples.entities[e], float(weight))
        for item, r, e, weight in zip(
            triples.item_row, triples.relation, triples.entity, triples.weight, strict=True
        )
    }


def test_triples_are_read_by_their_last_version_and_entities_by_their_names(
    store: SqliteFactStore,
) -> None:
    store.append(
        [
            knows("alien", "director", "m.scott"),
            knows("alien", "genre", "horror", weight=0.5),
            knows("aliens", "director", "m.cameron"),
            knows("m.scott", "label", "Ridley Scott"),
            knows("m.cameron", "born in", "Canada"),
            knows("aliens", "genre", "comedy"),
            Link(kind="friend", head="anna", tail="ben"),
        ],
        received_at_ms=T0 + DAY,
    )
    store.append([knows("aliens", "genre", "comedy", deleted=True)], received_at_ms=T0 + 2 * DAY)
    found = facts_of_store(store).triples
    assert told(found) == {
        (0, "director", "Ridley Scott", 1.0),
        (0, "genre", "horror", 0.5),
        (1, "director", "m.cameron", 1.0),
        (1, "director/born in", "Canada", 1.0),
    }


def test_the_other_way_about_is_told_where_forwards_is_not(store: SqliteFactStore) -> None:
    store.append(
        [
            knows("m.scott", "directed", "alien"),
            knows("alien", "director", "m.scott"),
            knows("m.cameron", "directed", "aliens"),
        ],
        received_at_ms=T0,
    )
    found = facts_of_store(store).triples
    assert told(found) == {(0, "director", "m.scott", 1.0), (1, "^directed", "m.cameron", 1.0)}


def test_what_an_entity_has_its_items_have_at_one_remove(store: SqliteFactStore) -> None:
    store.append(
        [
            knows("alien", "director", "m.scott", weight=0.5),
            knows("m.scott", "born in", "South Shields", weight=0.5, at=T0 + DAY),
            knows("m.scott", "label", "Ridley Scott"),
            knows("South Shields", "lies in", "England"),
            knows("m.cameron", "born in", "Canada"),
        ],
        received_at_ms=T0,
    )
    facts = facts_of_store(store)
    assert told(facts.triples) == {
        (0, "director", "Ridley Scott", 0.5),
        (0, "director/born in", "South Shields", 0.25),
    }
    assert told(facts.as_of(T0 + 1).triples) == {(0, "director", "Ridley Scott", 0.5)}


def test_an_entity_may_be_an_item(store: SqliteFactStore) -> None:
    store.append([knows("alien", "sequel", "aliens")], received_at_ms=T0)
    found = facts_of_store(store).triples
    assert found is not None
    assert told(found) == {(0, "sequel", "aliens", 1.0)}
    assert found.entity_row.tolist() == [1]


def test_what_is_the_same_as_an_item_is_that_item(store: SqliteFactStore) -> None:
    store.append(
        [
            knows("alien", "same_as", "m.0h6"),
            knows("m.0h7", "same_as", "aliens"),
            knows("m.0h6", "director", "m.scott"),
            knows("m.0h6", "sequel", "m.0h7"),
        ],
        received_at_ms=T0,
    )
    found = facts_of_store(store).triples
    assert told(found) == {(0, "director", "m.scott", 1.0), (0, "sequel", "m.0h7", 1.0)}
    assert found is not None
    row = dict(zip(found.entities, found.entity_row.tolist(), strict=True))
    assert row == {"m.scott": NO_ROW, "m.0h7": 1}


def test_a_triple_holds_from_the_moment_it_names_or_all_along(store: SqliteFactStore) -> None:
    store.append(
        [knows("alien", "genre", "horror"), knows("alien", "shown at", "Lumen", at=T0 + DAY)],
        received_at_ms=T0 + 3 * DAY,
    )
    facts = facts_of_store(store)
    earlier, later = (facts.as_of(T0 + day * DAY).triples for day in (1, 2))
    assert {relation for _, relation, *_ in told(earlier)} == {"genre"}
    assert {relation for _, relation, *_ in told(later)} == {"genre", "shown at"}
    assert later is not None
    assert (later.entity_row == NO_ROW).all()


def test_where_nothing_is_known_of_items_there_is_nothing(store: SqliteFactStore) -> None:
    assert facts_of_store(store).triples is None
    store.append([knows("m.cameron", "born in", "Canada")], received_at_ms=T0)
    assert facts_of_store(store).triples is None, "of no item's entity"
