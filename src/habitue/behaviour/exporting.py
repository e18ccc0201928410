"""A trained network as an ONNX graph, so that whoever serves needs no PyTorch.

The graph is traced (``dynamo=False``): half a second where the exporter that follows Python takes
ten and writes a recurrence for one length only. That it says what the network says is tested.
"""

from __future__ import annotations

import copy
import io
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from habitue.behaviour.network import Inputs, Network
from habitue.behaviour.served import FORETOLD
from habitue.behaviour.streams import GAP_STEPS

__all__ = ["exported", "input_names"]


def input_names(network: Network) -> tuple[str, ...]:
    """What the graph is fed: item vectors (B, L, dim), the last place (B,), and what it reads.

    ``kind``, ``gap`` and ``price`` are (B, L) codes, ``waiting`` (B,) the step of time since the
    last action, ``surface`` and the like (B,) the codes and ``words`` (B, c) the vectors of what a
    request says. Rows shorter than L stand at its beginning; what follows ``end`` is not looked at.
    ``chosen`` (B, K, dim) are the vectors of what a list holds so far, where lists are generated.
    """
    beside = ("kind", "gap", "price", "waiting")
    read = tuple(name for name in beside if getattr(network, name) is not None)
    said = () if network.hearing is None else network.hearing.inputs
    return ("vectors", "end", *read, *said, *(() if network.decoder is None else ("chosen",)))


def exported(network: Network, *, heads: bool = False) -> bytes:
    """The graph as bytes; its output ``query`` is (B, dim).

    That of the ``heads`` reads the same and says ``next_kind`` (B, n_kinds) and ``comes``
    (B, n_steps). ONNX Runtime works out all of a graph: in one of its own, who asks for the next
    item alone does not pay.
    """
    whole = copy.deepcopy(network).cpu().eval()
    names = input_names(whole)
    rows, longest = 3, min(5, whole.config.length)
    sample: dict[str, Tensor] = {
        "vectors": torch.randn(rows, longest, whole.config.dim),
        "end": torch.full((rows,), longest - 1, dtype=torch.int64),
        "kind": torch.ones(rows, longest, dtype=torch.int64),
        "gap": torch.ones(rows, longest, dtype=torch.int64),
        "price": torch.ones(rows, longest, dtype=torch.int64),
        "waiting": torch.full((rows,), GAP_STEPS // 2, dtype=torch.int64),
        "chosen": torch.randn(rows, 2, whole.config.dim),
        **_sample_said(whole, rows),
    }
    axes = {0: "batch", 1: "length"}
    dynamic = {name: {a: axes[a] for a in range(min(2, sample[name].dim()))} for name in names}
    if "words" in names:
        del dynamic["words"][1]
    if "chosen" in names:
        dynamic["chosen"][1] = "listed"
    outputs = list(FORETOLD) if heads else ["query"]
    written = io.BytesIO()
    place: Any = written  # the traced exporter writes into any file, whatever its annotation says
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            (_Foretelling if heads else _Served)(whole, names),
            tuple(sample[name] for name in names),
            place,
            dynamo=False,
            opset_version=17,
            input_names=list(names),
            output_names=outputs,
            dynamic_axes={**dynamic, **{name: {0: "batch"} for name in outputs}},
        )
    return written.getvalue()


def _sample_said(network: Network, rows: int) -> dict[str, Tensor]:
    """Something that so many requests say."""
    hearing = network.hearing
    if hearing is None:
        return {}
    said = {side: torch.ones(rows, dtype=torch.int64) for side in hearing.named}
    if hearing.words is None:
        return said
    return said | {"words": torch.randn(rows, hearing.words.in_features)}


class _Served(nn.Module):
    """Padded rows in, one query a row out."""

    def __init__(self, network: Network, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.names = names

    def forward(self, *inputs: Tensor) -> Any:
        told = dict(zip(self.names, inputs, strict=True))
        beside = Inputs(told.get("kind"), told.get("gap"), told.get("price"))
        return self.network.expected(
            told["vectors"], told["end"], beside, told.get("waiting"), told.get("chosen"), told
        )


class _Foretelling(_Served):
    """Padded rows in, what the other heads say out."""

    def forward(self, *inputs: Tensor) -> Any:
        told = dict(zip(self.names, inputs, strict=True))
        beside = Inputs(told.get("kind"), told.get("gap"), told.get("price"))
        state = self.network.held(told["vectors"], told["end"], beside, told.get("chosen"))
        assert self.network.heads is not None
        last = None
        if "kind" in told:
            rows = torch.arange(told["kind"].shape[0])
            last = told["kind"][rows, told["end"]]
        return self.network.heads.told(state, told.get("waiting"), last)
