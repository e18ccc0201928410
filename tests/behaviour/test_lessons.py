"""What is asked in training: what follows, or what was hidden."""

from __future__ import annotations

import numpy as np

from habitue.behaviour.config import BehaviourConfig, ListingConfig, MaskingConfig
from habitue.behaviour.lessons import lesson_of, stretches
from tests.behaviour.streams import streams

FORWARD = BehaviourConfig(length=4)
LENGTHS = [1, 3, 9]


def hiding(share: float, last: float) -> BehaviourConfig:
    masking = MaskingConfig(share=share, last=last)
    return BehaviourConfig(encoder="bidirectional", length=4, masking=masking)


def test_all_but_a_shopper_s_first_action_is_foretold_once() -> None:
    some = streams(LENGTHS)
    lesson = lesson_of(stretches(some, FORWARD), FORWARD, np.random.default_rng(0))
    assert sorted(lesson.right.tolist()) == [2, 3, *range(5, 13)]
    assert (lesson.right == lesson.batch.token[lesson.at] + 1).all()
    assert lesson.newest().tolist() == list(range(10))


def test_a_stretch_read_both_ways_holds_its_last_action_too() -> None:
    windows = stretches(streams(LENGTHS), hiding(0.4, 0.3))
    assert sorted(zip(windows.first.tolist(), windows.last.tolist(), strict=True)) == [
        (1, 4), (4, 9), (8, 13),
    ]  # fmt: skip


def test_so_much_is_hidden_and_asked_after() -> None:
    some = streams([5] * 400)
    windows = stretches(some, hiding(0.4, 0.0))
    lesson = lesson_of(windows, hiding(0.4, 0.0), np.random.default_rng(0))
    assert lesson.hidden is not None
    assert lesson.right.tolist() == lesson.batch.token[lesson.hidden].tolist()
    inside = np.bincount(np.searchsorted(lesson.batch.end, lesson.at), minlength=400)
    assert inside.min() == 1, "something is asked of everybody"
    np.testing.assert_allclose(inside.mean(), 5 * 0.4 + 0.6**5, atol=0.15)


def test_of_some_the_last_alone_is_hidden() -> None:
    windows = stretches(streams([5] * 400), hiding(1.0, 0.25))
    lesson = lesson_of(windows, hiding(1.0, 0.25), np.random.default_rng(0))
    inside = np.bincount(np.searchsorted(lesson.batch.end, lesson.at), minlength=400)
    assert set(inside.tolist()) == {1, 5}
    np.testing.assert_allclose((inside == 1).mean(), 0.25, atol=0.06)
    assert len(lesson.newest()) == 400
    question, token = lesson.had()
    assert (lesson.at[question] != token).all()
    assert len(question) == 4 * len(lesson.at)


def test_a_stretch_is_cut_somewhere_and_what_follows_is_the_list() -> None:
    config = BehaviourConfig(encoder="encoder-decoder", length=9, listing=ListingConfig(ahead=3))
    some = streams([2, 6, 9] * 100)
    windows = stretches(some, config)
    assert (windows.length == np.tile([2, 6, 9], 100)).all()
    lesson = lesson_of(windows, config, np.random.default_rng(0))
    listed, batch = lesson.listed, lesson.batch
    assert listed is not None
    assert np.unique(listed.place).tolist() == listed.place.tolist()
    first = listed.slot == 0
    last_read = batch.token[batch.end]
    assert lesson.right[first].tolist() == (last_read + 1).tolist(), "at once after what was read"
    assert lesson.right.tolist() == (last_read[listed.window] + 1 + listed.slot).tolist()
    stream = some.stream()
    assert (stream[lesson.right] == stream[last_read][listed.window]).all()
    left = some.start[stream[last_read] + 1] - 1 - last_read
    assert np.bincount(listed.window).tolist() == np.minimum(left, 3).tolist()
    assert set(left.tolist()) == set(range(1, 9)), "cut everywhere"


def test_a_list_is_asked_for_without_what_it_holds() -> None:
    config = BehaviourConfig(encoder="encoder-decoder", listing=ListingConfig(ahead=3))
    lesson = lesson_of(stretches(streams([5, 7]), config), config, np.random.default_rng(0))
    question, had = lesson.had()
    begin = np.where(lesson.right < 5, 0, 5)
    for q, right in enumerate(lesson.right.tolist()):
        assert sorted(had[question == q].tolist()) == list(range(begin[q], right))


def test_only_the_first_of_a_list_is_asked_for_at_a_known_time() -> None:
    config = BehaviourConfig(encoder="encoder-decoder", listing=ListingConfig(ahead=3))
    some = streams([5, 7])
    lesson = lesson_of(stretches(some, config), config, np.random.default_rng(0))
    assert lesson.listed is not None
    first = lesson.listed.slot == 0
    told = lesson.told(some.gaps())
    assert (told[first] == some.gaps()[lesson.right[first]]).all()
    assert not told[~first].any()
    assert lesson.newest().tolist() == np.flatnonzero(first).tolist()
