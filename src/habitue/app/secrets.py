"""The secrets a shop makes for itself, and what it must find again to erase it: beside its keys."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from habitue.errors import BadSetting
from habitue.privacy.erasure import RejectFiles
from habitue.privacy.secret_files import locked, read_secret, write_secret
from habitue.privacy.tokens import FollowedTokens, ShopperTokens
from habitue.settings import Settings

__all__ = ["cursor_key", "reject_files", "shopper_tokens", "token_secret"]

_CURSOR_BYTES: Final = 32


def shopper_tokens(settings: Settings) -> FollowedTokens:
    """What signs shopper tokens: a file beside the keys, made at first use."""
    return FollowedTokens(_beside(settings, ".tokens.json"))


def token_secret(settings: Settings, *, rotate: bool) -> tuple[str, str]:
    """What shopper tokens are signed with: its key id, and itself in hexadecimal.

    With ``rotate`` a new one, made now. Tokens that the secret before has signed stay valid till
    they expire.
    """
    path = _beside(settings, ".tokens.json")
    first = not path.exists()
    made = ShopperTokens.rotate(path) if rotate and not first else ShopperTokens.open(path)
    return made.signing_secret


def cursor_key(settings: Settings) -> bytes:
    """What seals page tokens: a secret of its own beside the keys, so that it never rotates."""
    path = _beside(settings, ".pages.key")
    with locked(path):
        kept = read_secret(path)
        if kept is None:
            kept = secrets.token_hex(_CURSOR_BYTES).encode()
            write_secret(path, kept)
    try:
        return bytes.fromhex(kept.decode())
    except ValueError:
        raise BadSetting(f"{path} is damaged.", remedy="Remove it: a new one is made.") from None


def reject_files(settings: Settings) -> RejectFiles:
    """Where refused rows were written, so that forgetting a shopper reaches them."""
    return RejectFiles(_beside(settings, ".rejects.json"))


def _beside(settings: Settings, suffix: str) -> Path:
    return settings.server.keys_file.with_suffix(suffix)
