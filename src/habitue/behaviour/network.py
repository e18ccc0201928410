"""The behaviour network: item vectors, an encoder that reads actions, heads that foretell.

Pre-norm layers with a bias for every distance between two actions instead of positions; items are
read and foretold by the same vectors, compared by their cosine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from habitue.behaviour.config import BehaviourConfig
from habitue.behaviour.decoder import Decoder
from habitue.behaviour.heads import N_KINDS, Heads
from habitue.behaviour.layers import Layer, PackedGroup, layer_of
from habitue.behaviour.said import MOST_NAMES
from habitue.behaviour.streams import GAP_STEPS

__all__ = ["Hearing", "Inputs", "ItemTable", "Network"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What stands beside the items of T flat tokens; None where the model does not read it."""

    kind: Tensor | None  # (T,)
    gap: Tensor | None  # (T,) steps since the action before
    price: Tensor | None = None  # (T,) steps of the items' prices


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

    def rows(self, row: Tensor, named: Tensor | None = None, own: Tensor | None = None) -> Tensor:
        """The vectors (n, dim) of ``row`` (n,); where not ``named`` by their content alone.

        ``own`` stands for their rows of the table where those are moved apart.
        """
        vectors = fn.embedding(row, self.own) if own is None else own
        if named is not None:
            vectors = vectors * named[:, None]
        if self.told is None or self.content is None:
            return vectors
        told: Tensor = self.told(self.content.index_select(0, row))
        return vectors + told

    def everything(self) -> Tensor:
        """All vectors: (n_items, dim)."""
        if self.told is None or self.content is None:
            return self.own
        told: Tensor = self.told(self.content)
        return self.own + told


