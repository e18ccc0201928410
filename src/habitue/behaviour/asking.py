"""Asking a network: what it expects after a stretch of actions, and how often that is right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from habitue.behaviour.config import BehaviourConfig
from habitue.behaviour.layers import groups_of
from habitue.behaviour.network import Inputs, Network
from habitue.behaviour.packing import pack
from habitue.behaviour.said import Said
from habitue.behaviour.served import Told
from habitue.behaviour.streams import Streams, Windows, gap_step
from habitue.metrics.ranks import mean_rank, ndcg_of_rank

__all__ = ["foretold", "heard", "held_after", "inputs_of", "queries", "validate"]

_AT_ONCE = 1024  # shoppers ranked in one product


def inputs_of(
    network: Network,
    streams: Streams,
    gaps: NDArray[np.uint8],
    token: NDArray[np.int64],
) -> Inputs:
    """What the network reads beside the items of the tokens (T,); ``gaps`` are the streams'."""
    device = network.items.own.device

    def there(code: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(code.astype(np.int64)).to(device)

    return Inputs(
        None if network.kind is None else there(streams.kind[token]),
        None if network.gap is None else there(gaps[token]),
        None if network.price is None else there(streams.prices(token)),
    )


def heard(network: Network, said: Said) -> dict[str, Tensor]:
    """What the network hears of what requests say."""
    inputs = () if network.hearing is None else network.hearing.inputs
    device = network.items.own.device

    def there(column: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(column)).to(device)

    return {side: there(said[side]) for side in inputs if side in said}


def held_after(
    network: Network, streams: Streams, gaps: NDArray[np.uint8], windows: Windows
) -> tuple[NDArray[np.int64], Tensor]:
    """Which window is which (n,), and what the network holds after its last token: (n, dim)."""
    device = network.items.own.device
    batch = pack(windows if network.mask is None else windows.with_next())
    token = np.minimum(batch.token, len(streams) - 1)  # of a hidden one nothing is read
    hidden = np.zeros(len(batch), np.bool_)
    hidden[batch.end] = True
    item = torch.from_numpy(streams.item_row[token].astype(np.int64)).to(device)
    groups = groups_of(batch, device)
    state = network.read(
        network.items.rows(item),
        inputs_of(network, streams, gaps, token),
        groups,
        None if network.mask is None else torch.from_numpy(hidden).to(device),
    )
    last = state[torch.from_numpy(batch.end).to(device)]
    if network.decoder is None:
        return batch.order, last
    empty = state.new_zeros(len(windows), 0, state.shape[1])
    return batch.order, network.decoder(state, last, groups, empty)[:, 0]


def _states(
    network: Network,
    streams: Streams,
    windows: Windows,
    tokens: int,
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """The state after the last token of each window (n, dim), and which those are: (n,)."""
    network.eval()
    gaps = streams.gaps()
    cuts = np.flatnonzero(np.diff((np.cumsum(windows.length) - 1) // tokens)) + 1
    for rows in np.split(np.arange(len(windows)), cuts):
        order, state = held_after(network, streams, gaps, windows.take(rows))
        yield rows[order], state


@torch.no_grad()
def queries(
    network: Network,
    streams: Streams,
    windows: Windows,
    waiting: NDArray[np.uint8] | None = None,
    said: Said | None = None,
    *,
    tokens: int = 40_000,
) -> NDArray[np.float32]:
    """The query after the last token of each window: (W, dim). ``waiting`` are steps until then.

    ``said`` is what the requests say of how they come.
    """
    device = network.items.own.device
    found = np.empty((len(windows), network.config.dim), np.float32)
    for rows, state in _states(network, streams, windows, tokens):
        asked = None
        if waiting is not None:
            asked = torch.from_numpy(waiting[rows].astype(np.int64)).to(device)
        beside = heard(network, {side: column[rows] for side, column in (said or {}).items()})
        found[rows] = network.wanted(state, asked, beside).cpu().numpy()
    return found


@torch.no_grad()
def foretold(
    network: Network,
    streams: Streams,
    windows: Windows,
    waiting: NDArray[np.uint8],
    *,
    tokens: int = 40_000,
) -> Told:
    """What the other heads say after the last token of each window, ``waiting`` (W,) steps later.

    Raises ``ValueError`` for a network without such heads.
    """
    heads = network.heads
    if heads is None:
        raise ValueError("the network was taught the next item only: set head_weights")
    device = network.items.own.device
    kind: NDArray[np.float64] = np.empty((len(windows), heads.kind.out_features))
    comes: NDArray[np.float64] = np.empty((len(windows), heads.comes.out_features))
    for rows, state in _states(network, streams, windows, tokens):
        asked = torch.from_numpy(waiting[rows].astype(np.int64)).to(device)
        last = torch.from_numpy(streams.kind[windows.last[rows] - 1].astype(np.int64)).to(device)
        kind[rows], comes[rows] = (said.cpu().numpy() for said in heads.told(state, asked, last))
    return Told(kind, comes)


@torch.no_grad()
def validate(
    network: Network,
    judged: Streams,
    config: BehaviourConfig,
    *,
    without_seen: bool = True,
) -> float:
    """NDCG@10 of the last action of each of the ``judged`` shoppers, among all items.

    ``without_seen`` leaves out what a shopper acted on before, unless that is the answer.
    """
    windows = judged.ends(1, config.length)
    target_at = windows.last
    some = np.arange(len(windows))
    most = config.schedule.validation_shoppers
    if len(some) > most:
        some = np.sort(np.random.default_rng(0).permutation(len(some))[:most])
    windows, target_at = windows.take(some), target_at[some]
    waiting = gap_step(judged.at_ms[target_at] - judged.at_ms[target_at - 1])
    said = None if judged.said is None else judged.said.at(target_at)
    query = queries(network, judged, windows, waiting, said)
    items = network.item_vectors().cpu().numpy()
    stream = np.searchsorted(judged.start, target_at, side="right") - 1
    total = 0.0
    for first in range(0, len(query), _AT_ONCE):
        rows = slice(first, min(first + _AT_ONCE, len(query)))
        score = query[rows] @ items.T
        target = judged.item_row[target_at[rows]]
        if without_seen:
            _leave_out(score, judged, stream[rows], target_at[rows], target)
        total += float(ndcg_of_rank(mean_rank(score, target), 10).sum())
    return total / max(len(query), 1)


def _leave_out(
    score: NDArray[np.float32],
    streams: Streams,
    stream: NDArray[np.int64],
    upto: NDArray[np.int64],
    target: NDArray[np.int32],
) -> None:
    """What each shopper has already does not compete, unless it is the target."""
    begin = streams.start[stream]
    count = upto - begin
    row = np.repeat(np.arange(len(stream)), count)
    token = (
        np.repeat(begin, count) + np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    )
    own = score[np.arange(len(target)), target].copy()
    score[row, streams.item_row[token]] = -np.inf
    score[np.arange(len(target)), target] = own
