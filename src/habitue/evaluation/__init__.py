"""Was it right? Splits, replay of the whole pipeline, reports."""

from habitue.evaluation.replay import (
    Asked,
    Lister,
    Recommender,
    Scorer,
    ask,
    by_score,
    lists_of,
    ranks_of,
    through,
)
from habitue.evaluation.report import (
    EvaluationConfig,
    Lift,
    Line,
    Measured,
    Report,
    evaluate,
    measure_lists,
    measure_ranks,
    report_of,
)
from habitue.evaluation.splits import Ragged, Split, by_time, leave_last_out

__all__ = [
    "Asked",
    "EvaluationConfig",
    "Lift",
    "Line",
    "Lister",
    "Measured",
    "Ragged",
    "Recommender",
    "Report",
    "Scorer",
    "Split",
    "ask",
    "by_score",
    "by_time",
    "evaluate",
    "leave_last_out",
    "lists_of",
    "measure_lists",
    "measure_ranks",
    "ranks_of",
    "report_of",
    "through",
]
