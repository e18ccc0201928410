"""A source that adds nothing is switched off by itself; one that is needed stays."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from habitue.candidates.content import ContentConfig
from habitue.candidates.popular import PopularConfig
from habitue.evaluation.report import Judged, Report
from habitue.metrics import Interval
from habitue.ranking.fusion import FusionConfig
from habitue.settings import Settings
from habitue.store.snapshots import SnapshotStore
from habitue.training.config import PruneConfig, TrainingConfig
from habitue.training.pruning import judge_sources, may_go
from habitue.training.serving import load_pieces
from habitue.training.snapshots import judged_of, write_snapshot
from habitue.training.train import Trained, fit_sources, lessons_of, train
from habitue.training.windows import window_of
from tests.ranking.shop import CONFIGS
from tests.training.shop import CONFIG, DAY, facts_of

POPULAR, VIEWED, BOUGHT = CONFIGS
IDLE = PopularConfig(name="idle", kinds=("like",))  # nobody likes anything here
PRUNE = PruneConfig(enabled=True, silent=False, least_gain=0.05, least_questions=30)
QUOTA = {"popular_now": 4, "viewed_viewed": 6, "bought_bought": 6, "twin": 6, "idle": 6, "again": 4}


def config_of(*sources: object, **said: object) -> TrainingConfig:
    quotas = dict.fromkeys(("home", "item", "cart"), QUOTA)
    update = {"sources": sources, "quotas": quotas, "windows": 3, "prune": PRUNE, "kept": 1000}
    return CONFIG.model_copy(update=update | said)


@cache
def pruned() -> Trained:
    config = config_of(POPULAR, BOUGHT, IDLE)
    return train(facts_of(), config, rng=np.random.default_rng(0))


def judged(config: TrainingConfig, off_before: tuple[str, ...] = ()) -> dict[str, Judged]:
    """Sources judged on the span from day 90 to 110 by what the span before taught."""
    facts, rng = facts_of(), np.random.default_rng(0)
    windows = []
    for cut in (70 * DAY, 90 * DAY):
        known = facts.as_of(cut)
        windows.append(window_of(known, fit_sources(known, config, rng), config.item_stats))
    taught, asked = (
        lessons_of(facts, window, window.cut_ms + 20 * DAY, config, rng, config.surfaces)
        for window in windows
    )
    found = judge_sources([taught], asked, windows[1].sources, config, rng, off_before)
    return {one.name: one for one in found}


def test_a_source_that_says_nothing_is_switched_off_and_a_useful_one_is_kept() -> None:
    made = pruned()
    off = {one.name for one in made.judged if one.off}
    assert "idle" in off
    assert "bought_bought" not in off
    assert [one.name for one in made.config.sources] == [one.name for one in made.sources]
    assert "idle" not in {one.name for one in made.sources}
    for ranker in made.rankers.values():
        assert not [name for name in ranker.names if name.startswith("idle")]


def test_of_two_that_say_the_same_one_stays() -> None:
    twin = BOUGHT.model_copy(update={"name": "twin"})
    found = judged(config_of(POPULAR, BOUGHT, twin))
    assert {found["bought_bought"].off, found["twin"].off} == {True, False}


def test_the_report_is_of_what_is_left_and_says_what_is_off() -> None:
    made = pruned()
    report = made.report
    assert report is not None
    assert report.judged == made.judged
    (idle,) = [str(one) for one in made.judged if one.name == "idle"]
    caption = report.table().caption
    assert isinstance(caption, str)
    assert caption.startswith("switched off: ")
    assert idle in caption
    assert report.lift("home", "all sources").low < 0.05  # the last span, asked of both
    assert Report.from_json(report.to_json()) == report


def test_the_snapshot_keeps_the_record(tmp_path: Path) -> None:
    snapshot = write_snapshot(pruned(), SnapshotStore(tmp_path), now_ms=1_700_000_000_000)
    assert judged_of(snapshot.path) == pruned().judged
    assert {one.name for one in load_pieces(snapshot.path).sources} == {
        one.name for one in pruned().config.sources
    }
    assert "idle" not in json.dumps(snapshot.manifest.config["sources"])
    assert judged_of(tmp_path) == []


def test_nothing_is_judged_unless_asked_or_with_too_little_past() -> None:
    sources = (POPULAR, BOUGHT, IDLE)
    for config in (
        config_of(*sources, prune=PruneConfig(silent=False)),
        config_of(*sources, windows=2),
        config_of(*sources, prune=PRUNE.model_copy(update={"least_questions": 10_000})),
    ):
        made = train(facts_of(), config, rng=np.random.default_rng(0))
        assert made.judged == []
        assert len(made.sources) == 3


def test_judging_moves_nothing_where_nothing_is_off() -> None:
    """The same seed learns the same, judged or not."""
    strict = PRUNE.model_copy(update={"least_gain": 0.0, "confidence": 0.999})
    plain = config_of(POPULAR, BOUGHT, prune=PruneConfig(silent=False), evaluate=False)
    a = train(facts_of(), plain, rng=np.random.default_rng(0))
    b = train(facts_of(), plain.model_copy(update={"prune": strict}), rng=np.random.default_rng(0))
    assert b.judged
    assert not [one for one in b.judged if one.off]
    np.testing.assert_array_equal(a.rankers["home"].forest.value, b.rankers["home"].forest.value)


def test_who_was_off_comes_back_only_where_it_is_missed() -> None:
    config = config_of(POPULAR, VIEWED, BOUGHT)
    told = judged(config)["popular_now"]
    reached = 0.5  # at least this much NDCG: between the two bounds below
    lost = max(-one.estimate for one in told.changes.values()) / reached
    surely = max(-one.low for one in told.changes.values())
    assert surely > 0
    share = (max(lost, 0.0) + surely) / 2
    between = PRUNE.model_copy(update={"least_gain": min(share, 1.0)})
    config = config.model_copy(update={"prune": between})
    assert not judged(config)["popular_now"].off
    assert judged(config, off_before=("popular_now",))["popular_now"].off


def names_that_may_go(config: TrainingConfig, off: tuple[str, ...] = ()) -> set[str]:
    known = facts_of().as_of(80 * DAY)
    return set(may_go(config, fit_sources(known, config, np.random.default_rng(0)), off))


def test_what_a_surface_needs_never_goes() -> None:
    free = config_of(*CONFIG.sources, IDLE)
    assert names_that_may_go(free) == {"popular_now", "viewed_viewed", "bought_bought", "idle"}
    named = free.model_copy(update={"needed": ("idle",)})
    assert "idle" not in names_that_may_go(named)
    weighed = FusionConfig(fuse="sum", weights={"viewed_viewed": 1.0, "bought_bought": 0.0})
    summed = free.model_copy(update={"fusion": {"cart": weighed}})
    assert names_that_may_go(summed) == {"bought_bought", "idle"}  # popular_now breaks the ties


def test_what_a_shop_names_in_its_surfaces_is_needed() -> None:
    said = {"cart": {"sources": {"als": 40, "content": 0}}, "home": {"sources": {"popular": 5}}}
    assert Settings(surfaces=said).training_run().needed == ("als", "popular")


def test_the_last_source_of_a_surface_never_goes() -> None:
    config = config_of(POPULAR, BOUGHT)
    assert names_that_may_go(config) == {"popular_now", "bought_bought"}
    assert names_that_may_go(config, off=("popular_now",)) == set()
    item = {"home": QUOTA, "item": {"bought_bought": 5}}
    assert names_that_may_go(config.model_copy(update={"quotas": item})) == {"popular_now"}


def test_the_last_that_reads_items_it_was_not_fitted_on_never_goes() -> None:
    quotas = {"home": QUOTA | {"content": 5, "more": 5}}
    one = config_of(POPULAR, BOUGHT, ContentConfig(), quotas=quotas)
    assert "content" not in names_that_may_go(one)
    two = config_of(POPULAR, BOUGHT, ContentConfig(), ContentConfig(name="more"), quotas=quotas)
    assert {"content", "more"} <= names_that_may_go(two)
    assert "more" not in names_that_may_go(two, off=("content",))


@pytest.mark.parametrize(
    ("change", "said"),
    [(Interval(-0.0002, -0.0011, 0.0006), "bpr (−0.0002 [−0.0011, 0.0006])")],
)
def test_a_judgement_says_what_is_lost_where_it_is_missed_most(change: Interval, said: str) -> None:
    other = Interval(0.01, 0.0, 0.02)
    assert str(Judged("bpr", True, {"item": other, "home": change})) == said
