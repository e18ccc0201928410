"""The hybrid of the textbooks, TopK(u·v + s), worked out by hand and by Habitué.

    python examples/classic/hybrid.py

Collaborative filtering says how a shopper's vector u meets an item's v; a second score s says what
is known of the item apart from who asks: its content, or as here how popular it is. The slate is
the K best of their sum. Two shoppers, three items, small enough for a sheet of paper:

    u  ana (1.0, 0.5)   ben (0.2, 1.0)
    v  teapot (0.8, 0.1)   kettle (0.3, 0.9)   spade (0.1, 0.2)
    s  teapot 0.2          kettle 0.1          spade 0.7

    ana, teapot:  1.0 * 0.8 + 0.5 * 0.1 + 0.2 = 1.05     and so on for the other five
"""

from __future__ import annotations

import numpy as np

from habitue.candidates.als import AlsConfig, AlsSource
from habitue.candidates.popular import PopularConfig, PopularSource
from habitue.candidates.search import ItemSearch
from habitue.candidates.vectors import VectorConfig
from habitue.facts import Context, Owned
from habitue.portraits import ItemColumns, ItemStats
from habitue.ranking.fusion import FusionConfig
from habitue.slates.pipeline import Pipeline
from habitue.training.config import TrainingConfig
from habitue.training.serving import pipeline_of
from habitue.training.train import BestFirst

SHOPPERS, ITEMS = ("ana", "ben"), ("teapot", "kettle", "spade")
U = np.array([[1.0, 0.5], [0.2, 1.0]], np.float32)
V = np.array([[0.8, 0.1], [0.3, 0.9], [0.1, 0.2]], np.float32)
S = np.array([0.2, 0.1, 0.7], np.float32)
K = 2

BY_HAND = {
    "ana": {"teapot": 1.05, "kettle": 0.85, "spade": 0.90},
    "ben": {"teapot": 0.46, "kettle": 1.06, "spade": 0.92},
}
"""What the sheet of paper says of u·v + s."""


def asked() -> Context:
    """Both shoppers on the home page; they have done nothing since their vectors were learnt."""
    n = len(SHOPPERS)
    return Context(
        surface="home",
        now_ms=np.zeros(n, np.int64),
        shopper_row=np.arange(n, dtype=np.int32),
        recent_item=np.full((n, 1), -1, np.int32),
        recent_kind=np.zeros((n, 1), np.uint8),
        recent_age_days=np.zeros((n, 1), np.float32),
        anchor_item=np.empty((n, 0), np.int32),
        owned=Owned.nothing(n),
    )


def pipeline() -> Pipeline:
    """Habitué with the vectors and scores of the sheet, not learnt ones, and ``fuse = "sum"``.

    A shop says the same in its ``habitue.toml``:

        [surfaces.home]
        fuse = "sum"
        weights = { als = 1.0, popular = 1.0 }
    """
    config = TrainingConfig(
        sources=(AlsConfig(factors=2), PopularConfig()),
        quotas={"home": {"als": 3, "popular": 3}},
        fusion={"home": FusionConfig(fuse="sum", weights={"als": 1.0, "popular": 1.0})},
    )
    search = ItemSearch.build(V, np.arange(len(ITEMS), dtype=np.int32), U, VectorConfig())
    collaborative = AlsSource(AlsConfig(factors=2), U, search, fitted_until_ms=0)
    popular = PopularSource(PopularConfig(), S)
    stats, columns = ItemStats(), ItemColumns()
    stats.grow(len(ITEMS))
    columns.grow(len(ITEMS))
    return pipeline_of(config, (collaborative, popular), {}, stats, columns, BestFirst())


def main() -> None:
    slates = pipeline().recommend(asked(), K, np.random.default_rng(0))
    for row, shopper in enumerate(SHOPPERS):
        shown = [ITEMS[item] for item in slates.item_row[row]]
        scores = slates.score[row]
        print(
            f"{shopper}: " + ", ".join(f"{i} {s:.2f}" for i, s in zip(shown, scores, strict=True))
        )
        paper = BY_HAND[shopper]
        assert shown == sorted(paper, key=lambda item: -paper[item])[:K]
        np.testing.assert_allclose(scores, [paper[item] for item in shown], rtol=1e-6)
    print("by hand: the same order and the same scores")


if __name__ == "__main__":
    main()
