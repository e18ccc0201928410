"""New shoppers by how they come: counted by hand, shrunk, and heard only where it helps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.candidates.cold import ColdConfig, ColdLearner, ColdSource
from habitue.candidates.cold_fitting import Evidence, Judged, chosen, likelihoods
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.roster import load_source
from habitue.facts import MS_PER_DAY, NO_ROW, Circumstances, Context, Vocabulary
from tests.candidates.shop import NOW_MS, VIEW, catalogue_of, log_of, requests

CONFIG = ColdConfig(half_life_days=None, validation_days=40.0, least_judged=20)
DEVICES = ("", "mobile", "desktop")


def facts_of(
    rows: Sequence[tuple[float, int, int, int, int]], device: Sequence[int], n_items: int
) -> TrainingFacts:
    """Facts whose actions say a device each; ``rows`` stand in order of time."""
    log = log_of(rows, n_items=n_items)
    nothing = np.zeros(len(log), np.int16)
    said = Circumstances(
        nothing, nothing, np.array(device, np.int16), nothing, nothing.astype(np.int32),
        Vocabulary(device=DEVICES),
    )  # fmt: skip
    return TrainingFacts(replace(log, circumstances=said), catalogue_of(n_items), NOW_MS)


def two_devices() -> TrainingFacts:
    """400 shoppers look at one item each: on a phone at an even one, at a desk at an odd one."""
    rng = np.random.default_rng(1)
    rows, device = [], []
    for shopper in range(400):
        desk = shopper % 2
        item = int(rng.choice(3)) * 2 + desk
        rows.append((200.0 + shopper // 2, VIEW, shopper, item, -1))
        device.append(1 + desk)
    return facts_of(rows, device, 6)


def stranger(device: str | None, anchors: Sequence[int] = ()) -> Context:
    return replace(requests([[]], anchors=[anchors]), device=(device,))


def test_strangers_are_met_by_how_they_come() -> None:
    source = ColdLearner(CONFIG).fit(two_devices(), np.random.default_rng(0))
    phone = source.propose(stranger("Mobile"), 3).item_row[0]
    desk = source.propose(stranger("desktop"), 3).item_row[0]
    assert sorted(phone.tolist()) == [0, 2, 4]
    assert sorted(desk.tolist()) == [1, 3, 5]


def test_a_device_nobody_has_named_is_answered_by_popularity() -> None:
    source = ColdLearner(CONFIG).fit(two_devices(), np.random.default_rng(0))
    unknown, none = (source.propose(stranger(name), 6) for name in ("toaster", None))
    np.testing.assert_array_equal(unknown.item_row, none.item_row)
    np.testing.assert_array_equal(unknown.score, none.score)


def test_what_does_not_help_says_nothing() -> None:
    """The same shop with devices dealt by lot: what was counted under them is chance."""
    facts = two_devices()
    said = facts.log.circumstances
    assert said is not None
    dealt = np.random.default_rng(2).integers(1, 3, len(said)).astype(np.int16)
    log = replace(facts.log, circumstances=replace(said, device=dealt))
    source = ColdLearner(CONFIG).fit(replace(facts, log=log), np.random.default_rng(0))
    assert math.isinf(source.measured["strength device"])
    one, other = (source.propose(stranger(name), 6) for name in ("mobile", "desktop"))
    np.testing.assert_array_equal(one.score, other.score)


def test_too_few_newcomers_leave_popularity_alone() -> None:
    config = CONFIG.model_copy(update={"least_judged": 5000})
    source = ColdLearner(config).fit(two_devices(), np.random.default_rng(0))
    count = np.bincount(two_devices().log.item_row, minlength=6)
    every = np.arange(6, dtype=np.int32)[None]
    for context in (stranger("mobile"), stranger("desktop", [1])):
        np.testing.assert_allclose(source.score(context, every)[0], np.log1p(count), rtol=1e-6)


def test_an_item_of_the_live_tail_is_no_evidence() -> None:
    """Rows behind the fitted items belong to the sides of the table."""
    source = ColdLearner(CONFIG).fit(two_devices(), np.random.default_rng(0))
    for row in (6, 7, 40, 100):
        np.testing.assert_array_equal(
            source.propose(stranger("mobile", [row]), 6).score,
            source.propose(stranger("mobile"), 6).score,
        )


def test_it_keeps_its_vocabulary_on_disk(tmp_path: Path) -> None:
    source = ColdLearner(CONFIG).fit(two_devices(), np.random.default_rng(0))
    source.save(tmp_path / "cold")
    loaded = load_source(tmp_path / "cold")
    assert isinstance(loaded, ColdSource)
    assert loaded.vocabulary.device == DEVICES
    for name in ("mobile", "desktop"):
        np.testing.assert_array_equal(
            loaded.propose(stranger(name), 6).item_row, source.propose(stranger(name), 6).item_row
        )


def test_a_zone_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        ColdLearner(ColdConfig(time_zone="Mars/Base"))


ACTIONS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 9), st.integers(0, 4), st.integers(0, 2)),
    min_size=1,
    max_size=40,
)


@given(ACTIONS, st.integers(0, 2), st.sampled_from([(), (1,), (3,)]))
@settings(deadline=None, max_examples=40)
def test_scores_are_those_of_a_count_by_hand(
    actions: list[tuple[int, int, int, int]], device: int, anchors: tuple[int, ...]
) -> None:
    """Each shopper counts once an item, at the first action; sides of given strength add up."""
    actions = sorted(actions, key=lambda row: row[0])
    day = NOW_MS // MS_PER_DAY - 61
    rows = [(float(day + d), VIEW, shopper, item, -1) for d, shopper, item, _ in actions]
    facts = facts_of(rows, [d for *_, d in actions], 6)
    learner = ColdLearner(CONFIG)
    strengths = {"device": 3.0, "items": 7.0, "weekday": 11.0, "hour": float("inf")}
    vocabulary = Vocabulary(device=DEVICES)
    evidence = learner._evidence(facts, vocabulary, np.random.default_rng(0))
    from habitue.candidates.cold import _table

    source = ColdSource(CONFIG, vocabulary, _table(evidence, strengths), strengths)
    context = stranger(DEVICES[device] or None, anchors)
    found = source.score(context, np.arange(6, dtype=np.int32)[None])[0]

    firsts = {}
    for d, shopper, item, dev in actions:
        firsts.setdefault((shopper, item), (d, dev))
    n = [sum(item == j for _, item in firsts) for j in range(6)]
    today = NOW_MS // MS_PER_DAY
    edges = {j: evidence.count[evidence.indptr[j] : evidence.indptr[j + 1]] for j in range(6)}
    to = {j: evidence.item[evidence.indptr[j] : evidence.indptr[j + 1]] for j in range(6)}
    for j in range(6):
        share = (1 + n[j]) / (sum(n) + 6)
        score = math.log(1 + n[j])
        if device:
            c = sum(item == j and dev == device for (_, item), (_, dev) in firsts.items())
            score += math.log(1 + c / (3.0 * share))
        c = sum(item == j and (day + d - today) % 7 == 0 for (_, item), (d, _) in firsts.items())
        score += math.log(1 + c / (11.0 * share))
        for anchor in anchors:
            c = float(edges[anchor][to[anchor] == j].sum())
            score += math.log(1 + c / (7.0 * share))
        assert found[j] == pytest.approx(score, rel=1e-4, abs=1e-5)


def small_evidence() -> Evidence:
    """Three items; one side of two values."""
    return Evidence(
        indptr=np.array([0, 2, 3]),
        item=np.array([0, 1, 2], np.int32),
        count=np.array([4.0, 1.0, 5.0]),
        parts={"side": (0, 2)},
        wanted=np.array([4.0, 1.0, 5.0]),
    )


def test_the_likelihood_is_that_of_the_normalised_model() -> None:
    lift = np.array([0.5, 0.25, 2.0], np.float32)
    rows, weights = np.array([[0, NO_ROW], [1, 0]], np.int32), np.ones((2, 2), np.float32)
    judged = Judged(rows, weights, np.array([1, 2], np.int32), np.array([8, 9], np.int32))
    found = likelihoods(small_evidence(), lift, judged)
    first = [5 * math.exp(0.5), 2 * math.exp(0.25), 6.0]
    second = [5 * math.exp(0.5), 2 * math.exp(0.25), 6 * math.exp(2.0)]
    expected = [math.log(first[1] / sum(first)), math.log(second[2] / sum(second))]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_strength_chosen_is_the_best_of_the_grid() -> None:
    evidence = small_evidence()
    rows = np.repeat([[0], [1]], 20, axis=0).astype(np.int32)
    item = np.repeat([0, 2], 20).astype(np.int32)
    who = np.arange(40, dtype=np.int32)
    judged = Judged(rows, np.ones((40, 1), np.float32), item, who)
    assert chosen(evidence, judged, (1.0, 10.0)) == {"side": 1.0}
    turned = replace(judged, row=rows[::-1].copy())
    assert chosen(evidence, turned, (1.0, 10.0)) == {"side": float("inf")}
