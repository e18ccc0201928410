"""What a ranker sees of a candidate: sources' scores, item, shopper, pair and anchor, as numbers.

The same code runs in training, evaluation and serving, for one request as for a thousand. In order:

* for each source ``<name>``: its score, the score standardised within the request (``<name>_z``)
  and as a share of the request's best (``<name>_share``);
* ``item_*``: decayed counts as of ``now`` (log of count + 0.1), trends (log ratio of a short and a
  long rate), shrunken rating, price, age;
* ``shopper_*``: how much, how often, how recent, at what price, how popular, how new;
* ``pair_*``: price and quantity beside the shopper's own, share of attention to brand and category,
  views, cart, what they own and whether it is due again;
* ``anchor_*``: the same beside the item looked at or the cart.

Nothing is NaN. Days without an answer are 999; gaps and ages of what never happened are -1.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Source
from habitue.errors import BadSetting
from habitue.facts import Context
from habitue.portraits import ItemColumns, ItemStats
from habitue.ranking import feature_kernels as kernels
from habitue.ranking.feature_kernels import ItemTables, Requests

__all__ = ["FeatureBatch", "FeatureMaker"]


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """The features of a batch of candidates, and what they were normalised with."""

    x: NDArray[np.float32]  # (B * m, n_features)
    source_score: NDArray[np.float32]  # (B, m, n_sources)
    norms: NDArray[np.float32]  # (B, n_sources, 3): mean, sd, max


class FeatureMaker:
    """Turns contexts and candidates into features, over live item statistics.

    ``names`` lists the columns. ``stats`` must have the five default half-lives or any five,
    ascending: the names speak of the defaults.
    """

    def __init__(self, sources: Sequence[Source], stats: ItemStats, columns: ItemColumns) -> None:
        if len(stats.half_life_ms) != 5:
            raise BadSetting(
                f"The ranker's features need five half-lives, not {len(stats.half_life_ms)}.",
                remedy="Set half_life_days to five values, ascending.",
                field="half_life_days",
            )
        self.sources = tuple(sources)
        self.stats = stats
        self.columns = columns
        by_source = [
            name + part for name in (s.name for s in sources) for part in ("", "_z", "_share")
        ]
        blocks = (
            tuple(by_source),
            kernels.ITEM_NAMES,
            kernels.SHOPPER_NAMES,
            kernels.PAIR_NAMES,
            kernels.ANCHOR_NAMES,
        )
        self.names: tuple[str, ...] = tuple(name for block in blocks for name in block)
        ends = np.cumsum([0] + [len(block) for block in blocks])
        self._blocks = [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)]

    def source_scores(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Every source's score of every candidate: (B, m, n_sources), 0 beside ``NO_ROW``."""
        scores = np.empty((*item_row.shape, len(self.sources)), np.float32)
        for s, source in enumerate(self.sources):
            scores[:, :, s] = source.score(context, item_row)
        scores[item_row < 0] = 0.0
        return scores

    def make(
        self,
        context: Context,
        item_row: NDArray[np.int32],
        *,
        source_score: NDArray[np.float32] | None = None,
        norms: NDArray[np.float32] | None = None,
        alike: bool = False,
    ) -> FeatureBatch:
        """The features of ``item_row`` (B, m); rows beside ``NO_ROW`` mean nothing.

        ``norms`` of an earlier batch keep a re-scoring of a few of its candidates comparable;
        without them the candidates given are the request. ``alike``: all requests name the same
        items at the same time, so what is known of the items is worked out once.
        """
        if source_score is None:
            source_score = self.source_scores(context, item_row)
        if norms is None:
            norms = kernels.request_norms(source_score, item_row)
        item_row = np.ascontiguousarray(item_row, np.int32)  # other layouts would compile anew
        n_requests, n = item_row.shape
        x = np.zeros((n_requests * n, len(self.names)), np.float32)
        tables, requests = self.tables(), _requests(context)
        by_source, by_item, by_shopper, by_pair, by_anchor = self._blocks
        kernels.normal_block(source_score, norms, x[:, by_source])
        if alike:
            kernels.item_block(tables, requests.now_ms[:1], item_row[:1], x[:n, by_item])
            x.reshape(n_requests, n, -1)[1:, :, by_item] = x[:n, by_item]
        else:
            kernels.item_block(tables, requests.now_ms, item_row, x[:, by_item])
        shopper = kernels.shopper_block(tables, requests)
        x.reshape(n_requests, n, -1)[:, :, by_shopper] = shopper[:, None, :]
        kernels.pair_block(tables, requests, item_row, shopper, x[:, by_pair])
        if context.anchor_item.shape[1]:
            kernels.anchor_block(tables, requests, item_row, x[:, by_anchor])
        return FeatureBatch(x, source_score, norms)

    def tables(self) -> ItemTables:
        """The arrays of the item statistics and columns as the kernels read them."""
        stats, columns = self.stats, self.columns
        decayed, total, first_ms, last_buy_ms, sums = stats.arrays
        return ItemTables(
            decayed, total, first_ms, last_buy_ms, sums, stats.totals, stats.half_life_ms,
            columns.log_price, columns.brand, columns.category, columns.first_seen_ms,
            float(stats.epoch_ms), stats.config.rating_prior_count,
        )  # fmt: skip


def _requests(context: Context) -> Requests:
    """The arrays of a batch, each in the one layout the kernels are compiled for."""
    owned = context.owned
    return Requests(
        *map(
            np.ascontiguousarray,
            (
                context.now_ms, context.recent_item, context.recent_kind, context.recent_age_days,
                context.anchor_item, owned.indptr, owned.item, owned.count, owned.age_days,
            ),
        )
    )  # fmt: skip
