"""How good is a list, an estimate, a probability? Pure functions on arrays."""

from habitue.metrics.calibration import list_shares, miscalibration
from habitue.metrics.diversity import intra_list_diversity, overlap
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
from habitue.metrics.probabilities import Reliability, auc, brier, logloss, reliability
from habitue.metrics.ranks import hit_of_rank, mean_rank, ndcg_of_rank, reciprocal_of_rank
from habitue.metrics.rates import click_through, conversion, ips, rate, snips
from habitue.metrics.ratings import mae, rmse
from habitue.metrics.survival import concordance

__all__ = [
    "LIST_METRICS",
    "Interval",
    "Reliability",
    "auc",
    "average_precision",
    "bootstrap_mean",
    "bootstrap_means",
    "brier",
    "click_through",
    "concordance",
    "conversion",
    "coverage",
    "exposure",
    "gini",
    "head_share",
    "hit_of_rank",
    "hit_rate",
    "hits_of",
    "intra_list_diversity",
    "ips",
    "list_shares",
    "logloss",
    "mae",
    "mean_rank",
    "miscalibration",
    "ndcg",
    "ndcg_of_rank",
    "novelty",
    "overlap",
    "paired_difference",
    "paired_lift",
    "percentile_interval",
    "popularity_percentile",
    "precision",
    "rate",
    "recall",
    "reciprocal_of_rank",
    "reciprocal_rank",
    "reliability",
    "rmse",
    "snips",
]
