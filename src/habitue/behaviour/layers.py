"""The layers of a behaviour network: attention to what came before, or a memory of it.

Each reads flat tokens in groups of nearly equal length while it is trained, and rows filled up at
their end when it is asked.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from habitue.behaviour.config import BehaviourConfig
from habitue.behaviour.packing import Pack

__all__ = [
    "NEVER",
    "Attention",
    "BothWays",
    "Layer",
    "PackedGroup",
    "Recurrence",
    "groups_of",
    "layer_of",
    "spread",
]

NEVER: Final = -1e9
"""What is added where nothing may be read."""


@dataclass(frozen=True, slots=True)
class PackedGroup:
    """One ``Group`` of a batch, as tensors."""

    first: int
    last: int
    n_rows: int
    length: int
    place: Tensor | None  # (last - first,) into (n_rows * length)
    rows: Tensor  # (n_rows,) tokens of each row


def groups_of(packed: Pack, device: torch.device) -> tuple[PackedGroup, ...]:
    """The groups of a batch on a device."""
    return tuple(
        PackedGroup(
            group.first, group.last, group.n_rows, group.length,
            None if group.place is None else torch.from_numpy(group.place).to(device),
            torch.from_numpy(group.rows).to(device),
        )
        for group in packed.groups
    )  # fmt: skip


class Layer(nn.Module):
    """One layer; a subclass says how the tokens of a group are read."""

    @abstractmethod
    def forward(self, x: Tensor, groups: tuple[PackedGroup, ...]) -> Tensor:
        """Flat tokens (T, dim) to flat tokens."""

    def padded(self, x: Tensor, end: Tensor) -> Tensor:
        """Rows of tokens (B, L, dim), filled up after their last at ``end`` (B,)."""
        n_rows, length, dim = x.shape
        whole = PackedGroup(0, n_rows * length, n_rows, length, None, end + 1)
        return self.forward(x.reshape(n_rows * length, dim), (whole,)).view(n_rows, length, dim)

    def at_end(self, x: Tensor, end: Tensor) -> Tensor:
        """What the token at ``end`` (B,) of each row (B, L, dim) becomes: (B, dim)."""
        return self.padded(x, end)[torch.arange(x.shape[0], device=x.device), end]


def spread(x: Tensor, group: PackedGroup) -> Tensor:
    """The tokens of a group as rows (n_rows, length, dim)."""
    if group.place is not None:
        room = x.new_zeros(group.n_rows * group.length, x.shape[1])
        x = room.index_copy(0, group.place, x)
    return x.view(group.n_rows, group.length, x.shape[1])


def _gathered(rows: Tensor, group: PackedGroup) -> Tensor:
    """The tokens of a group's rows, flat again."""
    flat = rows.reshape(group.n_rows * group.length, rows.shape[-1])
    return flat if group.place is None else flat.index_select(0, group.place)


