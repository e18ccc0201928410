"""One step of training: a batch of windows, its loss, and what the weights become."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as fn
from numpy.typing import NDArray
from torch import Tensor, nn

from habitue.behaviour.asking import inputs_of
from habitue.behaviour.beginnings import begun_near
from habitue.behaviour.coming import Coming
from habitue.behaviour.config import BehaviourConfig
from habitue.behaviour.going_on import Earlier, OtherNetworkError, Stretches, begun_from
from habitue.behaviour.heads import head_loss
from habitue.behaviour.layers import groups_of
from habitue.behaviour.lessons import Lesson, lesson_of
from habitue.behaviour.losses import softmax_against_all, softmax_against_sample
from habitue.behaviour.negatives import Urn
from habitue.behaviour.network import Inputs, ItemTable, Network
from habitue.behaviour.packing import shuffled
from habitue.behaviour.streams import Streams, Windows

__all__ = ["Teacher", "Training", "go_on_from", "rate_at"]


@dataclass(frozen=True, slots=True)
class Training:
    """What is learnt from, and what it is judged by."""

    streams: Streams
    content: NDArray[np.float32] | None = None  # (n_items, c) what is told of items; 0: nothing
    price_step: NDArray[np.uint8] | None = None  # (n_items,) 0: not known
    judged: Streams | None = None  # the last action of each shopper is asked for
    judged_without: bool = False  # items a shopper has already are not asked about
    earlier: Earlier | None = None  # a network to go on from

    def leaves_out(self, config: BehaviourConfig) -> bool:
        """Whether what a shopper had does not compete with what comes next."""
        told = config.loss.own_past
        return told == "left out" or (told == "auto" and self.judged_without)


class Teacher:
    """A network that is being taught, its optimiser, and the running mean of its weights."""

    def __init__(self, training: Training, config: BehaviourConfig, seed: int) -> None:
        """A new network; draws from PyTorch's own generator from here on."""
        self.config, self.training, self.seed = config, training, seed
        self.device = _device(config)
        self.half = _half(config, self.device)
        streams = training.streams
        self.streams = streams  # as the pass at hand reads them
        self.gaps = streams.gaps()
        self.coming = Coming.of(streams) if config.head_weights.any else None
        target = streams.item_row[_targets(streams)]
        count = np.bincount(target, minlength=streams.n_items)
        loss = config.loss
        self.urn = Urn(count, loss.negatives, loss.popular_share)
        torch.manual_seed(seed)
        self.network = _network(training, config, np.random.default_rng([seed, 1]))
        self.network.to(self.device)
        schedule = config.schedule
        self.stretches = Stretches.of(
            streams, streams.windows(config.length), training.earlier, schedule.further_replay
        )
        self.steps = schedule.epochs * max(1, -(-self.stretches.tokens() // schedule.tokens))
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

    def batches(self, epoch: int) -> tuple[list[Windows], np.random.Generator]:
        """The batches of an epoch, and what its draws come from."""
        rng = np.random.default_rng([self.seed, 2, epoch])
        if self.config.ties == "drawn":
            lots = np.random.default_rng([self.seed, 3, epoch])
            self.streams = self.training.streams.with_ties_drawn(lots)
        windows = self.stretches.drawn(rng)
        return list(shuffled(windows, self.config.schedule.tokens, rng)), rng

    def learn(self, windows: Windows, rng: np.random.Generator) -> float:
        """One step; the loss before it."""
        schedule = self.config.schedule
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(
                self.step, self.steps, schedule.rate, schedule.warm_up, schedule.floor
            )
        loss = self._loss(lesson_of(windows, self.config, rng), rng)
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

    def averaged(self) -> list[Tensor] | None:
        """Put the running mean of the weights in place; the weights that stood there."""
        if self.mean is None:
            return None
        held = [p.detach().clone() for p in self.network.parameters()]
        self.put(self.mean)
        return held

    def put(self, weights: list[Tensor] | None) -> None:
        """Put these weights in place, if there are any."""
        if weights is not None:
            with torch.no_grad():
                for parameter, weight in zip(self.network.parameters(), weights, strict=True):
                    parameter.copy_(weight)

    def _loss(self, lesson: Lesson, rng: np.random.Generator) -> Tensor:
        """The loss of what the questions of a lesson are answered."""
        network, streams, batch = self.network, self.streams, lesson.batch
        read, right = streams.item_row[batch.token], streams.item_row[lesson.right]
        drawn = np.unique(self.urn.draw(rng))
        rows, place = np.unique(np.concatenate([read, right, drawn]), return_inverse=True)
        vectors = network.items.rows(self._there(rows), self._named(len(rows), rng))
        reading, targets, others = torch.split(
            self._there(place), [len(read), len(right), len(drawn)]
        )
        x = vectors.index_select(0, reading)
        if self.config.item_dropout:
            kept = rng.random(len(read)) >= self.config.item_dropout
            x = x * self._there(kept.astype(np.float32))[:, None]
        beside = inputs_of(network, streams, self.gaps, batch.token, self.training.price_step)
        state = self._states(x, beside, lesson, vectors.index_select(0, targets))
        waiting = None if network.waiting is None else self._there(lesson.told(self.gaps))
        query = network.wanted(state, waiting)
        out = self._left_out(lesson, right)
        beside_it = self._of_heads(state, lesson)
        if self.config.loss.against == "all":
            return self._against_all(query, right, *out) + beside_it
        units = fn.normalize(vectors, dim=1)
        positive = units.index_select(0, targets)
        loss = self._against_sample(
            query, positive, units.index_select(0, others), right, drawn, *out
        )
        return loss + beside_it

    def _states(self, x: Tensor, beside: Inputs, lesson: Lesson, right: Tensor) -> Tensor:
        """The states (Q, dim) that answer the questions; ``right`` (Q, dim) are the answers."""
        groups = groups_of(lesson.batch, self.device)
        if lesson.hidden is not None:
            hidden = torch.from_numpy(lesson.hidden).to(self.device)
            return self.network.read(x, beside, groups, hidden)[self._there(lesson.at)]
        state = self.network.read(x, beside, groups)
        listed, decoder = lesson.listed, self.network.decoder
        if listed is None or decoder is None:
            return state
        place, shape = self._there(listed.place), (-1, listed.n_slots, right.shape[1])
        room = right.new_zeros(len(lesson.batch.end) * listed.n_slots, right.shape[1])
        chosen = room.index_copy(0, place, right).view(shape)[:, :-1]
        last = state.index_select(0, self._there(lesson.batch.end))
        asked: Tensor = decoder(state, last, groups, chosen)
        return asked.reshape(-1, right.shape[1]).index_select(0, place)

    def _of_heads(self, state: Tensor, lesson: Lesson) -> Tensor:
        """The loss of the other heads where they can be asked; 0 where there are none."""
        newest = lesson.newest()
        if self.network.heads is None or self.coming is None or not len(newest):
            return state.new_zeros(())
        right = lesson.right[newest]
        return head_loss(
            self.network.heads,
            self.config.head_weights,
            state if len(newest) == len(state) else state.index_select(0, self._there(newest)),
            self._there(self.streams.kind[right]),
            self.coming,
            right - 1,
        )

    def _left_out(
        self, lesson: Lesson, right: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Questions, and what their shopper had that does not compete with the answer: (P,)."""
        if not self.training.leaves_out(self.config):
            return np.empty(0, np.int64), np.empty(0, np.int32)
        question, had = lesson.had()
        item = self.streams.item_row[had]
        other = item != right[question]
        return question[other], item[other]

    def _against_all(
        self,
        query: Tensor,
        right: NDArray[np.int32],
        out_token: NDArray[np.int64],
        out_item: NDArray[np.int32],
    ) -> Tensor:
        items, target = self.network.item_vectors(), self._there(right)
        loss = softmax_against_all(
            query, items, target, self._there(out_token), self._there(out_item), half=self.half
        )
        return loss + self._spread(query, items.index_select(0, target), items.mean(dim=0))

    def _against_sample(
        self,
        query: Tensor,
        positive: Tensor,
        others: Tensor,
        right: NDArray[np.int32],
        drawn: NDArray[np.int64],
        out_token: NDArray[np.int64],
        out_item: NDArray[np.int32],
    ) -> Tensor:
        where = np.full(self.training.streams.n_items, -1)
        where[drawn] = np.arange(len(drawn))
        hit = np.concatenate([where[right], where[out_item]])
        token = np.concatenate([np.arange(len(right)), out_token])[hit >= 0]
        expected = self.urn.log_expected[drawn]
        loss = softmax_against_sample(
            query, others, positive, self._there(expected),
            self._there(token), self._there(hit[hit >= 0]), half=self.half,
        )  # fmt: skip
        if not self.config.loss.smoothing:
            return loss
        rarity = self._there(np.exp(-expected) / np.exp(-expected).sum())
        return loss + self._spread(query, positive, rarity @ others)

    def _spread(self, query: Tensor, positive: Tensor, middle: Tensor) -> Tensor:
        """What is added where some of the certainty goes to all items, whose mean is ``middle``."""
        if not self.config.loss.smoothing:
            return query.new_zeros(())
        lead = (query * positive).sum(dim=1) - query @ middle
        return self.config.loss.smoothing * lead.mean()

    def _named(self, n: int, rng: np.random.Generator) -> Tensor | None:
        """Which of a batch's items are known by more than their content: (n,); None: all."""
        if self.network.items.told is None or not self.config.unnamed:
            return None
        return self._there((rng.random(n) >= self.config.unnamed).astype(np.float32))

    def _there(self, array: NDArray[Any]) -> Tensor:
        """An array on the device; integers as PyTorch looks up by them."""
        whole = array.astype(np.int64) if array.dtype.kind in "iu" else array
        return torch.from_numpy(whole).to(self.device)


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
    if training.earlier is not None:
        go_on_from(network, network.items, training.earlier, streams)
    elif config.start == "co-occurrence":
        with torch.no_grad():
            network.items.own.copy_(torch.from_numpy(begun_near(streams, config.dim, rng)))
    return network


def go_on_from(network: nn.Module, items: ItemTable, earlier: Earlier, streams: Streams) -> None:
    """Let the network, whose ``items`` these are, stand where an earlier one of its kind ended.

    Raises ``OtherNetworkError`` for one of another kind.
    """
    vectors = torch.from_numpy(begun_from(earlier, streams))
    own = items.own
    others = {name: p for name, p in network.named_parameters() if name != "items.own"}
    known = earlier.weights
    if (
        vectors.shape != own.shape
        or others.keys() != set(known)
        or any(p.shape != known[name].shape for name, p in others.items())
    ):
        raise OtherNetworkError
    with torch.no_grad():
        for name, parameter in others.items():
            parameter.copy_(torch.from_numpy(np.asarray(known[name])))
        if items.told is not None and items.content is not None:
            unknown = ~vectors.any(dim=1)
            vectors = vectors - items.told(items.content)
            vectors[unknown] = 0
        own.copy_(vectors)


def _targets(streams: Streams) -> NDArray[np.bool_]:
    """Tokens that are foretold: all but each shopper's first."""
    wanted = np.ones(len(streams), np.bool_)
    wanted[streams.start[:-1]] = False
    return wanted


def rate_at(step: int, steps: int, highest: float, warm_up: float, floor: float) -> float:
    """The learning rate at a step of so many: up over the first ``warm_up``, a cosine down.

    A share ``floor`` of the ``highest`` is left at the end.
    """
    rise = min(1.0, (step + 1) / max(1.0, warm_up * steps))
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(steps, 1))))
    return highest * rise * (floor + (1 - floor) * fall)


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
