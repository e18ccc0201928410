"""The one door to Optuna: a search that is written down and goes on where it ended.

Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019; its
sampler is the tree-structured Parzen estimator of Bergstra et al., NeurIPS 2011.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from habitue.errors import MissingPiece
from habitue.training.space import Knob, Value

if TYPE_CHECKING:
    import optuna

__all__ = ["Study", "Tried", "open_study", "require_optuna"]


_ENOUGH: Final = 6


@dataclass(frozen=True, slots=True)
class Tried:
    """One setting of the knobs, and what it reached on validation."""

    number: int
    said: dict[str, Value]
    reached: float


def require_optuna() -> None:
    """Raise ``MissingPiece`` where Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise MissingPiece(
            "Tuning needs Optuna, which is not installed.",
            remedy="Install it with pip install 'habitue[tune]'.",
        ) from None


def open_study(
    file: Path, name: str, knobs: Sequence[Knob], start: Mapping[str, Value], *, seed: int
) -> Study:
    """The search ``name`` of a file, begun or gone on with; ``start`` is what is tried first.

    Raises ``MissingPiece`` where Optuna is not installed.
    """
    require_optuna()
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=name,
        storage=JournalStorage(JournalFileBackend(str(file))),
        direction="maximize",
        load_if_exists=True,
    )
    begun = (TrialState.COMPLETE, TrialState.WAITING)
    if not study.get_trials(deepcopy=False, states=begun):  # a killed one counts for nothing
        study.enqueue_trial(dict(start))
    return Study(study, knobs, seed)


class Study:
    """Asks what to try next, and is told what it reached.

    Of the best so far a few knobs at a time are turned: the ranker's, those of one source, or which
    sources there are. So most of what was fitted before serves again.
    """

    def __init__(self, study: optuna.Study, knobs: Sequence[Knob], seed: int) -> None:
        self._study, self._knobs = study, knobs
        self._seed = seed
        self._asked: optuna.Trial | None = None

    def ask(self) -> dict[str, Value]:
        """Where to turn every knob next."""
        import optuna

        tried = self.tried()
        seed = self._seed + len(tried)
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)
        if tried:
            best = max(tried, key=lambda one: one.reached).said
            turned = self._turned(best, np.random.default_rng(seed))
            self._study.enqueue_trial({k: v for k, v in best.items() if k not in turned})
        trial = self._asked = self._study.ask()
        return {knob.name: _suggested(trial, knob) for knob in self._knobs}

    def _turned(self, best: Mapping[str, Value], rng: np.random.Generator) -> set[str]:
        """The knobs that are turned next: of one group, drawn by lot; no source's that is off."""
        groups: dict[str, set[str]] = {}
        for knob in self._knobs:
            group = "use" if knob.switch else knob.name.partition(".")[0]
            groups.setdefault(group, set()).add(knob.name)
        sources = [
            name
            for name in groups
            if name not in ("use", "ranker") and best.get(f"use {name}", True)
        ]
        kinds = [name for name in ("use", "ranker") if name in groups]
        drawn = str(rng.choice([*kinds, *(["source"] if sources else [])]))
        return groups[str(rng.choice(sources)) if drawn == "source" else drawn]

    def tell(self, reached: float) -> None:
        """What the last one asked for reached."""
        assert self._asked is not None
        self._study.tell(self._asked, reached)

    def tried(self) -> list[Tried]:
        """All that was tried to its end, in order."""
        from optuna.trial import TrialState

        done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [Tried(one.number, dict(one.params), float(one.value or 0.0)) for one in done]

    def importance(self) -> dict[str, float]:
        """The share of what trials differ by that each knob explains, the largest first.

        Watanabe, Bansal and Hutter, "PED-ANOVA", IJCAI 2023. Empty with too few trials to tell.
        """
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        values = {one.reached for one in self.tried()}
        if len(self.tried()) < _ENOUGH or len(values) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that Optuna may still change how it is called
            evaluator = PedAnovaImportanceEvaluator()
        found = get_param_importances(self._study, evaluator=evaluator)
        return {name: float(share) for name, share in found.items()}


def _suggested(trial: Any, knob: Knob) -> Value:
    if knob.switch:
        return bool(trial.suggest_categorical(knob.name, [True, False]))
    if knob.whole:
        return int(trial.suggest_int(knob.name, int(knob.low), int(knob.high), log=knob.log))
    return float(trial.suggest_float(knob.name, knob.low, knob.high, log=knob.log))
