"""Links by which whoever gets a message ends them: signed, good for ever, and for nothing else."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from hashlib import sha256
from typing import Final

from habitue.errors import Unauthorised

__all__ = ["shopper_of", "unsubscribe_token"]

_SEAL_BYTES: Final = 16
_LONGEST: Final = 2_000


def unsubscribe_token(shopper: str, key: bytes) -> str:
    """The token for a shopper.

    >>> shopper_of(unsubscribe_token("ana", b"k"), b"k")
    'ana'
    """
    name = shopper.encode()
    return urlsafe_b64encode(_seal(name, key) + name).rstrip(b"=").decode()


def shopper_of(token: str, key: bytes) -> str:
    """The shopper a token was made for; raises ``Unauthorised`` for any other text."""
    try:
        whole = urlsafe_b64decode(token[:_LONGEST] + "=" * (-len(token[:_LONGEST]) % 4))
        seal, name = whole[:_SEAL_BYTES], whole[_SEAL_BYTES:]
        if name and hmac.compare_digest(seal, _seal(name, key)):
            return name.decode()
    except (NotBase64, ValueError):
        pass
    raise Unauthorised(
        "This link to unsubscribe was not made by this shop.",
        remedy="Open the link in the message as it is.",
    )


def _seal(name: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"habitue-unsubscribe\0" + name, sha256)[:_SEAL_BYTES]
