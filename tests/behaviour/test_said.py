"""What requests say, heard by a network: read alike in training and serving, and minded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.behaviour.asking import queries, validate
from habitue.behaviour.checkpoints import Checkpoint
from habitue.behaviour.exporting import exported, input_names
from habitue.behaviour.fitting import Training, fit
from habitue.behaviour.lessons import lesson_of
from habitue.behaviour.network import Hearing, Network
from habitue.behaviour.quantising import in_eight_bits
from habitue.behaviour.said import (
    MOST_NAMES,
    ActionsSaid,
    SaidReader,
    actions_said,
    place_of,
    without_some,
    words_before,
)
from habitue.behaviour.served import NETWORK, OnnxEncoder
from habitue.behaviour.streams import VISIT_MS, Streams, token_rows
from habitue.behaviour.teaching import Teacher
from habitue.behaviour.torch_encoder import TorchEncoder
from habitue.facts import ActionKind, ActionLog, Circumstances, Side, Vocabulary
from tests.behaviour.streams import rounds, streams
from tests.behaviour.test_fitting import SMALL
from tests.behaviour.test_network import FORMS, LENGTHS, network, rows_read, vectors_read
from tests.candidates.shop import BUY, VIEW, log_of, requests

SEARCH = int(ActionKind.search)
MINUTE = 1 / 1440
SIDES: tuple[Side, ...] = ("surface", "platform", "words")
PLATFORMS = ("", "web", "app")
SURFACES = ("", "home", "product page", "pdp", "sidebar")
TEXTS = ("", "red", "blue", "something else")


def words_of(texts: Sequence[str | None]) -> NDArray[np.float32]:
    """Red lies one way, blue another; nothing is known of anything else."""
    ways = {"red": (1.0, 0.0), "blue": (0.0, 1.0)}
    return np.array([ways.get(text or "", (0.0, 0.0)) for text in texts], np.float32)


def with_said(
    log: ActionLog, surface: Sequence[int], platform: Sequence[int], words: Sequence[int]
) -> ActionLog:
    """A log whose actions said these codes."""
    nothing = np.zeros(len(log), np.int16)
    said = Circumstances(
        np.array(surface, np.int16), np.array(platform, np.int16), nothing, nothing,
        np.array(words, np.int32),
        Vocabulary(surface=SURFACES, platform=PLATFORMS, words=TEXTS),
    )  # fmt: skip
    return replace(log, circumstances=said)


ACTIONS = st.lists(
    st.tuples(
        st.integers(0, 300), st.sampled_from([VIEW, SEARCH, BUY]), st.integers(0, 2),
        st.integers(0, 4), st.integers(0, 2), st.integers(0, 3),
    ),
    min_size=1, max_size=30,
).map(sorted)  # fmt: skip


def log_said(acts: list[tuple[int, int, int, int, int, int]]) -> ActionLog:
    """Minute, kind, shopper, surface, platform, words; a search is on no item."""
    rows = [
        (minute * MINUTE, kind, shopper, -1 if kind == SEARCH else 3, -1)
        for minute, kind, shopper, *_ in acts
    ]
    return with_said(log_of(rows), *zip(*(act[3:] for act in acts), strict=True))


def test_a_surface_is_named_as_requests_name_it() -> None:
    for name in ("pdp", "Product page", "product_detail", "item", "PRODUCT-DETAILS", "item page"):
        assert place_of(name) == "item"
    assert place_of("Basket") == place_of("cart_page") == "cart"
    assert place_of("search_results") == "search"
    assert place_of("Side Bar") == "side bar", "a shop's own stays as it is"
    assert place_of("") == place_of(None) == ""


@given(ACTIONS)
def test_words_searched_are_said_by_what_follows_within_half_an_hour(
    acts: list[tuple[int, int, int, int, int, int]],
) -> None:
    log = log_said(acts)
    found = words_before(log)
    for at, (minute, _, shopper, _, _, words) in enumerate(acts):
        own = [
            (other[0], other[5]) for other in acts[:at + 1] if other[2] == shopper and other[5]
        ]  # fmt: skip
        then, code = own[-1] if own else (-1000, 0)
        right = code if words or (minute - then) * 60_000 <= VISIT_MS else 0
        assert found[at] == right


@given(ACTIONS)
def test_training_and_requests_hear_the_same(
    acts: list[tuple[int, int, int, int, int, int]],
) -> None:
    log = log_said(acts)
    row = token_rows(log, [ActionKind.view_item, ActionKind.purchase])
    said, names = actions_said(log, row, SIDES, words_of=words_of)
    reader = SaidReader(SIDES, names, words_of)
    words = words_before(log)
    for token, at in enumerate(row.tolist()):
        _, _, _, surface, platform, _ = acts[at]
        request = replace(
            requests([[]]), surface=SURFACES[surface], platform=(PLATFORMS[platform],),
            query=(TEXTS[words[at]],),
        )  # fmt: skip
        heard = reader.read(request)
        told = {} if said is None else said.at(np.array([token]))
        for side, column in told.items():
            np.testing.assert_array_equal(column, heard[side])
        for side in set(heard) - set(told):
            assert not heard[side].any()


def test_a_shop_that_says_nothing_has_nothing_to_hear() -> None:
    log = log_of([(1.0, VIEW, 0, 1, -1)])
    assert actions_said(log, np.array([0]), SIDES, words_of=words_of) == (None, Vocabulary())
    silent = with_said(log, [0], [0], [3])
    assert actions_said(silent, np.array([0]), SIDES, words_of=words_of)[0] is None
    assert SaidReader(SIDES, Vocabulary()).read(requests([[]])) == {}


def test_names_keep_their_codes_and_the_most_frequent_have_one() -> None:
    n = 3 * MOST_NAMES
    texts = ("", *(f"place {x}" for x in range(1, n)))
    rows = [(float(x), VIEW, 0, 1, -1) for x in range(2 * n)]
    log = log_of(rows)
    code = np.concatenate([np.full(n, 7), np.arange(n)]).astype(np.int16)
    nothing = np.zeros(2 * n, np.int16)
    said = Circumstances(
        nothing, code, nothing, nothing, nothing.astype(np.int32), Vocabulary(platform=texts)
    )
    log = replace(log, circumstances=said)
    row = np.arange(2 * n)
    told, names = actions_said(log, row, ("platform",))
    assert told is not None
    assert names.platform[:2] == ("", "place 7")
    assert len(names.platform) == MOST_NAMES
    assert told.code["platform"].max() == MOST_NAMES - 1
    known = Vocabulary(platform=("", "long gone", "place 9"))
    again, later = actions_said(log, row, ("platform",), known=known)
    assert again is not None
    assert later.platform[:4] == ("", "long gone", "place 9", "place 7")
    assert again.code["platform"][n + 9] == 2


def test_the_share_left_out_is_half_at_once_and_half_by_side() -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    said = {"surface": np.ones(n, np.int64), "words": np.ones((n, 3), np.float32)}
    left = without_some(said, 0.4, rng)
    words = left["words"].any(axis=1)
    assert (left["words"].all(axis=1) == words).all()
    for there in (left["surface"] > 0, words):
        np.testing.assert_allclose(there.mean(), 0.8 * 0.8, atol=0.02)
    both = (left["surface"] > 0) & words
    np.testing.assert_allclose(both.mean(), 0.8**3, atol=0.02)
    assert without_some(said, 0.0, rng)["surface"].all()
    assert said["surface"].all(), "what was said stays as it was"


def hearing(form: str, n_items: int = 9) -> Network:
    """A network that hears surfaces and words of five numbers, with weights of any kind."""
    asked = network(form, n_items)
    torch.manual_seed(1)
    asked.hearing = Hearing(16, ("surface", "platform"), 5)
    with torch.no_grad():
        for name, parameter in asked.hearing.named_parameters():
            drawn = torch.randn_like(parameter)
            drawn[0] *= float(name.startswith("words"))  # what is not said moves nothing
            parameter.copy_(drawn)
    return asked.eval()


def said_by(n: int) -> dict[str, NDArray[np.generic]]:
    """What some requests say; the first says nothing."""
    rng = np.random.default_rng(0)
    said = {
        "surface": rng.integers(0, 9, n), "platform": rng.integers(0, 3, n),
        "words": rng.normal(size=(n, 5)).astype(np.float32),
    }  # fmt: skip
    for column in said.values():
        column[0] = 0
    return said


@pytest.mark.parametrize("form", FORMS)
def test_what_is_said_is_heard_alike_in_rows_flat_and_in_the_graph(form: str) -> None:
    """Within 1e-4, with the same twenty items on top; who says nothing is answered as ever."""
    asked = hearing(form, n_items=200)
    read, windows = rows_read()
    said = said_by(len(LENGTHS))
    read = replace(read, said=said)
    vectors = vectors_read(asked, read)
    graph = exported(asked)
    assert {"surface", "platform", "words"} <= set(input_names(asked))
    here = TorchEncoder(asked).queries(vectors, read)
    there = OnnxEncoder({NETWORK: graph}).queries(vectors, read)
    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-4)
    items = asked.item_vectors().detach().numpy()
    best = [np.argsort(-(query @ items.T), axis=1)[:, :20] for query in (here, there)]
    np.testing.assert_array_equal(*best)
    silent = network(form, n_items=200)
    silent.load_state_dict(asked.state_dict(), strict=False)
    plain = TorchEncoder(silent).queries(vectors, read)
    np.testing.assert_allclose(here[:1], plain[:1], rtol=1e-5, atol=1e-5)
    assert np.abs(here[1:] - plain[1:]).max(axis=1).min() > 0.1
    some = streams(LENGTHS, n_items=200)
    flat = queries(asked, some, windows, read.waiting.astype(np.uint8), said)
    rows = TorchEncoder(asked).queries(
        np.asarray(asked.items.everything().detach().numpy()[some_rows(some)], np.float32), read
    )
    np.testing.assert_allclose(rows, flat, rtol=1e-4, atol=1e-4)
    small = OnnxEncoder({NETWORK: in_eight_bits(graph)}).queries(vectors, read)
    assert np.abs(small - here).max() < 0.1 * np.abs(here).max()


def some_rows(some: Streams) -> NDArray[np.int64]:
    """The items of streams as rows, filled up at the end."""
    longest = int(np.diff(some.start).max())
    item = np.zeros((some.n_shoppers, longest), np.int64)
    for row, (first, last) in enumerate(zip(some.start, some.start[1:], strict=False)):
        item[row, : last - first] = some.item_row[first:last]
    return item


def shelves(n_shoppers: int = 200, length: int = 8) -> Streams:
    """Three shelves in turn; platform and words say which of the four items on the next one."""
    rng = np.random.default_rng(4)
    walk = rounds(n_shoppers, length=length)
    code = rng.integers(1, 3, len(walk)).astype(np.uint8)
    text = rng.integers(1, 3, len(walk)).astype(np.int32)
    shelf = (np.repeat(rng.integers(0, 3, n_shoppers), length) + np.arange(len(walk))) % 3
    item = (shelf * 4 + (code - 1) * 2 + text - 1).astype(np.int32)
    words = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    return replace(walk, item_row=item, said=ActionsSaid({"platform": code}, text, words))


@pytest.mark.parametrize(
    ("encoder", "least"), [("transformer", 0.9), ("bidirectional", 0.72), ("gru", 0.9)]
)
def test_what_is_said_decides_where_it_does(encoder: str, least: float) -> None:
    walk = shelves(120)
    longer = SMALL.schedule.model_copy(update={"epochs": 30})
    config = SMALL.model_copy(update={"encoder": encoder, "schedule": longer})
    without = replace(walk, said=None)
    heard = fit(Training(walk.without_last(1)), config).network
    assert validate(heard, walk, config, without_seen=False) > least
    assert validate(heard, without, config, without_seen=False) < 0.68
    silent = fit(Training(without.without_last(1)), config).network
    assert silent.hearing is None
    assert validate(silent, walk, config, without_seen=False) < 0.68


def test_a_list_is_asked_for_as_its_first_action_came() -> None:
    walk = shelves(40)
    config = SMALL.model_copy(update={"encoder": "encoder-decoder"})
    teacher = Teacher(Training(walk), config, 0)
    windows, rng = teacher.batches(0)
    assert teacher.learn(windows[0], rng) > 0
    lesson = lesson_of(windows[0], config, rng)
    assert lesson.listed is not None
    first = lesson.right[lesson.listed.slot == 0]
    window, asked = lesson.listed.window, lesson.asked()
    assert asked.tolist() == first[np.searchsorted(np.unique(window), window)].tolist()


def test_what_was_said_stays_with_its_action() -> None:
    """However streams are parted or ordered."""
    walk = replace(shelves(30), at_ms=np.zeros(240, np.int64))
    assert walk.said is not None

    def pairs(some: Streams) -> set[tuple[int, int, int]]:
        assert some.said is not None
        columns = (some.item_row, some.said.code["platform"], some.said.text)
        return set(zip(*(column.tolist() for column in columns), strict=True))

    number = replace(walk, item_row=np.arange(240, dtype=np.int32))
    rng = np.random.default_rng(0)
    assert pairs(number.with_ties_drawn(rng)) == pairs(number)
    assert pairs(number.of(np.array([3, 1]))) < pairs(number)
    assert pairs(number.without(np.array([5, 7]))) < pairs(number)
    assert pairs(number.without_last(2)) < pairs(number)


def test_another_thing_said_is_another_training() -> None:
    walk = shelves(20)
    assert walk.said is not None
    other = replace(walk.said, text=walk.said.text[::-1].copy())
    paths = {
        Checkpoint.of(Path("folder"), Training(some), SMALL, 0).path
        for some in (walk, replace(walk, said=None), replace(walk, said=other))
    }
    assert len(paths) == 3


def test_vocabularies_hold_no_words_searched() -> None:
    """What shoppers typed is in no snapshot."""
    log = log_said([(0, VIEW, 0, 1, 1, 1)])
    _, names = actions_said(log, np.array([0]), SIDES, words_of=words_of)
    assert names == Vocabulary(surface=("", "home"), platform=("", "web"))
