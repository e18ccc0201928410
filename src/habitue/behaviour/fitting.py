"""Training: batches of flat tokens, a rate that rises and falls, and the best validation kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as fn
from numpy.typing import NDArray
from torch import Tensor

from habitue.behaviour.beginnings import co_occurrence_vectors
from habitue.behaviour.config import BehaviourConfig, ScheduleConfig
from habitue.behaviour.layers import groups_of
from habitue.behaviour.losses import softmax_against_all, softmax_against_sample
from habitue.behaviour.negatives import Urn
from habitue.behaviour.network import Inputs, Network
from habitue.behaviour.packing import Pack, pack, shuffled
from habitue.behaviour.streams import Streams, Windows, gap_step
from habitue.metrics.ranks import mean_rank, ndcg_of_rank

__all__ = ["Fitted", "Training", "Validated", "fit", "queries", "validate"]


@dataclass(frozen=True, slots=True)
class Training:
    """What is learnt from, and what it is judged by."""

    streams: Streams
    content: NDArray[np.float32] | None = None  # (n_items, c) what is told of items; 0: nothing
    price_step: NDArray[np.uint8] | None = None  # (n_items,) 0: not known
    judged: Streams | None = None  # the last action of each shopper is asked for
    judged_without: bool = True  # items a shopper has already are not asked about


@dataclass(frozen=True, slots=True)
class Validated:
    """One look at the validation."""

    epoch: int
    loss: float
    ndcg: float  # at 10
    cpu_seconds: float  # of the whole training until then


@dataclass(slots=True)
class Fitted:
    """A trained network, and how it came to be."""

    network: Network
    history: list[Validated] = field(default_factory=list)
    cpu_seconds: float = 0.0
    epoch_seconds: float = 0.0  # of processor, on average
    epochs: int = 0


Progress = Callable[[str, float, float], None]


class _Run:
    """One training run."""

    def __init__(self, training: Training, config: BehaviourConfig, seed: int) -> None:
        self.config, self.training, self.seed = config, training, seed
        self.device = _device(config)
        self.half = _half(config, self.device)
        streams = training.streams
        self.gaps = torch.from_numpy(streams.gaps().astype(np.int64))
        self.item = torch.from_numpy(streams.item_row.astype(np.int64))
        target = streams.item_row[_targets(streams)]
        count = np.bincount(target, minlength=streams.n_items)
        loss = config.loss
        self.urn = Urn(count, loss.negatives, loss.popular_share)
        self.correction = torch.from_numpy(self.urn.log_expected).to(self.device)
        torch.manual_seed(seed)
        self.network = _network(training, config, np.random.default_rng([seed, 1]))
        self.network.to(self.device)
        self.windows = streams.windows(config.length)
        self.steps = config.schedule.epochs * max(
            1, -(-int(self.windows.length.sum()) // config.schedule.tokens)
        )
        table = [p for name, p in self.network.named_parameters() if name == "items.own"]
        others = [p for name, p in self.network.named_parameters() if name != "items.own"]
        self.optimiser = torch.optim.AdamW(
            [{"params": others, "weight_decay": config.schedule.decay},
             {"params": table, "weight_decay": 0.0}],
            lr=config.schedule.rate, betas=(0.9, 0.98), fused=True,
        )  # fmt: skip
        self.step = 0
        self.mean = (
            [p.detach().clone() for p in self.network.parameters()]
            if config.schedule.averaging
            else None
        )

    def epoch(self, number: int) -> float:
        """One pass over all windows; the mean loss."""
        self.network.train()
        rng = np.random.default_rng([self.seed, 2, number])
        total, batches = 0.0, 0
        for windows in shuffled(self.windows, self.config.schedule.tokens, rng):
            total += self._learn(windows, rng)
            batches += 1
        return total / max(batches, 1)

    def _learn(self, windows: Windows, rng: np.random.Generator) -> float:
        schedule = self.config.schedule
        for group in self.optimiser.param_groups:
            group["lr"] = _rate(schedule, self.step, self.steps)
        loss = self._loss(pack(windows), rng)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if schedule.clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), schedule.clip)
        self.optimiser.step()
        self.step += 1
        if self.mean is not None:
            with torch.no_grad():
                torch._foreach_lerp_(
                    self.mean, list(self.network.parameters()), 1 - schedule.averaging
                )
        return float(loss.detach())

    def _loss(self, batch: Pack, rng: np.random.Generator) -> Tensor:
        network, device = self.network, self.device
        streams = self.training.streams
        read, right = streams.item_row[batch.token], streams.item_row[batch.token + 1]
        drawn = np.unique(self.urn.draw(rng))
        rows, place = np.unique(np.concatenate([read, right, drawn]), return_inverse=True)
        n = len(read)
        named = None
        if network.items.told is not None and self.config.unnamed:
            named = torch.from_numpy(
                (rng.random(len(rows)) >= self.config.unnamed).astype(np.float32)
            ).to(device)
        vectors = network.items.rows(torch.from_numpy(rows.astype(np.int64)).to(device), named)
        at = torch.from_numpy(place).to(device)
        x = vectors.index_select(0, at[:n])
        if self.config.item_dropout:
            kept = rng.random(n) >= self.config.item_dropout
            x = x * torch.from_numpy(kept.astype(np.float32)).to(device)[:, None]
        state = network.read(x, self._beside(batch.token), groups_of(batch, device))
        waiting = self.gaps[batch.token + 1].to(device) if network.waiting is not None else None
        query = network.wanted(state, waiting)
        units = fn.normalize(vectors, dim=1)
        if self.config.loss.against == "all":
            target = torch.from_numpy(right.astype(np.int64)).to(device)
            return softmax_against_all(query, network.item_vectors(), target, half=self.half)
        where = np.full(streams.n_items, -1)
        where[drawn] = np.arange(len(drawn))
        hit = where[right]
        token = np.flatnonzero(hit >= 0)
        return softmax_against_sample(
            query,
            units.index_select(0, at[2 * n :]),
            units.index_select(0, at[n : 2 * n]),
            self.correction[torch.from_numpy(drawn).to(device)],
            torch.from_numpy(token).to(device),
            torch.from_numpy(hit[token]).to(device),
            half=self.half,
        )

    def _beside(self, token: NDArray[np.int64]) -> Inputs:
        network, streams = self.network, self.training.streams
        kind = price = None
        if network.kind is not None:
            kind = torch.from_numpy(streams.kind[token].astype(np.int64)).to(self.device)
        if network.price is not None and self.training.price_step is not None:
            step = self.training.price_step[streams.item_row[token]].astype(np.int64)
            price = torch.from_numpy(step).to(self.device)
        gap = self.gaps[token].to(self.device) if network.gap is not None else None
        return Inputs(kind, gap, price)


def fit(
    training: Training,
    config: BehaviourConfig,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    told: Callable[[Validated], None] | None = None,
) -> Fitted:
    """Train a network; the epoch with the best validation is kept, the last one without any."""
    torch.set_num_threads(config.schedule.threads)
    started = time.process_time()
    run = _Run(training, config, seed)
    schedule = config.schedule
    fitted = Fitted(run.network)
    best, kept, waited, spent = -1.0, None, 0, 0.0
    for number in range(schedule.epochs):
        began = time.process_time()
        loss = run.epoch(number)
        spent += time.process_time() - began
        fitted.epoch_seconds, fitted.epochs = spent / (number + 1), number + 1
        if progress is not None:
            progress("epochs", number + 1, schedule.epochs)
        last = number + 1 == schedule.epochs
        due = number + 1 >= schedule.first_validation * schedule.epochs
        if training.judged is None or not (
            last or (due and (number + 1) % schedule.validate_every == 0)
        ):
            continue
        held = _swap(run)
        ndcg = validate(run.network, training, config)
        found = Validated(number + 1, loss, ndcg, time.process_time() - started)
        fitted.history.append(found)
        if told is not None:
            told(found)
        if ndcg > best:
            best, waited = ndcg, 0
            kept = [p.detach().clone() for p in run.network.parameters()]
        else:
            waited += 1
        _restore(run, held)
        if waited >= schedule.patience:
            break
    if kept is not None:
        _restore(run, kept)
    else:
        _swap(run)
    run.network.eval()
    fitted.cpu_seconds = time.process_time() - started
    return fitted


def _swap(run: _Run) -> list[Tensor] | None:
    """Put the averaged weights in place; those that stood there."""
    if run.mean is None:
        return None
    held = [p.detach().clone() for p in run.network.parameters()]
    _restore(run, run.mean)
    return held


def _restore(run: _Run, weights: list[Tensor] | None) -> None:
    if weights is not None:
        with torch.no_grad():
            for parameter, weight in zip(run.network.parameters(), weights, strict=True):
                parameter.copy_(weight)


@torch.no_grad()
def queries(
    network: Network,
    streams: Streams,
    windows: Windows,
    price_step: NDArray[np.uint8] | None = None,
    waiting: NDArray[np.uint8] | None = None,
    *,
    tokens: int = 40_000,
) -> NDArray[np.float32]:
    """The query after the last token of each window: (W, dim). ``waiting`` are steps until then."""
    network.eval()
    device = network.items.own.device
    found = np.empty((len(windows), network.config.dim), np.float32)
    gaps = streams.gaps()
    cuts = np.flatnonzero(np.diff((np.cumsum(windows.length) - 1) // tokens)) + 1
    for rows in np.split(np.arange(len(windows)), cuts):
        batch = pack(windows.take(rows))
        item = torch.from_numpy(streams.item_row[batch.token].astype(np.int64)).to(device)
        kind = torch.from_numpy(streams.kind[batch.token].astype(np.int64)).to(device)
        gap = torch.from_numpy(gaps[batch.token].astype(np.int64)).to(device)
        price = None
        if network.price is not None and price_step is not None:
            step = price_step[streams.item_row[batch.token]].astype(np.int64)
            price = torch.from_numpy(step).to(device)
        state = network.read(
            network.items.rows(item), Inputs(kind, gap, price), groups_of(batch, device)
        )[torch.from_numpy(batch.end).to(device)]
        asked = None
        if waiting is not None:
            asked = torch.from_numpy(waiting[rows[batch.order]].astype(np.int64)).to(device)
        found[rows[batch.order]] = network.wanted(state, asked).cpu().numpy()
    return found


@torch.no_grad()
def validate(network: Network, training: Training, config: BehaviourConfig) -> float:
    """NDCG@10 of the last action of each judged shopper, among all items."""
    judged = training.judged
    assert judged is not None
    windows = judged.ends(1, config.length)
    target_at = windows.last
    some = np.arange(len(windows))
    most = config.schedule.validation_shoppers
    if len(some) > most:
        some = np.sort(np.random.default_rng(0).permutation(len(some))[:most])
    windows, target_at = windows.take(some), target_at[some]
    waiting = gap_step(judged.at_ms[target_at] - judged.at_ms[target_at - 1])
    query = queries(network, judged, windows, training.price_step, waiting)
    items = network.item_vectors().cpu().numpy()
    stream = np.searchsorted(judged.start, target_at, side="right") - 1
    total = 0.0
    for first in range(0, len(query), 1024):
        rows = slice(first, min(first + 1024, len(query)))
        score = query[rows] @ items.T
        target = judged.item_row[target_at[rows]]
        if training.judged_without:
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


def _network(training: Training, config: BehaviourConfig, rng: np.random.Generator) -> Network:
    streams = training.streams
    content = None
    if config.content and training.content is not None and training.content.any():
        content = torch.from_numpy(np.ascontiguousarray(training.content, np.float32))
    kinds = len(np.unique(streams.kind)) > 1
    gaps = len(np.unique(streams.gaps())) > 2
    steps = 0 if training.price_step is None else int(training.price_step.max(initial=0)) + 1
    network = Network(
        config,
        streams.n_items,
        content=content,
        kinds=kinds,
        gaps=gaps,
        price_steps=steps if steps > 1 else 0,
    )
    if config.start == "co-occurrence":
        near = co_occurrence_vectors(streams, config.dim, rng)
        noise = rng.standard_normal(near.shape).astype(np.float32) * 0.2
        own = (near * math.sqrt(config.dim) + noise) * 0.05
        with torch.no_grad():
            network.items.own.copy_(torch.from_numpy(own))
    return network


def _targets(streams: Streams) -> NDArray[np.bool_]:
    """Tokens that are foretold: all but each shopper's first."""
    wanted = np.ones(len(streams), np.bool_)
    wanted[streams.start[:-1]] = False
    return wanted


def _rate(schedule: ScheduleConfig, step: int, steps: int) -> float:
    rise = min(1.0, (step + 1) / max(1.0, schedule.warm_up * steps))
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(steps, 1))))
    return schedule.rate * rise * (schedule.floor + (1 - schedule.floor) * fall)


def _device(config: BehaviourConfig) -> torch.device:
    if config.schedule.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(config.schedule.device)


def _half(config: BehaviourConfig, device: torch.device) -> bool:
    if config.schedule.half != "auto":
        return config.schedule.half == "yes"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
