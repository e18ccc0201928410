"""Heads beside the next item: of which kind the next action is, and when a purchase comes."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as fn
from numpy.typing import NDArray
from scipy.special import logit
from torch import Tensor, nn

from habitue.behaviour.config import BehaviourConfig
from habitue.behaviour.streams import GAP_STEPS
from habitue.behaviour.survival import EDGES

__all__ = ["N_KINDS", "Heads", "hazard_loss", "kind_loss"]

N_KINDS: Final = 64
"""Codes of kinds are below it."""
_FLOOR: Final = 1e-4
_SELDOM: Final = -3.0  # log odds of a purchase in a step of time, before anything is learnt


class Heads(nn.Module):
    """What the network holds after an action, and how long ago that was, told on.

    They begin as the plain answers: what mostly follows the last kind, and how often anybody buys.
    """

    place: Tensor

    def __init__(self, config: BehaviourConfig, *, kinds: bool, gaps: bool) -> None:
        """``kinds`` and ``gaps`` say whether the network reads them."""
        super().__init__()
        dim, codes = config.dim, config.codes
        self.waiting = nn.Embedding(GAP_STEPS, dim) if gaps else None
        self.follows = nn.Embedding(N_KINDS, len(codes)) if kinds else None
        self.inner = nn.Linear(dim, dim)
        self.kind = nn.Linear(dim, len(codes))
        self.comes = nn.Linear(dim, len(EDGES) - 1)
        place = torch.zeros(256, dtype=torch.int64)
        place[list(codes)] = torch.arange(len(codes))
        self.register_buffer("place", place, persistent=False)
        if self.waiting is not None:
            nn.init.normal_(self.waiting.weight, std=0.05)
        if self.follows is not None:
            nn.init.zeros_(self.follows.weight)
        nn.init.zeros_(self.kind.weight)
        nn.init.zeros_(self.comes.weight)
        nn.init.constant_(self.comes.bias, _SELDOM)

    @torch.no_grad()
    def begin(self, share: NDArray[np.float64], hazard: NDArray[np.float64] | None) -> None:
        """Let them say the plain answers before anything is learnt.

        ``share`` (N_KINDS, n_kinds) of each kind after each, ``hazard`` (n_steps,) of a purchase.
        """
        if self.follows is not None:
            told = np.log(np.clip(share, _FLOOR, 1.0))
            self.follows.weight.copy_(torch.from_numpy(told).to(self.follows.weight))
        if hazard is not None:
            odds = logit(np.clip(hazard, _FLOOR, 1 - _FLOOR))
            self.comes.bias.copy_(torch.from_numpy(odds).to(self.comes.bias))

    def _held(self, state: Tensor, waiting: Tensor | None) -> Tensor:
        if self.waiting is not None and waiting is not None:
            state = state + self.waiting(waiting)
        inner: Tensor = fn.gelu(self.inner(state))
        return state + inner

    def kinds(self, state: Tensor, waiting: Tensor | None, last: Tensor | None) -> Tensor:
        """Log odds of each kind taught to be the next: (B, n_kinds), in the order of their codes.

        ``waiting`` (B,) are steps of time since the action that ``state`` (B, dim) is held after,
        ``last`` (B,) is the code of its kind.
        """
        said: Tensor = self.kind(self._held(state, waiting))
        return said if self.follows is None or last is None else said + self.follows(last)

    def hazards(self, state: Tensor, waiting: Tensor | None) -> Tensor:
        """Log odds of a purchase in each step of time from the moment asked: (B, n_steps)."""
        said: Tensor = self.comes(self._held(state, waiting))
        return said

    def told(
        self, state: Tensor, waiting: Tensor | None, last: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The same as chances."""
        kinds, hazards = self.kinds(state, waiting, last), self.hazards(state, waiting)
        return torch.softmax(kinds, dim=1), torch.sigmoid(hazards)


def kind_loss(
    heads: Heads, state: Tensor, waiting: Tensor | None, last: Tensor, following: Tensor
) -> Tensor:
    """The mean loss of foretelling the codes (T,) of the actions that follow states (T, dim)."""
    return fn.cross_entropy(heads.kinds(state, waiting, last), heads.place[following])


def hazard_loss(
    heads: Heads, state: Tensor, waiting: Tensor | None, counted: Tensor, came: Tensor
) -> Tensor:
    """The loss of foretelling in which step of time a purchase ``came``: (B, n_steps).

    Steps that are not ``counted`` say nothing. A mean over the moments.
    """
    said = heads.hazards(state, waiting)
    each = fn.binary_cross_entropy_with_logits(said, came.to(said.dtype), reduction="none")
    return (each * counted).sum() / max(len(said), 1)
