"""Sending messages, and the page behind the link that ends them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from html import escape

import msgspec

from habitue.api.ask import Ask, Reply
from habitue.api.contract import Shop
from habitue.api.facts import JsonBody
from habitue.api.gate import Gate
from habitue.api.operation import Example, Operation
from habitue.api.rows import decode
from habitue.settings import Settings
from habitue.surfaces.messages import Campaign, Sent

__all__ = ["MessagesDoor", "message_operations"]

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Campaign)
_HTML = b"text/html; charset=utf-8"
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; form-action 'self'"),
)
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Messages</title>
{body}
</html>
"""


_EXAMPLE = Example(
    "Who has been away for a month hears of what goes with their taste",
    {
        "id": "back-2025-07",
        "subject": "{{ items[0].title }} and {{ items | length - 1 }} more",
        "text": "{% for item in items %}{{ item.title }} {{ item.link }}\n{% endfor %}\n"
        "No more messages: {{ unsubscribe }}",
        "segment": "days_since_action > 30 and purchases >= 1",
        "n": 4,
    },
)


@dataclass(frozen=True, slots=True)
class MessagesDoor:
    """Answers ``POST /v1/messages`` and ``/v1/unsubscribe``."""

    body: JsonBody
    shop: Shop

    async def send(self, ask: Ask) -> Reply:
        """Send a campaign, or what is left of it."""
        campaign = decode(_decoder, await self.body.read(ask))
        return Reply(200, _encode(await asyncio.to_thread(self.shop.send, campaign)))

    async def ask(self, ask: Ask) -> Reply:
        """A page with the button that ends messages: opening a link must not do it."""
        token = escape(ask.query("token"), quote=True)
        form = (
            f'<form method="post" action="?token={token}">'
            "<p>Do you want no more messages?</p><button>No more messages</button></form>"
        )
        return Reply(200, _PAGE.format(body=form).encode(), _HTML, _HEADERS)

    async def end(self, ask: Ask) -> Reply:
        """End messages for whoever the link was made for (RFC 8058 one-click, and the button)."""
        await asyncio.to_thread(self.shop.unsubscribe, ask.query("token"))
        said = "<p>You will get no more messages.</p>"
        return Reply(200, _PAGE.format(body=said).encode(), _HTML, _HEADERS)


def message_operations(shop: Shop, settings: Settings, gate: Gate) -> list[Operation]:
    """How messages are sent, and ended."""
    door = MessagesDoor(JsonBody(settings.limits), shop)
    return [
        Operation(
            name="send_messages",
            method="POST",
            path="/v1/messages",
            summary="Send a campaign to those who allow messages",
            description="Answered when it is done, or when it has become quiet. Sent again under "
            "the same id it goes on where it stopped; nobody gets it twice.",
            answer=door.send,
            gate=gate,
            needs="server",
            takes=Campaign,
            gives={200: Sent},
            examples=(_EXAMPLE,),
            tag="messages",
        ),
        Operation(
            name="ask_to_unsubscribe",
            method="GET",
            path="/v1/unsubscribe",
            summary="The page behind the link to unsubscribe (?token=…)",
            answer=door.ask,
            gate=gate,
            needs=None,
            gives={200: "text/html"},
            tag="messages",
        ),
        Operation(
            name="unsubscribe",
            method="POST",
            path="/v1/unsubscribe",
            summary="End messages for whoever the link (?token=…) was made for",
            answer=door.end,
            gate=gate,
            needs=None,
            gives={200: "text/html"},
            problems=(401,),
            tag="messages",
        ),
    ]
