"""A shopper's rights: see everything that is stored, and have it erased."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from habitue.api.ask import Ask, Reply
from habitue.api.contract import Shop
from habitue.api.problems import Problem
from habitue.api.wire import ErasedAnswer

__all__ = ["PeopleDoor", "shopper_of", "telling"]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class PeopleDoor:
    """Answers ``/v1/shoppers/{id}``."""

    shop: Shop

    async def export(self, ask: Ask) -> Reply:
        """All that is held of a shopper, as they can read it."""
        return Reply(200, await asyncio.to_thread(self.shop.export, shopper_of(ask)))

    async def erase(self, ask: Ask) -> Reply:
        """Erase a shopper everywhere."""
        erased = await asyncio.to_thread(self.shop.forget, shopper_of(ask))
        return Reply(200, _encode(ErasedAnswer(erased.rows)))


def shopper_of(ask: Ask) -> str:
    """The shopper a path names; a problem where it cannot be an id."""
    shopper: str = ask.scope["path_params"]["id"]
    if not 1 <= len(shopper) <= 200 or "\0" in shopper:
        raise Problem(422, "bad-input", "An id has 1 to 200 characters, none of them NUL.")
    return shopper


def telling(tell: Callable[..., object]) -> Callable[[Ask], Awaitable[Reply]]:
    """Answers with what ``tell`` says of the shopper a path names, as of now."""

    async def answer(ask: Ask) -> Reply:
        told = await asyncio.to_thread(tell, shopper_of(ask), now_ms=ask.now_ms)
        return Reply(200, _encode(told))

    return answer
