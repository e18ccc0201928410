"""An exported network in eight-bit weights: a quarter of the size, the same inputs and outputs."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["in_eight_bits"]


def in_eight_bits(graph: bytes) -> bytes:
    """The ONNX graph with the weights of its products as int8; what is read stays as it is.

    The scale of what is multiplied with them is found anew in each request (dynamic quantisation),
    so nothing need be measured beforehand.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quiet = logging.getLogger()
    before = quiet.level
    with TemporaryDirectory() as folder:
        whole, small = Path(folder) / "whole.onnx", Path(folder) / "small.onnx"
        whole.write_bytes(graph)
        quiet.setLevel(logging.ERROR)  # it warns that shapes could be inferred first
        try:
            quantize_dynamic(whole, small, weight_type=QuantType.QInt8)
        finally:
            quiet.setLevel(before)
        return small.read_bytes()
