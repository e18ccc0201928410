"""The next page of a slate: a token that says what earlier pages showed, so that nothing repeats.

The token holds the rows themselves (sorted, differences as variable-length numbers: about two bytes
an item), so pages go on across restarts and workers, and whatever changes in the shop between two
pages, no item comes twice. It is sealed with the server's key against tampering, and to the surface
and the shopper it was made for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from habitue.errors import BadInput

__all__ = ["MAX_SHOWN", "Page", "open_cursor", "seal_cursor"]

MAX_SHOWN: Final = 200
"""Items a slate shows over all its pages; after them there is no next page."""

_VERSION: Final = b"\x01"
_SEAL_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Page:
    """Where a page begins, and what earlier pages showed."""

    first_slot: int
    shown: tuple[int, ...]  # item rows, ascending


def seal_cursor(
    shown: Sequence[int], first_slot: int, *, surface: str, shopper: str | None, key: bytes
) -> str | None:
    """The token for the page that begins with ``first_slot``; ``None`` after ``MAX_SHOWN``."""
    if first_slot >= MAX_SHOWN:
        return None
    body = bytearray(_VERSION)
    _write(body, first_slot)
    before = 0
    for row in sorted(shown):
        step = row - before
        before = row
        while step >= 0x80:  # as ``_write``, without a call for each item
            body.append(step & 0x7F | 0x80)
            step >>= 7
        body.append(step)
    sealed = bytes(body) + _seal(bytes(body), surface, shopper, key)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def open_cursor(token: str, *, surface: str, shopper: str | None, key: bytes) -> Page:
    """What a token says; raises ``BadInput`` for one that was not made for this.

    >>> token = seal_cursor([7, 3], 2, surface="home", shopper="ana", key=b"k")
    >>> open_cursor(token, surface="home", shopper="ana", key=b"k")
    Page(first_slot=2, shown=(3, 7))
    """
    try:
        sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (ValueError, binascii.Error):
        sealed = b""
    body, seal = sealed[:-_SEAL_BYTES], sealed[-_SEAL_BYTES:]
    right = _seal(body, surface, shopper, key)
    if not body.startswith(_VERSION) or not hmac.compare_digest(seal, right):
        raise BadInput(
            "The page token was not made for this shopper and surface by this server.",
            remedy="Send next_page of the last answer as it is, with the same surface and shopper; "
            "or leave it out to start a new slate.",
            field="page",
        )
    numbers = _read(body[len(_VERSION) :])
    rows: list[int] = []
    for step in numbers[1:]:
        rows.append(step + (rows[-1] if rows else 0))
    return Page(numbers[0], tuple(rows))


def _seal(body: bytes, surface: str, shopper: str | None, key: bytes) -> bytes:
    whom = "\x00".join((surface, "-" if shopper is None else f"={shopper}")).encode()
    return hashlib.blake2b(
        body + b"\x00" + whom, digest_size=_SEAL_BYTES, key=key[:64], person=b"habitue-page"
    ).digest()


def _write(body: bytearray, number: int) -> None:
    while number >= 0x80:
        body.append(number & 0x7F | 0x80)
        number >>= 7
    body.append(number)


def _read(body: bytes) -> list[int]:
    numbers: list[int] = []
    number = shift = 0
    for byte in body:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    return numbers
