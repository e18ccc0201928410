"""Answering with slates."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from habitue.api.ask import Ask, Reply
from habitue.api.contract import Shop
from habitue.api.facts import JsonBody
from habitue.api.gate import Gate
from habitue.api.meters import Meters
from habitue.api.rows import decode
from habitue.surfaces import SurfaceRequest

__all__ = ["SlatesDoor"]

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(SurfaceRequest)


@dataclass(frozen=True, slots=True)
class SlatesDoor:
    """Answers ``POST /v1/recommend``."""

    body: JsonBody
    shop: Shop
    gate: Gate
    meters: Meters

    async def answer(self, ask: Ask) -> Reply:
        """One slate."""
        body = await self.body.read(ask)
        request = decode(_decoder, body)
        self.gate.check_shopper(ask, request.shopper)
        slate = self.shop.recommend(request, now_ms=ask.now_ms)
        self.meters.slate(slate.surface, slate.fallback, slate.snapshot)
        return Reply(200, _encode(slate))
