"""A source that has nothing to say on a shop's data is off, and the report says so."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from habitue.candidates.content import ContentConfig
from habitue.candidates.covisit import CovisitConfig
from habitue.candidates.popular import PopularConfig
from habitue.evaluation.report import Report
from habitue.facts import ActionKind
from habitue.ranking.lambdamart import RankingSet
from habitue.store.snapshots import SnapshotStore
from habitue.training.config import PruneConfig, TrainingConfig
from habitue.training.serving import load_pieces
from habitue.training.snapshots import write_snapshot
from habitue.training.train import Trained, fit_sources, lessons_of, train
from habitue.training.windows import window_of
from tests.ranking.shop import CONFIGS
from tests.training.shop import CONFIG, DAY, facts_of, shop_log

POPULAR, VIEWED, BOUGHT = CONFIGS
LIKED = PopularConfig(name="liked", kinds=("like",))  # nobody likes anything here
TIED = CovisitConfig(name="tied", kinds_from=("like",), kinds_to=("like",))
QUOTA = {"popular_now": 4, "viewed_viewed": 6, "bought_bought": 6, "liked": 6, "tied": 6}


def config_of(*sources: object, **said: object) -> TrainingConfig:
    quotas = dict.fromkeys(("home", "item", "cart"), QUOTA)
    update = {"sources": sources, "quotas": quotas, "windows": 2, "kept": 1000}
    return CONFIG.model_copy(update=update | said)


@cache
def trained(*, silent: bool = True) -> Trained:
    config = config_of(POPULAR, TIED, BOUGHT, LIKED, prune=PruneConfig(silent=silent))
    return train(facts_of(), config, rng=np.random.default_rng(0), keep=("home",))


def test_who_has_nothing_to_say_is_off() -> None:
    made = trained()
    assert made.silent == ["tied", "liked"]
    assert [one.name for one in made.sources] == ["popular_now", "bought_bought"]
    assert [one.name for one in made.config.sources] == ["popular_now", "bought_bought"]
    for order in made.rankers.values():
        assert not [name for name in order.names if name.startswith(("tied", "liked"))]


def test_what_is_left_is_as_good() -> None:
    both = trained(), trained(silent=False)
    assert both[1].silent == []
    assert len(both[1].sources) == 4
    without, with_them = (made.metrics["home/ndcg@10"] for made in both)
    assert without == pytest.approx(with_them, abs=0.02)


def test_the_report_says_so(tmp_path: Path) -> None:
    report = trained().report
    assert report is not None
    caption = report.table().caption
    assert isinstance(caption, str)
    assert "switched off: tied (says nothing here), liked (says nothing here)" in caption
    assert Report.from_json(report.to_json()) == report
    snapshot = write_snapshot(trained(), SnapshotStore(tmp_path), now_ms=1_700_000_000_000)
    assert {one.name for one in load_pieces(snapshot.path).sources} == {
        "popular_now", "bought_bought",
    }  # fmt: skip


def test_who_may_speak_tomorrow_stays() -> None:
    """What reads items posted later; what a surface names."""
    content = ContentConfig()  # nothing is told of the items here
    config = config_of(POPULAR, BOUGHT, content, LIKED, needed=("liked",))
    made = train(facts_of(), config, rng=np.random.default_rng(0))
    assert made.silent == []


def test_who_began_to_speak_in_the_last_span_stays() -> None:
    """Silent in all lessons, for it was fitted before; not so when fitted on all there is."""
    log = shop_log()
    late = log.at_ms >= log.at_ms[-1] - 10 * DAY
    kind = np.where(late & (log.kind == int(ActionKind.view_item)), int(ActionKind.like), log.kind)
    facts = facts_of(replace(log, kind=kind.astype(np.uint8)))
    config = config_of(POPULAR, BOUGHT, LIKED, TIED)
    made = train(facts, config, rng=np.random.default_rng(0), keep=("home",))
    assert made.silent == []
    (columns,) = {lessons["home"].names for lessons in made.lessons if lessons}
    assert not any(
        lessons["home"].x[:, columns.index("liked")].any() for lessons in made.lessons if lessons
    )


def test_without_lessons_nothing_is_said_to_be_silent() -> None:
    made = train(
        facts_of(), config_of(POPULAR, LIKED, starts=0, visits=0, slates=0, evaluate=False),
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert made.silent == []


@pytest.mark.parametrize("names", [{"tied"}, {"liked"}, {"tied", "liked"}])
def test_leaving_out_what_is_silent_is_as_leaving_out_any(names: set[str]) -> None:
    """``unsaid`` is ``without`` where those left out said nothing."""
    lessons = _lessons()
    short, long = lessons.unsaid(names), lessons.without(names)
    assert short.names == long.names
    np.testing.assert_allclose(short.x, long.x, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(short.group, long.group)
    assert short.proposed is not None
    again, direct = short.without({"bought_bought"}), lessons.without({"bought_bought", *names})
    assert again.names == direct.names
    np.testing.assert_allclose(again.x, direct.x, rtol=1e-4, atol=1e-4)


@cache
def _lessons() -> RankingSet:
    facts, rng = facts_of(), np.random.default_rng(0)
    config = config_of(POPULAR, TIED, BOUGHT, LIKED)
    known = facts.as_of(80 * DAY)
    window = window_of(known, fit_sources(known, config, rng), config.item_stats)
    return lessons_of(facts, window, 100 * DAY, config, rng, ("home",))["home"]
