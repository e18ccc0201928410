"""``habitue messages send``: a campaign in a file, and what became of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from habitue.app import open_shop
from habitue.cli import app
from habitue.facts import Consent, Item, Shopper


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop of one reader, where it is never quiet, and a campaign beside it."""
    monkeypatch.chdir(tmp_path)
    Path("habitue.toml").write_text("[messages]\nquiet_from = 0\nquiet_until = 0\n")
    Path("c.toml").write_text('id = "c"\nsubject = "Hi"\ntext = "{{ items | length }}"\nn = 2\n')
    with open_shop("shop.db") as shop:
        shop.ingest([Item(id=f"i{x}") for x in range(4)])
        shop.ingest([Shopper(id=who, traits={"email": f"{who}@x"}) for who in ("ana", "bob")])
        shop.ingest([Consent(shopper="ana", granted=["messages"])])
    return tmp_path


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["messages", "send", "--store", "shop.db", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_it_tells_what_became_of_the_campaign(folder: Path) -> None:
    assert "1 sent, 0 refused; skipped: nobody." in run("--campaign", "c.toml")
    assert (folder / "shop.outbox" / "c" / "done").exists()
    told = json.loads(run("--campaign", "c.toml", "--json"))
    assert (told["sent"], told["skipped"]) == (0, {"already_sent": 1})
    assert "1 already sent" in run("--campaign", "c.toml")


def test_it_says_until_when_it_is_quiet(folder: Path) -> None:
    del folder
    quiet = "[messages]\nquiet_from = {}\nquiet_until = {}\n"
    outputs = []
    for start, end in ((0, 12), (12, 0)):
        Path("habitue.toml").write_text(quiet.format(start, end))
        outputs.append(run("--campaign", "c.toml"))
    assert sum("It is quiet now: run this again after 20" in output for output in outputs) == 1
