"""May we? Consent by purpose, keys and tokens, pseudonyms, erasure and access."""

from habitue.privacy.keys import Caller, Keyring, Scope
from habitue.privacy.tokens import ShopperTokens

__all__ = ["Caller", "Keyring", "Scope", "ShopperTokens"]
