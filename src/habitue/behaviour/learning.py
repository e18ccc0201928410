"""From a log to a trained behaviour model: its vectors, its encoder and its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.config import BehaviourConfig
from habitue.behaviour.curves import CurvesConfig
from habitue.behaviour.going_on import Earlier, OtherNetworkError
from habitue.behaviour.held_out import HeldOut
from habitue.behaviour.needed import need_torch
from habitue.behaviour.prices import PriceSteps, price_steps
from habitue.behaviour.said import WordsOf, actions_said
from habitue.behaviour.served import Encoder, SilentEncoder
from habitue.behaviour.streams import Streams, streams_of, token_rows
from habitue.behaviour.telling import tracking_of
from habitue.behaviour.transfer import Pretrained
from habitue.facts import ActionLog, Vocabulary, code_of

if TYPE_CHECKING:
    from habitue.behaviour.fitting import Fitted

__all__ = ["ONE_AT_A_TIME", "Learnt", "Progress", "learn", "repeats", "with_held_out"]

ONE_AT_A_TIME = Lock()
"""PyTorch draws from one generator for the whole process: two trainings would disturb it."""

_REPEATED = 0.02
"""Above this share of repeated items, what a shopper has already is asked about in validation."""

Progress = Callable[[str, float, float], None]
"""Told (step, done, total) as work goes on."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """A trained model as whoever asks it needs it."""

    read: NDArray[np.float32]  # (n_items, dim) the vectors items are read by
    told: NDArray[np.float32]  # (c, dim) from what is told of an item to such a vector
    acted_on: NDArray[np.bool_]  # (n_items,)
    queries: NDArray[np.float32]  # (Q, dim) a sample of what is asked
    encoder: Encoder
    weights: Mapping[str, NDArray[Any]]  # what a later training goes on from, beside ``read``
    measured: dict[str, float]
    held_out: HeldOut | None = None  # what the validation asked
    names: Vocabulary = field(default_factory=Vocabulary)  # behind the codes of what is said
    prices: PriceSteps | None = None  # none where they are not read


def learn(
    log: ActionLog,
    n_items: int,
    config: BehaviourConfig,
    *,
    content: NDArray[np.float32] | None = None,
    validation_share: float = 0.1,
    rng: np.random.Generator,
    checkpoints: Path | None = None,
    earlier: Earlier | None = None,
    pretrained: Pretrained | None = None,
    progress: Progress | None = None,
    curves: CurvesConfig | None = None,
    words_of: WordsOf | None = None,
    listed: NDArray[np.int64] | None = None,
) -> Learnt:
    """Train on a log's streams; ``content`` (n_items, c) is what is told of items.

    ``words_of`` makes vectors of words searched, where those are to be heard. ``listed`` (n_items,)
    are the items' prices in micros, 0 where none is told: they count where no action said
    what was paid.

    Begins with the network of another shop where one is ``pretrained``, by what is told of items.
    Goes on from an ``earlier`` network where that is of the same kind, with fewer passes. Where the
    config has a ``student``, that is what is returned; it learns from the larger one, and goes on
    without it.

    A training that was killed goes on from what it wrote into the folder ``checkpoints``. Each
    training is a run of whoever draws its ``curves``; that of a larger network is one of its own.

    The last action of a ``validation_share`` of the shoppers is held out to know when to stop.
    Raises ``MissingPiece`` where PyTorch is not installed, or what draws the curves.
    """
    need_torch("a behaviour model")
    tracking = None if curves is None else tracking_of(curves)
    import torch

    from habitue.behaviour.distilling import Larger
    from habitue.behaviour.fitting import Training, fit
    from habitue.behaviour.judging import measure_heads
    from habitue.behaviour.torch_encoder import TorchEncoder, vectors_of, weights_of

    kinds = [code_of(kind) for kind in config.kinds]
    before = earlier if earlier is not None else pretrained
    beside = bool(config.asked_by or config.price_steps)
    row = token_rows(log, kinds) if beside else np.empty(0, np.int64)
    said, names = actions_said(
        log,
        row,
        config.asked_by,
        known=None if before is None else before.names,
        words_of=words_of,
    )
    prices: PriceSteps | None = None
    if config.price_steps:
        price = np.zeros(n_items, np.int64) if listed is None else listed
        cuts = None if earlier is None else earlier.cuts
        prices = price_steps(log, row, price, config.price_steps, cuts)
    streams = replace(
        streams_of(log, kinds), n_items=n_items, said=said,
        price=None if prices is None else prices.item,
    )  # fmt: skip
    if not len(streams.windows(config.length)):
        return _nothing(n_items, config.dim)
    learnt_from, judged = with_held_out(streams, validation_share, rng)
    training = Training(
        learnt_from,
        content=content,
        judged=judged,
        judged_without=not repeats(judged),
        earlier=earlier,
        pretrained=pretrained,
    )
    seed = int(rng.integers(2**31 - 1))
    run = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{seed}"
    with ONE_AT_A_TIME, torch.random.fork_rng():
        fitting = partial(
            fit, seed=seed, checkpoints=checkpoints, progress=progress, tracking=tracking, run=run
        )
        fitted: Fitted | None = None
        larger: Fitted | None = None
        if earlier is not None:
            with suppress(OtherNetworkError):
                fitted = fitting(training, config.served().going_on())
        went_on = fitted is not None
        if fitted is None:
            anew = replace(training, earlier=None)
            fitted = fitting(anew, config, run=run if config.student is None else f"{run}-larger")
            if config.student is not None:
                larger = fitted
                anew = replace(
                    anew, pretrained=None, larger=Larger(larger.network), share=config.student.share
                )
                fitted = fitting(anew, config.served())
    read, told = vectors_of(fitted.network)
    foretold = {} if judged is None else measure_heads(fitted.network, learnt_from, judged)
    best = max((one.ndcg for one in fitted.history), default=0.0)
    encoder = TorchEncoder(fitted.network)
    return Learnt(
        read,
        told,
        np.bincount(streams.item_row, minlength=n_items) > 0,
        encoder.sample(streams, config.length),
        encoder,
        weights_of(fitted.network),
        {
            "went_on": float(went_on),
            "own_past_left_out": float(training.leaves_out(config)),
            "validation_ndcg@10": best,
            "epochs": float(fitted.epochs),
            "cpu_seconds": fitted.cpu_seconds + (0.0 if larger is None else larger.cpu_seconds),
            "tokens": float(len(streams)),
            **({} if larger is None else _beside_larger(fitted, larger)),
            **foretold,
        },
        None
        if judged is None
        else HeldOut.of(
            judged,
            config.length,
            config.schedule.validation_shoppers,
            without_seen=training.judged_without,
        ),
        names,
        prices,
    )


def _beside_larger(fitted: Fitted, larger: Fitted) -> dict[str, float]:
    """What the larger network reached, and the size of its student as a share of its own."""
    return {
        "larger_ndcg@10": max((one.ndcg for one in larger.history), default=0.0),
        "size_of_larger": fitted.network.size / larger.network.size,
    }


def _nothing(n_items: int, dim: int) -> Learnt:
    none = np.empty((0, dim), np.float32)
    vectors = np.zeros((n_items, dim), np.float32)
    return Learnt(vectors, none, np.zeros(n_items, np.bool_), none, SilentEncoder(), {}, {})


def repeats(judged: Streams | None) -> bool:
    """Whether shoppers come back to what they had: then it competes, and is asked for, too."""
    if judged is None or not judged.n_shoppers:
        return False
    end = judged.start[1:] - 1
    pair = judged.stream() * np.int64(judged.n_items) + judged.item_row
    asked = np.zeros(len(judged), np.bool_)
    asked[end] = True
    return bool(np.isin(pair[asked], pair[~asked]).mean() > _REPEATED)


def with_held_out(
    streams: Streams, share: float, rng: np.random.Generator
) -> tuple[Streams, Streams | None]:
    """Streams without the last action of a share of the shoppers, and the whole streams of those.

    Only shoppers with three actions and more are asked; none is where nobody has so many.
    """
    length = np.diff(streams.start)
    able = np.flatnonzero(length >= 3)
    asked = np.sort(rng.permutation(able)[: int(np.ceil(len(able) * share))])
    if not len(asked):
        return streams, None
    return streams.without(streams.start[asked + 1] - 1), streams.of(asked)
