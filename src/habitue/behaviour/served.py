"""A behaviour model as serving holds it: item vectors and a graph run by ONNX Runtime.

Nothing here knows PyTorch: a serving process never imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.requests import Read
from habitue.errors import MissingPiece
from habitue.facts import SIDES, Side

__all__ = [
    "FORETOLD",
    "HEADS",
    "NETWORK",
    "Encoder",
    "OnnxEncoder",
    "SilentEncoder",
    "Told",
    "load_encoder",
]

NETWORK: Final = "network"
"""The graph that says what is expected next."""
HEADS: Final = "heads"
"""The one that says what else is foretold."""
FORETOLD: Final = ("next_kind", "comes")
"""Its outputs, in the order of ``Told``."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the other heads say of B requests."""

    kind: NDArray[np.floating]  # (B, n_kinds) the chance of each kind taught to be the next
    comes: NDArray[np.floating]  # (B, n_steps) of a purchase in each step of time to come


class Encoder(Protocol):
    """Turns what was read into queries."""

    @property
    def hears(self) -> frozenset[Side]:
        """What it reads of what a request says."""
        ...

    def queries(
        self,
        vectors: NDArray[np.float32],
        read: Read,
        chosen: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """(B, dim) from item vectors (B, L, dim) and what stands beside them.

        Where a list is generated, ``chosen`` (B, K, dim) are the vectors of what it holds so far.
        """
        ...

    def told(self, vectors: NDArray[np.float32], read: Read) -> Told | None:
        """What the other heads say after item vectors (B, L, dim); None without any."""
        ...

    def graphs(self) -> Mapping[str, bytes]:
        """The ONNX graphs that do the same, by the names they are kept under."""
        ...


class OnnxEncoder:
    """Exported graphs, run on one thread: a request never fans out."""

    def __init__(self, graphs: Mapping[str, bytes]) -> None:
        """``NETWORK`` is there, ``HEADS`` where they were learnt: read when first asked."""
        self._graphs = graphs
        self._session = _session(graphs[NETWORK])
        self._fed = _inputs(self._session)
        self._heads: Any = None

    def graphs(self) -> Mapping[str, bytes]:
        """The graphs it was made of."""
        return self._graphs

    @property
    def hears(self) -> frozenset[Side]:
        """What its graph has an input for."""
        return frozenset(side for side in SIDES if side in self._fed)

    def queries(
        self,
        vectors: NDArray[np.float32],
        read: Read,
        chosen: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """(B, dim) from item vectors (B, L, dim), what stands beside them and a list so far."""
        (query,) = self._session.run(None, self._feed(vectors, read, chosen, self._fed))
        return np.asarray(query, np.float32)

    def told(self, vectors: NDArray[np.float32], read: Read) -> Told | None:
        """What the other heads say after item vectors (B, L, dim); None without any."""
        if HEADS not in self._graphs:
            return None
        if self._heads is None:
            self._heads = _session(self._graphs[HEADS])
        fed = self._feed(vectors, read, None, _inputs(self._heads))
        return Told(*self._heads.run(FORETOLD, fed))

    @staticmethod
    def _feed(
        vectors: NDArray[np.float32],
        read: Read,
        chosen: NDArray[np.float32] | None,
        inputs: frozenset[str],
    ) -> dict[str, Any]:
        fed: dict[str, Any] = {
            "vectors": vectors,
            "chosen": vectors[:, :0] if chosen is None else chosen,
            "end": read.end,
            "kind": read.kind,
            "gap": read.gap,
            "price": read.price,
            "waiting": read.waiting,
            **read.said,
        }
        return {name: value for name, value in fed.items() if name in inputs}


class SilentEncoder:
    """What nothing could be learnt for: it expects nothing."""

    hears: frozenset[Side] = frozenset()

    def graphs(self) -> Mapping[str, bytes]:
        """No graphs."""
        return {}

    def told(self, vectors: NDArray[np.float32], read: Read) -> Told | None:  # noqa: ARG002
        """Nothing."""
        return None

    def queries(
        self,
        vectors: NDArray[np.float32],
        read: Read,
        chosen: NDArray[np.float32] | None = None,  # noqa: ARG002 - as the others are asked
    ) -> NDArray[np.float32]:
        """Zeros (B, dim)."""
        return np.zeros((len(read.end), vectors.shape[2]), np.float32)


def load_encoder(path: Path) -> Encoder:
    """The encoder whose graphs are in the folder ``path``."""
    graphs = {
        name: file.read_bytes()
        for name in (NETWORK, HEADS)
        if (file := path / f"{name}.onnx").exists()
    }
    return OnnxEncoder(graphs) if graphs.get(NETWORK) else SilentEncoder()


def _inputs(session: Any) -> frozenset[str]:
    """What a graph reads."""
    return frozenset(one.name for one in session.get_inputs())


def _session(graph: bytes) -> Any:
    try:
        import onnxruntime as ort
    except ImportError:
        raise MissingPiece(
            "A behaviour model is served by ONNX Runtime, which is not installed.",
            remedy="Install it with pip install 'habitue[deep]'.",
        ) from None
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # weights in eight bits are made whole once, when the graph is read, and not in each request
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
