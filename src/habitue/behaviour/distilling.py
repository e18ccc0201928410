"""A small network that learns what a large one says, not only what happened.

Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network (2015). Both are asked about
the same tokens and the same sample of items; the large one's shares are what the small one is to
foretell, beside what really came.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from habitue.behaviour.answering import states_of
from habitue.behaviour.asking import inputs_of
from habitue.behaviour.layers import NEVER
from habitue.behaviour.lessons import Lesson
from habitue.behaviour.network import Network
from habitue.behaviour.streams import Streams

__all__ = ["Larger", "scores", "soft_loss"]


class Larger:
    """A trained network that is only asked."""

    def __init__(self, network: Network) -> None:
        self.network = network.eval()
        with torch.no_grad():
            self.units = network.item_vectors()  # (n_items, dim)

    @torch.no_grad()
    def queries(
        self,
        streams: Streams,
        gaps: NDArray[np.uint8],
        lesson: Lesson,
        said: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """What it expects where the questions of a lesson are asked: (Q, dim).

        ``said`` is what is said beside them.
        """
        network = self.network
        read, right = (
            network.items.rows(self._there(streams.item_row[token]))
            for token in (lesson.batch.token, lesson.right)
        )
        beside = inputs_of(network, streams, gaps, lesson.batch.token)
        state = states_of(network, read, beside, lesson, right)
        waiting = None if network.waiting is None else self._there(lesson.told(gaps))
        return network.wanted(state, waiting, said)

    def _there(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array.astype(np.int64)).to(self.units.device)

    @torch.no_grad()
    def beginnings(self, dim: int) -> Tensor:
        """Vectors (n_items, dim) that keep as many of the cosines of its items as so few can."""
        units = self.units
        _, axes = torch.linalg.eigh(units.t() @ units)
        kept: Tensor = units @ axes[:, -dim:]
        return kept * (0.05 * math.sqrt(dim))


def scores(
    query: Tensor, own: Tensor, others: Tensor, expected: Tensor, token: Tensor, place: Tensor
) -> Tensor:
    """Scores (T, 1 + n) of what came, whose vectors are ``own`` (T, d), and of a sample of items.

    ``others`` (n, d) are the sample's vectors and ``expected`` (n,) the log of how often each is
    drawn. For ``token`` the one at ``place`` does not compete.
    """
    sampled = query @ others.t() - expected
    sampled = sampled.index_put((token, place), sampled.new_full((), NEVER))
    return torch.cat([(query * own).sum(dim=1, keepdim=True), sampled], dim=1)


def soft_loss(mine: Tensor, said: Tensor) -> Tensor:
    """Cross-entropy of scores ``mine`` with the shares of what the larger one ``said``: (T, n)."""
    share = torch.softmax(said, dim=1)
    return -(share * torch.log_softmax(mine, dim=1)).sum(dim=1).mean()
