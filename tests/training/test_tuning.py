"""Searching for settings: what may differ, what is fitted once, going on, and what is reported."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from habitue.app import open_shop
from habitue.candidates.als import AlsConfig
from habitue.candidates.sequence import SequenceConfig
from habitue.errors import BadInput, MissingPiece
from habitue.facts import ActionKind
from habitue.ranking.fusion import FusionConfig
from habitue.settings import Settings
from habitue.training.config import TrainingConfig
from habitue.training.space import Knob, config_of, offering, space_of, start_of
from habitue.training.study import open_study
from habitue.training.tuning import Tuner
from tests.app.worlds import SMALL_TRAINING, tell
from tests.training.shop import CONFIG, facts_of, shop_log

DEFAULT = TrainingConfig()
BOUGHT = frozenset({ActionKind.purchase})


def by_name(config: TrainingConfig) -> dict[str, Knob]:
    return {knob.name: knob for knob in space_of(config)}


def test_sources_their_numbers_and_the_rankers_may_differ() -> None:
    knobs = by_name(DEFAULT)
    assert {"use als", "als.factors", "popular_now.half_life_days", "ranker.leaves"} <= set(knobs)
    assert "popular.half_life_days" not in knobs  # it forgets nothing: none stays none
    assert not [name for name in knobs if name.startswith("sequence")]


def test_what_a_surface_names_is_always_there() -> None:
    weighed = {"cart": FusionConfig(fuse="sum", weights={"als": 1.0})}
    knobs = by_name(DEFAULT.model_copy(update={"needed": ("content",), "fusion": weighed}))
    assert not {"use als", "use content", "use popular"} & set(knobs)
    assert "use again" in knobs


def test_networks_are_tuned_only_with_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    config = DEFAULT.model_copy(update={"sources": (*DEFAULT.sources, SequenceConfig())})
    monkeypatch.setattr("habitue.training.space.find_spec", lambda name: object())
    knobs = by_name(config)
    assert {"sequence.behaviour.dim", "sequence.behaviour.schedule.rate"} <= set(knobs)
    monkeypatch.setattr("habitue.training.space.find_spec", lambda name: None)
    assert [name for name in by_name(config) if "sequence" in name] == ["use sequence"]


def test_knobs_turned_as_they_stand_change_nothing() -> None:
    offered = offering(DEFAULT)
    start = start_of(DEFAULT, offered)
    assert start["use linear"] is False
    assert start["use als"] is True
    turned = config_of(offered, start)
    assert turned.sources == DEFAULT.sources
    assert turned.ranker == DEFAULT.ranker
    assert turned.quota("home") == DEFAULT.quota("home")


def test_turned_knobs_are_in_the_config() -> None:
    offered = offering(DEFAULT)
    said = start_of(DEFAULT, offered) | {
        "use linear": True, "use content": False, "als.factors": 90, "ranker.leaves": 31,
    }  # fmt: skip
    turned = config_of(offered, said)
    names = [one.name for one in turned.sources]
    assert "linear" in names
    assert "content" not in names
    (als,) = [one for one in turned.sources if isinstance(one, AlsConfig)]
    assert als.factors == 96  # a multiple of 16
    assert turned.ranker.leaves == 31
    assert turned.quota("home")["linear"] > 0
    assert len(turned.sources) == len(DEFAULT.sources)


def test_a_shop_without_any_source_is_not_tried() -> None:
    offered = offering(DEFAULT)
    off = {name: False for name in start_of(DEFAULT, offered) if name.startswith("use ")}
    assert config_of(offered, off).sources == offered.sources


def small(**said: object) -> TrainingConfig:
    return CONFIG.model_copy(update={"windows": 3, "evaluate": False} | said)


def tuner(config: TrainingConfig) -> Tuner:
    return Tuner(facts_of(), config, kinds=BOUGHT, rebuy=True, n=5, questions=50, seed=0)


def test_only_what_differs_is_fitted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from habitue.candidates.roster import learner_of

    fitted: list[str] = []

    def noted(config):
        fitted.append(config.name)
        return learner_of(config)

    monkeypatch.setattr("habitue.training.tuning.learner_of", noted)
    config = small()
    made = tuner(config)
    first = made.reach(config)
    assert len(fitted) == 2 * len(config.sources)  # one span learnt from, one asked
    assert 0 < first <= 1
    assert made.reach(config) == first
    leaves = config.ranker.model_copy(update={"leaves": 3})
    made.reach(config.model_copy(update={"ranker": leaves}))
    assert len(fitted) == 2 * len(config.sources)
    sources = (config.sources[0].model_copy(update={"half_life_days": 3.0}), *config.sources[1:])
    made.reach(config.model_copy(update={"sources": sources}))
    assert fitted[2 * len(config.sources) :] == [config.sources[0].name] * 2


def test_the_last_span_moves_nothing_that_is_chosen_on() -> None:
    config = small()
    whole = tuner(config)
    cut, _ = whole.spans[-1]
    log = shop_log()
    rows, late = log.item_row.copy(), log.at_ms >= cut
    rows[late] = np.random.default_rng(0).permutation(rows[late])
    facts = facts_of(replace(log, item_row=rows))
    shuffled = Tuner(facts, config, kinds=BOUGHT, rebuy=True, n=5, questions=50, seed=0)
    assert shuffled.spans == whole.spans
    assert shuffled.reach(config) == whole.reach(config)


def test_too_little_past_is_told() -> None:
    with pytest.raises(BadInput, match="three spans"):
        tuner(small(windows=2))


KNOBS = [Knob("use a"), Knob("a.x", 0.0, 1.0), Knob("ranker.leaves", 2, 64, whole=True, log=True)]
START = {"use a": True, "a.x": 0.5, "ranker.leaves": 15}


def worth(said: dict[str, bool | int | float]) -> float:
    return -abs(float(said["a.x"]) - 0.8) + (0.5 if said["use a"] else 0.0)


def test_a_search_begins_at_the_start_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    file = tmp_path / "tuning.journal"
    study = open_study(file, "s", KNOBS, START, seed=0)
    for number in range(12):
        said = study.ask()
        assert (said == START) == (number == 0) or number > 0
        study.tell(worth(said))
    assert study.tried()[0].said == START
    again = open_study(file, "s", KNOBS, START, seed=0)
    assert again.tried() == study.tried()
    again.ask()  # killed before it is told
    later = open_study(file, "s", KNOBS, START, seed=0)
    assert len(later.tried()) == 12
    for _ in range(13):
        later.tell(worth(later.ask()))
    assert len(later.tried()) == 25
    best = max(one.reached for one in later.tried())
    assert best > worth(START)
    importance = later.importance()
    assert set(importance) == set(START)
    assert importance["a.x"] > importance["ranker.leaves"]
    assert open_study(file, "other", KNOBS, START, seed=0).tried() == []


def test_a_search_killed_at_its_start_tries_it_again(tmp_path: Path) -> None:
    file = tmp_path / "tuning.journal"
    open_study(file, "s", KNOBS, START, seed=0).ask()
    assert open_study(file, "s", KNOBS, START, seed=0).ask() == START


def test_without_optuna_it_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with (
        open_shop(tmp_path / "shop.db") as shop,
        pytest.raises(MissingPiece, match=r"habitue\[tune\]"),
    ):
        shop.tune(minutes=0)


def test_a_network_that_cannot_be_trained_here_is_not_turned_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offered = offering(DEFAULT)
    monkeypatch.setattr("habitue.training.space.find_spec", lambda name: None)
    assert "use sequence" not in by_name(offered)


@pytest.mark.slow
def test_a_shop_is_tuned_and_what_is_found_is_its_settings(tmp_path: Path) -> None:
    said = SMALL_TRAINING | {"training.windows": 3, "training.starts": 300, "training.visits": 50}
    with open_shop(tmp_path / "shop.db", overrides=said) as shop:
        tell(shop)
        first = shop.tune(minutes=0)
        assert (len(first.reached), first.n_new, first.changed) == (1, 1, [])
        assert first.lift.estimate == 0
        second = shop.tune(minutes=0.25)
        assert second.reached[0] == first.reached[0]
        assert len(second.reached) == 1 + second.n_new
        settings = shop.parts.settings
        read = settings.overlaid(tomllib.loads(second.toml), "found").training
    if second.changed:
        assert second.chosen.low > 0
        assert read != settings.training
    else:
        assert not second.chosen.low > 0
        assert read == settings.training
        assert "none is surely better" in second.verdict
    file = tmp_path / "found.toml"
    file.write_text(second.toml, "utf-8")
    assert Settings.load(file).training.sources == read.sources
    assert second.verdict.split()[0] == str(len(second.reached))
    page = second.to_html()
    assert 'id="worth"' in page
    assert 'id="tries"' in page
    assert "<script" not in page
