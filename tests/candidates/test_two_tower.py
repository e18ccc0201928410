"""Two towers: shoppers are read live, items by what is told of them where nothing else is known."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from habitue.behaviour.pasts import foretold
from habitue.behaviour.streams import streams_of
from habitue.candidates import two_tower_fitting
from habitue.candidates.contract import ContinuingLearner, ExtendingSource, TrainingFacts
from habitue.candidates.profile import codes_of
from habitue.candidates.roster import learner_of, load_source
from habitue.candidates.search import ItemSearch
from habitue.candidates.two_tower import TwoTowerConfig, TwoTowerSource
from habitue.candidates.two_tower_config import TowerScheduleConfig
from habitue.candidates.two_tower_fitting import Lessons, fit
from habitue.candidates.two_tower_step import ShopperTower
from habitue.candidates.vectors import units
from habitue.errors import MissingPiece
from habitue.facts import MS_PER_DAY, NO_ROW
from habitue.portraits import contexts_as_of
from tests.candidates.shop import (
    BUY,
    NOW_MS,
    RATE,
    VIEW,
    catalogue_of,
    facts_of,
    log_of,
    requests,
    two_tastes,
    with_ratings,
)

N = 12
COLOURS = ("red", "blue", "green", "black")
CONFIG = TwoTowerConfig(
    dim=32, hidden=(64,), dropout=0.1, input_dropout=0.1, unnamed=0.3, negatives=12,
    schedule=TowerScheduleConfig(
        epochs=15, batch=64, rate=1e-2, patience=5, further_epochs=6, further_rate=5e-3
    ),
)  # fmt: skip


def title(row: int) -> str:
    return f"mug {COLOURS[row % 4]} shape{row // 4}"


def circle(n: int, since_day: int, days: int, seed: int) -> list[tuple[float, int, int, int, int]]:
    """Everybody walks ``n`` items in a circle, one a day."""
    rng = np.random.default_rng(seed)
    return [
        (since_day + day + rng.random() / 2, VIEW, shopper, (begin + day) % n, -1)
        for shopper, begin in enumerate(rng.integers(0, n, 150).tolist())
        for day in range(days)
    ]


def walked(*items: int) -> list[tuple[int, int, float]]:
    """Those items, a day apart, the last one a day ago; most recent first."""
    return [(item, VIEW, float(x + 1)) for x, item in enumerate(reversed(items))]


def learnt(config: TwoTowerConfig, *told: object, seed: int = 1) -> TwoTowerSource:
    made = learner_of(config).fit(facts_of(*told), np.random.default_rng(seed))  # type: ignore[arg-type]
    assert isinstance(made, TwoTowerSource)
    return made


@pytest.fixture(scope="module")
def source() -> TwoTowerSource:
    titles = [title(row) for row in range(N)]
    return learnt(CONFIG, log_of(circle(N, 0, 8, 0)), catalogue_of(N, title=titles))


def test_the_last_action_says_what_is_next(source: TwoTowerSource) -> None:
    found = source.propose(requests([walked(3, 4, 5), walked(11), walked(7, 8)]), 1)
    assert found.item_row[:, 0].tolist() == [6, 0, 9]
    assert (found.score > 0).all()


def test_an_action_a_moment_ago_moves_the_shopper(source: TwoTowerSource) -> None:
    before = walked(3, 4, 5)
    after = [(6, VIEW, 0.0), *before]
    asked = requests([before, after], shoppers=[0, 0])
    assert source.propose(asked, 1).item_row[:, 0].tolist() == [6, 7]


def test_an_item_that_came_later_is_found_by_what_is_told_of_it(source: TwoTowerSource) -> None:
    """It is told as item 6 is: whoever should see that is offered it, too."""
    assert isinstance(source, ExtendingSource)
    tail = catalogue_of(N + 1, title=[title(row) for row in range(N)] + [title(6)])
    longer = source.extend(tail)
    asked = requests([walked(3, 4, 5)])
    assert N not in source.propose(asked, N).item_row
    assert N in longer.propose(asked, 3).item_row
    assert longer.extend(tail) is longer
    follows = longer.propose(requests([[(N, VIEW, 1.0)]]), 1)
    assert follows.item_row[0, 0] != NO_ROW, "and whoever looked at it is answered"


def test_an_item_told_of_at_training_that_nobody_took_is_found_the_same() -> None:
    """It stood in the catalogue from the first: what is told of it is all there is."""
    titles = [*(title(row) for row in range(N)), title(6)]
    made = learnt(
        CONFIG, log_of(circle(N, 0, 8, 0), n_items=N + 1), catalogue_of(N + 1, title=titles)
    )
    told = made.vector_of(catalogue_of(N + 1, title=titles).frame)
    np.testing.assert_allclose(made.read_vectors[N], told[N], atol=1e-5)
    assert not np.allclose(made.read_vectors[6], told[6], atol=1e-2)
    assert N in made.propose(requests([walked(3, 4, 5)]), 4).item_row


def test_extended_bit_by_bit_it_is_as_extended_at_once(source: TwoTowerSource) -> None:
    titles = [title(row) for row in range(N)] + [title(6), title(2), "something else"]
    at_once = source.extend(catalogue_of(N + 3, title=titles))
    bit_by_bit = source
    for n in range(N + 1, N + 4):
        bit_by_bit = bit_by_bit.extend(catalogue_of(n, title=titles[:n]))
    np.testing.assert_allclose(at_once.search.tail, bit_by_bit.search.tail, rtol=1e-6)
    asked = requests([walked(3, N, 5)])
    np.testing.assert_allclose(at_once.queries(asked), bit_by_bit.queries(asked), rtol=1e-5)


@pytest.mark.parametrize("hidden", [(24, 16), (24,), ()])
def test_what_serves_says_what_was_taught(hidden: tuple[int, ...]) -> None:
    """Asked as of each moment of training it says what the network in PyTorch said there."""
    shop = with_ratings(two_tastes(40, 14))
    schedule = TowerScheduleConfig(epochs=3, batch=64, rate=0.03, validation_share=0.0)
    config = CONFIG.model_copy(update={"hidden": hidden, "pools": 3, "schedule": schedule})
    log = shop.facts.log.take(np.argsort(shop.facts.log.at_ms, kind="stable"))
    streams = streams_of(log, codes_of(config.kinds))
    made = learnt(config, log)
    fitted = fit(
        Lessons(streams, None, made.ratings, None, own_past_left_out=False),
        config,
        np.random.default_rng(0),
    )
    nothing = np.empty(0, np.int32)
    search = ItemSearch.build(units(fitted.read), nothing, fitted.queries, config.vectors)
    source = TwoTowerSource(
        config, ShopperTower(fitted.tower, config.temperature), search, fitted.read, fitted.told,
        None, made.ratings, made.measured,
    )  # fmt: skip
    moment = foretold(streams)
    assert len(fitted.queries) == len(moment), "so few are all kept"
    shopper = streams.shopper_row[streams.stream()[moment]]
    context = contexts_as_of(
        log.of_kinds(codes_of(config.kinds)), shopper, streams.at_ms[moment], surface="home",
        length=config.length,
    )  # fmt: skip
    assert context.rated is not None
    assert len(context.rated.item)
    for rated in (context.rated, None):  # whether the request brings them or not
        asked = source.queries(replace(context, rated=rated))
        np.testing.assert_allclose(asked, fitted.queries, rtol=1e-3, atol=1e-3)


def test_ratings_tell_two_shoppers_apart_who_did_the_same() -> None:
    """Whoever rates even items high takes even ones next, and the other way round."""
    rng = np.random.default_rng(0)
    rows, ratings = [], []
    for shopper in range(120):
        for place, item in enumerate(rng.permutation(12)[:6].tolist()):
            rows.append((1.0 + place, RATE, shopper, item, -1))
            ratings.append(5.0 if item % 2 == shopper % 2 else 1.0)
        rows.append((10.0, BUY, shopper, 12 + shopper % 2 + 2 * int(rng.integers(3)), -1))
        ratings.append(np.nan)
    order = np.argsort([row[0] for row in rows], kind="stable")
    log = replace(log_of(rows, n_items=18), rating=np.array(ratings, np.float32)[order])
    made = learnt(CONFIG, log)
    seen = [(item, RATE, 5.0 - item) for item in range(4)]
    for kept in (True, False):  # a stranger's come with the request
        rated = [[(i, 5.0 if i % 2 == odd else 1.0, 5.0 - i) for i in range(4)] for odd in (0, 1)]
        asked = requests([seen, seen], rated=rated, personal=[kept, kept])
        new = np.tile(np.arange(12, 18, dtype=np.int32), (2, 1))
        score = made.score(asked, new)
        even, odd = score[:, ::2].mean(axis=1), score[:, 1::2].mean(axis=1)
        assert (even[0] > odd[0] and even[1] < odd[1]) == kept


def test_serving_it_needs_no_torch(source: TwoTowerSource, tmp_path: Path) -> None:
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
    assert rows == source.propose(requests([walked(3, 4, 5)]), 3).item_row.tolist()
    assert not torch_there


def test_its_folder_is_read_back(source: TwoTowerSource, tmp_path: Path) -> None:
    source.save(tmp_path / "model")
    loaded = load_source(tmp_path / "model")
    assert isinstance(loaded, TwoTowerSource)
    assert loaded.config == source.config
    assert loaded.measured == source.measured
    assert loaded.measured["validation_ndcg@10"] > 0.9
    tail = catalogue_of(N + 1, title=[title(row) for row in range(N)] + [title(6)])
    asked = requests([walked(3, N, 5)])
    np.testing.assert_array_equal(
        loaded.extend(tail).queries(asked), source.extend(tail).queries(asked)
    )


def test_ratings_are_read_back(tmp_path: Path) -> None:
    shop = with_ratings(two_tastes(20, 12))
    made = learnt(CONFIG, shop.facts.log, shop.facts.catalogue)
    made.save(tmp_path / "model")
    loaded = load_source(tmp_path / "model")
    assert isinstance(loaded, TwoTowerSource)
    asked = requests([walked(1, 2), walked(1, 2)], shoppers=[0, 1], rated=[[(3, 5.0, 0.1)], []])
    np.testing.assert_array_equal(loaded.queries(asked), made.queries(asked))
    assert (made.queries(asked)[0] != made.queries(asked)[1]).any(), "they rated differently"


def test_it_goes_on_from_what_it_learnt_earlier(source: TwoTowerSource, tmp_path: Path) -> None:
    source.save(tmp_path / "source")
    earlier = load_source(tmp_path / "source")
    titles = [title(row) for row in range(N + 1)]
    log = log_of(sorted(circle(N, 0, 8, 0) + circle(N + 1, 401, 8, 3)))
    facts = TrainingFacts(log, catalogue_of(N + 1, title=titles), NOW_MS + 10 * MS_PER_DAY)
    learner = learner_of(CONFIG)
    assert isinstance(learner, ContinuingLearner)
    later = learner.go_on(earlier, facts, np.random.default_rng(2))
    assert isinstance(later, TwoTowerSource)
    assert learner.went_on(later)
    assert not learner.went_on(earlier)
    assert later.measured["epochs"] <= CONFIG.schedule.further_epochs
    found = later.propose(requests([walked(3, 4, 5), walked(9, 10, 11)]), 2).item_row
    assert found[0, 0] == 6
    assert set(found[1].tolist()) == {12, 0}  # what followed later, and what followed earlier


def test_it_begins_anew_where_the_earlier_one_is_of_another_kind(source: TwoTowerSource) -> None:
    """Here the later shop tells nothing of its items, so the towers have other weights."""
    learner = learner_of(CONFIG)
    assert isinstance(learner, ContinuingLearner)
    facts = facts_of(log_of(circle(N, 0, 8, 0)), catalogue_of(N))
    later = learner.go_on(source, facts, np.random.default_rng(2))
    assert isinstance(later, TwoTowerSource)
    assert not learner.went_on(later)
    assert later.propose(requests([walked(3, 4, 5)]), 1).item_row[0, 0] == 6


@pytest.mark.parametrize(("first", "passes"), [(0.0, 2), (0.5, 5)])
def test_it_is_not_judged_while_its_steps_are_large(
    first: float, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each validation is worse than the one before, training ends with the second."""
    found = iter(range(100, 0, -1))
    monkeypatch.setattr(two_tower_fitting._Run, "judge", lambda *_: float(next(found)))
    schedule = TowerScheduleConfig(epochs=6, batch=64, patience=1, first_validation=first)
    config = CONFIG.model_copy(update={"schedule": schedule})
    assert learnt(config, log_of(circle(N, 0, 8, 0))).measured["epochs"] == passes


def test_what_a_shopper_had_is_left_out_where_nobody_comes_back_to_it() -> None:
    """Each walks part of the circle once: nothing is learnt of what was passed, nor said."""
    made = learnt(CONFIG, log_of(circle(N, 0, 6, 0)), catalogue_of(N))
    assert made.measured["own_past_left_out"] == 1
    asked = requests([walked(3, 4, 5)])
    found = made.propose(asked, 5)
    assert found.item_row[0, 0] == 6
    assert not set(found.item_row[0].tolist()) & {3, 4, 5}
    assert made.score(asked, np.array([[3, 4, 5]], np.int32)).tolist() == [[0, 0, 0]]


def test_without_pytorch_it_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPiece) as told:
        learnt(CONFIG, log_of([(1.0, BUY, 0, 0, -1)]))
    assert "pip install 'habitue[deep]'" in str(told.value.remedy)
