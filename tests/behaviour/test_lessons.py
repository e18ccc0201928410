"""What is asked in training: what follows, or what was hidden."""

from __future__ import annotations

import numpy as np

from habitue.behaviour.config import BehaviourConfig, ListingConfig, MaskingConfig
from habitue.behaviour.lessons import Lesson, lesson_of
from habitue.behaviour.streams import Streams
from tests.behaviour.streams import streams

FORWARD = BehaviourConfig(length=4)
LENGTHS = [1, 3, 9]


def hiding(share: float, last: float) -> BehaviourConfig:
    masking = MaskingConfig(share=share, last=last)
    return BehaviourConfig(encoder="bidirectional", length=4, masking=masking)


def lesson(some: Streams, config: BehaviourConfig) -> Lesson:
    return lesson_of(some.windows(config.length), config, np.random.default_rng(0))


def test_all_but_a_shopper_s_first_action_is_foretold_once() -> None:
    some = streams(LENGTHS)
    asked = lesson(some, FORWARD)
    assert sorted(asked.right.tolist()) == [2, 3, *range(5, 13)]
    assert (asked.right == asked.batch.token[asked.at] + 1).all()
    assert asked.newest().tolist() == list(range(10))


def test_a_stretch_read_both_ways_holds_its_last_action_too() -> None:
    batch = lesson(streams(LENGTHS), hiding(0.4, 0.3)).batch
    ends = zip(batch.token[batch.begin].tolist(), batch.token[batch.end].tolist(), strict=True)
    assert sorted(ends) == [(1, 3), (4, 8), (8, 12)]


def test_so_much_is_hidden_and_asked_after() -> None:
    asked = lesson(streams([5] * 400), hiding(0.4, 0.0))
    assert asked.hidden is not None
    assert asked.right.tolist() == asked.batch.token[asked.hidden].tolist()
    inside = np.bincount(np.searchsorted(asked.batch.end, asked.at), minlength=400)
    assert inside.min() == 1, "something is asked of everybody"
    np.testing.assert_allclose(inside.mean(), 5 * 0.4 + 0.6**5, atol=0.15)


def test_of_some_the_last_alone_is_hidden_wherever_they_are_cut() -> None:
    some = streams([5] * 400)
    asked = lesson(some, hiding(1.0, 0.25))
    length = asked.batch.end - asked.batch.begin + 1
    inside = np.bincount(np.searchsorted(asked.batch.end, asked.at), minlength=400)
    whole = inside == length
    assert set(inside[~whole].tolist()) == {1}
    np.testing.assert_allclose((~whole).mean(), 0.25, atol=0.06)
    assert set(length[~whole].tolist()) == {2, 3, 4, 5}, "cut everywhere, something is read"
    stream = some.stream()[asked.batch.token]
    window = np.searchsorted(asked.batch.end, np.arange(len(asked.batch)))
    assert (stream == stream[asked.batch.end][window]).all(), "each of one shopper"
    assert len(asked.newest()) == 400
    question, token = asked.had()
    assert (asked.right[question] != token).all()


def test_a_stretch_is_cut_somewhere_and_what_follows_is_the_list() -> None:
    config = BehaviourConfig(encoder="encoder-decoder", length=9, listing=ListingConfig(ahead=3))
    some = streams([2, 6, 9] * 100)
    asked = lesson(some, config)
    listed, batch = asked.listed, asked.batch
    assert listed is not None
    assert np.unique(listed.place).tolist() == listed.place.tolist()
    first = listed.slot == 0
    last_read = batch.token[batch.end]
    assert asked.right[first].tolist() == (last_read + 1).tolist(), "at once after what was read"
    assert asked.right.tolist() == (last_read[listed.window] + 1 + listed.slot).tolist()
    stream = some.stream()
    assert (stream[asked.right] == stream[last_read][listed.window]).all()
    left = some.start[stream[last_read] + 1] - 1 - last_read
    assert np.bincount(listed.window).tolist() == np.minimum(left, 3).tolist()
    assert set(left.tolist()) == set(range(1, 9)), "cut everywhere"


def test_a_list_is_asked_for_without_what_it_holds() -> None:
    config = BehaviourConfig(encoder="encoder-decoder", listing=ListingConfig(ahead=3))
    asked = lesson(streams([5, 7]), config)
    question, had = asked.had()
    begin = np.where(asked.right < 5, 0, 5)
    for q, right in enumerate(asked.right.tolist()):
        assert sorted(had[question == q].tolist()) == list(range(begin[q], right))


def test_only_the_first_of_a_list_is_asked_for_at_a_known_time() -> None:
    config = BehaviourConfig(encoder="encoder-decoder", listing=ListingConfig(ahead=3))
    some = streams([5, 7])
    asked = lesson(some, config)
    assert asked.listed is not None
    first = asked.listed.slot == 0
    told = asked.told(some.gaps())
    assert (told[first] == some.gaps()[asked.right[first]]).all()
    assert not told[~first].any()
    assert asked.newest().tolist() == np.flatnonzero(first).tolist()
