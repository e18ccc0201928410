"""Better settings for an open shop, searched for as long as one likes."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from habitue.app.asking import pipeline_trained
from habitue.app.learning import facts_of
from habitue.app.portraying import conversions_of
from habitue.errors import BadInput
from habitue.evaluation.replay import lists_of, through
from habitue.evaluation.report import measure_lists
from habitue.evaluation.splits import Split, by_time
from habitue.evaluation.tuned import Changed, Tuned
from habitue.facts import ActionKind
from habitue.metrics import bootstrap_mean, paired_lift
from habitue.settings import rendered
from habitue.training.config import TrainingConfig, TrainingSettings
from habitue.training.space import Knob, Value, config_of, offering, space_of, start_of
from habitue.training.study import Study, open_study, require_optuna
from habitue.training.train import train
from habitue.training.tuning import Tuner
from habitue.training.understood import kinds_read, understood

if TYPE_CHECKING:
    from habitue.app.shop import Progress
    from habitue.app.wiring import Parts
    from habitue.training.dataset import ShopFacts

__all__ = ["STUDY", "tune_shop"]

STUDY: Final = "tuning.journal"
"""Beside the snapshots: all that was tried."""

_QUESTIONS: Final = 2000
_BEGINNING: Final = np.iinfo(np.int64).min


def tune_shop(
    parts: Parts,
    *,
    minutes: float,
    rebuy: bool,
    n: int,
    seed: int,
    seconds: Callable[[], float],
    progress: Progress,
) -> Tuned:
    """Try settings for ``minutes``, and report the best beside those of the shop.

    What was tried before, of the same facts and settings, is gone on with. Raises ``MissingPiece``
    without Optuna, ``BadInput`` where there is too little past.
    """
    require_optuna()
    config = parts.settings.training_run()
    offered = offering(config)
    knobs, start = space_of(offered), start_of(config, offered)
    told, conversions = facts_of(parts, progress), conversions_of(parts)

    def meant(one: TrainingConfig) -> TrainingConfig:
        """As a training reads it here, without what a search does not need."""
        read = understood(told, one, conversions)[1]
        return read.model_copy(update={"evaluate": False, "rebuy": rebuy})

    facts, read = understood(told, config, conversions)
    kinds = kinds_read(conversions, read.taken)
    tuner = Tuner(
        facts, meant(config), kinds=kinds, rebuy=rebuy, n=n, questions=_QUESTIONS, seed=seed
    )
    name = _name_of(tuner, knobs, config, rebuy=rebuy, n=n)
    study = open_study(parts.settings.snapshots.path / STUDY, name, knobs, start, seed=seed)
    before = len(study.tried())
    _search(study, tuner, meant(offered), 60 * minutes, seconds, progress)
    tried = study.tried()
    best = max(tried, key=lambda one: one.reached)
    found = config_of(offered, best.said)
    rng = np.random.default_rng(seed)
    chosen = paired_lift(
        tuner.values(meant(found)), tuner.values(meant(config)), rng,
        group=tuner.split.shopper_row,
    )  # fmt: skip
    if not chosen.low > 0:  # the best of many tries, and nothing more
        found = config
    values, held = _asked(facts, tuner, [meant(config), meant(found)], kinds, rebuy, n, progress)
    first, last = values
    who = held.shopper_row
    return Tuned(
        metric=f"ndcg@{n}",
        n_chosen_on=len(tuner.split),
        reached=[one.reached for one in tried],
        n_new=len(tried) - before,
        n_reported=len(held),
        chosen=chosen,
        start=bootstrap_mean(first, rng, group=who),
        found=bootstrap_mean(last, rng, group=who),
        lift=paired_lift(last, first, rng, group=who),
        changed=[
            Changed(name, tried[0].said[name], value)
            for name, value in best.said.items()
            if found is not config and value != tried[0].said[name] and _counts(name, best.said)
        ],
        importance=study.importance(),
        toml=_toml(parts, found),
        shop=parts.settings.shop.name,
    )


def _counts(name: str, said: Mapping[str, Value]) -> bool:
    """Whether a knob is of a source that is there."""
    return bool(said.get(f"use {name.partition('.')[0]}", True))


def _name_of(
    tuner: Tuner, knobs: Sequence[Knob], config: TrainingConfig, *, rebuy: bool, n: int
) -> str:
    """Of a search: the same facts, knobs and settings go on with the same."""
    said = [
        tuner.spans, [repr(knob) for knob in knobs], config.model_dump(mode="json"), rebuy, n,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def _search(
    study: Study,
    tuner: Tuner,
    offered: TrainingConfig,
    budget: float,
    seconds: Callable[[], float],
    progress: Progress,
) -> None:
    """Try one after another until the time is up; the start always, where it was not yet."""
    began = seconds()
    while not study.tried() or seconds() - began < budget:
        study.tell(tuner.reach(config_of(offered, study.ask())))
        progress("trying settings (seconds)", min(seconds() - began, budget), budget)


def _asked(
    facts: ShopFacts,
    tuner: Tuner,
    configs: Sequence[TrainingConfig],
    kinds: frozenset[ActionKind],
    rebuy: bool,
    n: int,
    progress: Progress,
) -> tuple[list[NDArray[np.float64]], Split]:
    """NDCG on the last span (B,) of each config, trained in full on all before it."""
    cut, until = tuner.spans[-1]
    held = by_time(facts.between(_BEGINNING, until), cut, until, kinds=kinds, repurchase=rebuy)
    if not len(held):
        raise BadInput(
            "Nobody can be asked: no shopper came back in the last span.",
            remedy="There is too little history yet; tune when shoppers have returned.",
        )
    values: list[NDArray[np.float64]] = []
    for place, config in enumerate(configs):
        if place and config == configs[0]:
            values.append(values[0])
            continue
        trained = train(facts, config, rng=np.random.default_rng(0), now_ms=cut)
        lister = through(pipeline_trained(trained))
        rows = lists_of(held, lister, n, np.random.default_rng(0), length=config.recent_length)
        values.append(measure_lists(held, "habitue", rows).per_question[f"ndcg@{n}"])
        progress("asking the last span", place + 1, len(configs))
    return values, held


def _toml(parts: Parts, config: TrainingConfig) -> str:
    """The settings of training as a file, once it is sure that they are read as they are meant."""
    said = {name: getattr(config, name) for name in TrainingSettings.model_fields}
    said["evaluate"] = parts.settings.training.evaluate
    settings = TrainingSettings(**said)
    text = rendered("training", settings)
    read = parts.settings.overlaid(tomllib.loads(text), "the settings found").training
    assert read == settings, "a setting that was found cannot be written down"
    return text
