"""The networks there are over the graph: how each begins, and what item vectors come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from habitue.candidates.graph_config import GatConfig, GraphSageConfig, LightGcnConfig
from habitue.candidates.graph_edges import Edges, normalised
from habitue.candidates.graph_layers import Layers, Near
from habitue.candidates.graph_walks import Walks, or_else

if TYPE_CHECKING:
    from habitue.candidates.graph_networks import Network

__all__ = ["LayeredWay", "Read", "SpreadWay", "Way", "spread"]

_SETTLED = 5  # so many times the neighbours of a step are drawn for the vectors that stay


class Way(Protocol):
    """One kind of network; ``settled`` is what is kept of it, without PyTorch."""

    def begun(
        self, start: NDArray[np.float32], edges: Edges, rng: np.random.Generator
    ) -> tuple[Network, Callable[[], Any]]:
        """The network where vectors begin at ``start`` (n_items, dim), and how it is settled."""
        ...

    def reader(
        self, edges: Edges, rng: np.random.Generator
    ) -> Callable[[Any], list[NDArray[np.float32]]]:
        """What makes item vectors of what is settled: before each layer, and the last."""
        ...


@dataclass(frozen=True, slots=True)
class SpreadWay:
    """LightGCN: He et al., Simplifying and Powering Graph Convolution Network (2020)."""

    config: LightGcnConfig

    def begun(
        self,
        start: NDArray[np.float32],
        edges: Edges,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> tuple[Network, Callable[[], NDArray[np.float32]]]:
        """Settled are the vectors before they are spread."""
        from habitue.candidates.graph_networks import Spreading

        network = Spreading(start, normalised(edges.graph()), self.config.hops)
        return network, lambda: network.start.detach().numpy().copy()

    def reader(
        self,
        edges: Edges,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]:
        """The vectors as they are spread over these edges."""
        normal = normalised(edges.graph())
        return lambda start: [spread(normal, start, self.config.hops)]


class Read(NamedTuple):
    """What is settled of layers: the vectors (n_items, dim) before the first, and the layers."""

    first: NDArray[np.float32]
    layers: Layers


@dataclass(frozen=True, slots=True)
class LayeredWay:
    """GraphSAGE and GAT."""

    config: GraphSageConfig | GatConfig
    content: NDArray[np.float32]  # (n_items, c) what is told of items
    alike: Near  # which are alike by it, among those acted on

    def begun(
        self, start: NDArray[np.float32], edges: Edges, rng: np.random.Generator
    ) -> tuple[Network, Callable[[], Read]]:
        """Settled are the vectors before the layers, and the layers."""
        from habitue.candidates.graph_networks import Layered

        config = self.config
        network = Layered(
            start,
            self.content,
            self.alike,
            Walks(edges.graph()),
            layers=config.layers,
            heads=config.heads if isinstance(config, GatConfig) else 0,
            neighbours=config.neighbours,
            as_new=config.as_new,
            rng=rng,
        )
        return network, lambda: Read(network.first(), network.settled())

    def reader(
        self, edges: Edges, rng: np.random.Generator
    ) -> Callable[[Read], list[NDArray[np.float32]]]:
        """The vectors by neighbours drawn once, more of them than for a step."""
        walked = Walks(edges.graph()).draw(_SETTLED * self.config.neighbours, rng)
        near = or_else(walked, self.alike, np.zeros(len(walked.row), np.bool_))
        return lambda read: read.layers.known(read.first, near)


def spread(normal: sp.csr_matrix, start: NDArray[np.float32], hops: int) -> NDArray[np.float32]:
    """Item vectors (n_items, dim) after the hops: the mean of ``(A'A)^k start``, k to ``hops``."""
    total = hop = start
    for _ in range(hops):
        hop = normal.T @ (normal @ hop)
        total = total + hop
    return np.asarray(total / (hops + 1), np.float32)
