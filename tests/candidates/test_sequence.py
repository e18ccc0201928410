"""The network as a source: it follows the order of actions and knows items that are new."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from habitue.behaviour.config import BehaviourConfig, ListingConfig, LossConfig, ScheduleConfig
from habitue.candidates.contract import ContinuingLearner, TrainingFacts
from habitue.candidates.roster import learner_of, load_source
from habitue.candidates.sequence import SequenceConfig, SequenceSource
from habitue.facts import MS_PER_DAY, NO_ROW
from tests.candidates.shop import NOW_MS, VIEW, catalogue_of, facts_of, log_of, requests

N = 12
COLOURS = ("red", "blue", "green", "black")
CONFIG = SequenceConfig(
    behaviour=BehaviourConfig(
        dim=32, dropout=0.1, input_dropout=0.1, unnamed=0.3,
        loss=LossConfig(negatives=12),
        schedule=ScheduleConfig(epochs=15, tokens=100, rate=1e-2),
    )
)  # fmt: skip


def title(row: int) -> str:
    return f"mug {COLOURS[row % 4]} shape{row // 4}"


def walking(config: SequenceConfig) -> SequenceSource:
    """Learnt where everybody walks the items in a circle, one a day."""
    rng = np.random.default_rng(0)
    acts = [
        (float(day + rng.random() / 2), VIEW, shopper, (begin + day) % N, -1)
        for shopper, begin in enumerate(rng.integers(0, N, 150).tolist())
        for day in range(8)
    ]
    titles = [title(row) for row in range(N)]
    facts = facts_of(log_of(sorted(acts)), catalogue_of(N, title=titles))
    made = learner_of(config).fit(facts, np.random.default_rng(1))
    assert isinstance(made, SequenceSource)
    return made


@pytest.fixture(scope="module")
def source() -> SequenceSource:
    return walking(CONFIG)


def walked(*items: int) -> list[tuple[int, int, float]]:
    """Those items, a day apart, the last one a day ago; most recent first."""
    return [(item, VIEW, float(x + 1)) for x, item in enumerate(reversed(items))]


def test_the_order_of_actions_says_what_is_next(source: SequenceSource) -> None:
    found = source.propose(requests([walked(3, 4, 5), walked(5, 4, 3), walked(11)]), 1)
    assert found.item_row[0, 0] == 6
    assert found.item_row[2, 0] == 0
    assert found.score[0, 0] > 0
    assert source.score(requests([walked(3, 4, 5)]), np.array([[6, 9]], np.int32))[0, 0] > 0


def test_a_list_is_generated_in_the_order_of_what_comes(tmp_path: Path) -> None:
    """Saved and served without PyTorch it is the same list; what is not listed follows it."""
    behaviour = BehaviourConfig(
        encoder="encoder-decoder", dim=32, dropout=0.1, input_dropout=0.1,
        loss=LossConfig(negatives=12, own_past="competes"),
        listing=ListingConfig(ahead=4, slots=4),
        # it ends as it ends: its first places are right long before its lists are
        schedule=ScheduleConfig(epochs=40, tokens=100, rate=1e-2, first_validation=1.0),
    )  # fmt: skip
    generating = walking(SequenceConfig(behaviour=behaviour))
    asked = requests([walked(3, 4, 5), walked(0, 1), []])
    found = generating.propose(asked, 7)
    assert found.item_row[0, :4].tolist() == [6, 7, 8, 9]
    assert found.item_row[1, :4].tolist() == [2, 3, 4, 5]
    assert (found.item_row[2] == NO_ROW).all()
    assert found.score[0, 3] > 1 / CONFIG.behaviour.loss.temperature > found.score[0, 4]
    generating.save(tmp_path / "source")
    served = load_source(tmp_path / "source").propose(asked, 7)
    np.testing.assert_array_equal(served.item_row, found.item_row)


def test_an_item_that_came_later_is_found_by_what_is_told_of_it(source: SequenceSource) -> None:
    """It is told as item 6 is: whoever should see that is offered it, too."""
    tail = catalogue_of(N + 1, title=[title(row) for row in range(N)] + [title(6)])
    longer = source.extend(tail)
    asked = requests([walked(3, 4, 5)])
    assert N not in source.propose(asked, N).item_row
    assert N in longer.propose(asked, 3).item_row
    assert longer.extend(tail) is longer
    follows = longer.propose(requests([[(N, VIEW, 1.0)]]), 1)
    assert follows.item_row[0, 0] != NO_ROW, "and whoever looked at it is answered"


def test_extended_bit_by_bit_it_is_as_extended_at_once(source: SequenceSource) -> None:
    titles = [title(row) for row in range(N)] + [title(6), title(2), "something else"]
    at_once = source.extend(catalogue_of(N + 3, title=titles))
    bit_by_bit = source
    for n in range(N + 1, N + 4):
        bit_by_bit = bit_by_bit.extend(catalogue_of(n, title=titles[:n]))
    np.testing.assert_allclose(at_once.search.tail, bit_by_bit.search.tail, rtol=1e-6)


def test_serving_it_needs_no_torch(source: SequenceSource, tmp_path: Path) -> None:
    """A process that loads the folder and asks never imports PyTorch."""
    source.save(tmp_path / "model")
    asked = f"""