class Hearing(nn.Module):
    """What a request says, as it moves the query: it begins at nothing, as what is not said is."""

    def __init__(self, dim: int, sides: Iterable[str], n_words: int) -> None:
        """``sides`` have names by code; ``n_words`` is the length of the vectors of words, or 0."""
        super().__init__()
        self.named = nn.ModuleDict({side: _silent(MOST_NAMES, dim) for side in sides})
        self.words = nn.Linear(n_words, dim, bias=False) if n_words else None
        if self.words is not None:
            nn.init.zeros_(self.words.weight)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The sides it hears."""
        return (*self.named, *(() if self.words is None else ("words",)))

    def forward(self, state: Tensor, said: Mapping[str, Tensor]) -> Tensor:
        """The states (T, dim) moved by what is ``said``: codes (T,), of words vectors (T, c)."""
        for side, table in self.named.items():
            if side in said:
                state = state + table(said[side])
        if self.words is not None and "words" in said:
            state = state + self.words(said["words"])
        return state


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
        prices: bool = False,
        sides: Iterable[str] = (),
        n_words: int = 0,
    ) -> None:
        """``content`` (n_items, c) is what is told of items; what has no table is not read.

        Of requests ``sides`` are heard, and the words where their vectors have ``n_words`` numbers.
        """
        super().__init__()
        self.config = config
        self.items = ItemTable(n_items, config.dim, content)
        self.kind = _small(N_KINDS, config.dim) if kinds else None
        self.gap = _small(GAP_STEPS, config.dim) if gaps else None
        self.waiting = _small(GAP_STEPS, config.dim) if gaps else None
        sides = tuple(sides)
        self.hearing = Hearing(config.dim, sides, n_words) if sides or n_words else None
        masked = config.encoder == "bidirectional"
        self.mask = nn.Parameter(torch.randn(config.dim) * 0.05) if masked else None
        self.layers = nn.ModuleList([layer_of(config) for _ in range(config.layers)])
        self.after = nn.LayerNorm(config.dim)
        self.decoder = Decoder(config) if config.encoder == "encoder-decoder" else None
        self._begin()
        with torch.random.fork_rng():  # what is drawn from here on is as without these
            heads = config.head_weights.any
            self.heads = Heads(config, kinds=kinds, gaps=gaps) if heads else None
            self.price = _silent(config.price_steps + 1, config.dim) if prices else None

    def _begin(self) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) and name.startswith(("layers.", "decoder.")):
                nn.init.xavier_normal_(module.weight, gain=0.7)
                nn.init.zeros_(module.bias)

    @property
    def size(self) -> int:
        """Numbers it has learnt."""
        return sum(parameter.numel() for parameter in self.parameters())

    def read(
        self,
        vectors: Tensor,
        beside: Inputs,
        groups: tuple[PackedGroup, ...],
        hidden: Tensor | None = None,
    ) -> Tensor:
        """The state (T, dim) after each of T flat tokens, whose items have these ``vectors``.

        Of ``hidden`` (T,) tokens nothing is read but where they stand.
        """
        x = self.joined(vectors, beside)
        if self.mask is not None and hidden is not None:
            x = torch.where(hidden[:, None], self.mask, x)
        x = fn.dropout(x, self.config.input_dropout, self.training)
        for layer in self._stack():
            x = layer.forward(x, groups)
        normed: Tensor = self.after(x)
        return normed

    def _stack(self) -> list[Layer]:
        return [cast("Layer", layer) for layer in self.layers]

    def joined(self, vectors: Tensor, beside: Inputs) -> Tensor:
        """Item vectors (..., dim) with what stands beside them added."""
        x = vectors
        tables = (self.kind, self.gap, self.price)
        for table, code in zip(tables, (beside.kind, beside.gap, beside.price), strict=True):
            if table is not None and code is not None:
                x = x + table(code)
        return x

    def wanted(
        self, state: Tensor, waiting: Tensor | None, said: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Queries (T, dim): their products with unit item vectors are the scores.

        ``waiting`` (T,) are steps of the time from the action until the request, ``said`` is what
        the request says of how it comes.
        """
        if self.waiting is not None and waiting is not None:
            state = state + self.waiting(waiting)
        if self.hearing is not None and said:
            state = self.hearing(state, said)
        return fn.normalize(state, dim=-1) / self.config.loss.temperature

    def expected(
        self,
        vectors: Tensor,
        end: Tensor,
        beside: Inputs,
        waiting: Tensor | None,
        chosen: Tensor | None = None,
        said: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """The queries (B, dim) of padded rows: vectors (B, L, dim), the last token at ``end``.

        Where a decoder generates, ``chosen`` (B, K, dim) are the vectors of the list so far, and
        what is asked is the item in its next place.
        """
        return self.wanted(self.held(vectors, end, beside, chosen), waiting, said)

    def held(
        self, vectors: Tensor, end: Tensor, beside: Inputs, chosen: Tensor | None = None
    ) -> Tensor:
        """The states (B, dim) after padded rows, as ``expected`` reads them."""
        x = self.joined(vectors, beside)
        if self.decoder is not None:
            return self._next_in_list(x, end, x[:, :0] if chosen is None else chosen)
        if self.mask is not None:
            x, end = _asking(x, end, self.mask)
        *before, last = self._stack()
        for layer in before:
            x = layer.padded(x, end)
        normed: Tensor = self.after(last.at_end(x, end))
        return normed

    def _next_in_list(self, x: Tensor, end: Tensor, chosen: Tensor) -> Tensor:
        """The states (B, dim) that ask for what follows ``chosen``, read beside rows ``x``."""
        assert self.decoder is not None
        n_rows, length, dim = x.shape
        for layer in self._stack():
            x = layer.padded(x, end)
        whole = PackedGroup(0, n_rows * length, n_rows, length, None, end + 1)
        past = self.after(x)
        last = past[torch.arange(n_rows, device=x.device), end]
        states: Tensor = self.decoder(past.reshape(n_rows * length, dim), last, (whole,), chosen)
        return states[:, -1]

    def item_vectors(self) -> Tensor:
        """Unit vectors (n_items, dim) of all items."""
        return fn.normalize(self.items.everything(), dim=1)


def _asking(x: Tensor, end: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (B, L + 1, dim) with a hidden token after the last, and its place (B,)."""
    x = torch.cat([x, torch.zeros_like(x[:, :1])], dim=1)
    place = torch.arange(x.shape[1], device=x.device)
    asked = place[None, :] == (end + 1)[:, None]
    return torch.where(asked[:, :, None], mask, x), end + 1


def _small(n: int, dim: int) -> nn.Embedding:
    table = nn.Embedding(n, dim)
    nn.init.normal_(table.weight, std=0.05 / math.sqrt(2))
    return table


def _silent(n: int, dim: int) -> nn.Embedding:
    """Vectors that begin at nothing; the first stays there."""
    table = nn.Embedding(n, dim, padding_idx=0)
    nn.init.zeros_(table.weight)
    return table
