"""Ties of people and triples of knowledge, out of tables."""

from pathlib import Path
from typing import Any

import pytest

from habitue.errors import BadMapping
from habitue.facts import Link
from habitue.facts.feeds.imports import Imported, import_table
from habitue.facts.feeds.mapping import load_mapping
from habitue.facts.feeds.tables import read_table
from tests.facts.tables import NOW, imported, mapping
from tests.needs import table


def links(result: Imported) -> list[Link]:
    said = [fact for batch in result.facts() for fact in batch]
    assert all(isinstance(fact, Link) for fact in said)
    return said  # type: ignore[return-value]


def read(path: Path, name: str) -> Imported:
    result = import_table(read_table(path), load_mapping(name), now_ms=NOW)
    assert result.report.kept + result.report.mended + result.report.rejected == (
        result.report.rows_read
    )
    return result


def test_a_friendship_told_once_holds_both_ways() -> None:
    rows = [{"head": "anna", "tail": "ben"}, {"head": "ben", "tail": "anna"}]
    rows += [{"head": "anna", "tail": "cleo"}]
    said = links(imported(rows, load_mapping("friends")))
    assert [(tie.kind, tie.head, tie.tail, tie.weight, tie.at) for tie in said] == [
        ("friend", "anna", "ben", 1.0, None),
        ("friend", "ben", "anna", 1.0, None),
        ("friend", "anna", "cleo", 1.0, None),
        ("friend", "cleo", "anna", 1.0, None),
    ]


def test_trust_runs_one_way_with_its_weight() -> None:
    said = links(
        imported([{"head": "anna", "tail": "ben", "weight": "0.5"}], load_mapping("trust"))
    )
    assert said == [Link(kind="trust", head="anna", tail="ben", weight=0.5)]


def test_a_row_that_is_no_tie_is_refused_with_its_reason() -> None:
    rows: list[dict[str, Any]] = [
        {"head": "anna", "tail": None, "weight": "1"},
        {"head": "ben", "tail": "ben", "weight": "1"},
        {"head": "anna", "tail": "ben", "weight": "much"},
        {"head": "x" * 201, "tail": "ben", "weight": "1"},
        {"head": "anna", "tail": "ben", "weight": "1"},
    ]
    result = imported(rows, load_mapping("trust"))
    assert len(links(result)) == 1
    assert result.rejects["field"].to_list() == ["tail", "tail", "weight", "head"]


def test_a_triple_says_when_it_began() -> None:
    told = mapping(
        '[link]\nkind = "knowledge"\nhead = "a"\nrelation = { value = "made_by" }\ntail = "b"\n'
        'at = { column = "since", unit = "s" }\n'
    )
    rows: list[dict[str, Any]] = [
        {"a": "kettle", "b": "Acme", "since": 1_600_000_000},
        {"a": "x", "b": "y"},
    ]
    result = imported(rows, told)
    assert links(result) == [
        Link(kind="knowledge", head="kettle", relation="made_by", tail="Acme", at=1_600_000_000_000)
    ]
    assert result.rejects["field"].to_list() == ["at"]


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ('[link]\nkind = "knowledge"\nhead = "a"\ntail = "b"\n', "relation"),
        ('[link]\nkind = "friend"\nhead = "a"\ntail = "b"\nrelation = "r"\n', "relation"),
        ('[link]\nkind = "friend"\nhead = "a"\ntail = "b"\n[item]\nid = "a"\n', "stands alone"),
        (
            '[link]\nkind = "knowledge"\nhead = "a"\nrelation = "r"\ntail = "b"\nboth_ways = true',
            "one way",
        ),
    ],
)
def test_a_mapping_of_links_that_cannot_be(tmp_path: Path, toml: str, reason: str) -> None:
    path = tmp_path / "m.toml"
    path.write_text('name = "m"\n' + toml)
    with pytest.raises(BadMapping, match=reason):
        load_mapping(path)


def test_whom_a_tie_names_is_a_shopper_and_what_knowledge_names_is_not() -> None:
    assert load_mapping("friends").shopper_columns() == {"head", "tail"}
    assert load_mapping("triples").shopper_columns() == set()


def test_filmtrust_lastfm_and_the_films_graph() -> None:
    trust = links(read(table("filmtrust/trust.parquet"), "trust"))
    assert (len(trust), trust[0].head, trust[0].tail) == (1_853, "2", "966")
    friends = links(read(table("lastfm_hetrec/user_friends.parquet"), "friends"))
    assert len(friends) == 25_434
    pairs = {(tie.head, tie.tail) for tie in friends}
    assert all((tail, head) in pairs for head, tail in pairs)
    music = links(read(table("lastfm_hetrec/kg.parquet"), "triples"))
    assert (len(music), len({tie.relation for tie in music})) == (15_518, 60)
    films = links(read(table("movielens_100k/ml-100k.kg.parquet"), "triples"))
    assert len(films) == 91_631
    assert films[0] == Link(
        kind="knowledge", head="m.04ctbw8", relation="film.producer.film", tail="m.0bln8"
    )