class Attention(Layer):
    """A causal layer of attention and a feed-forward net, over groups of flat tokens."""

    def __init__(self, config: BehaviourConfig) -> None:
        super().__init__()
        dim = config.dim
        self.heads = config.heads
        self.length = config.length
        self.dropout = config.dropout
        self.pointwise = config.attention == "pointwise"
        self.before = nn.LayerNorm(dim)
        self.between = nn.LayerNorm(dim)
        self.mixing = nn.Linear(dim, (4 if self.pointwise else 3) * dim)
        self.out = nn.Linear(dim, dim)
        self.wide = nn.Linear(dim, config.widening * dim)
        self.narrow = nn.Linear(config.widening * dim, dim)
        self.distance = nn.Parameter(torch.zeros(config.heads, config.length))

    def forward(self, x: Tensor, groups: tuple[PackedGroup, ...]) -> Tensor:
        """Flat tokens (T, dim) to flat tokens."""
        dim = x.shape[1]
        mixed = self.mixing(self.before(x))
        parts = [self._attend(mixed[g.first : g.last, : 3 * dim], g) for g in groups]
        read = torch.cat(parts) if len(parts) > 1 else parts[0]
        if self.pointwise:
            read = fn.layer_norm(read, (self.out.in_features,)) * fn.silu(mixed[:, 3 * dim :])
        x = x + fn.dropout(self.out(read), self.dropout, self.training)
        return x + self._widen(x)

    def _widen(self, x: Tensor) -> Tensor:
        narrowed: Tensor = self.narrow(fn.gelu(self.wide(self.between(x))))
        return fn.dropout(narrowed, self.dropout, self.training)

    def _attend(self, mixed: Tensor, group: PackedGroup) -> Tensor:
        """What the tokens of one group read: (tokens, dim)."""
        dim = mixed.shape[1] // 3
        rows = spread(mixed, group)
        parted = rows.view(group.n_rows, group.length, 3, self.heads, dim // self.heads)
        query, key, value = parted.permute(2, 0, 3, 1, 4)
        scaled = query @ key.transpose(-1, -2) * (dim / self.heads) ** -0.5
        read = (self._weigh(scaled, group) @ value).transpose(1, 2)
        return _gathered(read.reshape(group.n_rows, group.length, dim), group)

    def _bias(self, length: int) -> Tensor:
        """What each distance adds, and that nobody sees the future: (heads, length, length)."""
        place = torch.arange(length, device=self.distance.device)
        back = place[:, None] - place[None, :]
        never = self.distance.new_full((self.heads, 1), 0.0 if self.pointwise else NEVER)
        table = torch.cat([self.distance, never], dim=1)
        return table[:, torch.where(back >= 0, back, self.length)]

    def _weigh(self, product: Tensor, group: PackedGroup) -> Tensor:
        """How much each token of a group reads of each: (n_rows, heads, length, length)."""
        scaled = product + self._bias(group.length)
        if not self.pointwise:
            return torch.softmax(scaled, -1)
        place = torch.arange(group.length, device=product.device)
        seen = (place[:, None] >= place[None, :]).to(product.dtype)
        return fn.silu(scaled) * (seen / (place + 1)[:, None])

    def _at(self, back: Tensor) -> Tensor:
        """What distances add: (heads, ...); those ahead add what none does."""
        return self.distance[:, back.clamp(min=0)]

    def at_end(self, x: Tensor, end: Tensor) -> Tensor:
        """What the token at ``end`` (B,) of each row (B, L, dim) becomes: (B, dim)."""
        n_rows, length, dim = x.shape
        place = torch.arange(length, device=x.device)
        row = torch.arange(n_rows, device=x.device)
        mixed = self.mixing(self.before(x))
        parted = mixed[..., : 3 * dim].view(n_rows, length, 3, self.heads, dim // self.heads)
        query, key, value = parted.permute(2, 0, 3, 1, 4)  # (B, heads, L, dim / heads) each
        asked = query[row, :, end][:, :, None]
        back = end[:, None] - place[None, :]
        bias = self._at(back).transpose(0, 1)[:, :, None]  # (B, heads, 1, L)
        product = (asked @ key.transpose(-1, -2)) * (dim / self.heads) ** -0.5 + bias
        ahead = (back < 0)[:, None, None, :]
        if self.pointwise:
            weight = fn.silu(product).masked_fill(ahead, 0.0) / (end + 1)[:, None, None, None]
        else:
            weight = product.masked_fill(ahead, NEVER).softmax(-1)
        read = (weight @ value).transpose(1, 2).reshape(n_rows, dim)
        if self.pointwise:
            read = fn.layer_norm(read, (self.out.in_features,)) * fn.silu(
                mixed[row, end, 3 * dim :]
            )
        after: Tensor = x[row, end] + self.out(read)
        return after + self._widen(after)


class BothWays(Attention):
    """Attention to what came before and after: BERT4Rec (Sun et al. 2019)."""

    def __init__(self, config: BehaviourConfig) -> None:
        super().__init__(config)
        self.distance = nn.Parameter(torch.zeros(config.heads, 2 * config.length + 1))

    def _weigh(self, product: Tensor, group: PackedGroup) -> Tensor:
        place = torch.arange(group.length, device=product.device)
        scaled = product + self._at(place[:, None] - place[None, :])
        beyond = (place[None, :] >= group.rows[:, None])[:, None, None, :]
        if not self.pointwise:
            return scaled.masked_fill(beyond, NEVER).softmax(-1)
        return fn.silu(scaled).masked_fill(beyond, 0.0) / group.rows[:, None, None, None]

    def _at(self, back: Tensor) -> Tensor:
        return self.distance[:, back + self.length]


class Recurrence(Layer):
    """A recurrent layer over groups of flat tokens: GRU4Rec (Hidasi et al. 2016), or its LSTM."""

    def __init__(self, config: BehaviourConfig) -> None:
        super().__init__()
        kind = nn.GRU if config.encoder == "gru" else nn.LSTM
        self.before = nn.LayerNorm(config.dim)
        self.cell = kind(config.dim, config.widening * config.dim, batch_first=True)
        self.narrow = nn.Linear(config.widening * config.dim, config.dim)
        self.dropout = config.dropout

    def forward(self, x: Tensor, groups: tuple[PackedGroup, ...]) -> Tensor:
        """Flat tokens (T, dim) to flat tokens."""
        normed = self.before(x)
        parts = [self._run(normed[g.first : g.last], g) for g in groups]
        read = torch.cat(parts) if len(parts) > 1 else parts[0]
        return x + fn.dropout(self.narrow(read), self.dropout, self.training)

    def _run(self, x: Tensor, group: PackedGroup) -> Tensor:
        read: Tensor = self.cell(spread(x, group))[0]
        return _gathered(read, group)


def layer_of(config: BehaviourConfig) -> Layer:
    """A layer of the config's kind."""
    if config.encoder == "transformer":
        return Attention(config)
    if config.encoder in ("bidirectional", "encoder-decoder"):
        return BothWays(config)
    return Recurrence(config)
