"""Files and queries are read whole; a line that cannot be read costs itself only."""

import sqlite3
from pathlib import Path

import polars as pl
import pytest

from habitue.errors import BadInput, BadMapping, MissingPiece
from habitue.facts.feeds.imports import import_table
from habitue.facts.feeds.mapping import ReadHints, load_mapping
from habitue.facts.feeds.tables import RawTable, read_query, read_table
from tests.facts.tables import NOW, mapping

ROWS = [{"who": "anna", "what": "tea"}, {"who": "ben", "what": None}]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def said(table: RawTable) -> list[dict[str, object]]:
    return table.frame.drop("row").to_dicts()


def test_the_same_rows_are_read_from_every_kind_of_file(tmp_path: Path) -> None:
    pl.DataFrame(ROWS).write_parquet(tmp_path / "a.parquet")
    files = [
        tmp_path / "a.parquet",
        write(tmp_path / "a.csv", "who,what\nanna,tea\nben,\n"),
        write(tmp_path / "a.tsv", "who\twhat\nanna\ttea\nben\t\n"),
        write(tmp_path / "a.jsonl", '{"who":"anna","what":"tea"}\n{"who":"ben"}\n'),
    ]
    for file in files:
        table = read_table(file)
        assert said(table) == ROWS
        assert table.frame["row"].to_list() == [0, 1]
    assert len({read_table(file).content_hash for file in files}) == 4


def test_a_csv_line_with_too_many_fields_is_reported_and_the_rest_kept(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", 'who,what\nanna,tea\nben,1,2\ncleo,"a, b"\ndan\n')
    table = read_table(file)
    assert [row["who"] for row in said(table)] == ["anna", "cleo", "dan"]
    assert table.frame["row"].to_list() == [0, 2, 3]
    (bad,) = table.unreadable
    assert (bad.line, bad.raw) == (3, "ben,1,2")
    assert "3 fields where the header names 2" in bad.reason
    assert table.rows_read == 4


def test_a_json_line_that_is_none_is_reported_and_the_rest_kept(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", '{"who":"anna"}\n{broken\n\n7\n{"who":5}\n')
    table = read_table(file)
    assert [row["who"] for row in said(table)] == ["anna", "5"]
    assert [bad.line for bad in table.unreadable] == [2, 4]
    assert table.frame["row"].to_list() == [0, 4]


def test_unreadable_lines_are_counted_in_the_report_and_stand_in_the_rejects(
    tmp_path: Path,
) -> None:
    how = mapping('[action]\nkind="like"\nshopper="who"\nitem="what"\nat={value="2023-01-01"}')
    file = write(tmp_path / "a.csv", "who,what\nanna,tea\nben,1,2\n,cup\n")
    result = import_table(read_table(file), how, now_ms=NOW)
    assert (result.report.rows_read, result.report.kept, result.report.rejected) == (3, 1, 2)
    assert result.rejects.select("line", "field").rows() == [(3, None), (4, "shopper")]


def test_old_encodings_and_other_separators_are_read_when_named(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "who;what\nZoë;thé\n".encode("iso-8859-1"))
    hints = ReadHints(separator=";", encoding="iso-8859-1")
    assert said(read_table(file, hints)) == [{"who": "Zoë", "what": "thé"}]
    with pytest.raises(BadInput, match="encoding"):
        read_table(file)
    assert said(read_table(write(tmp_path / "b.csv", "\ufeffwho\nanna\n"))) == [{"who": "anna"}]


def test_words_for_nothing_are_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "who,what\nanna,NULL\nben,n/a\n")
    assert [row["what"] for row in said(read_table(file, ReadHints(missing=("NULL", "n/a"))))] == [
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"", "empty"),
        ("a.parquet", b"no parquet", "no Parquet"),
        ("a.xlsx", b"x", "no kind that can be imported"),
    ],
)
def test_files_that_cannot_be_read_at_all_say_so(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    with pytest.raises(BadInput, match=reason):
        read_table(write(tmp_path / name, content))
    with pytest.raises(BadInput, match="cannot be read"):
        read_table(tmp_path / "nothing.csv")


def test_a_column_called_row_is_not_lost(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "a.csv", "row,who\n7,anna\n"))
    assert table.frame.to_dicts() == [{"row": 0, "row_": "7", "who": "anna"}]


def test_a_query_is_read_and_its_actions_need_an_id(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    with sqlite3.connect(database) as connection:
        connection.execute("create table orders (id text, who text, what text, at integer)")
        connection.execute("insert into orders values ('e1', 'anna', 'tea', 1600000000)")
    table = read_query(f"sqlite:///{database}", "select * from orders")
    toml = '[action]\nkind = "like"\nshopper = "who"\nitem = "what"\nat = "at"\n'
    actions = import_table(table, mapping(toml + 'id = "id"'), now_ms=NOW).actions
    assert actions["id"].to_pylist() == ["e1"]
    assert actions["at"].to_pylist() == [1_600_000_000_000]
    with pytest.raises(BadMapping, match="id"):
        import_table(table, mapping(toml), now_ms=NOW)


def test_a_query_that_fails_says_why_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such table"):
        read_query(f"sqlite:///{tmp_path}/x.db", "select * from nowhere")
    with pytest.raises(BadInput, match="no database address"):
        read_query("nonsense", "select 1")
    with pytest.raises(MissingPiece, match="driver"):
        read_query("klingon://host/db", "select 1")


def test_a_postgres_query_is_read(postgres_dsn: str) -> None:
    address = postgres_dsn.replace("postgresql://", "postgresql+psycopg://")
    table = read_query(address, "select 'anna' as who, 2.50::numeric(9, 2) as price, now() as at")
    assert table.frame["who"].to_list() == ["anna"]
    toml = 'currency = "EUR"\n[action]\nid = "who"\nkind = "search"\n'
    toml += 'shopper = "who"\nat = "at"\nprice = "price"'
    now = table.frame["at"].dt.epoch("ms").item()
    result = import_table(table, mapping(toml), now_ms=now)
    assert result.actions["price_micros"].to_pylist() == [2_500_000]
    assert result.actions["at"].to_pylist() == [now]


@pytest.mark.parametrize(
    ("toml", "key", "reason"),
    [
        ("name = 5", "name", "string"),
        ("[action", "", "no TOML"),
        ('name = "x"', "", "needs"),
        ('[action]\nkind = "buy"\nshopper = "a"\nat = "b"', "action.kind", "no kind of action"),
        ('[action]\nkind = "like"\nshoper = "a"\nat = "b"', "action", "shoper|required"),
        ('[action]\nkind = "like"\nshopper = { column = "a", value = "b" }\nat = "b"', "action",
         "exactly one"),
        ('[item]\ntitle = "a"', "", "where its id is"),
        ('time_zone = "Mars"\n[item]\nid = "a"', "time_zone", "IANA"),
        ('[item]\nid = "a"\n[cleaning]\nproduct_pattern = "("', "cleaning", "regular expression"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_says_which_key(tmp_path: Path, toml: str, key: str, reason: str) -> None:
    named = toml if "name =" in toml else f'name = "x"\n{toml}'
    with pytest.raises(BadMapping, match=reason) as caught:
        load_mapping(write(tmp_path / "x.toml", named))
    assert key in str(caught.value)


def test_an_unknown_mapping_lists_those_that_exist() -> None:
    with pytest.raises(BadMapping, match="online-retail"):
        load_mapping("no-such-mapping")
