"""Every source that learns from sequences beside its peers on Amazon Beauty, leave-one-out.

    python -m benchmarks.beauty [--quick]

Shoppers' items have an order and no times: they are told one day apart. Settings of co-visitation,
item-kNN and ALS are the best of a search on the validation item, those of `graph` of a short one
(tried_graph.md); EASE's penalty is untuned.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.leave_one_out import (
    Fit,
    Scores,
    Shoppers,
    als,
    ease,
    evaluate,
    item_knn,
    shoppers_of,
    show,
    source,
)
from habitue.candidates.als import AlsConfig
from habitue.candidates.bpr import BprConfig
from habitue.candidates.covisit import CovisitConfig
from habitue.candidates.graph import GraphConfig
from habitue.candidates.item_knn import ItemKnnConfig
from habitue.candidates.linear import LinearConfig
from habitue.candidates.popular import PopularConfig
from habitue.candidates.profile import ProfileConfig
from habitue.candidates.roster import warm
from habitue.candidates.user_knn import UserKnnConfig
from habitue.facts import MS_PER_DAY
from tests.needs import data_folder

BOUGHT: dict[str, float] = {"purchase": 1.0}
BUYS: Any = ("purchase",)
CONFIG = CovisitConfig(
    name="bought_bought",
    kinds_from=("purchase",),
    kinds_to=("purchase",),
    window_moments=10,
    moment_decay=0.9,
    forward_weight=1.0,
    backward_weight=0.5,
    damping_from=0.5,
    damping_to=0.3,
    neighbours=1000,
    profile=ProfileConfig(
        kind_weight={"purchase": 1.0}, position_decay=0.5, half_life_days=1e9, max_actions=100
    ),
)


EVEN = ProfileConfig(kind_weight=BOUGHT, position_decay=1.0, half_life_days=1e9, max_actions=1000)
FORGETTING = EVEN.model_copy(update={"position_decay": 0.5})
EASE = LinearConfig(kinds=BUYS, penalty=500.0, exact_items=12_200, neighbours=2_000, profile=EVEN)
LINEAR = EASE.model_copy(
    update={"penalty": 10.0, "closeness": 0.7, "transitions": 0.5, "profile": FORGETTING}
)

ALS = AlsConfig(  # a confidence of 1 + alpha; implicit's is alpha
    factors=256,
    regularisation=0.1,
    alpha=39.0,
    logarithmic=False,
    kind_weight=BOUGHT,
    half_life_days=1e9,
    max_recent=1000,
)


GRAPH = GraphConfig(  # chosen on the validation item: tried_graph.md
    kind_weight=BOUGHT,
    half_life_days=1e9,
    max_recent=1000,
    dim=128,
    position_decay=0.5,
    epochs=6,
)


def read_beauty(path: Path) -> Shoppers:
    """The file of S3-Rec: a shopper a line, then items from oldest to newest."""
    lines = [np.array(line.split()[1:], np.int64) for line in path.read_text().splitlines()]
    length = np.array([len(line) for line in lines])
    _, item = np.unique(np.concatenate(lines), return_inverse=True)
    place = np.arange(len(item)) - np.repeat(np.cumsum(length) - length, length)
    return shoppers_of(item.astype(np.int32), length, place * MS_PER_DAY)


covisit = source(CONFIG)
"""Habitué's co-visitation, asked for every item."""


def reference(data: Shoppers) -> Scores:
    """The same formula as sparse matrix products, without a cut to the nearest neighbours."""
    shopper, item, _ = data.upto(2)
    row, column, value = [], [], []
    for k in range(1, 11):
        same = shopper[k:] == shopper[:-k]
        x, y = item[:-k][same], item[k:][same]
        weight = np.full(len(x), 0.9 ** (k - 1), np.float32)
        row += [x, y]
        column += [y, x]
        value += [weight, 0.5 * weight]
    where = (np.concatenate(row), np.concatenate(column))
    ties = sp.csr_matrix((np.concatenate(value), where), shape=(data.n_items, data.n_items))
    ties.setdiag(0)
    popularity = np.bincount(item, minlength=data.n_items) + 1.0
    damped = (sp.diags(popularity**-0.5) @ ties @ sp.diags(popularity**-0.3)).tocsr()
    shopper, item, place = data.upto(1)
    back = np.bincount(shopper)[shopper] - 1 - place
    shape = (data.n_shoppers, data.n_items)
    profile = sp.csr_matrix((0.5**back, (shopper, item)), shape=shape)
    return lambda shoppers: (profile[shoppers] @ damped).toarray().astype(np.float32)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out what inverts a matrix")
    arguments = parser.parse_args()
    path = data_folder() / "amazon_beauty_s3rec" / "Beauty.txt"
    if not path.exists():
        sys.exit(f"{path} is not there: set HABITUE_DATA to the folder of the public data sets")
    data = read_beauty(path)
    warm()
    rows: dict[str, Fit] = {
        "Habitué co-visitation": covisit,
        "the same formula, scipy": reference,
        "Habitué item_knn": source(
            ItemKnnConfig(kind_weight=BOUGHT, neighbours=999, profile=EVEN)
        ),
        "item-kNN (implicit)": item_knn(1000),
        "Habitué als": source(ALS, strangers=True),
        "Habitué graph": source(GRAPH, strangers=True),
        "ALS (implicit)": als(256, 0.1, 40.0),
        "Habitué user_knn": source(
            UserKnnConfig(kind_weight=BOUGHT, shoppers_per_item=20_000, profile=FORGETTING)
        ),
        "Habitué bpr": source(BprConfig(kind_weight=BOUGHT, profile=EVEN)),
        "Habitué popular": source(PopularConfig()),
    }  # fmt: skip
    if not arguments.quick:
        rows |= {
            "Habitué linear as EASE": source(EASE),
            "EASE": ease(500.0),
            "Habitué linear": source(LINEAR),
        }
    found = [(name, evaluate(data, fit)) for name, fit in rows.items()]
    show(f"Beauty: {data.n_shoppers} shoppers, {data.n_items} items, leave-one-out", found)


if __name__ == "__main__":
    main()