import json, pathlib, sys
from habitue.candidates.roster import load_source
from tests.candidates.shop import VIEW, requests
model = load_source(pathlib.Path({str(tmp_path / "model")!r}))
found = model.propose(requests([[(5, VIEW, 1.0), (4, VIEW, 2.0), (3, VIEW, 3.0)]]), 3)
print(json.dumps([found.item_row.tolist(), "torch" in sys.modules]))
"""
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    rows, torch_there = json.loads(done.stdout)
    here = source.propose(requests([walked(3, 4, 5)]), 3)
    assert rows == here.item_row.tolist()
    assert not torch_there


def test_without_content_it_knows_nothing_of_new_items() -> None:
    acts = [(float(d), VIEW, s, (s + d) % 5, -1) for s in range(9) for d in range(4)]
    config = CONFIG.model_copy(
        update={"behaviour": CONFIG.behaviour.model_copy(update={"content": False})}
    )
    made = learner_of(config).fit(
        facts_of(log_of(sorted(acts)), catalogue_of(5)), np.random.default_rng(0)
    )
    assert isinstance(made, SequenceSource)
    longer = made.extend(catalogue_of(6, title=["new"] * 6))
    assert 5 not in longer.propose(requests([[(1, VIEW, 1.0)]]), 6).item_row


def test_its_folder_is_read_back(source: SequenceSource, tmp_path: Path) -> None:
    source.save(tmp_path / "model")
    loaded = load_source(tmp_path / "model")
    assert isinstance(loaded, SequenceSource)
    assert loaded.measured["tokens"] == 150 * 8
    assert loaded.measured["validation_ndcg@10"] > 0.9
    tail = catalogue_of(N + 1, title=[title(row) for row in range(N)] + [title(6)])
    np.testing.assert_allclose(
        loaded.extend(tail).search.tail, source.extend(tail).search.tail, rtol=1e-5
    )


def circle(n: int, since_day: int, days: int, seed: int) -> list[tuple[float, int, int, int, int]]:
    """Everybody walks ``n`` items in a circle, one a day."""
    rng = np.random.default_rng(seed)
    return [
        (since_day + day + rng.random() / 2, VIEW, shopper, (begin + day) % n, -1)
        for shopper, begin in enumerate(rng.integers(0, n, 150).tolist())
        for day in range(days)
    ]


def test_it_goes_on_from_what_it_learnt_earlier(source: SequenceSource, tmp_path: Path) -> None:
    source.save(tmp_path / "source")
    earlier = load_source(tmp_path / "source")
    titles = [title(row) for row in range(N + 1)]
    log = log_of(sorted(circle(N, 0, 8, 0) + circle(N + 1, 401, 8, 3)))
    facts = TrainingFacts(log, catalogue_of(N + 1, title=titles), NOW_MS + 10 * MS_PER_DAY)
    learner = learner_of(CONFIG)
    assert isinstance(learner, ContinuingLearner)
    later = learner.go_on(earlier, facts, np.random.default_rng(2))
    assert isinstance(later, SequenceSource)
    assert later.measured["went_on"] == 1
    assert later.measured["epochs"] <= CONFIG.behaviour.schedule.further_epochs
    asked = requests([walked(3, 4, 5), walked(9, 10, 11)])
    found = later.propose(asked, 2).item_row
    assert found[0, 0] == 6
    assert set(found[1].tolist()) == {12, 0}  # what followed later, and what followed earlier


def test_it_begins_anew_where_the_earlier_one_is_of_another_kind(source: SequenceSource) -> None:
    """Here the later shop tells nothing of its items, so the network has other weights."""
    learner = learner_of(CONFIG)
    assert isinstance(learner, ContinuingLearner)
    facts = facts_of(log_of(sorted(circle(N, 0, 8, 0))), catalogue_of(N))
    later = learner.go_on(source, facts, np.random.default_rng(2))
    assert isinstance(later, SequenceSource)
    assert later.measured["went_on"] == 0
    assert later.propose(requests([walked(3, 4, 5)]), 1).item_row[0, 0] == 6


def test_what_a_shopper_had_is_left_out_where_nobody_comes_back_to_it() -> None:
    """Each walks part of the circle once: nothing is learnt of what was passed, nor said."""
    facts = facts_of(log_of(sorted(circle(N, 0, 6, 0))), catalogue_of(N))
    source = learner_of(CONFIG).fit(facts, np.random.default_rng(2))
    assert isinstance(source, SequenceSource)
    assert source.measured["own_past_left_out"] == 1
    asked = requests([walked(3, 4, 5)])
    found = source.propose(asked, 5)
    assert found.item_row[0, 0] == 6
    assert not set(found.item_row[0].tolist()) & {3, 4, 5}
    scores = source.score(asked, np.array([[3, 6, 4, 5]], np.int32))[0]
    assert scores[1] > 0
    assert scores[[0, 2, 3]].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(source.score(asked, found.item_row), found.score)
