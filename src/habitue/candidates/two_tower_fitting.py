"""Teaching the two towers; the one part that needs torch.

Covington, Adams and Sargin, Deep Neural Networks for YouTube Recommendations (2016): what a shopper
did is read as means of item vectors and goes through hidden layers. The softmax is over the items
of the batch, corrected by how often each is expected there (Yi et al., Sampling-Bias-Corrected
Neural Modeling for Large Corpus Item Recommendations, 2019), and others drawn beside them (Yang et
al., Mixed Negative Sampling for Learning Two-tower Neural Networks, 2020).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, cast

import numpy as np
import torch
import torch.nn.functional as fn
from numpy.typing import NDArray
from torch import Tensor, nn

from habitue.behaviour.beginnings import begun_near
from habitue.behaviour.going_on import Earlier
from habitue.behaviour.learning import ONE_AT_A_TIME
from habitue.behaviour.losses import softmax_against_sample
from habitue.behaviour.negatives import Urn
from habitue.behaviour.network import ItemTable
from habitue.behaviour.pasts import foretold, pasts_of, where_moments_begin
from habitue.behaviour.streams import GAP_STEPS, Streams, gap_step
from habitue.behaviour.teaching import go_on_from, rate_at
from habitue.behaviour.torch_encoder import weights_of
from habitue.candidates.two_tower_config import TwoTowerConfig
from habitue.candidates.two_tower_step import (
    COUNT_STEPS,
    N_KINDS,
    PLACES,
    Ratings,
    ratings_before,
)
from habitue.metrics.ranks import mean_rank, ndcg_of_rank

__all__ = ["Fitted", "Lessons", "fit"]

_AT_ONCE: Final = 1024  # shoppers ranked in one product
_FALLS: Final = (0.0, 0.1, 0.4, 1.0, 2.0)  # of the pools' weights a place, where they begin


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is learnt from, and what it is judged by."""

    streams: Streams
    content: NDArray[np.float32] | None  # (n_items, c) what is told of items; 0: nothing
    ratings: Ratings | None  # who rated what; none where nobody does
    judged: Streams | None  # the last action of each shopper is asked for
    own_past_left_out: bool
    earlier: Earlier | None = None  # towers to go on from


@dataclass(frozen=True, slots=True)
class Fitted:
    """The towers, and how they came to be."""

    read: NDArray[np.float32]  # (n_items, dim) what items are read and found by
    told: NDArray[np.float32]  # (c, dim) from what is told of an item to such a vector
    tower: Mapping[str, NDArray[np.float32]]  # the tower of shoppers, as it is served
    weights: Mapping[str, NDArray[np.float32]]  # what a later training goes on from
    queries: NDArray[np.float32]  # (Q, dim) a sample of what is asked
    measured: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Asked:
    """M moments as the tower of shoppers reads them: P tokens and R ratings before them."""

    item: NDArray[np.int64]  # (P,) the tokens' items
    kind: Tensor  # (P,)
    age: Tensor  # (P,) steps of the time until the moment
    back: Tensor  # (P,) how many stand between it and the moment
    moment: Tensor  # (P,) before which each stands
    rated: NDArray[np.int64]  # (R,) items
    weight: Tensor  # (R,)
    whose: Tensor  # (R,) the moment before which
    beside: tuple[Tensor, Tensor, Tensor]  # (M,) steps of their count, since the last; its kind


