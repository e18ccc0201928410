"""With pseudonyms on, the store never learns who a shopper is."""

import stat
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.errors import BadSetting
from habitue.facts import Action, Alias, Consent, Fact, Item, Link, Shopper, Shown
from habitue.privacy.pseudonyms import PREFIX, Pseudonyms

NAMES = Pseudonyms(bytes(32))
SHOWN = Shown(
    id="s", at=1, shopper="anna", surface="home", snapshot="", arm="", items=[], scores=[],
    propensities=[], sources=[],
)  # fmt: skip
FACTS: list[Fact] = [
    Action(kind="view_item", shopper="anna", item="anna-book", id="e1"),
    Shopper(id="anna", country="FR"),
    Alias(shopper="anna", alias="ben"),
    Consent(shopper="ben", denied=["messages"]),
    Link(kind="friend", head="anna", tail="ben"),
    SHOWN,
]


def test_every_kind_of_fact_loses_its_persons() -> None:
    said = msgspec.json.encode(NAMES.over(FACTS)).decode()
    assert '"anna"' not in said
    assert '"ben"' not in said
    assert said.count(NAMES.of("anna")) == 5
    assert said.count(NAMES.of("ben")) == 3
    assert '"anna-book"' in said


def test_items_entities_and_strangers_stay() -> None:
    facts: list[Fact] = [
        Item(id="anna"),
        Link(kind="knowledge", head="anna", relation="wrote", tail="ben"),
        msgspec.structs.replace(SHOWN, shopper=None),
    ]
    assert NAMES.over(facts) == facts


@given(st.text(max_size=40), st.text(max_size=40))
def test_the_same_id_the_same_name_another_another(one: str, other: str) -> None:
    assert (NAMES.of(one) == NAMES.of(other)) == (one == other)
    assert NAMES.of(NAMES.of(one)) == NAMES.of(one)
    assert NAMES.of(one).startswith(PREFIX)


def test_another_key_gives_other_names() -> None:
    other = Pseudonyms(b"\1" + bytes(31))
    assert other.of("anna") != NAMES.of("anna")
    assert other.fingerprint != NAMES.fingerprint


def test_columns_and_facts_agree() -> None:
    column = pa.chunked_array([["anna", None, "ben"], ["anna"]])
    assert NAMES.over_column(column).to_pylist() == [
        NAMES.of("anna"), None, NAMES.of("ben"), NAMES.of("anna"),
    ]  # fmt: skip


def test_the_key_is_kept_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "pseudonyms.key"
    first = Pseudonyms.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Pseudonyms.open(path).of("anna") == first.of("anna")
    assert first.fingerprint not in path.read_text()
    path.chmod(0o640)
    with pytest.raises(BadSetting, match="chmod 600"):
        Pseudonyms.open(path)


@pytest.mark.parametrize("content", [b"", b"zz", b"00"])
def test_a_damaged_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pseudonyms.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(BadSetting):
        Pseudonyms.open(path)
