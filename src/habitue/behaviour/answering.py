"""What a network holds where the questions of a lesson are asked, whatever reads the actions."""

from __future__ import annotations

import torch
from torch import Tensor

from habitue.behaviour.layers import groups_of
from habitue.behaviour.lessons import Lesson
from habitue.behaviour.network import Inputs, Network

__all__ = ["states_of"]


def states_of(
    network: Network, vectors: Tensor, beside: Inputs, lesson: Lesson, right: Tensor
) -> Tensor:
    """The states (Q, dim) that answer the questions; ``right`` (Q, dim) are the answers.

    ``vectors`` (T, dim) are those of the items read.
    """
    device = vectors.device
    groups = groups_of(lesson.batch, device)
    if lesson.hidden is not None:
        hidden = torch.from_numpy(lesson.hidden).to(device)
        at = torch.from_numpy(lesson.at).to(device)
        return network.read(vectors, beside, groups, hidden)[at]
    state = network.read(vectors, beside, groups)
    listed, decoder = lesson.listed, network.decoder
    if listed is None or decoder is None:
        return state
    place = torch.from_numpy(listed.place).to(device)
    room = right.new_zeros(len(lesson.batch.end) * listed.n_slots, right.shape[1])
    chosen = room.index_copy(0, place, right).view(-1, listed.n_slots, right.shape[1])[:, :-1]
    last = state.index_select(0, torch.from_numpy(lesson.batch.end).to(device))
    asked: Tensor = decoder(state, last, groups, chosen)
    return asked.reshape(-1, right.shape[1]).index_select(0, place)
