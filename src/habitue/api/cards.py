"""What a page needs to show items: their titles, links, pictures and prices, as they are now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec

from habitue.api.ask import Ask, Reply
from habitue.api.contract import Shop
from habitue.api.facts import JsonBody
from habitue.api.rows import decode
from habitue.api.wire import Card, CardsAnswer, CardsBody
from habitue.facts import Item

__all__ = ["CardsDoor"]

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(CardsBody)


@dataclass(frozen=True, slots=True)
class CardsDoor:
    """Answers ``POST /v1/cards``."""

    body: JsonBody
    shop: Shop

    async def answer(self, ask: Ask) -> Reply:
        """A card for each item that is sold; the others are left out."""
        wanted = decode(_decoder, await self.body.read(ask)).items
        items = await asyncio.to_thread(self.shop.items, wanted, now_ms=ask.now_ms)
        cards = [_card(item) for item in items if item is not None]
        return Reply(200, _encode(CardsAnswer(cards)))


def _card(item: Item) -> Card:
    return Card(
        id=item.id,
        title=item.title,
        link=item.link,
        image_link=item.image_link,
        brand=item.brand,
        price_micros=item.price_micros,
        sale_price_micros=item.sale_price_micros,
        currency=item.currency,
        availability="out_of_stock" if item.stock == 0 else item.availability,
    )
