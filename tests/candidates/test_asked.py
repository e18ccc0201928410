"""The network as a source that hears what requests say, words searched among it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from habitue.behaviour.config import BehaviourConfig, StudentConfig
from habitue.candidates.contract import ContinuingLearner, TrainingFacts
from habitue.candidates.item_space import SpaceConfig, fit_space
from habitue.candidates.roster import learner_of, load_source
from habitue.candidates.sequence import SequenceConfig, SequenceSource
from habitue.facts import ActionKind, ActionLog, Catalogue, Circumstances, Context, Vocabulary
from habitue.portraits import pick
from tests.candidates.shop import NOW_MS, VIEW, catalogue_of, log_of, requests
from tests.candidates.test_sequence import CONFIG

SHELVES = ("mug", "plate", "bowl")
COLOURS = ("red", "blue", "green", "black")
N = len(SHELVES) * len(COLOURS)
SEARCH = int(ActionKind.search)
PLATFORMS = ("", "app", "web")
DAY, MINUTE = 1.0, 1 / 1440


def config(**change: object) -> SequenceConfig:
    behaviour = BehaviourConfig.model_validate(
        {
            **CONFIG.behaviour.model_dump(), "asked_by": ("platform", "words"), "unnamed": 0.0,
            "dropout": 0.0, "input_dropout": 0.0, "asked_dropout": 0.1,
            "loss": {"negatives": 12, "own_past": "competes"}, **change,
        }
    )  # fmt: skip
    return CONFIG.model_copy(update={"behaviour": behaviour})


def catalogue() -> Catalogue:
    """Mugs, plates and bowls in four colours."""
    titles = [f"{colour} {shelf}" for shelf in SHELVES for colour in COLOURS]
    return catalogue_of(N, title=titles)


def searching(n_shoppers: int = 150, *, platforms: Sequence[str] = PLATFORMS) -> ActionLog:
    """From a mug all go on to a plate, then to a bowl, then to a mug, of the colour searched for.

    Half of them do not search: on the app they take red or blue, on the web green or black.
    """
    rng = np.random.default_rng(0)
    rows, said = [], []
    for shopper in range(n_shoppers):
        for day in range(8):
            shelf, where = (shopper + day) % 3, int(rng.integers(1, 3))
            searches = rng.random() < 0.5
            colour = int(rng.integers(0, 4) if searches else 2 * (where - 1) + rng.integers(0, 2))
            at = day + 0.9 * rng.random()
            if searches:
                rows.append((at, SEARCH, shopper, -1, -1))
                said.append((where, colour + 1))
            rows.append((at + 5 * MINUTE, VIEW, shopper, shelf * 4 + colour, -1))
            said.append((where, 0))
    order = np.argsort([row[0] for row in rows], kind="stable")
    log = log_of([rows[x] for x in order], n_items=N)
    where, words = np.array(said)[order].T
    nothing = np.zeros(len(log), np.int16)
    circumstances = Circumstances(
        nothing, where.astype(np.int16), nothing, nothing, words.astype(np.int32),
        Vocabulary(platform=tuple(platforms), words=("", *COLOURS)),
    )  # fmt: skip
    return replace(log, circumstances=circumstances)


def facts(log: ActionLog | None = None) -> TrainingFacts:
    return TrainingFacts(searching() if log is None else log, catalogue(), NOW_MS)


def learnt(said: SequenceConfig) -> SequenceSource:
    made = learner_of(said).fit(facts(), np.random.default_rng(1))
    assert isinstance(made, SequenceSource)
    return made


def asked(*said: tuple[str | None, str | None]) -> Context:
    """Who looked at a red mug yesterday, with these words on these platforms."""
    context = requests([[(0, VIEW, 1.0)]] * len(said))
    words, platforms = zip(*said, strict=True)
    return replace(context, query=words, platform=platforms)


@pytest.fixture(scope="module")
def source() -> SequenceSource:
    return learnt(config())


def plates(*colours: str) -> set[int]:
    return {4 + COLOURS.index(colour) for colour in colours}


def test_words_say_which_of_what_comes_next(source: SequenceSource) -> None:
    """What comes next is a plate: that is known by the past, and its colour by the words."""
    found = source.propose(asked(("blue", None), ("green", None), ("black", "app")), 1)
    assert found.item_row[:, 0].tolist() == [4 + 1, 4 + 2, 4 + 3]


def test_words_nobody_searched_for_yet_say_something(source: SequenceSource) -> None:
    """``green or blue plates`` was never asked; words nobody knows say nothing."""
    found = source.propose(asked(("blue or green plates", None), ("zzz", None), (None, None)), 2)
    assert set(found.item_row[0].tolist()) == plates("blue", "green")
    np.testing.assert_array_equal(found.item_row[1], found.item_row[2])
    np.testing.assert_array_equal(found.score[1], found.score[2])


def test_the_platform_decides_where_no_words_do(source: SequenceSource) -> None:
    found = source.propose(asked((None, "App"), (None, "web"), (None, "fridge")), 2)
    assert set(found.item_row[0].tolist()) == plates("red", "blue")
    assert set(found.item_row[1].tolist()) == plates("green", "black")
    nothing = source.propose(asked((None, None)), 4)
    assert set(nothing.item_row[0].tolist()) == plates(*COLOURS), "all plates alike"
    np.testing.assert_array_equal(found.item_row[2], nothing.item_row[0, :2])


def test_it_is_served_as_it_was_learnt(source: SequenceSource, tmp_path: Path) -> None:
    """By the graph and in eight bits, alone and beside others; no words searched are kept."""
    source.save(tmp_path / "model")
    served = load_source(tmp_path / "model")
    assert isinstance(served, SequenceSource)
    assert served.names.platform == ("", "app", "web")
    some = asked(("blue", "app"), ("green", "web"), (None, None), ("black", None))
    here, there = source.propose(some, 5), served.propose(some, 5)
    np.testing.assert_array_equal(there.item_row, here.item_row)
    np.testing.assert_allclose(there.score, here.score, rtol=1e-4)
    alone = served.propose(pick(some, np.array([1])), 5)
    np.testing.assert_array_equal(alone.item_row[0], there.item_row[1])
    small = source.in_eight_bits()
    np.testing.assert_array_equal(small.propose(some, 1).item_row, here.item_row[:, :1])
    held = (tmp_path / "model" / "names.json").read_text()
    assert "blue" not in held


def test_a_shop_that_searches_nothing_is_learnt_as_ever(tmp_path: Path) -> None:
    """Also where the config asks for what nobody says."""
    log = replace(searching(40), circumstances=None)
    made = [
        learner_of(one).fit(facts(log), np.random.default_rng(1))
        for one in (config(), config(asked_by=()))
    ]
    some = asked(("blue", "app"))
    np.testing.assert_array_equal(*(one.propose(some, 4).score for one in made))
    made[0].save(tmp_path / "model")
    again = load_source(tmp_path / "model").propose(some, 4)
    np.testing.assert_array_equal(again.item_row, made[0].propose(some, 4).item_row)


def test_a_later_training_goes_on_and_keeps_the_codes(source: SequenceSource) -> None:
    """A platform that came since has a code of its own; the log names the others in new order."""
    learner = learner_of(config())
    assert isinstance(learner, ContinuingLearner)
    log = searching(160, platforms=("", "web", "app"))
    assert log.circumstances is not None
    other = log.circumstances.platform.copy()
    other[-200:] = 3
    told = replace(
        log.circumstances, platform=other,
        vocabulary=Vocabulary(platform=("", "web", "app", "kiosk"), words=("", *COLOURS)),
    )  # fmt: skip
    later = learner.go_on(source, facts(replace(log, circumstances=told)), np.random.default_rng(2))
    assert isinstance(later, SequenceSource)
    assert later.measured["went_on"] == 1
    assert later.names.platform == ("", "app", "web", "kiosk")
    assert later.propose(asked(("blue", None)), 1).item_row[0, 0] == 5


def test_it_begins_anew_where_the_earlier_one_heard_nothing() -> None:
    silent = replace(searching(60), circumstances=None)
    earlier = learner_of(config()).fit(facts(silent), np.random.default_rng(1))
    learner = learner_of(config())
    assert isinstance(learner, ContinuingLearner)
    later = learner.go_on(earlier, facts(), np.random.default_rng(1))
    assert isinstance(later, SequenceSource)
    assert later.measured["went_on"] == 0
    assert later.propose(asked(("green", None)), 1).item_row[0, 0] == 6


def test_another_shop_begins_with_what_was_heard_here(
    source: SequenceSource, tmp_path: Path
) -> None:
    """It has hardly any shoppers, who search for nothing in green: the words were learnt before."""
    source.save(tmp_path / "first")
    log = searching(12)
    assert log.circumstances is not None
    kept = (log.circumstances.words != 3) & (log.item_row % 4 != 2)
    few = facts(log.take(kept))
    begun = config().model_copy(update={"begin_from": tmp_path / "first"})
    made = learner_of(begun).fit(few, np.random.default_rng(0))
    assert isinstance(made, SequenceSource)
    assert made.names.platform == ("", "app", "web")
    score = made.score(
        asked(("green", None), ("red", None)), np.array([[4, 5, 6, 7]] * 2, np.int32)
    )
    assert score[0, 2] > score[1, 2], "green plates are sought by green"


def test_a_student_hears_what_its_teacher_hears() -> None:
    made = learnt(config(student=StudentConfig(dim=16).model_dump()))
    assert made.search.dim == 16
    found = made.propose(asked(("blue", None), ("green", None), ("black", "app")), 1)
    assert found.item_row[:, 0].tolist() == [4 + 1, 4 + 2, 4 + 3]


def test_words_lie_where_titles_of_them_would() -> None:
    """Whether they are read one by one or as a frame; what nobody knows of is nowhere."""
    frame = catalogue().frame
    space, _, _ = fit_space(frame, SpaceConfig(dim=8), np.random.default_rng(0))
    texts = ["red mug", "Blue bowls!", "green", "black plate", "zzz", "", None]
    few = space.of_words(texts)
    np.testing.assert_allclose(np.linalg.norm(few, axis=1), [1, 1, 1, 1, 0, 0, 0], atol=1e-5)
    many = space.of_words(texts * 20)
    np.testing.assert_allclose(many[:7], few, atol=1e-5)
    titled = space.vectors(pl.DataFrame({"title": texts[:4]}))
    np.testing.assert_allclose(few[:4], titled, atol=1e-5)
