"""The secrets a shop makes for itself, and what it must find again to erase it: beside its keys."""

from __future__ import annotations

from pathlib import Path

from habitue.privacy.erasure import RejectFiles
from habitue.privacy.tokens import ShopperTokens
from habitue.settings import Settings

__all__ = ["cursor_key", "reject_files", "shopper_tokens"]


def shopper_tokens(settings: Settings) -> ShopperTokens:
    """What signs shopper tokens: a file beside the keys, made at first use."""
    return ShopperTokens.open(_beside(settings, ".tokens.json"))


def cursor_key(settings: Settings) -> bytes:
    """What seals page tokens: the token secret, so that every worker reads every page."""
    return bytes.fromhex(shopper_tokens(settings).signing_secret[1])


def reject_files(settings: Settings) -> RejectFiles:
    """Where refused rows were written, so that forgetting a shopper reaches them."""
    return RejectFiles(_beside(settings, ".rejects.json"))


def _beside(settings: Settings, suffix: str) -> Path:
    return settings.server.keys_file.with_suffix(suffix)
