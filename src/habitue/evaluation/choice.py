"""One order or another: chosen on questions of its own, with the figures it was chosen by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from habitue.evaluation.report import Choice, Measured
from habitue.metrics import bootstrap_mean, paired_difference

__all__ = ["choose"]

_DOUBT = 0.05


def choose(
    learnt: Measured,
    alone: Sequence[Measured],
    metric: str,
    rng: np.random.Generator,
    *,
    surface: str,
    least_questions: int,
    n_resamples: int = 5000,
) -> Choice:
    """Whether the best of several sources stands above the learnt order beyond doubt.

    The interval of the difference is paired over shoppers and as wide as looking at so many sources
    asks (Bonferroni): among orders that are all alike one is taken in a twentieth of the choices.
    """
    values = {one.name: one.per_question[metric] for one in alone}
    best = max(values, key=lambda name: float(np.nanmean(values[name])))
    own, group = learnt.per_question[metric], learnt.shopper_row
    level = 1 - _DOUBT / len(values)
    difference = paired_difference(
        values[best], own, rng, n_resamples=n_resamples, level=level, group=group
    )
    enough = len(own) >= least_questions
    return Choice(
        surface,
        metric,
        len(own),
        best,
        bootstrap_mean(own, rng, group=group),
        bootstrap_mean(values[best], rng, group=group),
        difference,
        taken=enough and difference.low > 0,
        enough=enough,
    )
