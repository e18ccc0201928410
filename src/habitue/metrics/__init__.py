"""How good is a list, an estimate, a probability? Pure functions on arrays."""

from habitue.metrics.exposure import (
    coverage,
    exposure,
    gini,
    head_share,
    novelty,
    popularity_percentile,
)
from habitue.metrics.intervals import (
    Interval,
    bootstrap_mean,
    bootstrap_means,
    paired_difference,
    paired_lift,
    percentile_interval,
)
from habitue.metrics.lists import (
    LIST_METRICS,
    average_precision,
    hit_rate,
    hits_of,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)
from habitue.metrics.probabilities import auc, logloss
from habitue.metrics.ranks import hit_of_rank, mean_rank, ndcg_of_rank, reciprocal_of_rank
from habitue.metrics.rates import click_through, conversion, ips, rate, snips

__all__ = [
    "LIST_METRICS",
    "Interval",
    "auc",
    "average_precision",
    "bootstrap_mean",
    "bootstrap_means",
    "click_through",
    "conversion",
    "coverage",
    "exposure",
    "gini",
    "head_share",
    "hit_of_rank",
    "hit_rate",
    "hits_of",
    "ips",
    "logloss",
    "mean_rank",
    "ndcg",
    "ndcg_of_rank",
    "novelty",
    "paired_difference",
    "paired_lift",
    "percentile_interval",
    "popularity_percentile",
    "precision",
    "rate",
    "recall",
    "reciprocal_of_rank",
    "reciprocal_rank",
    "snips",
]
