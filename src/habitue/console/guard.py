"""Who may look at the console, and that its forms are sent from its own pages.

Without keys the console answers only this machine; with keys, whoever sends an admin key as the
password of HTTP Basic. A browser on this machine may hold hostile pages too, so that names
(DNS rebinding), origins and a token tied to a same-site cookie are checked as well.
"""

from __future__ import annotations

import base64
import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

__all__ = ["COOKIE", "HEADERS", "Guard"]

COOKIE: Final = "habitue_console"
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "font-src 'self'; img-src 'self' https: data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""On every page: nothing is fetched from elsewhere but pictures the shop's items link to."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets in, and tells own forms from forged ones."""

    keyed: Callable[[], bool]  # whether any API key is configured
    admits: Callable[[str], bool]  # whether a key has the scope admin

    def refusal(self, request: Request) -> Response | None:
        """The answer to whoever may not look; None for who may."""
        if self._local(request):
            return None
        if not self.keyed():
            return PlainTextResponse(
                "The console answers only this machine while there is no API key. "
                "Make one with `habitue keys create`.",
                403,
            )
        if self.admits(_password(request)):
            return None
        return PlainTextResponse(
            "The console needs an admin key as the password.",
            401,
            {"www-authenticate": 'Basic realm="Habitue console", charset="UTF-8"'},
        )

    def token(self, request: Request) -> str:
        """The token of this browser's forms: the one in its cookie, or a new one."""
        held = request.cookies.get(COOKIE, "")
        return held if len(held) == 43 and held.isascii() else secrets.token_urlsafe(32)

    def forged(self, request: Request, sent: str) -> bool:
        """Whether a form was not sent from one of our pages in this browser."""
        origin = request.headers.get("origin", "")
        host = request.headers.get("host", "")
        if origin and urlsplit(origin).netloc.lower() != host.lower():
            return True
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return True
        held = request.cookies.get(COOKIE, "")
        return not held or not secrets.compare_digest(held.encode(), sent.encode())

    def _local(self, request: Request) -> bool:
        """A program of this machine, asking for this machine by a name that means it."""
        if any(name in request.headers for name in _FORWARDED):
            return False
        peer = request.client.host if request.client else ""
        host = urlsplit("//" + request.headers.get("host", "")).hostname or ""
        return _loopback(peer) and _loopback(host)


def _loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _password(request: Request) -> str:
    kind, _, sent = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(sent, validate=True).decode().partition(":")[2]
    except ValueError:  # neither base64 nor text
        return ""
