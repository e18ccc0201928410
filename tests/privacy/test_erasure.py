"""A person's rights: to be told everything, and to be forgotten everywhere."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from habitue.errors import NotFound
from habitue.facts import Action, Alias, Consent, Shopper
from habitue.facts.cleaning.rejects import write_rejects
from habitue.privacy.access import access_document
from habitue.privacy.consent import ConsentGate
from habitue.privacy.erasure import RejectFiles, erase
from habitue.privacy.pseudonyms import Pseudonyms
from habitue.store.sqlite import SqliteFactStore

NOW = 1_700_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> SqliteFactStore:
    store = SqliteFactStore(tmp_path / "shop.db")
    store.append(
        [
            Shopper(id="anna", country="FR", traits={"size": "M"}),
            Consent(shopper="anna", denied=["messages"], at=NOW - 5),
            Alias(shopper="anna", alias="cookie-1"),
            Action(kind="view_item", shopper="cookie-1", item="tea", extra={"tab": 2}),
            Action(kind="view_item", shopper="ben", item="tea"),
        ],
        received_at_ms=NOW,
    )
    return store


def rejected(path: Path, rows: Sequence[dict[str, str] | str]) -> Path:
    said = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    frame = pl.DataFrame({"line": range(len(said)), "field": "at", "reason": "x", "said": said})
    write_rejects(frame, path)
    return path


class Memory:
    """Something that remembers people, and what it was told to forget."""

    def __init__(self, check: Callable[[str], object]) -> None:
        self.check, self.forgotten = check, ["nobody"]

    def forget(self, shopper: str) -> None:
        self.check(shopper)  # the store still knows them: memory is emptied first
        self.forgotten.append(shopper)


def test_erasing_reaches_store_memory_and_every_reject_file(
    store: SqliteFactStore, tmp_path: Path
) -> None:
    files = RejectFiles(tmp_path / "rejects.json")
    row = {"who": "cookie-1", "what": "tea"}
    one = rejected(tmp_path / "a" / "one.jsonl", [row, {"who": "ben"}, "anna,no,row"])
    two = rejected(tmp_path / "b" / "two.parquet", [{"who": "anna"}])
    gone = rejected(tmp_path / "gone.jsonl", [row])
    for path in (one, two, gone, one):
        files.note(path)
    gone.unlink()
    memory = Memory(store.export)
    erased, blanked = erase("cookie-1", store=store, live=[memory], rejects=files, now_ms=NOW)
    assert erased.rows["action"] == 1
    assert blanked == 3
    assert memory.forgotten == ["nobody", "cookie-1"]
    assert files.paths() == [one, two]
    left = one.read_text() + str(pl.read_parquet(two).rows())
    assert "anna" not in left
    assert "cookie-1" not in left
    assert "ben" in left
    for name in ("anna", "cookie-1"):
        with pytest.raises(NotFound):
            store.export(name)
    assert len(store.export("ben")["action"]) == 1


def test_a_stranger_cannot_be_erased(store: SqliteFactStore, tmp_path: Path) -> None:
    memory = Memory(lambda _: None)
    with pytest.raises(NotFound):
        erase(
            "nobody-knows", store=store, live=[memory],
            rejects=RejectFiles(tmp_path / "r.json"), now_ms=NOW,
        )  # fmt: skip
    assert memory.forgotten == ["nobody"]


def test_the_document_of_a_person_tells_all_and_nothing_of_others(store: SqliteFactStore) -> None:
    gate = ConsentGate(["personalisation"])
    for consents in store.scan("consent"):
        gate.observe(consents)
    gate.regroup(store.canonical_shoppers())
    row = int(store.shopper_rows(["cookie-1"])[0])
    said = json.loads(access_document(store.export("anna"), gate, shopper_row=row, now_ms=NOW))
    assert said["known_as"] == ["anna", "cookie-1"]
    assert said["made_at"] == "2023-11-14T22:13:20+00:00"
    assert said["allowed"] == {
        "personalisation": True, "analytics": False, "messages": False, "research": False,
    }  # fmt: skip
    (view,) = said["held"]["action"]
    assert (view["kind"], view["item"], view["extra"]) == ("view_item", "tea", {"tab": 2})
    assert view["at"] == "2023-11-14T22:13:20+00:00"
    (consent,) = said["held"]["consent"]
    assert (consent["denied"], consent["at"]) == (["messages"], "2023-11-14T22:13:19.995000+00:00")
    assert said["held"]["shopper"][0]["body"]["country"] == "FR"
    assert not any("_row" in key for rows in said["held"].values() for one in rows for key in one)
    assert "ben" not in json.dumps(said)


def test_reject_files_of_a_pseudonymous_shop_name_nobody() -> None:
    names = Pseudonyms(bytes(32))
    said = ['{"who": 17850, "what": "tea"}', "17850,broken", None, '{"who": null}']
    rejects = pl.DataFrame(
        {"line": [1, 2, 3, 4], "said": said}, schema={"line": pl.Int64, "said": pl.String}
    )
    hidden = names.over_rejects(rejects, ["who"])["said"].to_list()
    assert json.loads(hidden[0]) == {"who": names.of("17850"), "what": "tea"}
    assert hidden[1:] == [None, None, '{"who":null}']


def test_the_gate_reads_what_the_store_kept(store: SqliteFactStore) -> None:
    gate = ConsentGate(["messages"])
    for consents in store.scan("consent"):
        gate.observe(consents)
    gate.regroup(store.canonical_shoppers())
    rows = store.shopper_rows(["anna", "cookie-1", "ben"])
    assert gate.allowed(rows.astype(np.int32), "messages").tolist() == [False, False, True]
