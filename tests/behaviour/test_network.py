"""The network: asked flat, in rows or as a graph it says the same, and it never sees the future."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from habitue.behaviour.asking import foretold, inputs_of, queries
from habitue.behaviour.config import BehaviourConfig, HeadWeights
from habitue.behaviour.exporting import exported
from habitue.behaviour.layers import groups_of
from habitue.behaviour.losses import softmax_against_all, softmax_against_sample
from habitue.behaviour.network import Inputs, Network
from habitue.behaviour.packing import pack
from habitue.behaviour.requests import Read
from habitue.behaviour.served import HEADS, NETWORK, OnnxEncoder
from habitue.behaviour.streams import Windows
from habitue.behaviour.torch_encoder import TorchEncoder
from tests.behaviour.streams import streams

FORMS = {
    "softmax": {},
    "pointwise": {"attention": "pointwise"},
    "two layers": {"layers": 2},
    "both ways": {"encoder": "bidirectional", "layers": 2},
    "a list": {"encoder": "encoder-decoder", "layers": 2},
    "both ways, pointwise": {"encoder": "bidirectional", "layers": 2, "attention": "pointwise"},
    "gru": {"encoder": "gru"},
    "lstm": {"encoder": "lstm", "layers": 2},
}
ONE_WAY = [
    form for form, change in FORMS.items()
    if change.get("encoder") not in ("bidirectional", "encoder-decoder")
]  # fmt: skip
LENGTHS = [1, 3, 3, 6, 9, 2]


def network(form: str, n_items: int = 9) -> Network:
    torch.manual_seed(0)
    config = BehaviourConfig(dim=16, length=9).model_copy(update=FORMS[form])
    made = Network(config, n_items, kinds=True, gaps=True)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return made.eval()


def rows_read() -> tuple[Read, Windows]:
    """The streams of six shoppers as a request reads them, and where they lie."""
    some = streams(LENGTHS)
    n, longest = len(LENGTHS), max(LENGTHS)
    item, kind, gap = np.zeros((3, n, longest), np.int64)
    gaps = some.gaps()
    for row, (first, last) in enumerate(zip(some.start, some.start[1:], strict=False)):
        item[row, : last - first] = some.item_row[first:last]
        kind[row, : last - first] = some.kind[first:last]
        gap[row, : last - first] = gaps[first:last]
    waiting = np.arange(1, n + 1)
    read = Read(item.astype(np.int32), kind, gap, gap, np.array(LENGTHS) - 1, waiting)
    return read, some.ends(0, longest)


def vectors_read(asked: Network, read: Read) -> np.ndarray:
    own = asked.items.everything().detach().numpy()
    return np.asarray(own[read.item_row], np.float32)


@pytest.mark.parametrize("form", FORMS)
def test_rows_and_flat_tokens_are_read_alike(form: str) -> None:
    asked = network(form)
    read, windows = rows_read()
    flat = queries(asked, streams(LENGTHS), windows, waiting=read.waiting.astype(np.uint8))
    rows = TorchEncoder(asked).queries(vectors_read(asked, read), read)
    np.testing.assert_allclose(rows, flat, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_the_graph_says_what_the_network_says(form: str) -> None:
    """Within 1e-4, with the same twenty items on top."""
    asked = network(form, n_items=200)
    read, _ = rows_read()
    here = TorchEncoder(asked).queries(vectors_read(asked, read), read)
    there = OnnxEncoder({NETWORK: exported(asked)}).queries(vectors_read(asked, read), read)
    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-4)
    items = asked.item_vectors().detach().numpy()
    best = [np.argsort(-(query @ items.T), axis=1)[:, :20] for query in (here, there)]
    np.testing.assert_array_equal(*best)
    one = Read(read.item_row[:1, :1], read.kind[:1, :1], read.gap[:1, :1], read.age[:1, :1],
               read.end[:1], read.waiting[:1])  # fmt: skip
    alone = OnnxEncoder({NETWORK: exported(asked)}).queries(vectors_read(asked, one), one)
    np.testing.assert_allclose(alone, here[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_the_graph_of_the_heads_says_what_they_say(form: str) -> None:
    """Asked flat, in rows and as a graph; the graph of the next item has no part of them."""
    torch.manual_seed(0)
    weights = HeadWeights(next_kind=1.0, comes_back=1.0)
    config = BehaviourConfig(dim=16, length=9, head_weights=weights).model_copy(update=FORMS[form])
    asked = Network(config, 9, kinds=True, gaps=True)
    with torch.no_grad():
        for parameter in asked.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    asked.eval()
    read, windows = rows_read()
    here = TorchEncoder(asked)
    graphs = here.graphs()
    assert len(graphs[NETWORK]) < len(graphs[HEADS])
    vectors = vectors_read(asked, read)
    rows, there = here.told(vectors, read), OnnxEncoder(graphs).told(vectors, read)
    flat = foretold(asked, streams(LENGTHS), windows, read.waiting.astype(np.uint8))
    assert rows is not None
    assert there is not None
    assert there.kind.shape == (len(LENGTHS), len(config.codes))
    np.testing.assert_allclose(there.kind.sum(axis=1), 1.0, rtol=1e-5)
    for name in ("kind", "comes"):
        said = getattr(rows, name)
        np.testing.assert_allclose(getattr(there, name), said, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(getattr(flat, name), said, rtol=1e-3, atol=1e-4)
    without = OnnxEncoder({NETWORK: graphs[NETWORK]})
    assert without.told(vectors, read) is None
    np.testing.assert_allclose(
        without.queries(vectors, read), here.queries(vectors, read), rtol=1e-4, atol=1e-4
    )


def test_the_graph_goes_on_with_a_list_as_the_network_does() -> None:
    """Also as training does, where the whole list is read at once."""
    asked = network("a list")
    read, windows = rows_read()
    vectors = vectors_read(asked, read)
    chosen = np.random.default_rng(0).normal(size=(len(LENGTHS), 3, 16)).astype(np.float32)
    graph = OnnxEncoder({NETWORK: exported(asked)})
    batch = pack(windows)
    groups = groups_of(batch, torch.device("cpu"))
    some, gaps = streams(LENGTHS), streams(LENGTHS).gaps()
    with torch.no_grad():
        items = asked.items.rows(torch.from_numpy(some.item_row[batch.token].astype(np.int64)))
        past = asked.read(items, inputs_of(asked, some, gaps, batch.token), groups)
        assert asked.decoder is not None
        last = past[torch.from_numpy(batch.end)]
        states = asked.decoder(past, last, groups, torch.from_numpy(chosen[batch.order]))
        for n in range(4):
            here = TorchEncoder(asked).queries(vectors, read, chosen[:, :n])
            there = graph.queries(vectors, read, chosen[:, :n])
            np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-4)
            waiting = torch.from_numpy(read.waiting[batch.order])
            at_once = asked.wanted(states[:, n], waiting).numpy()
            np.testing.assert_allclose(at_once, here[batch.order], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", ONE_WAY)
def test_what_comes_later_changes_nothing_before_it(form: str) -> None:
    asked = network(form)
    batch = pack(Windows(np.array([0]), np.array([9])))
    groups = groups_of(batch, torch.device("cpu"))
    vectors = torch.randn(9, 16)
    changed = vectors.clone()
    changed[5:] = torch.randn(4, 16)
    beside = Inputs(None, None)
    before, after = (asked.read(x, beside, groups) for x in (vectors, changed))
    torch.testing.assert_close(before[:5], after[:5])
    assert not torch.allclose(before[5:], after[5:])


def test_a_hidden_action_is_read_from_both_sides_and_says_nothing_itself() -> None:
    asked = network("both ways")
    batch = pack(Windows(np.array([0, 9]), np.array([9, 15])))
    groups = groups_of(batch, torch.device("cpu"))
    hidden = torch.zeros(15, dtype=torch.bool)
    hidden[[2, 8]] = True  # in the shorter window, which stands first, and in the longer
    vectors = torch.randn(15, 16)

    def states(change: list[int]) -> Tensor:
        changed = vectors.clone()
        changed[change] = 9.0
        return asked.read(changed, Inputs(None, None), groups, hidden)[hidden]

    torch.testing.assert_close(states([]), states([2, 8]))
    assert not torch.isclose(states([]), states([0, 6])).all(dim=1).any(), "what came before"
    assert not torch.isclose(states([]), states([5, 14])).all(dim=1).any(), "what came after"
    torch.testing.assert_close(states([])[0], states([6, 14])[0])  # another's is not read


def _by_autograd(query: Tensor, others: Tensor, positive: Tensor, hit: list[tuple[int, int]],
                 correction: Tensor) -> Tensor:  # fmt: skip
    logits = query @ others.T - correction
    for token, place in hit:
        logits = logits.index_put((torch.tensor([token]), torch.tensor([place])),
                                  torch.tensor([-torch.inf]))  # fmt: skip
    own = (query * positive).sum(1, keepdim=True)
    return -torch.log_softmax(torch.cat([own, logits], dim=1), dim=1)[:, 0].mean()


def test_the_sampled_loss_and_its_gradients_are_those_of_autograd() -> None:
    torch.manual_seed(1)
    shapes = [(700, 8), (30, 8), (700, 8)]
    ours = [torch.randn(*shape, requires_grad=True) for shape in shapes]
    theirs = [x.detach().clone().requires_grad_() for x in ours]
    correction = torch.randn(30)
    hit = [(3, 5), (600, 29)]
    token, place = (torch.tensor(side) for side in zip(*hit, strict=True))
    loss = softmax_against_sample(*ours, correction, token, place, half=False)
    expected = _by_autograd(*theirs, hit, correction)
    torch.testing.assert_close(loss, expected)
    (loss * 3).backward()
    (expected * 3).backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)


def test_the_whole_loss_and_its_gradients_are_those_of_autograd() -> None:
    torch.manual_seed(2)
    query, items = torch.randn(40, 8, requires_grad=True), torch.randn(25, 8, requires_grad=True)
    target = torch.randint(0, 25, (40,))
    q, i = (x.detach().clone().requires_grad_() for x in (query, items))
    loss = softmax_against_all(query, items, target, half=False)
    expected = torch.nn.functional.cross_entropy(q @ i.T, target)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(query.grad, q.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(items.grad, i.grad, rtol=1e-4, atol=1e-6)


def test_what_is_left_out_of_the_whole_loss_does_not_compete() -> None:
    torch.manual_seed(4)
    query, items = torch.randn(600, 8, requires_grad=True), torch.randn(25, 8, requires_grad=True)
    target = torch.randint(0, 24, (600,))
    q, i = (x.detach().clone().requires_grad_() for x in (query, items))
    token = torch.arange(0, 600, 7)
    loss = softmax_against_all(query, items, target, token, torch.full_like(token, 24), half=False)
    logits = (q @ i.T).index_put((token, torch.full_like(token, 24)), torch.tensor(-torch.inf))
    expected = torch.nn.functional.cross_entropy(logits, target)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(query.grad, q.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(items.grad, i.grad, rtol=1e-4, atol=1e-6)


@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=6))
def test_every_token_stands_beside_its_own_past(lengths: list[int]) -> None:
    last = np.cumsum(lengths)
    batch = pack(Windows(last - lengths, last))
    token, past = batch.pasts()
    window = np.repeat(np.arange(len(lengths)), np.sort(lengths))
    expected = [(t, p) for t in range(len(batch)) for p in range(t + 1) if window[t] == window[p]]
    assert list(zip(token.tolist(), past.tolist(), strict=True)) == expected


@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=6), data=st.data())
def test_a_token_stands_beside_the_others_of_its_window(
    lengths: list[int], data: st.DataObject
) -> None:
    last = np.cumsum(lengths)
    batch = pack(Windows(last - lengths, last))
    some = data.draw(st.sets(st.integers(0, len(batch) - 1)))
    at = np.array(sorted(some), np.int64)
    question, other = batch.others(at)
    window = np.repeat(np.arange(len(lengths)), np.sort(lengths))
    expected = [
        (q, t) for q, a in enumerate(at) for t in range(len(batch))
        if window[t] == window[a] and t != a
    ]  # fmt: skip
    assert list(zip(question.tolist(), other.tolist(), strict=True)) == expected


def test_half_precision_is_near() -> None:
    torch.manual_seed(3)
    query = torch.nn.functional.normalize(torch.randn(40, 32), dim=1) / 0.07
    items = torch.nn.functional.normalize(torch.randn(500, 32), dim=1)
    target = torch.randint(0, 500, (40,))
    full, half = (softmax_against_all(query, items, target, half=h) for h in (False, True))
    assert abs(float(full - half)) < 0.01 * float(full)
