"""The behaviour network: item vectors, an encoder that reads actions, heads that foretell.

Pre-norm layers with a bias for every distance between two actions instead of positions; items are
read and foretold by the same vectors, compared by their cosine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from habitue.behaviour.config import BehaviourConfig
from habitue.behaviour.packing import Pack
from habitue.behaviour.streams import GAP_STEPS

__all__ = ["Attention", "Inputs", "ItemTable", "Network", "PackedGroup", "groups_of"]

_NEVER: Final = -1e9
_N_KINDS: Final = 64


@dataclass(frozen=True, slots=True)
class PackedGroup:
    """One ``Group`` of a batch, as tensors."""

    first: int
    last: int
    n_rows: int
    length: int
    place: Tensor | None  # (last - first,) into (n_rows * length)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What stands beside the items of T flat tokens; None where the model does not read it."""

    kind: Tensor | None  # (T,)
    gap: Tensor | None  # (T,) steps since the action before
    price: Tensor | None  # (T,) price steps


def groups_of(packed: Pack, device: torch.device) -> tuple[PackedGroup, ...]:
    """The groups of a batch on a device."""
    return tuple(
        PackedGroup(
            group.first, group.last, group.n_rows, group.length,
            None if group.place is None else torch.from_numpy(group.place).to(device),
        )
        for group in packed.groups
    )  # fmt: skip


class ItemTable(nn.Module):
    """Item vectors: one learnt for each item, and one made of what is told of it."""

    content: Tensor | None

    def __init__(self, n_items: int, dim: int, content: Tensor | None) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.randn(n_items, dim) * 0.05)
        self.register_buffer("content", content, persistent=False)
        self.told = None
        if content is not None:
            self.told = nn.Linear(content.shape[1], dim, bias=False)
            nn.init.normal_(self.told.weight, std=0.05)

    def rows(self, row: Tensor, named: Tensor | None = None) -> Tensor:
        """The vectors (n, dim) of ``row`` (n,); where not ``named`` by their content alone."""
        vectors = fn.embedding(row, self.own)
        if self.told is None or self.content is None:
            return vectors
        if named is not None:
            vectors = vectors * named[:, None]
        return vectors + self.told(self.content.index_select(0, row))

    def everything(self) -> Tensor:
        """All vectors: (n_items, dim)."""
        if self.told is None or self.content is None:
            return self.own
        told: Tensor = self.told(self.content)
        return self.own + told


