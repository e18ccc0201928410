"""What generates a list: each item is read, and the next one asked for, beside the past.

The second half of an encoder and decoder (Vaswani et al. 2017; for recommendations Rajput et al.
2023): a layer reads what the encoder made of the past, then what the list holds so far.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from habitue.behaviour.config import BehaviourConfig
from habitue.behaviour.layers import NEVER, Attention, PackedGroup, spread

__all__ = ["Decoder"]


class Cross(nn.Module):
    """Attention of a list to the past, nearer actions weighed by a learnt bias."""

    def __init__(self, config: BehaviourConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.dropout
        self.before = nn.LayerNorm(config.dim)
        self.asked = nn.Linear(config.dim, config.dim)
        self.told = nn.Linear(config.dim, 2 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.distance = nn.Parameter(torch.zeros(config.heads, config.length))

    def forward(self, x: Tensor, past: Tensor, groups: tuple[PackedGroup, ...]) -> Tensor:
        """Lists (W, K, dim) beside the flat tokens (T, dim) of their W windows."""
        asked, told = self.asked(self.before(x)), self.told(past)
        read, row = [], 0
        for group in groups:
            rows = asked[row : row + group.n_rows]
            read.append(self._attend(rows, spread(told[group.first : group.last], group), group))
            row += group.n_rows
        joined: Tensor = torch.cat(read) if len(read) > 1 else read[0]
        return x + fn.dropout(self.out(joined), self.dropout, self.training)

    def _attend(self, asked: Tensor, told: Tensor, group: PackedGroup) -> Tensor:
        """Of one group: (n_rows, K, dim) beside (n_rows, length, 2 * dim)."""
        n_rows, n_slots, dim = asked.shape
        width = dim // self.heads
        query = asked.view(n_rows, n_slots, self.heads, width).transpose(1, 2)
        parted = told.view(n_rows, group.length, 2, self.heads, width)
        key, value = parted.permute(2, 0, 3, 1, 4)
        back = group.rows[:, None] - 1 - torch.arange(group.length, device=asked.device)[None, :]
        bias = self.distance[:, back.clamp(min=0)].transpose(0, 1)[:, :, None]  # (n, heads, 1, L)
        product = query @ key.transpose(-1, -2) * width**-0.5 + bias
        weight = product.masked_fill((back < 0)[:, None, None, :], NEVER).softmax(-1)
        read: Tensor = (weight @ value).transpose(1, 2)
        return read.reshape(n_rows, n_slots, dim)


class Decoder(nn.Module):
    """Layers that read the past, then the list so far."""

    def __init__(self, config: BehaviourConfig) -> None:
        super().__init__()
        listing = config.listing
        room = config.model_copy(
            update={"length": max(listing.ahead, listing.slots), "attention": "softmax"}
        )
        self.start = nn.Parameter(torch.randn(config.dim) * 0.05)
        self.input_dropout = config.input_dropout
        self.crosses = nn.ModuleList([Cross(config) for _ in range(config.layers)])
        self.layers = nn.ModuleList([Attention(room) for _ in range(config.layers)])
        self.after = nn.LayerNorm(config.dim)

    def forward(
        self, past: Tensor, last: Tensor, groups: tuple[PackedGroup, ...], chosen: Tensor
    ) -> Tensor:
        """The states (W, 1 + K, dim) in which each next item is asked for.

        ``past`` (T, dim) are the flat tokens of W windows as the encoder left them, ``last``
        (W, dim) those at their ends, where lists begin, and ``chosen`` (W, K, dim) the vectors of
        what the lists hold so far.
        """
        n_rows = chosen.shape[0]
        x = torch.cat([(self.start + last)[:, None], chosen], dim=1)
        x = fn.dropout(x, self.input_dropout, self.training)
        end = torch.full((n_rows,), x.shape[1] - 1, device=x.device)
        for cross, layer in zip(self.crosses, self.layers, strict=True):
            x = cast("Attention", layer).padded(cross(x, past, groups), end)
        normed: Tensor = self.after(x)
        return normed
