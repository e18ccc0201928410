"""A behaviour model as serving holds it: item vectors and a graph run by ONNX Runtime.

Nothing here knows PyTorch: a serving process never imports it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.requests import Read
from habitue.errors import MissingPiece

__all__ = ["Encoder", "OnnxEncoder", "SilentEncoder", "load_encoder"]


class Encoder(Protocol):
    """Turns what was read into queries."""

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

    def graph(self) -> bytes:
        """The ONNX graph that does the same."""
        ...


class OnnxEncoder:
    """An exported graph, run on one thread: a request never fans out."""

    def __init__(self, graph: bytes) -> None:
        self._graph = graph
        self._session = _session(graph)
        self._fed = {one.name for one in self._session.get_inputs()}

    def graph(self) -> bytes:
        """The graph it was made of."""
        return self._graph

    def queries(
        self,
        vectors: NDArray[np.float32],
        read: Read,
        chosen: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """(B, dim) from item vectors (B, L, dim), what stands beside them and a list so far."""
        fed: dict[str, Any] = {
            "vectors": vectors,
            "chosen": vectors[:, :0] if chosen is None else chosen,
            "end": read.end,
            "kind": read.kind,
            "gap": read.gap,
            "waiting": read.waiting,
            **read.said,
        }
        (query,) = self._session.run(
            None, {name: value for name, value in fed.items() if name in self._fed}
        )
        return np.asarray(query, np.float32)


class SilentEncoder:
    """What nothing could be learnt for: it expects nothing."""

    def graph(self) -> bytes:
        """No graph."""
        return b""

    def queries(
        self,
        vectors: NDArray[np.float32],
        read: Read,
        chosen: NDArray[np.float32] | None = None,  # noqa: ARG002 - as the others are asked
    ) -> NDArray[np.float32]:
        """Zeros (B, dim)."""
        return np.zeros((len(read.end), vectors.shape[2]), np.float32)


def load_encoder(path: Path) -> Encoder:
    """The encoder whose graph is in the file ``path``."""
    graph = path.read_bytes()
    return OnnxEncoder(graph) if graph else SilentEncoder()


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
