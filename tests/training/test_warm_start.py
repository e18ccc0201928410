"""Going on: within a training from cut to cut, and from one training to the next."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from habitue.candidates.contract import Learner, Source, TrainingFacts
from habitue.candidates.roster import SourceConfig, learner_of
from habitue.errors import SnapshotError
from habitue.training.config import TrainingConfig, WarmStartConfig
from habitue.training.serving import save_pieces
from habitue.training.train import Trained, train
from habitue.training.warm_start import WARM_START, WarmStart
from tests.training.shop import CONFIG, DAY, facts_of, shop_log

NAME = CONFIG.sources[0].name
QUICK = CONFIG.model_copy(update={"evaluate": False})
TODAY = int(shop_log().at_ms[-1]) + 1
YESTERDAY = TODAY - DAY


class Remembering:
    """A learner that goes on, and remembers from what, and when each was learnt."""

    def __init__(self, config: SourceConfig) -> None:
        self.learner = learner_of(config)
        self.asked: list[tuple[int, int | None]] = []  # a moment, and that of what was before
        self._moment: dict[int, int] = {}
        self._went_on: set[int] = set()
        self._held: list[Source] = []  # so that no id is given twice

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> Source:
        return self._learnt(facts, rng, None)

    def go_on(self, source: Source, facts: TrainingFacts, rng: np.random.Generator) -> Source:
        made = self._learnt(facts, rng, self._moment.get(id(source)))  # None: loaded
        self._went_on.add(id(made))
        return made

    def went_on(self, source: Source) -> bool:
        return id(source) in self._went_on

    def _learnt(self, facts: TrainingFacts, rng: np.random.Generator, before: int | None) -> Source:
        self.asked.append((facts.now_ms, before))
        made = self.learner.fit(facts, rng)
        self._held.append(made)
        self._moment[id(made)] = facts.now_ms
        return made


@pytest.fixture
def learner(monkeypatch: pytest.MonkeyPatch) -> Remembering:
    """The first source's learner, which goes on here."""
    made = Remembering(CONFIG.sources[0])

    def chosen(config: SourceConfig) -> Learner[Source]:
        return made if config.name == NAME else learner_of(config)

    monkeypatch.setattr("habitue.training.train.learner_of", chosen)
    monkeypatch.setattr("habitue.training.warm_start.learner_of", chosen)
    return made


def learnt(now_ms: int, warm: WarmStart | None = None) -> Trained:
    return train(facts_of(), QUICK, rng=np.random.default_rng(0), now_ms=now_ms, warm=warm)


def test_what_can_go_on_is_learnt_once_and_goes_on(learner: Remembering) -> None:
    made = learnt(TODAY)
    moments = [now_ms for now_ms, _ in learner.asked]
    assert moments == sorted(set(moments))
    assert len(moments) > 2
    assert [before for _, before in learner.asked] == [None, *moments[:-1]]
    assert made.sources[0].name == NAME
    assert made.left.went_on == []


def test_the_next_training_goes_on_from_what_knows_nothing_later(learner: Remembering) -> None:
    """Each cut from the cut a day earlier: nearest, and nobody has seen what came after it."""
    yesterday = learnt(YESTERDAY)
    n = len(learner.asked)
    today = learnt(TODAY, yesterday.left)
    before = [now_ms for now_ms, _ in learner.asked[:n]]
    went = learner.asked[n:]
    assert len(went) == n
    for (cut, known), earlier in zip(went, before, strict=True):
        assert known == earlier
        assert cut - DAY <= known < cut
    assert today.left.went_on == [NAME]
    assert today.left.in_a_row == {NAME: 1}


def test_a_source_of_a_later_moment_is_never_gone_on_with(learner: Remembering) -> None:
    """Trained today and then as of yesterday: today's knows what yesterday's order is taught."""
    left = learnt(TODAY).left
    n = len(learner.asked)
    learnt(YESTERDAY, left)
    assert all(before is None or before <= cut for cut, before in learner.asked[n:])
    assert learner.asked[n][1] is None, "the first cut of today lies after it"


def written(path: Path, made: Trained) -> None:
    save_pieces(made, path)
    made.left.save(path / WARM_START)


def test_what_is_written_down_is_gone_on_from(learner: Remembering, tmp_path: Path) -> None:
    made = learnt(TODAY)
    written(tmp_path, made)
    found = WarmStart.load(tmp_path, QUICK, erased=0)
    assert list(found.sources) == sorted(made.left.sources)
    assert [list(held) for held in found.sources.values()] == [[NAME]] * len(found.sources)
    assert found.in_a_row == {NAME: 0}
    loaded = found.latest(NAME, TODAY)
    assert loaded is not None
    assert loaded[0] == TODAY
    assert found.latest(NAME, min(found.sources) - 1) is None


@pytest.mark.parametrize(
    ("config", "erased"),
    [
        (QUICK, 1),  # what the erased did must not be known any more
        (QUICK.model_copy(update={"taken": ("like",)}), 0),  # purchases are something else now
        (QUICK.model_copy(update={"sources": CONFIG.sources[1:]}), 0),
    ],
)
def test_it_begins_anew_where_what_is_known_must_not_be(
    config: TrainingConfig, erased: int, learner: Remembering, tmp_path: Path
) -> None:
    written(tmp_path, learnt(TODAY))
    found = WarmStart.load(tmp_path, config, erased=erased)
    assert found.latest(NAME, TODAY) is None
    assert found.erased == erased


def test_after_so_many_in_a_row_one_begins_anew(learner: Remembering, tmp_path: Path) -> None:
    twice = QUICK.model_copy(update={"warm_start": WarmStartConfig(at_most=2)})
    known: WarmStart | None = None
    said = []
    for day in range(4):
        made = train(
            facts_of(), twice, rng=np.random.default_rng(0), now_ms=TODAY - (3 - day) * DAY,
            warm=known,
        )  # fmt: skip
        said.append(made.left.in_a_row[NAME])
        folder = tmp_path / str(day)
        written(folder, made)
        known = WarmStart.load(folder, twice, erased=0)
    assert said == [0, 1, 2, 0]


def test_a_broken_file_is_told(learner: Remembering, tmp_path: Path) -> None:
    written(tmp_path, learnt(TODAY))
    (tmp_path / WARM_START / "warm_start.json").write_bytes(msgspec.json.encode({"now": 1}))
    with pytest.raises(SnapshotError, match="cannot be read"):
        WarmStart.load(tmp_path, QUICK, erased=0)
    assert WarmStart.load(tmp_path / "older", QUICK, erased=0).sources == {}
