"""Heads beside the next item: of which kind the next action is, and when a purchase comes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as fn
from numpy.typing import NDArray
from torch import Tensor, nn

from habitue.behaviour.coming import Coming
from habitue.behaviour.config import HeadWeights
from habitue.behaviour.survival import EDGES

__all__ = ["Heads", "head_loss"]

_N_KINDS = 256


class Heads(nn.Module):
    """Linear maps of what the network holds after an action."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.kind = nn.Linear(dim, _N_KINDS)
        self.comes = nn.Linear(dim, len(EDGES) - 1)
        nn.init.zeros_(self.kind.weight)
        nn.init.zeros_(self.comes.weight)
        nn.init.constant_(self.comes.bias, -3.0)

    @torch.no_grad()
    def told(self, state: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The chance of each kind (B, 256), and the hazard of a purchase in each step of time."""
        kind = fn.softmax(self.kind(state), dim=1).cpu().numpy().astype(np.float64)
        comes = torch.sigmoid(self.comes(state)).cpu().numpy().astype(np.float64)
        return kind, comes


def head_loss(
    heads: Heads,
    weights: HeadWeights,
    state: Tensor,
    next_kind: Tensor,
    coming: Coming,
    token: NDArray[np.int64],
) -> Tensor:
    """The weighted loss of both heads after the tokens (T,) of a batch, whose states (T, dim)."""
    loss = state.new_zeros(())
    if weights.next_kind:
        loss = loss + weights.next_kind * fn.cross_entropy(heads.kind(state), next_kind)
    if weights.comes_back:
        counted, came = coming.steps(token)
        where = torch.from_numpy(counted).to(state.device)
        target = torch.from_numpy(came.astype(np.float32)).to(state.device)
        each = fn.binary_cross_entropy_with_logits(heads.comes(state), target, reduction="none")
        loss = loss + weights.comes_back * (each * where).sum() / max(len(token), 1)
    return loss
