"""What a validation asks, read as requests are: the same figure as the network's own validation."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.behaviour.asking import validate
from habitue.behaviour.fitting import Training, fit
from habitue.behaviour.held_out import HeldOut
from habitue.behaviour.requests import RequestReader
from habitue.behaviour.torch_encoder import TorchEncoder, vectors_of
from habitue.facts import MS_PER_DAY, ActionKind, Context, Owned
from tests.behaviour.streams import streams
from tests.behaviour.test_fitting import SMALL


@pytest.mark.parametrize("without_seen", [True, False])
def test_it_reaches_what_the_validation_of_the_network_reaches(without_seen: bool) -> None:
    noise = streams([6, 9, 4, 2] * 15, n_items=40)
    network = fit(Training(noise.without_last(1)), SMALL).network
    held = HeldOut.of(noise, SMALL.length, 10_000, without_seen=without_seen)
    read, _ = vectors_of(network)
    query = TorchEncoder(network).queries(read[held.tokens.item_row], held.tokens)
    found = held.ndcg(query, network.item_vectors().detach().numpy())
    assert found == pytest.approx(validate(network, noise, SMALL, without_seen=without_seen))
    assert 0 < found < 1


def test_it_is_read_as_a_request_of_that_moment_is() -> None:
    """One shopper's four actions, the last one asked for."""
    told = streams([4], n_items=9)
    held = HeldOut.of(told, 3, 10, without_seen=True)
    age_days = (told.at_ms[3] - told.at_ms[2::-1]) / MS_PER_DAY
    request = Context(
        surface="home",
        now_ms=told.at_ms[3:],
        shopper_row=np.zeros(1, np.int32),
        recent_item=told.item_row[2::-1][None],
        recent_kind=told.kind[2::-1][None],
        recent_age_days=age_days[None].astype(np.float32),
        anchor_item=np.empty((1, 0), np.int32),
        owned=Owned.nothing(1),
    )
    read = RequestReader([ActionKind(int(kind)) for kind in np.unique(told.kind)], 3).read(request)
    for name in ("item_row", "kind", "gap", "age", "end", "waiting"):
        np.testing.assert_array_equal(getattr(held.tokens, name), getattr(read, name), name)
    assert held.target.tolist() == told.item_row[3:].tolist()
    assert held.had[1].tolist() == told.item_row[:3].tolist()
