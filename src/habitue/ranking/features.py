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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Source, preparing
from habitue.candidates.everybody import EverybodySource
from habitue.candidates.layout import plain
from habitue.errors import BadSetting
from habitue.facts import Context
from habitue.portraits import ItemColumns, ItemStats
from habitue.ranking.feature_kernels import fill_changed, fill_features, request_norms
from habitue.ranking.item_features import ITEM_NAMES
from habitue.ranking.pair_features import ANCHOR_NAMES, PAIR_NAMES
from habitue.ranking.shopper_features import SHOPPER_NAMES

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
        self._prepared = [preparing(source) for source in sources]
        self._same_for_all = [isinstance(source, EverybodySource) for source in sources]
        by_source = [
            name + part for name in (s.name for s in sources) for part in ("", "_z", "_share")
        ]
        self.names: tuple[str, ...] = (
            *by_source, *ITEM_NAMES, *SHOPPER_NAMES, *PAIR_NAMES, *ANCHOR_NAMES,
        )  # fmt: skip

    def source_scores(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Every source's score of every candidate: (B, m, n_sources), 0 beside ``NO_ROW``."""
        item_row = plain(item_row, np.int32)
        scores = np.empty((*item_row.shape, len(self.sources)), np.float32)
        for s, prepared in enumerate(self._prepared):
            prepared(context).fill(item_row, scores, s)
        return scores

    def variants_scores(
        self, known: FeatureBatch, variants: Context, item_row: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """``source_scores`` of items (n,) in V requests like the one they are known of.

        What everybody does is the same in each: sources that only count it are not asked again.
        """
        rows = np.empty((len(variants), len(item_row)), np.int32)
        rows[:] = item_row
        scores = np.empty((*rows.shape, len(self.sources)), np.float32)
        for s, prepared in enumerate(self._prepared):
            if self._same_for_all[s]:
                scores[:, :, s] = known.source_score[0, :, s]
            else:
                prepared(variants).fill(rows, scores, s)
        return scores

    def make(
        self,
        context: Context,
        item_row: NDArray[np.int32],
        *,
        source_score: NDArray[np.float32] | None = None,
        norms: NDArray[np.float32] | None = None,
    ) -> FeatureBatch:
        """The features of ``item_row`` (B, m); rows beside ``NO_ROW`` mean nothing.

        ``norms`` of an earlier batch keep a re-scoring of a few of its candidates comparable;
        without them the candidates given are the request.
        """
        item_row = plain(item_row, np.int32)
        if source_score is None:
            source_score = self.source_scores(context, item_row)
        source_score = plain(source_score, np.float32)
        norms = request_norms(source_score, item_row) if norms is None else plain(norms, np.float32)
        x = np.empty((item_row.size, len(self.names)), np.float32)
        fill_features(*(source_score, norms, item_row, *self._read(context), x))
        return FeatureBatch(x, source_score, norms)

    def changed(
        self,
        known: FeatureBatch,
        item_row: NDArray[np.int32],
        variants: Context,
        source_score: NDArray[np.float32],
        variant: NDArray[np.int32],
        place: NDArray[np.int32],
        out: NDArray[np.float32],
    ) -> None:
        """Fill ``out`` (P, n_features) with features of a few items of one request with less in it.

        ``known`` are those of ``item_row`` (n,) as they are. Of the V ``variants`` the first is the
        request as it is, the others have some actions, anchors or possessions less;
        ``source_score`` (V, n, n_sources) is what sources say in each. Asked for are the items at
        ``place`` (P,) in ``variant`` (P,), rising.
        """
        changed = (known.x, variant, place, source_score, known.norms[0], item_row)
        fill_changed(*(*changed, *self._read(variants), out))

    def _read(self, context: Context) -> tuple[Any, ...]:
        """What kernels read beside scores and items, each array in the layout they are made for.

        First the batch's arrays, then those of ``ItemTables``, both in order.
        """
        owned, stats, columns = context.owned, self.stats, self.columns
        return (
            plain(context.now_ms, np.int64),
            plain(context.recent_item, np.int32),
            plain(context.recent_kind, np.uint8),
            plain(context.recent_age_days, np.float32),
            plain(context.anchor_item, np.int32),
            plain(owned.indptr, np.int64),
            plain(owned.item, np.int32),
            plain(owned.count, np.float32),
            plain(owned.age_days, np.float32),
            *stats.arrays,
            stats.totals,
            stats.half_life_ms,
            columns.log_price,
            columns.brand,
            columns.category,
            columns.first_seen_ms,
            float(stats.epoch_ms),
            stats.config.rating_prior_count,
        )
