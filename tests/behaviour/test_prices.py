"""Steps of prices, read by a network: the same in training and serving, and minded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import median_low

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from habitue.behaviour.asking import foretold, queries, validate
from habitue.behaviour.checkpoints import Checkpoint
from habitue.behaviour.config import BehaviourConfig, HeadWeights
from habitue.behaviour.exporting import exported, input_names
from habitue.behaviour.fitting import Training, fit
from habitue.behaviour.held_out import HeldOut
from habitue.behaviour.network import Network
from habitue.behaviour.prices import cuts_of, median_paid, price_steps, step_of
from habitue.behaviour.quantising import in_eight_bits
from habitue.behaviour.requests import Read, RequestReader
from habitue.behaviour.served import HEADS, NETWORK, OnnxEncoder
from habitue.behaviour.streams import Streams
from habitue.behaviour.torch_encoder import TorchEncoder, vectors_of
from habitue.facts import MS_PER_DAY, ActionKind
from tests.behaviour.streams import streams
from tests.behaviour.test_fitting import SMALL
from tests.behaviour.test_network import FORMS, LENGTHS, rows_read, vectors_read
from tests.candidates.shop import VIEW, log_of, requests

PRICES = st.lists(st.integers(0, 20), min_size=1, max_size=40)


def test_a_step_holds_as_many_items_as_another() -> None:
    price = np.arange(1, 101)[np.random.default_rng(0).permutation(100)]
    cuts = cuts_of(price, 4)
    assert cuts.tolist() == [26, 51, 76]
    assert np.bincount(step_of(price, cuts)).tolist() == [0, 25, 25, 25, 25]
    assert step_of(np.array([0, 1, 25, 26, 100, 9_999]), cuts).tolist() == [0, 1, 1, 2, 4, 4]


def test_items_of_one_price_stand_where_the_share_that_is_no_dearer_ends() -> None:
    """Half of the items cost 5: the steps they would fill are one, the last of them."""
    price = np.array([1, 2, 5, 5, 5, 5, 8, 9])
    assert step_of(price, cuts_of(price, 8)).tolist() == [1, 2, 6, 6, 6, 6, 7, 8]
    two = np.array([3, 7])
    assert step_of(two, cuts_of(two, 16)).tolist() == [8, 16]


@given(PRICES, st.integers(1, 12))
def test_dearer_is_never_a_lower_step_and_none_is_wanting(prices: list[int], n: int) -> None:
    price = np.array(prices, np.int64)
    cuts = cuts_of(price, n)
    step = step_of(price, cuts)
    assert ((step == 0) == (price == 0)).all()
    order = np.argsort(price, kind="stable")
    assert (np.diff(step[order].astype(int)) >= 0).all()
    assert step.max(initial=0) <= n
    if price.any():
        assert len(cuts) == n - 1


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=40))
def test_what_was_paid_is_the_middle_of_what_was_said(said: list[tuple[int, int]]) -> None:
    log = log_of([(float(x), VIEW, 0, item, -1) for x, (item, _) in enumerate(said)], n_items=6)
    log = replace(log, price_micros=np.array([price for _, price in said], np.int64))
    row = np.arange(len(said))[::2]
    found = median_paid(log, row, 6)
    for item in range(6):
        paid = [price for other, price in said[::2] if other == item and price]
        assert found[item] == (median_low(paid) if paid else 0)


def test_what_was_paid_counts_before_what_is_listed() -> None:
    log = log_of([(1.0, VIEW, 0, 0, -1), (2.0, VIEW, 0, 1, -1)])
    log = replace(log, price_micros=np.array([40, 0]))
    row, listed = np.arange(2), np.array([10, 20, 30, 0])
    steps = price_steps(log, row, listed, 3)
    assert steps is not None
    assert steps.item.tolist() == [3, 1, 2, 0]
    kept = price_steps(log, row, listed, 3, known=np.array([35, 50]))
    assert kept is not None
    assert kept.item.tolist() == [2, 1, 1, 0], "by the cuts of the network before"
    nothing = np.zeros(4, np.int64)
    assert price_steps(replace(log, price_micros=nothing[:2]), row, nothing, 3) is None


STEP = np.array([0, 3, 1, 2, 4, 1, 0, 2, 3], np.uint8)  # of nine items


def steps_of(item_row: np.ndarray) -> np.ndarray:
    return STEP[item_row].astype(np.int64)


def test_a_validation_reads_the_prices_that_a_request_does() -> None:
    told = replace(streams([4]), price=STEP)
    held = HeldOut.of(told, 3, 10, without_seen=True)
    acts = [
        (int(told.item_row[x]), int(told.kind[x]), (told.at_ms[3] - told.at_ms[x]) / MS_PER_DAY)
        for x in (2, 1, 0)
    ]
    kinds = [ActionKind(int(kind)) for kind in np.unique(told.kind)]
    read = RequestReader(kinds, 3, prices=steps_of).read(requests([acts]))
    assert read.price is not None
    np.testing.assert_array_equal(read.price, held.tokens.price)
    np.testing.assert_array_equal(read.price[0], STEP[told.item_row[:3]])
    taken = read.take(np.array([0, 0])).price
    assert taken is not None
    assert taken.shape == (2, 3)
    assert RequestReader(kinds, 3).read(requests([acts])).price is None


def test_the_item_looked_at_has_its_price() -> None:
    read = RequestReader([ActionKind.view_item], 3, prices=steps_of).read(
        requests([[(1, VIEW, 1.0)]], anchors=[[4]])
    )
    assert read.price is not None
    assert read.price[0].tolist() == [3, 4]


def priced(form: str, n_items: int = 9) -> Network:
    """A network that reads prices, with weights of any kind; no price moves nothing."""
    torch.manual_seed(0)
    weights = HeadWeights(next_kind=1.0, comes_back=1.0)
    config = BehaviourConfig(dim=16, length=9, price_steps=4, head_weights=weights)
    made = Network(config.model_copy(update=FORMS[form]), n_items,
                   kinds=True, gaps=True, prices=True)  # fmt: skip
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        assert made.price is not None
        made.price.weight.copy_(torch.randn(5, 16))
        made.price.weight[0] = 0
    return made.eval()


def without_prices(asked: Network) -> Network:
    """The same network without those weights."""
    made = Network(asked.config, len(asked.items.own), kinds=True, gaps=True)
    made.load_state_dict(asked.state_dict(), strict=False)
    return made.eval()


@pytest.mark.parametrize("form", FORMS)
def test_prices_are_read_alike_in_rows_flat_and_in_the_graphs(form: str) -> None:
    """Within 1e-4, with the same twenty items on top; of no price nothing is read."""
    asked = priced(form, n_items=200)
    price = np.random.default_rng(2).integers(1, 5, 200).astype(np.uint8)
    plain, windows = rows_read()
    some = replace(streams(LENGTHS), price=price, n_items=200)
    read = replace(plain, price=price[plain.item_row].astype(np.int64))
    vectors = vectors_read(asked, read)
    here = TorchEncoder(asked)
    graphs = {NETWORK: exported(asked), HEADS: exported(asked, heads=True)}
    assert input_names(asked)[:5] == ("vectors", "end", "kind", "gap", "price")
    rows, there = here.queries(vectors, read), OnnxEncoder(graphs).queries(vectors, read)
    np.testing.assert_allclose(there, rows, rtol=1e-4, atol=1e-4)
    items = asked.item_vectors().detach().numpy()
    best = [np.argsort(-(query @ items.T), axis=1)[:, :20] for query in (rows, there)]
    np.testing.assert_array_equal(*best)
    waiting = read.waiting.astype(np.uint8)
    flat = queries(asked, some, windows, waiting=waiting)
    np.testing.assert_allclose(flat, rows, rtol=1e-4, atol=1e-4)
    alone = Read(read.item_row[:1, :1], read.kind[:1, :1], read.gap[:1, :1], read.age[:1, :1],
                 read.end[:1], read.waiting[:1], price=steps(read)[:1, :1])  # fmt: skip
    one = OnnxEncoder(graphs).queries(vectors[:1, :1], alone)
    np.testing.assert_allclose(one, rows[:1], rtol=1e-4, atol=1e-4)
    small = OnnxEncoder({NETWORK: in_eight_bits(graphs[NETWORK])}).queries(vectors, read)
    assert np.abs(small - rows).max() < 0.1 * np.abs(rows).max()
    silent = TorchEncoder(without_prices(asked)).queries(vectors, read)
    assert np.abs(rows - silent).max(axis=1).min() > 0.05
    nothing = replace(read, price=np.zeros_like(steps(read)))
    np.testing.assert_allclose(here.queries(vectors, nothing), silent, rtol=1e-5, atol=1e-5)
    told, said = here.told(vectors, read), OnnxEncoder(graphs).told(vectors, read)
    assert told is not None
    assert said is not None
    of_streams = foretold(asked, some, windows, waiting)
    for name in ("kind", "comes"):
        right = getattr(told, name)
        np.testing.assert_allclose(getattr(said, name), right, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(getattr(of_streams, name), right, rtol=1e-3, atol=1e-4)


def steps(read: Read) -> np.ndarray:
    assert read.price is not None
    return read.price


SHELVES = 4
READING = SMALL.model_copy(update={"price_steps": SHELVES, "content": False})


def newcomers(n: int, seed: int) -> Streams:
    """Each looks at an item nobody else looks at, then takes the one that all of its price take.

    Items 0 to 3 are taken; what is looked at are others of 400, no two shoppers' the same in all
    ``seed``: nothing is known of them but their price.
    """
    rng = np.random.default_rng(0)
    price = np.concatenate([np.zeros(SHELVES), rng.integers(1, SHELVES + 1, 400)])
    seen = SHELVES + seed * n + np.arange(n)
    item = np.stack([seen, price[seen] - 1], axis=1).astype(np.int32)
    return Streams(
        item.ravel(), np.full(2 * n, 3, np.uint8), np.tile([0, MS_PER_DAY], n),
        np.arange(n + 1) * 2, np.arange(n, dtype=np.int32), len(price),
        price=price.astype(np.uint8),
    )  # fmt: skip


@pytest.mark.parametrize("encoder", ["transformer", "gru", "bidirectional", "encoder-decoder"])
def test_the_price_alone_foretells_what_nothing_else_does(encoder: str) -> None:
    """Four items at random are 0.64; without the input the figure is that."""
    seen, others = newcomers(200, 0), newcomers(200, 1)
    longer = SMALL.schedule.model_copy(update={"epochs": 30})
    config = READING.model_copy(update={"encoder": encoder, "schedule": longer})
    network = fit(Training(seen), config).network
    assert validate(network, others, config, without_seen=False) > 0.95
    unsaid = replace(others, price=None)
    assert validate(network, unsaid, config, without_seen=False) < 0.72
    for training, told in ((seen, config.model_copy(update={"price_steps": 0})),
                           (replace(seen, price=None), config)):  # fmt: skip
        without = fit(Training(training), told).network
        assert without.price is None
        assert validate(without, others, config, without_seen=False) < 0.72


def test_held_out_shoppers_are_asked_with_their_prices() -> None:
    network = fit(Training(newcomers(200, 0)), READING).network
    others = newcomers(200, 1)
    held = HeldOut.of(others, READING.length, 1_000, without_seen=False)
    read, _ = vectors_of(network)
    query = TorchEncoder(network).queries(read[held.tokens.item_row], held.tokens)
    found = held.ndcg(query, network.item_vectors().detach().numpy())
    assert found == pytest.approx(validate(network, others, READING, without_seen=False))


def test_a_network_begins_as_one_that_reads_no_prices() -> None:
    """It learns otherwise from the first step on, but nothing is drawn otherwise."""
    torch.manual_seed(3)
    plain = Network(READING, 9, kinds=True, gaps=True).state_dict()
    torch.manual_seed(3)
    reading = Network(READING, 9, kinds=True, gaps=True, prices=True).state_dict()
    assert not reading.pop("price.weight").any()
    assert reading.keys() == plain.keys()
    assert all(torch.equal(plain[name], weight) for name, weight in reading.items())


def test_prices_stay_with_items_however_streams_are_parted() -> None:
    walk = replace(streams([6, 4, 5]), price=STEP)
    rng = np.random.default_rng(0)
    parted = (walk.of(np.array([2, 0])), walk.without(np.array([3])), walk.without_last(2),
              walk.with_ties_drawn(rng))  # fmt: skip
    for some in parted:
        token = np.arange(len(some))
        assert some.prices(token).tolist() == STEP[some.item_row].tolist()
    assert not streams([3]).prices(np.arange(3)).any()


def test_another_price_is_another_training() -> None:
    walk = streams([6, 4, 5])
    paths = {
        Checkpoint.of(Path("folder"), Training(replace(walk, price=price)), READING, 0).path
        for price in (None, STEP, STEP[::-1].copy())
    }
    assert len(paths) == 3
