"""Softmax over many items with its gradient made in the same pass, a chunk of tokens at a time.

The logits of a chunk are the largest thing there is, (chunk, n): they are made once, turned into
probabilities in place, and used at once for the gradients of both sides. Against autograd's three
copies that saves half the time and all the memory. Cosines over a temperature cannot overflow, so
no largest logit is looked for: at 0.02 the largest term is e^50.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

__all__ = ["softmax_against_all", "softmax_against_sample"]

_CHUNK: Final = 512


class _Against(torch.autograd.Function):
    """Mean over tokens of ``-log(e^positive / (e^positive + sum e^(logits - correction)))``."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,  # (T, d)
        others: Tensor,  # (n, d)
        positive: Tensor,  # (T, d) the vectors of the targets
        correction: Tensor | None,  # (n,) log of how often each is expected; None: not a sample
        out_token: Tensor,  # (h,) tokens for which one of the others does not compete, ...
        out_place: Tensor,  # (h,) ... and which: the target itself is one
        half: bool,
    ) -> Tensor:
        dtype = torch.bfloat16 if half else torch.float32
        n_tokens = len(query)
        across = others.to(dtype)
        with_ones = torch.cat([across, across.new_ones(len(across), 1)], dim=1)
        to_query = torch.empty_like(query)
        to_others = torch.zeros_like(others)
        to_positive = torch.empty_like(positive)
        total = query.new_zeros(())
        for first in range(0, n_tokens, _CHUNK):
            last = min(first + _CHUNK, n_tokens)
            asked, right = query[first:last], positive[first:last]
            if correction is None:
                logits = asked.to(dtype) @ across.t()
            else:
                logits = torch.addmm((-correction).to(dtype), asked.to(dtype), across.t())
            logits.exp_()
            inside = (out_token >= first) & (out_token < last)
            logits[out_token[inside] - first, out_place[inside]] = 0
            summed = (logits @ with_ones).float()  # (chunk, d + 1): the last column is the sum
            own = (asked * right).sum(dim=1)
            e_own = own.exp()
            whole = summed[:, -1] + e_own
            total += (whole.log() - own).sum()
            share = (1.0 / (whole * n_tokens))[:, None]
            pull = (e_own / whole - 1.0)[:, None] / n_tokens
            to_query[first:last] = summed[:, :-1] * share + pull * right
            to_positive[first:last] = pull * asked
            to_others += (logits.t() @ (asked * share).to(dtype)).float()
        ctx.save_for_backward(to_query, to_others, to_positive)
        return total / n_tokens

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        to_query, to_others, to_positive = ctx.saved_tensors
        return (
            to_query * gradient, to_others * gradient, to_positive * gradient,
            None, None, None, None,
        )  # fmt: skip


def softmax_against_sample(
    query: Tensor,
    others: Tensor,
    positive: Tensor,
    correction: Tensor,
    out_token: Tensor,
    out_place: Tensor,
    *,
    half: bool,
) -> Tensor:
    """Cross-entropy of each token's target against the sampled ``others``, corrected.

    ``query`` and ``positive`` are (T, d), ``others`` (n, d) and ``correction`` (n,) the log of how
    often each is expected in a sample. For ``out_token`` the other at ``out_place`` does not
    compete: a token's target must be among them. Products must stay below 80.
    """
    loss: Tensor = _Against.apply(query, others, positive, correction, out_token, out_place, half)  # type: ignore[no-untyped-call]
    return loss


def softmax_against_all(
    query: Tensor,
    items: Tensor,
    target: Tensor,
    out_token: Tensor | None = None,
    out_item: Tensor | None = None,
    *,
    half: bool,
) -> Tensor:
    """Cross-entropy of each token's ``target`` (T,) among all ``items`` (n_items, d).

    For ``out_token`` the item ``out_item`` does not compete.
    """
    token, item = torch.arange(len(target), device=target.device), target
    if out_token is not None and out_item is not None:
        token, item = torch.cat([token, out_token]), torch.cat([item, out_item])
    loss: Tensor = _Against.apply(
        query, items, items.index_select(0, target), None, token, item, half
    )  # type: ignore[no-untyped-call]
    return loss
