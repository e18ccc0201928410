"""Light serving: eight-bit codes, and a student that learnt from a larger network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pydantic import ValidationError

from habitue.behaviour.config import BehaviourConfig, StudentConfig
from habitue.candidates.compact import Compact
from habitue.candidates.roster import learner_of, load_source
from habitue.candidates.search import ItemSearch
from habitue.candidates.sequence import SequenceConfig, SequenceSource
from habitue.candidates.vectors import VectorConfig
from tests.candidates.shop import catalogue_of, facts_of, log_of, requests
from tests.candidates.test_sequence import CONFIG, N, circle, title, walked

FINITE = st.floats(-100, 100, width=32)


@given(arrays(np.float32, (7, 5), elements=FINITE))
def test_codes_are_within_half_a_step(vectors: NDArray[np.float32]) -> None:
    made = Compact.of(vectors)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    off = np.abs(made.rows(np.arange(7)) - vectors)
    assert (off <= 0.5 * made.step * length + 1e-4).all()
    assert made.rows(np.array([[1, 2], [0, 0]])).shape == (2, 2, 5)


def test_a_compact_search_finds_what_the_whole_one_finds() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((500, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    row, asked = np.arange(500, dtype=np.int32), rng.standard_normal((20, 16)).astype(np.float32)
    whole = ItemSearch.build(vectors, row, asked, VectorConfig())
    compact = ItemSearch.build(vectors, row, asked, VectorConfig(), Compact.of(vectors))
    assert compact.vectors.nbytes * 4 == whole.vectors.nbytes
    a, b = whole.top(asked, 10), compact.top(asked, 10)
    same = [len(np.intersect1d(x, y)) for x, y in zip(a.item_row, b.item_row, strict=True)]
    assert np.mean(same) > 9
    exact = asked @ compact.everything().T
    place = b.item_row.astype(np.int64)
    np.testing.assert_allclose(b.score, np.take_along_axis(exact, place, axis=1), rtol=1e-4)
    tail = vectors[:3] * 2  # twice as long: found first, and scored as they are
    scores = np.empty((20, 3, 1), np.float32)
    compact.with_tail(tail).fill(
        asked, np.tile(np.arange(500, 503, dtype=np.int32), (20, 1)), scores, 0
    )
    np.testing.assert_allclose(scores[:, :, 0], asked @ tail.T, rtol=1e-3, atol=1e-4)


def learnt(config: SequenceConfig, *, seed: int = 1) -> SequenceSource:
    facts = facts_of(
        log_of(sorted(circle(N, 0, 8, 0))), catalogue_of(N, title=[title(row) for row in range(N)])
    )
    made = learner_of(config).fit(facts, np.random.default_rng(seed))
    assert isinstance(made, SequenceSource)
    return made


@pytest.fixture(scope="module")
def compact() -> SequenceSource:
    return learnt(CONFIG.model_copy(update={"precision": "int8"}))


def test_in_eight_bits_it_says_what_is_next(compact: SequenceSource) -> None:
    found = compact.propose(requests([walked(3, 4, 5), walked(11)]), 1)
    assert found.item_row[:, 0].tolist() == [6, 0]
    assert compact.measured["int8_ndcg@10"] >= 0.99 * compact.measured["validation_ndcg@10"] > 0.8


def test_in_eight_bits_it_is_read_back_and_told_of_new_items(
    compact: SequenceSource, tmp_path: Path
) -> None:
    compact.save(tmp_path / "model")
    loaded = load_source(tmp_path / "model")
    assert isinstance(loaded, SequenceSource)
    assert loaded.search.vectors.dtype == np.int8
    asked = requests([walked(3, 4, 5), walked(8)])
    np.testing.assert_array_equal(
        loaded.propose(asked, 5).item_row, compact.propose(asked, 5).item_row
    )
    np.testing.assert_allclose(loaded.propose(asked, 5).score, compact.propose(asked, 5).score)
    tail = catalogue_of(N + 1, title=[title(row) for row in range(N)] + [title(6)])
    assert N in loaded.extend(tail).propose(requests([walked(3, 4, 5)]), 3).item_row


def test_it_takes_less_room_on_disk(compact: SequenceSource, tmp_path: Path) -> None:
    compact.save(tmp_path / "int8")
    learnt(CONFIG).save(tmp_path / "full")

    def size(name: str, file: str) -> int:
        return (tmp_path / name / file).stat().st_size

    assert size("int8", "network.onnx") < 0.7 * size("full", "network.onnx")
    assert not (tmp_path / "int8" / "read.npy").exists(), "the codes are kept once"


def test_a_student_says_what_the_larger_network_says() -> None:
    behaviour = CONFIG.behaviour.model_copy(update={"student": StudentConfig(dim=8, share=1.0)})
    source = learnt(CONFIG.model_copy(update={"behaviour": behaviour}))
    assert source.search.dim == 8
    assert source.measured["size_of_larger"] < 0.25
    assert source.measured["validation_ndcg@10"] > 0.8 * source.measured["larger_ndcg@10"]
    assert source.propose(requests([walked(3, 4, 5)]), 1).item_row[0, 0] == 6


def test_a_student_is_sharper_and_trained_as_it_is_told() -> None:
    behaviour = BehaviourConfig(student=StudentConfig(dim=16, temperature=0.04, epochs=5))
    small = behaviour.served()
    assert (small.dim, small.loss.temperature, small.schedule.epochs) == (16, 0.04, 5)
    assert small.student is None
    assert behaviour.loss.temperature == 0.07, "the larger one stays as it is"


def test_a_student_goes_on_by_itself() -> None:
    behaviour = CONFIG.behaviour.model_copy(update={"student": StudentConfig(dim=8)})
    config = CONFIG.model_copy(update={"behaviour": behaviour})
    source = learnt(config)
    learner = learner_of(config)
    facts = facts_of(
        log_of(sorted(circle(N, 0, 8, 0))), catalogue_of(N, title=[title(row) for row in range(N)])
    )
    later = learner.go_on(source, facts, np.random.default_rng(0))  # type: ignore[attr-defined]
    assert later.measured["went_on"] == 1
    assert later.search.dim == 8
    assert "larger_ndcg@10" not in later.measured


def test_a_student_whose_heads_do_not_divide_it_is_refused() -> None:
    with pytest.raises(ValidationError, match="no multiple"):
        StudentConfig(dim=10, heads=4)
    assert BehaviourConfig().served() == BehaviourConfig()
