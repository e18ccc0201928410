"""Portraits of an open shop: one with its evidence, all as columns, held to what was usual."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from habitue.app import open_shop
from habitue.errors import NotFound
from habitue.facts import Action, Alias, Consent
from tests.app.worlds import NOW_MS, SMALL_TRAINING, tell

DAY = 86_400_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("shop")
    with open_shop(folder / "shop.db", overrides=SMALL_TRAINING) as opened:
        tell(opened)
        opened.train(seed=1)
        yield opened


def test_the_frame_says_what_each_portrait_says(shop) -> None:
    frame = shop.portraits(now_ms=NOW_MS)
    assert frame["shopper"].is_unique().all()
    assert set(frame["stage"]) >= {"visitor", "new", "active", "lapsed"}
    for row in frame.head(40).iter_rows(named=True):
        one = shop.portrait(row["shopper"], now_ms=NOW_MS)
        assert one.lifecycle is not None
        assert (one.lifecycle.stage, one.actions) == (row["stage"], row["n_actions"])
        assert [x.name for x in one.categories] == [x["name"] for x in row["categories"]]
        if one.rfv is not None:
            assert (one.rfv.value_minor, one.rfv.value_fifth) == (row["value_minor"], row["value"])
            assert sum(x.value_minor for x in one.rfv.evidence) <= one.rfv.value_minor


def test_the_fifths_part_the_buyers(shop) -> None:
    frame = shop.portraits(now_ms=NOW_MS).drop_nulls("value")
    sizes = frame["value"].value_counts()["count"]
    assert len(sizes) == 5
    assert sizes.max() <= 1.5 * sizes.min()


def test_actions_under_an_alias_are_the_persons(shop) -> None:
    seen = [Action(kind="view_item", shopper=who, item="i1", at=NOW_MS) for who in ("eva", "phone")]
    shop.ingest([*seen, Alias(shopper="eva", alias="phone", at=NOW_MS)])
    assert shop.portrait("eva", now_ms=NOW_MS + 1).actions == 2
    assert shop.portrait("phone", now_ms=NOW_MS + 1).actions == 2


def test_consent_withdrawn_takes_the_portrait_away(shop) -> None:
    shop.ingest([Action(kind="view_item", shopper="gil", item="i1", at=NOW_MS)])
    assert shop.portrait("gil").actions == 1
    shop.ingest([Consent(shopper="gil", denied=["personalisation"], at=NOW_MS)])
    assert not shop.portrait("gil").personalisation
    assert shop.portrait("gil").actions == 0
    assert "gil" not in set(shop.portraits()["shopper"])


def test_nobody_knows_a_stranger_or_who_was_erased(shop) -> None:
    shop.ingest([Action(kind="view_item", shopper="joy", item="i1", at=NOW_MS)])
    shop.forget("joy")
    for who in ("joy", "nobody"):
        with pytest.raises(NotFound):
            shop.portrait(who)


def test_the_example_of_the_guide_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = Path(__file__).parents[2] / "docs" / "guides" / "portraits.md"
    code, _ = re.findall(r"```python\n(.*?)```", guide.read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    said = re.findall(r"# (.+)$", code, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == said