class Attention(nn.Module):
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
            read = fn.layer_norm(read, (dim,)) * fn.silu(mixed[:, 3 * dim :])
        x = x + fn.dropout(self.out(read), self.dropout, self.training)
        return x + self._widen(x)

    def _widen(self, x: Tensor) -> Tensor:
        wide = fn.gelu(self.wide(self.between(x)))
        return fn.dropout(self.narrow(wide), self.dropout, self.training)

    def _attend(self, mixed: Tensor, group: PackedGroup) -> Tensor:
        """What the tokens of one group read: (tokens, dim)."""
        dim = mixed.shape[1] // 3
        if group.place is not None:
            padded = mixed.new_zeros(group.n_rows * group.length, 3 * dim)
            mixed = padded.index_copy(0, group.place, mixed)
        parted = mixed.view(group.n_rows, group.length, 3, self.heads, dim // self.heads)
        query, key, value = parted.permute(2, 0, 3, 1, 4)
        weight = self._weigh(query @ key.transpose(-1, -2), self._bias(group.length), group.length)
        read = (weight @ value).transpose(1, 2).reshape(group.n_rows * group.length, dim)
        return read if group.place is None else read.index_select(0, group.place)

    def _bias(self, length: int) -> Tensor:
        """What each distance adds, and that nobody sees the future: (heads, length, length)."""
        place = torch.arange(length, device=self.distance.device)
        back = place[:, None] - place[None, :]
        never = self.distance.new_full((self.heads, 1), 0.0 if self.pointwise else _NEVER)
        table = torch.cat([self.distance, never], dim=1)
        return table[:, torch.where(back >= 0, back, self.length)]

    def _weigh(self, product: Tensor, bias: Tensor, length: int) -> Tensor:
        scaled = product * (self.out.in_features / self.heads) ** -0.5 + bias
        if not self.pointwise:
            return scaled.softmax(-1)
        place = torch.arange(length, device=product.device)
        seen = (place[:, None] >= place[None, :]).to(product.dtype)
        return fn.silu(scaled) * (seen / (place + 1)[:, None])

    def padded(self, x: Tensor) -> Tensor:
        """Rows of tokens (B, L, dim), the shorter ones filled up at their end."""
        n_rows, length, dim = x.shape
        whole = PackedGroup(0, n_rows * length, n_rows, length, None)
        return self(x.reshape(n_rows * length, dim), (whole,)).view(n_rows, length, dim)

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
        bias = self.distance[:, back.clamp(min=0)].transpose(0, 1)[:, :, None]  # (B, heads, 1, L)
        product = (asked @ key.transpose(-1, -2)) * (dim / self.heads) ** -0.5 + bias
        ahead = (back < 0)[:, None, None, :]
        if self.pointwise:
            weight = fn.silu(product).masked_fill(ahead, 0.0) / (end + 1)[:, None, None, None]
        else:
            weight = product.masked_fill(ahead, _NEVER).softmax(-1)
        read = (weight @ value).transpose(1, 2).reshape(n_rows, dim)
        if self.pointwise:
            read = fn.layer_norm(read, (dim,)) * fn.silu(mixed[row, end, 3 * dim :])
        after: Tensor = x[row, end] + self.out(read)
        return after + self._widen(after)


class Recurrence(nn.Module):
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

    def padded(self, x: Tensor) -> Tensor:
        """Rows of tokens (B, L, dim), the shorter ones filled up at their end."""
        read: Tensor = self.narrow(self.cell(self.before(x))[0])
        return x + read

    def _run(self, x: Tensor, group: PackedGroup) -> Tensor:
        if group.place is not None:
            x = x.new_zeros(group.n_rows * group.length, x.shape[1]).index_copy(0, group.place, x)
        read, _ = self.cell(x.view(group.n_rows, group.length, -1))
        read = read.reshape(group.n_rows * group.length, -1)
        return read if group.place is None else read.index_select(0, group.place)


class Network(nn.Module):
    """Actions in, vectors out that lie near the items that come next."""

    def __init__(
        self,
        config: BehaviourConfig,
        n_items: int,
        *,
        content: Tensor | None = None,
        kinds: bool = False,
        gaps: bool = False,
        price_steps: int = 0,
        n_spans: int = 0,
    ) -> None:
        """``n_spans`` spans of time are told apart by the heads of when; 0: there are none."""
        super().__init__()
        self.config = config
        self.items = ItemTable(n_items, config.dim, content)
        self.kind = _small(_N_KINDS, config.dim) if kinds else None
        self.gap = _small(GAP_STEPS, config.dim) if gaps else None
        self.price = _small(price_steps, config.dim) if price_steps else None
        self.waiting = _small(GAP_STEPS, config.dim) if gaps else None
        layer = Attention if config.encoder == "transformer" else Recurrence
        self.layers = nn.ModuleList([layer(config) for _ in range(config.layers)])
        self.after = nn.LayerNorm(config.dim)
        self.next_kind = nn.Linear(config.dim, _N_KINDS) if kinds else None
        self.purchase = nn.Linear(config.dim, n_spans) if n_spans else None
        self.comeback = nn.Linear(config.dim, n_spans) if n_spans else None
        self._begin()

    def _begin(self) -> None:
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight, gain=0.7)
                nn.init.zeros_(module.bias)

    def read(self, vectors: Tensor, beside: Inputs, groups: tuple[PackedGroup, ...]) -> Tensor:
        """The state (T, dim) after each of T flat tokens, whose items have these ``vectors``."""
        x = fn.dropout(self.joined(vectors, beside), self.config.input_dropout, self.training)
        for layer in self.layers:
            x = layer(x, groups)
        normed: Tensor = self.after(x)
        return normed

    def joined(self, vectors: Tensor, beside: Inputs) -> Tensor:
        """Item vectors (..., dim) with what stands beside them added."""
        x = vectors
        for table, code in (
            (self.kind, beside.kind), (self.gap, beside.gap), (self.price, beside.price)
        ):  # fmt: skip
            if table is not None and code is not None:
                x = x + table(code)
        return x

    def wanted(self, state: Tensor, waiting: Tensor | None) -> Tensor:
        """Queries (T, dim): their products with unit item vectors are the scores.

        ``waiting`` (T,) are steps of the time from the action until the request.
        """
        if self.waiting is not None and waiting is not None:
            state = state + self.waiting(waiting)
        return fn.normalize(state, dim=-1) / self.config.loss.temperature

    def item_vectors(self) -> Tensor:
        """Unit vectors (n_items, dim) of all items."""
        return fn.normalize(self.items.everything(), dim=1)


def _small(n: int, dim: int) -> nn.Embedding:
    table = nn.Embedding(n, dim)
    nn.init.normal_(table.weight, std=0.05 / math.sqrt(2))
    return table