class _Moments:
    """The moments of streams, and what stood before each."""

    def __init__(self, streams: Streams, ratings: Ratings | None, length: int) -> None:
        self.streams, self.ratings, self.length = streams, ratings, length
        self.begin = where_moments_begin(streams)
        self.stream = streams.stream()
        self.foretold = foretold(streams)  # (M,) places in the streams

    def asked(self, moment: NDArray[np.int64]) -> _Asked:
        """The moments (M,) as they are read."""
        streams = self.streams
        pasts = pasts_of(streams, moment, self.begin, self.stream, self.length)
        last = self.begin[moment] - 1
        count = np.log2(np.bincount(pasts.moment, minlength=len(moment))).astype(np.int64)
        whose, rated, weight = self._rated(moment)
        return _Asked(
            streams.item_row[pasts.token].astype(np.int64),
            torch.from_numpy(streams.kind[pasts.token].astype(np.int64)),
            torch.from_numpy(pasts.age),
            torch.from_numpy(pasts.back),
            torch.from_numpy(pasts.moment),
            rated,
            torch.from_numpy(weight),
            torch.from_numpy(whose),
            (
                torch.from_numpy(np.minimum(count, COUNT_STEPS - 1)),
                torch.from_numpy(
                    gap_step(streams.at_ms[moment] - streams.at_ms[last]).astype(np.int64)
                ),
                torch.from_numpy(streams.kind[last].astype(np.int64)),
            ),
        )

    def _rated(
        self, moment: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        none = np.empty(0, np.int64)
        if self.ratings is None:
            return none, none, np.empty(0, np.float32)
        whose, row, weight = ratings_before(
            self.streams.shopper_row[self.stream[moment]], self.streams.at_ms[moment],
            np.zeros(len(moment) + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32),
            self.ratings,
        )  # fmt: skip
        return whose, row.astype(np.int64), weight


class _Towers(nn.Module):
    """Items and shoppers in, vectors out that lie near each other where the one wants the other."""

    def __init__(
        self, config: TwoTowerConfig, n_items: int, content: Tensor | None, *, ratings: bool
    ) -> None:
        super().__init__()
        self.config = config
        dim, pools = config.dim, config.pools
        self.items = ItemTable(n_items, dim, content)
        fall = torch.tensor([_FALLS[p % len(_FALLS)] for p in range(pools)])
        self.by_place = nn.Parameter(-torch.arange(float(PLACES))[:, None] * fall)
        self.by_kind = nn.Parameter(torch.zeros(N_KINDS, pools))
        self.by_age = nn.Parameter(torch.zeros(GAP_STEPS, pools))
        self.mix = nn.Parameter(torch.full((pools,), 1.0 / pools))
        widths = [dim * (pools + int(ratings)), *config.hidden, dim]
        self.input = nn.LayerNorm(widths[0])
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.beside = nn.ModuleList(
            nn.Embedding(n, widths[1]) for n in (COUNT_STEPS, GAP_STEPS, N_KINDS)
        )
        self.after = nn.LayerNorm(dim)
        for table in self.beside:
            nn.init.normal_(cast("nn.Embedding", table).weight, std=0.03)
        for layer in self._stack():
            nn.init.xavier_normal_(layer.weight, gain=0.7)
            nn.init.zeros_(layer.bias)

    def _stack(self) -> list[nn.Linear]:
        return [cast("nn.Linear", layer) for layer in self.layers]

    def queries(self, acted: Tensor, rated: Tensor, asked: _Asked) -> Tensor:
        """Queries (M, dim): their products with unit item vectors are the scores.

        ``acted`` (P, dim) and ``rated`` (R, dim) are the vectors of what stands before the moments.
        """
        config, n = self.config, len(asked.beside[0])
        pools = self._pools(fn.dropout(acted, config.input_dropout, self.training), asked, n)
        x = pools.flatten(1)
        if self.input.normalized_shape[0] > x.shape[1]:
            told = rated * asked.weight[:, None]
            liked = x.new_zeros(n, config.dim).index_add(0, asked.whose, told)
            x = torch.cat([x, liked], dim=1)
        x = self.input(x)
        beside: Tensor = sum(
            table(step) for table, step in zip(self.beside, asked.beside, strict=True)
        )
        for place, layer in enumerate(self._stack()):
            x = layer(x) if place else layer(x) + beside
            if place + 1 < len(self.layers):
                x = fn.dropout(fn.relu(x), config.dropout, self.training)
        wanted = self.after(x + (pools * self.mix[:, None]).sum(dim=1))
        return fn.normalize(wanted, dim=1) / config.temperature

    def _pools(self, x: Tensor, asked: _Asked, n: int) -> Tensor:
        """The weighted means (n, pools, dim) of the vectors (P, dim) of the tokens.

        Laid out in rows as long as the longest: on 50 tokens each, one product of matrices takes an
        eighth of what adding them up one by one does, and on short rows no longer.
        """
        pools, longest = self.config.pools, int(asked.back.max()) + 1
        at = asked.moment * longest + asked.back
        place = asked.back.clamp(max=PLACES - 1)
        told = self.by_place[place] + self.by_kind[asked.kind] + self.by_age[asked.age]
        weight = told.new_full((n * longest, pools), -math.inf).index_copy(0, at, told)
        row = x.new_zeros(n * longest, x.shape[1]).index_copy(0, at, x).view(n, longest, -1)
        return weight.view(n, longest, pools).softmax(dim=1).transpose(1, 2) @ row

    def served(self) -> dict[str, NDArray[np.float32]]:
        """The weights of the tower of shoppers, by the names they are served by."""
        named: dict[str, Tensor] = {
            "by_place": self.by_place, "by_kind": self.by_kind, "by_age": self.by_age,
            "mix": self.mix, "input_gain": self.input.weight, "input_bias": self.input.bias,
            "after_gain": self.after.weight, "after_bias": self.after.bias,
        }  # fmt: skip
        for name, table in zip(("count", "waiting", "kind"), self.beside, strict=True):
            named[name] = cast("nn.Embedding", table).weight
        for place, layer in enumerate(self._stack()):
            named[f"layer{place}_weight"] = layer.weight
            named[f"layer{place}_bias"] = layer.bias
        return {name: one.detach().numpy().copy() for name, one in named.items()}


class _Run:
    """One training run."""

    def __init__(self, lessons: Lessons, config: TwoTowerConfig, rng: np.random.Generator) -> None:
        self.lessons, self.config, self.rng = lessons, config, rng
        streams = lessons.streams
        self.moments = _Moments(streams, lessons.ratings, config.length)
        self.acted_on = np.bincount(streams.item_row, minlength=streams.n_items) > 0
        self.known = np.flatnonzero(self.acted_on)
        self.urn, self.correction = _urn(streams, self.moments.foretold, self.known, config)
        self.where = np.full(streams.n_items, -1)
        content = None if lessons.content is None else torch.from_numpy(lessons.content)
        self.towers = _Towers(config, streams.n_items, content, ratings=lessons.ratings is not None)
        if lessons.earlier is not None:
            go_on_from(self.towers, self.towers.items, lessons.earlier, streams)
        elif config.start == "co-occurrence":
            with torch.no_grad():
                near = begun_near(streams, config.dim, rng)
                self.towers.items.own.copy_(torch.from_numpy(near))
        with torch.no_grad():
            self.towers.items.own[torch.from_numpy(~self.acted_on)] = 0
        self.optimiser = torch.optim.AdamW(
            self.towers.parameters(), lr=config.schedule.rate, betas=(0.9, 0.98),
            weight_decay=0.0, fused=True,
        )  # fmt: skip
        self.mean = [p.detach().clone() for p in self.towers.parameters()]
        since = 0 if lessons.earlier is None else lessons.earlier.until_ms
        is_new = streams.at_ms[self.moments.foretold] >= since
        self.new, self.old = self.moments.foretold[is_new], self.moments.foretold[~is_new]
        self.n_drawn = min(
            len(self.old), int(np.ceil(config.schedule.further_replay * len(self.new)))
        )
        batches = -(-(len(self.new) + self.n_drawn) // config.schedule.batch)
        self.step, self.steps = 0, batches * config.schedule.epochs

    def epoch(self) -> None:
        """One pass over all moments; going on, over what is new and as much of the old."""
        self.towers.train()
        drawn = self.rng.permutation(self.old)[: self.n_drawn]
        order = self.rng.permutation(np.concatenate([self.new, drawn]))
        size = self.config.schedule.batch
        for at in range(0, len(order), size):
            self._learn(order[at : at + size])

    def _learn(self, moment: NDArray[np.int64]) -> None:
        schedule = self.config.schedule
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(
                self.step, self.steps, schedule.rate, schedule.warm_up, schedule.floor
            )
        loss = self._loss(moment)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.step += 1
        kept = min(schedule.averaging, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self.mean, list(self.towers.parameters()), 1 - kept)

    def _loss(self, moment: NDArray[np.int64]) -> Tensor:
        """The loss of telling what came at each moment from the items of the batch and others."""
        asked = self.moments.asked(moment)
        right = self.lessons.streams.item_row[moment].astype(np.int64)
        others = np.unique(np.concatenate([right, self.known[self.urn.draw(self.rng)]]))
        every = np.concatenate([asked.item, asked.rated, right, others])
        rows, place = np.unique(every, return_inverse=True)
        vectors = self.towers.items.rows(torch.from_numpy(rows), self._named(rows))
        sizes = [len(asked.item), len(asked.rated), len(right), len(others)]
        acted, rated, target, other = torch.split(torch.from_numpy(place), sizes)
        query = self.towers.queries(
            vectors.index_select(0, acted), vectors.index_select(0, rated), asked
        )
        units = fn.normalize(vectors, dim=1)
        token, hit = self._left_out(asked, right, others)
        return softmax_against_sample(
            query,
            units.index_select(0, other),
            units.index_select(0, target),
            torch.from_numpy(self.correction[others]),
            torch.from_numpy(token),
            torch.from_numpy(hit),
            half=False,
        )

    def _left_out(
        self, asked: _Asked, right: NDArray[np.int64], others: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Moments, and places of the ``others`` that do not compete there: (H,) each.

        The right one itself, and what the shopper had where that is left out.
        """
        self.where[others] = np.arange(len(others))
        token, hit = np.arange(len(right)), self.where[right]
        if self.lessons.own_past_left_out:
            moment = asked.moment.numpy()
            had = self.where[asked.item]
            out = (had >= 0) & (asked.item != right[moment])
            token, hit = np.append(token, moment[out]), np.append(hit, had[out])
        self.where[others] = -1
        return token, hit

    def _named(self, row: NDArray[np.int64]) -> Tensor:
        """Which of the items (n,) are known by more than their content: (n,).

        None nobody acted on, and some others not, so that content learns to speak for itself.
        """
        named = self.acted_on[row]
        if self.towers.items.told is not None and self.config.unnamed:
            named = named & (self.rng.random(len(row)) >= self.config.unnamed)
        return torch.from_numpy(named.astype(np.float32))

    def put(self, weights: list[Tensor]) -> list[Tensor]:
        """Put these weights in place; those that stood there."""
        held = [p.detach().clone() for p in self.towers.parameters()]
        with torch.no_grad():
            for parameter, weight in zip(self.towers.parameters(), weights, strict=True):
                parameter.copy_(weight)
        return held

    @torch.no_grad()
    def queries(self, moments: _Moments, moment: NDArray[np.int64]) -> NDArray[np.float32]:
        """What is asked at those moments: (M, dim)."""
        self.towers.eval()
        table = self.towers.items.everything()
        found = np.empty((len(moment), self.config.dim), np.float32)
        for at in range(0, len(moment), _AT_ONCE):
            asked = moments.asked(moment[at : at + _AT_ONCE])
            acted = table.index_select(0, torch.from_numpy(asked.item))
            rated = table.index_select(0, torch.from_numpy(asked.rated))
            found[at : at + _AT_ONCE] = self.towers.queries(acted, rated, asked).numpy()
        return found

    @torch.no_grad()
    def judge(self, judged: Streams, moments: _Moments, moment: NDArray[np.int64]) -> float:
        """NDCG@10 of what came at those moments, among all items but what the shopper had."""
        units = fn.normalize(self.towers.items.everything(), dim=1).numpy()
        query = self.queries(moments, moment)
        total = 0.0
        for at in range(0, len(moment), _AT_ONCE):
            some = moment[at : at + _AT_ONCE]
            score, target = query[at : at + _AT_ONCE] @ units.T, judged.item_row[some]
            if self.lessons.own_past_left_out:
                own = score[np.arange(len(some)), target].copy()
                past = pasts_of(judged, some, moments.begin, moments.stream, len(judged))
                score[past.moment, judged.item_row[past.token]] = -np.inf
                score[np.arange(len(some)), target] = own
            total += float(ndcg_of_rank(mean_rank(score, target), 10).sum())
        return total / len(moment)


def fit(lessons: Lessons, config: TwoTowerConfig, rng: np.random.Generator) -> Fitted:
    """Teach the towers; the pass with the best validation is kept, the last one without any.

    Something must have been done before something else. On one thread the same rng gives the same
    weights. Raises ``OtherNetworkError`` where the earlier towers are of another kind.
    """
    threads, schedule = torch.get_num_threads(), config.schedule
    torch.set_num_threads(schedule.threads)
    began = time.process_time()
    try:
        with ONE_AT_A_TIME, torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(2**31 - 1)))
            run = _Run(lessons, config, rng)
            judged = None if lessons.judged is None else _judged(lessons, lessons.judged, config)
            best, kept, waited, done = -1.0, run.mean, 0, 0
            unasked = min(
                math.ceil(schedule.first_validation * schedule.epochs), schedule.epochs - 1
            )
            while done < schedule.epochs and waited < schedule.patience:
                run.epoch()
                done += 1
                if done <= unasked:
                    continue
                held = run.put(run.mean)
                found = 0.0 if judged is None else run.judge(*judged)
                if judged is None or found > best:
                    best, kept, waited = found, [one.clone() for one in run.mean], 0
                else:
                    waited += 1
                run.put(held)
            run.put(kept)
            sample = run.moments.foretold[:: max(1, len(run.moments.foretold) // _AT_ONCE)]
            queries = run.queries(run.moments, sample)
    finally:
        torch.set_num_threads(threads)
    measured = {"epochs": float(done), "cpu_seconds": time.process_time() - began}
    if judged is not None:
        measured["validation_ndcg@10"] = best
    items = run.towers.items
    with torch.no_grad():
        told = np.empty((0, config.dim), np.float32)
        if items.told is not None:
            told = items.told.weight.t().contiguous().numpy().copy()
        read = items.everything().numpy().copy()
    return Fitted(read, told, run.towers.served(), weights_of(run.towers), queries, measured)


def _urn(
    streams: Streams, moment: NDArray[np.int64], known: NDArray[np.int64], config: TwoTowerConfig
) -> tuple[Urn, NDArray[np.float32]]:
    """What draws places of ``known`` items, and the log of the chance (n_items,) of each item.

    The chance is that of being among the right ones of a batch or among those drawn.
    """
    count = np.bincount(streams.item_row[moment], minlength=streams.n_items)[known]
    size, drawn = min(config.schedule.batch, len(moment)), config.negatives
    popular = (size + drawn * config.popular_share) / (size + drawn)
    expected = np.exp(Urn(count, size + drawn, popular).log_expected.astype(np.float64))
    chance = np.zeros(streams.n_items, np.float32)
    chance[known] = np.log(-np.expm1(-expected))
    return Urn(count, drawn, config.popular_share), chance


def _judged(
    lessons: Lessons, judged: Streams, config: TwoTowerConfig
) -> tuple[Streams, _Moments, NDArray[np.int64]] | None:
    """Whose last actions are foretold, as moments; none where nobody did anything before."""
    moments = _Moments(judged, lessons.ratings, config.length)
    last = np.intersect1d(judged.start[1:] - 1, moments.foretold)
    most = config.schedule.validation_shoppers
    last = last[:: max(1, -(-len(last) // most))]
    return (judged, moments, last) if len(last) else None
