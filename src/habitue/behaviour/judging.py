"""How right the other heads are on shoppers' last actions, beside the plain answers."""

from __future__ import annotations

import numpy as np

from habitue.behaviour.asking import foretold
from habitue.behaviour.coming import Coming, KindBaseline, gap_baseline
from habitue.behaviour.network import Network
from habitue.behaviour.streams import Streams
from habitue.behaviour.survival import EDGES, survival_of
from habitue.metrics import concordance

__all__ = ["measure_heads"]

_STEP = np.diff(EDGES)


def measure_heads(network: Network, learnt_from: Streams, judged: Streams) -> dict[str, float]:
    """Figures of what was taught, asked before the last action of each of the ``judged``.

    ``next_kind_accuracy`` and ``next_kind_logloss`` beside ``plain_...``, which knows what mostly
    follows the last kind; ``return_concordance`` beside that of the shopper's own mean gap. Empty
    without such heads; a figure is left out where nothing can be told.
    """
    windows = judged.ends(1, network.config.length)
    if network.heads is None or not len(windows):
        return {}
    weights, last = network.config.head_weights, windows.last - 1
    kinds, comes = foretold(network, judged, windows)
    found: dict[str, float] = {}
    if weights.next_kind:
        right = judged.kind[windows.last].astype(np.int64)
        row = np.arange(len(right))
        plain = KindBaseline.of(learnt_from).told(judged.kind[last])
        for name, share in (("next_kind", kinds), ("plain_next_kind", plain)):
            found[f"{name}_accuracy"] = float((share.argmax(axis=1) == right).mean())
            found[f"{name}_logloss"] = float(-np.log(np.maximum(share[row, right], 1e-9)).mean())
    if weights.comes_back:
        end_ms = int(max(learnt_from.at_ms.max(initial=0), judged.at_ms.max(initial=0))) + 1
        coming = Coming.of(judged, end_ms)
        days, came = coming.days[last], coming.came[last]
        soon = -(survival_of(comes)[:, 1:] * _STEP).sum(axis=1)
        found["return_concordance"] = concordance(days, came, soon)
        found["plain_return_concordance"] = concordance(days, came, gap_baseline(judged, last))
    return {name: value for name, value in found.items() if not np.isnan(value)}
