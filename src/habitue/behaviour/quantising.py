"""An exported network in eight-bit weights: a quarter of the size, the same inputs and outputs.

Weights alone become whole numbers, each column by a scale of its own; what is multiplied with them
stays as it is. ONNX Runtime's dynamic quantisation would round that too, by one scale for a whole
batch: a request would then be read otherwise beside others than alone.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["in_eight_bits"]

_MOST: Final = 127
_LEAST: Final = 1024  # numbers of a weight below which nothing is gained


def in_eight_bits(graph: bytes) -> bytes:
    """The ONNX graph whose matrices are int8, made whole again by ``DequantizeLinear``."""
    model = onnx.load_from_string(graph)
    kept: list[TensorProto] = []
    nodes: list[Any] = []
    for weight in model.graph.initializer:
        whole = numpy_helper.to_array(weight)
        if whole.dtype != np.float32 or whole.ndim != 2 or whole.size < _LEAST:
            kept.append(weight)
            continue
        code, scale = _coded(whole)
        names = [f"{weight.name}_code", f"{weight.name}_scale"]
        kept += [numpy_helper.from_array(code, names[0]), numpy_helper.from_array(scale, names[1])]
        nodes.append(helper.make_node("DequantizeLinear", names, [weight.name], axis=1))
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    steps = [*nodes, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(steps)
    return bytes(model.SerializeToString())


def _coded(whole: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes (m, n) and the scale (n,) of each column."""
    scale = np.maximum(np.abs(whole).max(axis=0), 1e-12) / _MOST
    return np.rint(whole / scale).astype(np.int8), scale.astype(np.float32)
