"""A network of one shop adapted to another that has none of its items, but tells them alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from habitue.behaviour.transfer import turned
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.roster import learner_of
from habitue.candidates.sequence import SequenceConfig, SequenceSource
from habitue.errors import BadInput
from habitue.facts import Catalogue
from tests.candidates.shop import VIEW, catalogue_of, facts_of, log_of, requests
from tests.candidates.test_sequence import CONFIG, N, title, walked

CIRCLE = CONFIG.model_copy(
    update={"behaviour": CONFIG.behaviour.model_copy(update={"unnamed": 0.7})}
)


def colours(kind: str, shift: int) -> Catalogue:
    """Things in the first shop's order of colours and shapes, from ``shift`` on."""
    titles = [title((row + shift) % N).replace("mug", kind) for row in range(N)]
    return catalogue_of(N, title=titles)


def walks(n_shoppers: int, days: int) -> list[tuple[float, int, int, int, int]]:
    """Everybody goes round, from each item to the next."""
    rng = np.random.default_rng(n_shoppers)
    return [
        (float(day + rng.random() / 2), VIEW, shopper, (begin + day) % N, -1)
        for shopper, begin in enumerate(rng.integers(0, N, n_shoppers).tolist())
        for day in range(days)
    ]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop of mugs where everybody goes round the colours, shape by shape."""
    folder = tmp_path_factory.mktemp("first") / "sequence"
    facts = facts_of(log_of(sorted(walks(150, 8))), colours("mug", 0))
    learner_of(CIRCLE).fit(facts, np.random.default_rng(0)).save(folder)
    return folder


def second() -> TrainingFacts:
    """A shop of cups in which three people have looked at two each, and always at the same."""
    acts = [(float(shopper + day), VIEW, shopper, 2 + day, -1)
            for shopper in range(3) for day in range(2)]  # fmt: skip
    return facts_of(log_of(sorted(acts), n_items=N), colours("cup", 5))


def learnt(config: SequenceConfig) -> SequenceSource:
    made = learner_of(config).fit(second(), np.random.default_rng(1))
    assert isinstance(made, SequenceSource)
    return made


def test_what_the_first_shop_knows_is_known_in_the_second(first: Path) -> None:
    """Nobody here ever looked at cups 7 to 10; in the first shop everybody goes on so."""
    every = np.arange(N, dtype=np.int32)[None]
    asked = requests([walked(7), walked(8), walked(9)])
    schedule = CIRCLE.behaviour.schedule.model_copy(update={"epochs": 1, "rate": 1e-3})
    behaviour = CIRCLE.behaviour.model_copy(update={"schedule": schedule})
    gentle = CIRCLE.model_copy(update={"behaviour": behaviour})
    adapted, anew = learnt(gentle.model_copy(update={"begin_from": first})), learnt(gentle)
    found, other = (one.score(asked, np.repeat(every, 3, axis=0)) for one in (adapted, anew))
    for row, follows in enumerate((8, 9, 10)):
        assert follows in np.argsort(-found[row])[:2]
        assert follows not in np.argsort(-other[row])[:2]


def test_what_cannot_be_adapted_is_refused(first: Path, tmp_path: Path) -> None:
    nowhere = CIRCLE.model_copy(update={"begin_from": tmp_path})
    with pytest.raises(BadInput, match="sources/<name>"):
        learnt(nowhere)
    narrow = CIRCLE.behaviour.model_copy(update={"dim": 16})
    with pytest.raises(BadInput, match="same dim"):
        learnt(CIRCLE.model_copy(update={"begin_from": first, "behaviour": narrow}))
    untold = TrainingFacts(second().log, catalogue_of(N), second().now_ms)
    with pytest.raises(BadInput, match="titles"):
        learner_of(CIRCLE.model_copy(update={"begin_from": first})).fit(
            untold, np.random.default_rng(0)
        )


@given(arrays(np.float32, (6, 3), elements=st.floats(-3, 3, width=32)), st.integers(0, 99))
def test_turning_changes_axes_alone(vectors: NDArray[np.float32], seed: int) -> None:
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((3, 3)))[0].astype(np.float32)
    found = turned(vectors, vectors @ axes)
    np.testing.assert_allclose(found @ found.T, vectors @ vectors.T, atol=1e-3)
    np.testing.assert_allclose(found, vectors @ axes, atol=1e-2)
