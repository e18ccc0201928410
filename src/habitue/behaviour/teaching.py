"""One step of training: a batch of windows, its loss, and what the weights become."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as fn
from numpy.typing import NDArray
from torch import Tensor, nn

from habitue.behaviour.answering import states_of
from habitue.behaviour.asking import heard, held_after, inputs_of
from habitue.behaviour.beginnings import begun_near
from habitue.behaviour.coming import KindBaseline, Purchases
from habitue.behaviour.config import BehaviourConfig
from habitue.behaviour.distilling import Larger, scores, soft_loss
from habitue.behaviour.going_on import Earlier, OtherNetworkError, Stretches, begun_from
from habitue.behaviour.heads import N_KINDS, hazard_loss, kind_loss
from habitue.behaviour.item_steps import RowSteps
from habitue.behaviour.lessons import Lesson, lesson_of
from habitue.behaviour.losses import softmax_against_all, softmax_against_sample
from habitue.behaviour.negatives import Urn
from habitue.behaviour.network import ItemTable, Network
from habitue.behaviour.packing import shuffled
from habitue.behaviour.said import without_some
from habitue.behaviour.streams import Streams, Windows
from habitue.behaviour.transfer import Pretrained, turned

__all__ = ["Teacher", "Training", "go_on_from", "kept_share", "rate_at"]

_LEAST_MOMENTS: Final = 16  # drawn in a step, for the head that foretells returns
_SOME: Final = 4096  # drawn to see how often anybody buys
_FORGETTING: Final = 4.0  # how often a training is as long as its mean of weights looks back
_MANY: Final = 100_000  # items from which on most of a step would be spent on rows that rest


@dataclass(frozen=True, slots=True)
class Training:
    """What is learnt from, and what it is judged by."""

    streams: Streams
    content: NDArray[np.float32] | None = None  # (n_items, c) what is told of items; 0: nothing
    judged: Streams | None = None  # the last action of each shopper is asked for
    judged_without: bool = False  # items a shopper has already are not asked about
    earlier: Earlier | None = None  # a network to go on from
    pretrained: Pretrained | None = None  # the network of another shop, to begin with
    larger: Larger | None = None  # a network to learn from
    share: float = 1.0  # how much what it says counts beside what happened

    def leaves_out(self, config: BehaviourConfig) -> bool:
        """Whether what a shopper had does not compete with what comes next."""
        told = config.loss.own_past
        return told == "left out" or (told == "auto" and self.judged_without)


@dataclass(frozen=True, slots=True)
class _Sample:
    """The items that what came is told apart from, for a batch of T tokens."""

    right: Tensor  # (T, dim) unit vectors of what came
    others: Tensor  # (n, dim) those of the sample
    expected: Tensor  # (n,) the log of how often each is drawn
    out_token: Tensor  # (h,) tokens for which one of the sample does not compete, ...
    out_place: Tensor  # (h,) ... and which


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
        self.purchases = Purchases.of(streams) if config.head_weights.comes_back else None
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
        self.kept = kept_share(schedule.averaging, self.steps)
        table = self.network.items.own
        others = [p for p in self.network.parameters() if p is not table]
        groups = [{"params": others, "weight_decay": schedule.decay}]
        self.rows: RowSteps | None = None
        if _own_rows(config, streams.n_items):
            table.requires_grad_(False)
            self.rows = RowSteps(table, self.kept)
            self._moved: list[Tensor] = list(others)
        else:
            groups.append({"params": [table], "weight_decay": 0.0})
            self._moved = list(self.network.parameters())
        self.optimiser = torch.optim.AdamW(groups, lr=schedule.rate, betas=(0.9, 0.98), fused=True)
        self.step = 0
        self.mean = [p.detach().clone() for p in self._moved] if self.kept else None

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
        rate = rate_at(self.step, self.steps, schedule.rate, schedule.warm_up, schedule.floor)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss = self._loss(lesson_of(windows, self.config, rng), rng)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if schedule.clip:
            own = [] if self.rows is None else [self.rows.moving]
            torch.nn.utils.clip_grad_norm_([*self._moved, *own], schedule.clip)
        self.optimiser.step()
        if self.rows is not None:
            self.rows.step(rate)
        self.step += 1
        if self.mean is not None:
            with torch.no_grad():
                torch._foreach_lerp_(self.mean, self._moved, 1 - self.kept)
        return float(loss.detach())

    def averaged(self) -> list[Tensor] | None:
        """Put the running mean of the weights in place; the weights that stood there."""
        of_rows = None if self.rows is None else self.rows.settle()
        if self.mean is None:
            return None
        held = [p.detach().clone() for p in self.network.parameters()]
        means = {id(p): mean for p, mean in zip(self._moved, self.mean, strict=True)}
        if of_rows is not None:
            means[id(self.network.items.own)] = of_rows
        self.put([means[id(p)] for p in self.network.parameters()])
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
        at = self._there(rows)
        own = None if self.rows is None else self.rows.rows(at)
        vectors = network.items.rows(at, self._named(len(rows), rng), own)
        reading, targets, others = torch.split(
            self._there(place), [len(read), len(right), len(drawn)]
        )
        x = vectors.index_select(0, reading)
        if self.config.item_dropout:
            kept = rng.random(len(read)) >= self.config.item_dropout
            x = x * self._there(kept.astype(np.float32))[:, None]
        beside = inputs_of(network, streams, self.gaps, batch.token)
        state = states_of(network, x, beside, lesson, vectors.index_select(0, targets))
        waiting = None if network.waiting is None else self._there(lesson.told(self.gaps))
        said = self._said(lesson, rng)
        query = network.wanted(state, waiting, said)
        out = self._left_out(lesson, right)
        units = fn.normalize(vectors, dim=1)
        sample = _Sample(
            units.index_select(0, targets),
            units.index_select(0, others),
            self._there(self.urn.log_expected[drawn]),
            *self._hits(right, drawn, *out),
        )
        if self.config.loss.against == "all":
            loss = self._against_all(query, right, *out)
        else:
            loss = self._against_sample(query, sample)
        if self.training.larger is not None:
            loss = self._beside(self.training.larger, loss, lesson, said, query, sample, drawn)
        return loss + self._of_kinds(state, lesson) + self._of_returns()

    def _said(self, lesson: Lesson, rng: np.random.Generator) -> dict[str, Tensor]:
        """What is said where the questions are asked, some of it left out."""
        if self.network.hearing is None or self.streams.said is None:
            return {}
        said = self.streams.said.at(lesson.asked())
        return heard(self.network, without_some(said, self.config.asked_dropout, rng))

    def _of_kinds(self, state: Tensor, lesson: Lesson) -> Tensor:
        """The loss of the kinds that come next, where that is asked; 0 where it is not."""
        weights, heads = self.config.head_weights, self.network.heads
        if heads is None or not weights.next_kind:
            return state.new_zeros(())
        newest = lesson.newest()
        at_ms, right = self.streams.at_ms, lesson.right
        newest = newest[at_ms[right[newest]] > at_ms[right[newest] - 1]]  # a moment is one question
        if not len(newest):
            return state.new_zeros(())
        if len(newest) < len(state):
            state = state.index_select(0, self._there(newest))
        if not weights.shape:
            state = state.detach()
        waiting = self._there(lesson.told(self.gaps)[newest])
        right = right[newest]
        last, following = (self._there(self.streams.kind[at]) for at in (right - 1, right))
        return weights.next_kind * kind_loss(heads, state, waiting, last, following)

    def _of_returns(self) -> Tensor:
        """The loss of when purchases come after moments drawn by lot; 0 where it is not learnt."""
        network, config, heads = self.network, self.config, self.network.heads
        if heads is None or self.purchases is None:
            return network.items.own.new_zeros(())
        n = max(_LEAST_MOMENTS, config.schedule.tokens // config.length)
        lots = np.random.default_rng([self.seed, 4, self.step])
        asked = self.purchases.drawn(n, config.length, lots)
        order, state = held_after(network, self.purchases.streams, self.gaps, asked.windows)
        if not config.head_weights.shape:
            state = state.detach()
        counted, came = (self._there(array[order]) for array in asked.coming.steps())
        waiting = self._there(asked.waiting[order])
        return config.head_weights.comes_back * hazard_loss(heads, state, waiting, counted, came)

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

    def _hits(
        self,
        right: NDArray[np.int32],
        drawn: NDArray[np.int64],
        out_token: NDArray[np.int64],
        out_item: NDArray[np.int32],
    ) -> tuple[Tensor, Tensor]:
        """Tokens, and the places of a sample that do not compete there: targets and pasts."""
        item = np.concatenate([right, out_item])
        place = np.minimum(np.searchsorted(drawn, item), len(drawn) - 1)
        hit = drawn[place] == item
        token = np.concatenate([np.arange(len(right)), out_token])
        return self._there(token[hit]), self._there(place[hit])

    def _against_sample(self, query: Tensor, sample: _Sample) -> Tensor:
        loss = softmax_against_sample(
            query, sample.others, sample.right, sample.expected,
            sample.out_token, sample.out_place, half=self.half,
        )  # fmt: skip
        if not self.config.loss.smoothing:
            return loss
        rarity = torch.softmax(-sample.expected, dim=0)
        return loss + self._spread(query, sample.right, rarity @ sample.others)

    def _beside(
        self,
        larger: Larger,
        loss: Tensor,
        lesson: Lesson,
        beside: dict[str, Tensor],
        query: Tensor,
        sample: _Sample,
        drawn: NDArray[np.int64],
    ) -> Tensor:
        """The ``loss`` of what happened, and that of what a larger network says of the same."""
        asked = larger.queries(self.streams, self.gaps, lesson, beside)
        left_out = (sample.out_token, sample.out_place)
        right = self._there(self.streams.item_row[lesson.right])
        own, others = larger.units[right], larger.units[self._there(drawn)]
        said = scores(asked, own, others, sample.expected, *left_out)
        mine = scores(query, sample.right, sample.others, sample.expected, *left_out)
        share = self.training.share
        return (1 - share) * loss + share * soft_loss(mine, said)

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
    network = Network(
        config,
        streams.n_items,
        content=content,
        kinds=kinds,
        gaps=gaps,
        prices=config.price_steps > 0 and streams.price is not None,
        sides=() if streams.said is None else streams.said.code,
        n_words=0 if streams.said is None else streams.said.words.shape[1],
    )
    if network.heads is not None:
        hazard = _hazard(streams, config, rng) if config.head_weights.comes_back else None
        share = KindBaseline.of(streams).share[:N_KINDS, list(config.codes)]
        network.heads.begin(share, hazard)
    if training.earlier is not None:
        go_on_from(network, network.items, training.earlier, streams)
        return network
    if training.larger is not None:
        with torch.no_grad():
            network.items.own.copy_(training.larger.beginnings(config.dim))
        return network
    if training.pretrained is not None:
        _take_over(network, training.pretrained)
    if config.start == "co-occurrence":
        near = begun_near(streams, config.dim, rng)
        if training.pretrained is not None and content is not None:
            near = turned(near, content.numpy() @ training.pretrained.told)
            # who was acted on by nobody is known by its content alone
            near[np.bincount(streams.item_row, minlength=streams.n_items) == 0] = 0
        with torch.no_grad():
            network.items.own.copy_(torch.from_numpy(near))
    return network


def _hazard(
    streams: Streams, config: BehaviourConfig, rng: np.random.Generator
) -> NDArray[np.float64]:
    """How often anybody buys in each step of time after a moment drawn by lot: (n_steps,)."""
    lots = rng.spawn(1)[0]
    counted, came = Purchases.of(streams).drawn(_SOME, config.length, lots).coming.steps()
    return np.asarray((came.sum(axis=0) + 0.5) / (counted.sum(axis=0) + 10.0))


def _take_over(network: Network, pretrained: Pretrained) -> None:
    """Let the network begin with another shop's weights; those of another shape begin anew."""
    with torch.no_grad():
        network.items.own.zero_()
        for name, parameter in network.named_parameters():
            known = pretrained.weights.get(name)
            if known is not None and known.shape == parameter.shape:
                parameter.copy_(torch.from_numpy(np.asarray(known)))


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


def kept_share(averaging: float, steps: int) -> float:
    """The share that the running mean of weights keeps in each of so many steps.

    ``averaging``, or less where a training is so short that its mean would remember how the
    weights began: not more than e^-4 of that is left at the end.

    >>> kept_share(0.998, 2_000), kept_share(0.998, 100)
    (0.998, 0.96)
    """
    return max(0.0, min(averaging, 1 - _FORGETTING / max(steps, 1)))


def _device(config: BehaviourConfig) -> torch.device:
    if config.schedule.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(config.schedule.device)


def _own_rows(config: BehaviourConfig, n_items: int) -> bool:
    """Whether a step moves the batch's own item vectors alone; against all items all are moved."""
    told = config.schedule.item_steps
    if config.loss.against == "all":
        return False
    return told == "own" or (told == "auto" and n_items >= _MANY)


def _half(config: BehaviourConfig, device: torch.device) -> bool:
    if config.schedule.half != "auto":
        return config.schedule.half == "yes"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
