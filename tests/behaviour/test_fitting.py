"""Training: it learns what can be learnt, the same each time, and keeps its best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from habitue.behaviour.asking import queries, validate
from habitue.behaviour.beginnings import co_occurrence_vectors
from habitue.behaviour.checkpoints import Checkpoint
from habitue.behaviour.config import BehaviourConfig, LossConfig, ScheduleConfig, sized
from habitue.behaviour.fitting import Training, fit
from habitue.behaviour.learning import with_held_out
from habitue.behaviour.streams import Windows
from habitue.behaviour.teaching import Teacher
from tests.behaviour.streams import rounds, streams

SMALL = BehaviourConfig(
    dim=16, dropout=0.1, input_dropout=0.1,
    loss=LossConfig(negatives=8),
    schedule=ScheduleConfig(epochs=12, tokens=100, rate=1e-2, validate_every=3),
)  # fmt: skip


@pytest.mark.parametrize("change", [
    {}, {"attention": "pointwise"}, {"encoder": "gru"}, {"encoder": "lstm"},
    {"loss": LossConfig(against="all", smoothing=0.1)},
    {"loss": LossConfig(negatives=8, smoothing=0.1)}, {"start": "random"},
    {"layers": 2, "item_dropout": 0.1},
], ids=str)  # fmt: skip
def test_what_always_follows_is_foretold(change: dict[str, object]) -> None:
    """Everybody walks in a circle, so the next item is certain."""
    walk = rounds()
    training = Training(walk.without_last(1), judged=walk, judged_without=False)
    fitted = fit(training, SMALL.model_copy(update=change))
    assert validate(fitted.network, walk, SMALL, without_seen=False) > 0.95


@pytest.mark.parametrize("change", [
    {"encoder": "bidirectional"}, {"encoder": "bidirectional", "layers": 2, "start": "random"},
    {"encoder": "encoder-decoder"},
], ids=str)  # fmt: skip
def test_what_is_asked_of_a_part_only_is_learnt_in_more_passes(change: dict[str, object]) -> None:
    walk = rounds()
    longer = SMALL.schedule.model_copy(update={"epochs": 60, "patience": 9})
    config = SMALL.model_copy(update={"schedule": longer, **change})
    fitted = fit(Training(walk.without_last(1), judged=walk, judged_without=False), config)
    assert validate(fitted.network, walk, config, without_seen=False) > 0.95


@pytest.mark.parametrize("against", ["all", "sample"])
def test_a_shopper_s_own_past_competes_only_where_it_is_asked_about(
    against: Literal["all", "sample"],
) -> None:
    def loss(own: Literal["auto", "competes", "left out"], asked: bool) -> float:
        told = LossConfig(against=against, own_past=own, negatives=8)
        training = Training(rounds(20), judged_without=not asked)
        teacher = Teacher(training, SMALL.model_copy(update={"loss": told}), 0)
        windows, rng = teacher.batches(0)
        return teacher.learn(windows[0], rng)

    assert loss("left out", True) < loss("competes", True)
    assert loss("auto", True) == loss("competes", True)
    assert loss("auto", False) == loss("left out", False)


@pytest.mark.parametrize("item_steps", ["all", "own"])
def test_the_mean_of_a_short_training_does_not_remember_how_it_began(item_steps: str) -> None:
    schedule = SMALL.schedule.model_copy(update={"averaging": 0.998, "item_steps": item_steps})
    teacher = Teacher(Training(rounds(20)), SMALL.model_copy(update={"schedule": schedule}), 0)
    began = teacher.network.item_vectors().detach()
    for epoch in range(schedule.epochs):
        windows, rng = teacher.batches(epoch)
        for one in windows:
            teacher.learn(one, rng)
    teacher.put(teacher.averaged())
    ended = teacher.network.item_vectors().detach()
    teacher.averaged()
    mean = teacher.network.item_vectors().detach()
    assert (mean - ended).norm() < 0.2 * (began - ended).norm()


def test_ties_are_drawn_anew_in_each_pass_and_the_same_by_one_seed() -> None:
    at_once = replace(streams([40]), at_ms=np.zeros(40, np.int64))

    def reads(ties: Literal["kept", "drawn"], epoch: int) -> list[int]:
        teacher = Teacher(Training(at_once), SMALL.model_copy(update={"ties": ties}), 3)
        teacher.batches(epoch)
        return [int(item) for item in teacher.streams.item_row]

    assert reads("kept", 0) == reads("kept", 1) == at_once.item_row.tolist()
    assert reads("drawn", 0) == reads("drawn", 0)
    assert reads("drawn", 0) != reads("drawn", 1)


def test_the_same_seed_is_the_same_network() -> None:
    walk = rounds(40)
    a, b, c = (fit(Training(walk), SMALL, seed=seed).network.item_vectors() for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize(
    ("encoder", "item_steps"),
    [("transformer", "all"), ("transformer", "own"), ("bidirectional", "all"),
     ("encoder-decoder", "all"), ("gru", "all")],
)  # fmt: skip
def test_a_training_that_was_killed_ends_as_if_it_had_not_been(
    encoder: str, item_steps: str, tmp_path: Path
) -> None:
    """It is killed in the middle of a pass, twice, and goes on from what it had written."""
    walk = rounds(60)
    walk = replace(walk, at_ms=walk.at_ms // (3 * 86_400_000))  # three at once
    training = Training(walk.without_last(1), judged=walk, judged_without=False)
    schedule = SMALL.schedule.model_copy(
        update={"checkpoint_minutes": 1e-9, "averaging": 0.9, "item_steps": item_steps}
    )
    config = SMALL.model_copy(update={"encoder": encoder, "schedule": schedule, "ties": "drawn"})
    whole = fit(training, config, seed=5)

    class Killed(Exception):
        pass

    steps = 0

    def learn(self: Teacher, windows: Windows, rng: np.random.Generator) -> float:
        nonlocal steps
        steps += 1
        if steps in (8, 21):
            raise Killed
        return taught(self, windows, rng)

    taught = Teacher.learn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Teacher, "learn", learn)
        for _ in range(2):
            with pytest.raises(Killed):
                fit(training, config, seed=5, checkpoints=tmp_path)
            assert len(list(tmp_path.iterdir())) == 1
            torch.manual_seed(99)
        resumed = fit(training, config, seed=5, checkpoints=tmp_path)
    assert torch.equal(whole.network.item_vectors(), resumed.network.item_vectors())
    assert [one.ndcg for one in whole.history] == [one.ndcg for one in resumed.history]
    assert list(tmp_path.iterdir()) == [], "what is done needs no going on"


def test_another_training_does_not_go_on_from_it(tmp_path: Path) -> None:
    names = {
        Checkpoint.of(tmp_path, Training(walk), config, seed).path
        for walk in (rounds(20), rounds(21))
        for config in (SMALL, SMALL.model_copy(update={"dim": 32}))
        for seed in (0, 1)
    }
    assert len(names) == 8


def test_the_epoch_that_was_judged_best_is_kept() -> None:
    """Noise is learnt by heart: later epochs are worse, and are not what is handed out."""
    noise = streams([6] * 60, n_items=40)
    training = Training(noise.without_last(1), judged=noise, judged_without=False)
    hard = SMALL.model_copy(update={
        "dropout": 0.0, "input_dropout": 0.0,
        "schedule": ScheduleConfig(epochs=40, tokens=60, rate=2e-2, validate_every=2,
                                   patience=4, first_validation=0.0),
    })  # fmt: skip
    fitted = fit(training, hard)
    best = max(one.ndcg for one in fitted.history)
    assert validate(fitted.network, noise, hard, without_seen=False) == pytest.approx(best)
    assert fitted.epochs < 40, "patience ended it"


def test_an_item_known_by_what_is_told_of_it_is_foretold_unseen() -> None:
    """Items come in pairs told alike; the one never acted on lies beside the other."""
    walk = rounds(n_items=12)
    content = np.zeros((24, 12), np.float32)
    content[:12] = content[12:] = np.eye(12)
    wide = replace(walk, n_items=24)
    config = SMALL.model_copy(update={"unnamed": 0.5, "start": "random"})
    network = fit(Training(wide, content=content), config).network
    with torch.no_grad():
        network.items.own[12:] = 0
    found = queries(network, wide, wide.ends(0, 8), waiting=np.full(120, 17, np.uint8))
    score = found @ network.item_vectors().detach().numpy().T
    following = (walk.item_row[walk.start[1:] - 1] + 1) % 12
    assert (np.argmax(score[:, 12:], axis=1) == following).mean() > 0.9


def test_what_is_held_out_is_the_last_action_of_some() -> None:
    some = streams([1, 2, 3, 4, 5, 6])
    kept, judged = with_held_out(some, 0.5, np.random.default_rng(0))
    assert judged is not None
    assert judged.n_shoppers == 2, "half of the four who have three actions"
    shorter = np.diff(some.start) - np.diff(kept.start)
    assert some.shopper_row[shorter == 1].tolist() == judged.shopper_row.tolist()
    assert (np.diff(judged.start) >= 3).all()
    nobody, none = with_held_out(streams([1, 2]), 0.5, np.random.default_rng(0))
    assert none is None
    assert len(nobody) == 3


def test_items_acted_on_together_begin_together() -> None:
    halves = streams([20] * 30, n_items=10)
    item = halves.item_row % 5 + 5 * (halves.stream() % 2).astype(np.int32)
    vectors = co_occurrence_vectors(
        replace(halves, item_row=item.astype(np.int32)), 2, np.random.default_rng(0)
    )
    near = vectors @ vectors.T
    assert near[:5, :5].min() > near[:5, 5:].max()


def test_sizes_have_names() -> None:
    assert (sized("large").dim, sized("large").layers) == (1024, 24)
    with pytest.raises(KeyError):
        sized("huge")
    with pytest.raises(ValueError, match="no multiple"):
        BehaviourConfig(dim=10, heads=4)
