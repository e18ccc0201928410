"""A shop judged: every split, what it costs, how much data is enough; two snapshots compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import habitue
from habitue.app import open_shop
from habitue.errors import BadInput, NotFound
from habitue.evaluation import Evaluated
from tests.app.worlds import NOW_MS, SMALL_TRAINING, small_world, tell

DAY = 86_400_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[habitue.Shop]:
    folder: Path = tmp_path_factory.mktemp("shop")
    with open_shop(folder / "shop.db", overrides=SMALL_TRAINING) as opened:
        tell(opened)
        yield opened


@pytest.fixture(scope="module")
def found(shop: habitue.Shop) -> Evaluated:
    return shop.evaluate(curve="shoppers", ablate=True, seed=1)


def test_an_evaluation_says_all_it_should(shop: habitue.Shop, found: Evaluated) -> None:
    assert found.report.protocol == "by time, new items only"
    line = found.report.line("habitue")
    assert {"precision@10", "map@10", "novelty@10", "diversity@10", "miscalibration@10"} <= set(
        line.intervals
    )
    assert (
        found.report.line("popular").intervals["ndcg@10"].estimate
        < line.intervals["ndcg@10"].estimate
    )
    assert found.report.gap is not None
    assert {one.group for one in found.segments} == {"life cycle", "items"}
    stages = {one.segment: one.n_questions for one in found.segments if one.group == "life cycle"}
    assert sum(stages.values()) == found.report.n_questions
    assert "visitor" not in stages  # only who has bought is asked
    assert found.chances is not None
    assert found.chances.n_slots == 10 * found.report.n_questions
    assert found.curve is not None
    assert [one.share for one in found.curve.points] == [0.1, 0.25, 0.5, 1.0]
    shoppers = [one.n_shoppers for one in found.curve.points]
    assert shoppers == sorted(shoppers)
    costs = {one.name: one for one in found.costs}
    price = shop.parts.settings.evaluation.cpu_hour_price
    for one in costs.values():
        assert one.price_per_1000 == pytest.approx(one.cpu_seconds_per_1000 * price / 3600)
    assert costs["habitue"].cpu_seconds_per_1000 > costs["popular"].cpu_seconds_per_1000 > 0
    assert found.training_cpu_seconds > 0
    assert json.loads(found.to_json())["curve"]["by"] == "shoppers"
    assert "learning-curve" in found.to_html()


def test_each_source_is_left_out_once(shop: habitue.Shop, found: Evaluated) -> None:
    told = found.ablation
    assert told is not None
    assert sorted(line.name for line in told.lines) == sorted(
        source.name for source in shop.parts.settings.training.sources
    )
    assert told.n_questions == found.report.n_questions
    with_all = found.report.line("habitue").intervals["ndcg@10"].estimate
    assert told.reached.estimate == pytest.approx(with_all)
    for line in told.lines:
        assert line.reached.estimate - with_all == pytest.approx(line.change.estimate)
        stages = [part for part in line.parts if part.group == "life cycle"]
        whole = sum(part.n_questions * part.change.estimate for part in stages)
        assert whole / told.n_questions == pytest.approx(line.change.estimate)
        assert {part.segment for part in line.parts if part.group == "items"} >= {"head", "tail"}
    assert told.chance is not None
    assert told.cpu_seconds > 0
    written = json.loads(found.to_json())["ablation"]
    assert [line["name"] for line in written["lines"]] == [line.name for line in told.lines]
    page = found.to_html()
    assert 'id="ablation"' in page
    assert "without als" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_guide_says_what_each_source_adds(
    shop: habitue.Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = Path(__file__).parents[2] / "docs" / "guides" / "evaluation.md"
    blocks = re.findall(r"```python\n(.*?)```", guide.read_text("utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "ablate=True" in block]
    address = shop.parts.settings.store.address.removeprefix("sqlite:///")
    monkeypatch.chdir(Path(address).parent)
    monkeypatch.setenv("HABITUE_TRAINING__WINDOWS", "1")
    monkeypatch.setenv("HABITUE_TRAINING__RANKER__ROUNDS", "5")
    exec(code, {})
    assert re.search(r"^bought_bought -?0\.\d{4} \[", capsys.readouterr().out, re.MULTILINE)


def test_rolling_pools_the_questions_of_its_spans(shop: habitue.Shop, found: Evaluated) -> None:
    many = shop.evaluate(split="rolling", folds=2, seed=1)
    assert many.report.n_questions > found.report.n_questions
    assert many.chances is not None
    assert many.chances.n_slots == 10 * many.report.n_questions


def test_k_fold_asks_about_every_part(shop: habitue.Shop) -> None:
    found = shop.evaluate(split="k-fold", folds=2, seed=1)
    assert found.report.protocol == "2-fold"
    popular, content = (
        found.report.line(name).intervals["ndcg@10"].estimate for name in ("popular", "content")
    )
    assert content > popular > 0


def test_platforms_are_segments_where_there_are_several(tmp_path: Path) -> None:
    with open_shop(tmp_path / "shop.db", overrides=SMALL_TRAINING) as shop:
        world = small_world()
        shop.ingest([*world.items(), *world.shoppers()])
        number = pl.col("shopper").str.extract(r"(\d+)").cast(pl.Int64)
        on = pl.when(number % 3 == 0).then(pl.lit("app")).otherwise(pl.lit("web"))
        shop.ingest(world.action_table.with_columns(platform=on))
        found = shop.evaluate(seed=1)
    told = {one.segment: one.n_questions for one in found.segments if one.group == "platform"}
    assert set(told) == {"app", "web"}
    assert told["web"] > told["app"]
    assert sum(told.values()) == found.report.n_questions


@pytest.mark.parametrize(("what", "said"), [("split", "by-luck"), ("curve", "items")])
def test_a_choice_that_is_none_is_refused(shop: habitue.Shop, what: str, said: str) -> None:
    with pytest.raises(BadInput, match=f"no {what} '{said}'"):
        shop.evaluate(**{what: said})


@pytest.mark.slow
def test_snapshots_are_compared_on_what_came_after_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = small_world()
    table = world.action_table
    cut = NOW_MS - 20 * DAY
    with open_shop(tmp_path / "shop.db", overrides=SMALL_TRAINING) as shop:
        shop.ingest([*world.items(), *world.shoppers()])
        shop.ingest(table.filter(pl.col("at_ms") < cut))
        full = shop.train(seed=1).name
        plain = {
            "training.sources": [{"source": "popular"}],
            "training.quotas": {"home": {"popular": 50}},
        }
        plain["training.surfaces"] = ["home"]
        with open_shop(tmp_path / "shop.db", overrides=SMALL_TRAINING | plain) as other:
            popular = other.train(activate=False, seed=1).name
        assert shop.compare(popular, full, seed=1).how.startswith("too few")
        shop.ingest(table.filter(pl.col("at_ms") >= cut))
        found = shop.compare(popular, full, seed=1)
        swapped = shop.compare(full, popular, seed=1)
        with pytest.raises(NotFound):
            shop.compare(full, "20200101T000000Z-1")
        with pytest.raises(BadInput, match="itself"):
            shop.compare(full, full)
    assert found.how == "what shoppers took after both were trained"
    main = found.differences[0]
    assert main.metric == "ndcg@10"
    assert main.interval.low > 0
    assert found.verdict.startswith(f"{full} is better")
    assert 0 < found.overlap.estimate < 0.5
    assert {one.group for one in found.segments} == {"life cycle", "items"}
    assert swapped.differences[0].interval.estimate == pytest.approx(-main.interval.estimate)
    tail = next(one for one in found.segments if one.segment == "tail")
    assert tail.first < tail.second
    assert np.isfinite(found.lift.estimate)
    assert [one.name for one in found.costs] == [popular, full]
    assert full in found.to_html()
    guide = Path(__file__).parents[2] / "docs" / "guides" / "evaluation.md"
    code = re.findall(r"```python\n(.*?)```", guide.read_text("utf-8"), re.DOTALL)[-1]
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert "is better in ndcg@10" in capsys.readouterr().out
