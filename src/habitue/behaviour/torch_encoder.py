"""A network still in PyTorch, asked as the exported one is: for the process that trained it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from habitue.behaviour.asking import heard, queries
from habitue.behaviour.exporting import exported
from habitue.behaviour.network import Inputs, Network
from habitue.behaviour.requests import Read
from habitue.behaviour.served import HEADS, NETWORK, Told
from habitue.behaviour.streams import Streams
from habitue.facts import SIDES, Side

__all__ = ["TorchEncoder", "vectors_of", "weights_of"]

_SAMPLE = 1024


class TorchEncoder:
    """Answers by the network itself; exports it when it is written down."""

    def __init__(self, network: Network) -> None:
        self.network = network.cpu().eval()
        self._graphs: dict[str, bytes] = {}

    def graphs(self) -> dict[str, bytes]:
        """The ONNX graphs that do the same."""
        if not self._graphs:
            self._graphs = {NETWORK: exported(self.network)}
            if self.network.heads is not None:
                self._graphs[HEADS] = exported(self.network, heads=True)
        return self._graphs

    @property
    def hears(self) -> frozenset[Side]:
        """What the network was taught to read of what a request says."""
        hearing = self.network.hearing
        inputs = () if hearing is None else hearing.inputs
        return frozenset(side for side in SIDES if side in inputs)

    @torch.no_grad()
    def queries(
        self,
        vectors: NDArray[np.float32],
        read: Read,
        chosen: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """(B, dim) from item vectors (B, L, dim), what stands beside them and a list so far."""
        query = self.network.expected(
            torch.from_numpy(np.ascontiguousarray(vectors)),
            torch.from_numpy(read.end),
            self._beside(read),
            self._waiting(read),
            None if chosen is None else torch.from_numpy(chosen),
            heard(self.network, read.said),
        )
        return np.asarray(query.numpy(), np.float32)

    @torch.no_grad()
    def told(self, vectors: NDArray[np.float32], read: Read) -> Told | None:
        """What the other heads say after item vectors (B, L, dim); None without any."""
        network = self.network
        if network.heads is None:
            return None
        state = network.held(
            torch.from_numpy(np.ascontiguousarray(vectors)),
            torch.from_numpy(read.end),
            self._beside(read),
        )
        last = torch.from_numpy(read.kind[np.arange(len(read.end)), read.end])
        kind, comes = network.heads.told(state, self._waiting(read), last)
        return Told(kind.numpy(), comes.numpy())

    def _beside(self, read: Read) -> Inputs:
        network, price = self.network, read.price
        return Inputs(
            None if network.kind is None else torch.from_numpy(np.ascontiguousarray(read.kind)),
            None if network.gap is None else torch.from_numpy(np.ascontiguousarray(read.gap)),
            None
            if network.price is None or price is None
            else torch.from_numpy(np.ascontiguousarray(price)),
        )

    def _waiting(self, read: Read) -> Tensor | None:
        return None if self.network.waiting is None else torch.from_numpy(read.waiting)

    def sample(self, streams: Streams, length: int) -> NDArray[np.float32]:
        """Queries of some of the shoppers, as their streams end."""
        windows = streams.ends(0, length)
        some = np.arange(len(windows))[:: max(1, len(windows) // _SAMPLE)]
        waiting = np.ones(len(some), np.uint8)
        return queries(self.network, streams, windows.take(some), waiting=waiting)


def weights_of(network: nn.Module) -> dict[str, NDArray[np.float32]]:
    """All weights but the items' own vectors, by name: what ``Earlier`` goes on from."""
    return {
        name: parameter.detach().cpu().numpy().copy()
        for name, parameter in network.named_parameters()
        if name != "items.own"
    }


def vectors_of(network: Network) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What items are read by, (n_items, dim), and what makes it of their content, (c, dim)."""
    with torch.no_grad():
        read = network.items.everything().cpu().numpy().astype(np.float32)
        if network.items.told is None:
            return read, np.empty((0, read.shape[1]), np.float32)
        told = network.items.told.weight.t().contiguous().cpu().numpy().astype(np.float32)
    return read, told
