"""How right the other heads are on shoppers' last actions, beside the plain answers."""

from __future__ import annotations

import numpy as np

from habitue.behaviour.asking import foretold
from habitue.behaviour.coming import KindBaseline, Purchases, gap_baseline
from habitue.behaviour.network import Network
from habitue.behaviour.streams import VISIT_MS, Streams, gap_step
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
    found: dict[str, float] = {}
    if weights.next_kind:
        waiting = gap_step(judged.at_ms[windows.last] - judged.at_ms[last])
        kinds = np.zeros((len(windows), 256))
        kinds[:, network.config.codes] = foretold(network, judged, windows, waiting).kind
        right = judged.kind[windows.last].astype(np.int64)
        row = np.arange(len(right))
        plain = KindBaseline.of(learnt_from).told(judged.kind[last])
        for name, share in (("next_kind", kinds), ("plain_next_kind", plain)):
            found[f"{name}_accuracy"] = float((share.argmax(axis=1) == right).mean())
            found[f"{name}_logloss"] = float(-np.log(np.maximum(share[row, right], 1e-9)).mean())
    if weights.comes_back:
        ended = np.full(len(last), VISIT_MS)  # asked as soon as the visit has ended
        comes = foretold(network, judged, windows, gap_step(ended)).comes
        end_ms = int(max(learnt_from.at_ms.max(initial=0), judged.at_ms.max(initial=0))) + 1
        stream = np.searchsorted(judged.start, last, side="right") - 1
        coming = Purchases.of(judged, end_ms).after(stream, judged.at_ms[last] + ended)
        soon = -(survival_of(comes.astype(np.float64))[:, 1:] * _STEP).sum(axis=1)
        said = {"return": soon, "plain_return": gap_baseline(judged, last)}
        for name, score in said.items():
            found[f"{name}_concordance"] = concordance(coming.days, coming.came, score)
    return {name: value for name, value in found.items() if not np.isnan(value)}
