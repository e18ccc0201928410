"""Ratings foretold at the terminal: as a table, and as HTTP would answer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import habitue
from habitue.cli import app
from habitue.errors import BadInput, NotFound

WHEN = 1_710_000_000_000
SETTINGS = """\
[store]
address = "sqlite:///{folder}/shop.db"
[snapshots]
path = "{folder}/snapshots"
[training.outlook]
fit = false
[[training.sources]]
source = "popular"
[[training.sources]]
source = "factor"
factors = 2
[training.quotas.home]
popular = 10
factor = 10
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Even tasters love the teas of Leaf and bear no other, odd ones the other way round."""
    folder = tmp_path_factory.mktemp("tea")
    file = folder / "habitue.toml"
    file.write_text(SETTINGS.format(folder=folder), "utf-8")
    teas = [
        habitue.Item(
            id=f"tea-{n}", brand=("Leaf", "Kona")[n % 2], product_type="Home > Tea",
            valid_from=WHEN - 1_000_000,
        )
        for n in range(12)
    ]  # fmt: skip
    opinions = [
        habitue.Action(
            kind="rate", shopper=f"taster-{who}", item=f"tea-{n}",
            rating=5 if (who + n) % 2 == 0 else 2, at=WHEN + 60_000 * (100 * n + who),
        )
        for who in range(30)
        for n in range(12)
        if (who + 3 * n) % 4
    ]  # fmt: skip
    with habitue.open(settings=file) as shop:
        shop.ingest([*teas, *opinions])
        shop.ingest([habitue.Consent(shopper="taster-1", denied=["personalisation"], at=WHEN)])
        shop.train(seed=1)
    return file


def run(settings: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["ratings", *words, "--settings", str(settings)])


def test_what_a_shopper_would_give_is_told_with_what_it_rests_on(settings: Path) -> None:
    told = run(settings, "taster-0", "tea-0", "tea-3", "no-such-tea")
    assert told.exit_code == 0, told.output
    lines = {line.split("│")[1].strip(): line for line in told.output.splitlines() if "tea" in line}
    assert "80% within" in told.output
    assert "praise brand Leaf" in lines["tea-0"]
    assert "blame brand Kona" in lines["tea-3"]
    assert "was given 2" in lines["tea-3"]
    assert re.search(r"2024-03-(09|10) tea-", lines["tea-3"]), "the ratings it rests on are dated"
    assert "nobody knows the item" in lines["no-such-tea"]


def test_as_json_it_is_what_http_answers(settings: Path) -> None:
    told = json.loads(run(settings, "taster-0", "tea-0", "--level", "0.5", "--json").output)
    assert (told["shopper"], told["level"], told["personalisation"]) == ("taster-0", 0.5, True)
    (one,) = told["ratings"]
    assert one["item"] == "tea-0"
    assert told["scale"][0] <= one["low"] <= one["rating"] <= one["high"] <= told["scale"][1]


def test_who_does_not_allow_it_is_foretold_nothing(settings: Path) -> None:
    told = run(settings, "taster-1", "tea-0").output
    assert "nothing is foretold" in told
    assert "tea-0" not in told


def test_what_cannot_be_told_says_why(settings: Path) -> None:
    assert isinstance(run(settings, "nobody", "tea-0").exception, NotFound)
    assert isinstance(run(settings, "taster-0", "tea-0", "--level", "1").exception, BadInput)
    assert run(settings, "taster-0").exit_code == 2, "no item was named"
