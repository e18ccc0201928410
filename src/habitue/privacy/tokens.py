"""Shopper tokens: with one, a browser may speak for the shopper whom the shop's server named.

A token is ``hbt1.<key id>.<payload>.<signature>``: the payload is base64url of the JSON
``{"shopper": ..., "expires": <seconds since 1970>}``, the signature base64url of the HMAC-SHA256
over everything before it. Any language signs one in five lines.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import msgspec

from habitue.errors import BadInput, BadSetting, Unauthorised
from habitue.facts.facts import Id
from habitue.privacy.secret_files import locked, read_secret, write_secret

__all__ = ["FollowedTokens", "ShopperTokens"]

_FORM: Final = "hbt1"
_LONGEST: Final = 1_000
_KeyId = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,20}$")]


class _Payload(msgspec.Struct, forbid_unknown_fields=True):
    shopper: Id
    expires: int


class _File(msgspec.Struct, forbid_unknown_fields=True):
    signing: _KeyId
    secrets: dict[_KeyId, Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]]


_payload = msgspec.json.Decoder(_Payload)


class ShopperTokens:
    """Signs and reads tokens; several secrets may be valid while one replaces another."""

    def __init__(self, secret_of: Mapping[str, bytes], signing: str) -> None:
        """``secret_of`` maps key ids to secrets; ``signing`` names the one that signs."""
        self._secret_of = dict(secret_of)
        self._signing = signing

    @classmethod
    def open(cls, path: Path) -> ShopperTokens:
        """The secrets of a file of mode 0600, which is made with a first secret if absent."""
        with locked(path):
            file = _read(path)
            if file is None:
                file = _File("k1", {"k1": secrets.token_hex(32)})
                _write(path, file)
        return cls({k: bytes.fromhex(s) for k, s in file.secrets.items()}, file.signing)

    @classmethod
    def rotate(cls, path: Path) -> ShopperTokens:
        """Sign with a new secret from now on; tokens of the one before stay valid till they expire.

        Secrets older than that one are dropped.
        """
        with locked(path):
            file = _read(path)
            if file is None:
                raise BadSetting(f"{path} holds no secrets.", remedy="Start the server once.")
            number = int(file.signing[1:]) + 1 if file.signing[1:].isdigit() else 1
            fresh = f"k{number}"
            kept = {file.signing: file.secrets[file.signing], fresh: secrets.token_hex(32)}
            _write(path, _File(fresh, kept))
        return cls.open(path)

    @property
    def signing_secret(self) -> tuple[str, str]:
        """Key id and secret in hexadecimal, for the shop's own server to sign with."""
        return self._signing, self._secret_of[self._signing].hex()

    def sign(self, shopper: str, *, expires_ms: int) -> str:
        """A token for the shopper, valid until ``expires_ms`` (rounded up to the second).

        >>> tokens = ShopperTokens({"k1": bytes(32)}, "k1")
        >>> token = tokens.sign("s1", expires_ms=1_700_000_060_000)
        >>> tokens.shopper_of(token, now_ms=1_700_000_000_000)
        's1'
        """
        if not 1 <= len(shopper) <= 200:
            raise BadInput("A shopper id has 1 to 200 characters.", field="shopper")
        payload = msgspec.json.encode(_Payload(shopper, -(-expires_ms // 1000)))
        signed = f"{_FORM}.{self._signing}.{_base64(payload)}"
        return f"{signed}.{_base64(_sign(self._secret_of[self._signing], signed))}"

    def shopper_of(self, token: str, now_ms: int) -> str:
        """The shopper a token names; raises ``Unauthorised`` when forged, garbled or too old."""
        signed, _, signature = token.rpartition(".")
        parts = signed.split(".")
        if len(token) > _LONGEST or len(parts) != 3 or parts[0] != _FORM:
            raise Unauthorised(
                "That is no shopper token.", remedy="Send one that the shop's server signed."
            )
        secret = self._secret_of.get(parts[1])
        genuine = _base64(_sign(secret if secret is not None else bytes(32), signed))
        # an unknown key id is compared all the same: which ids exist is nobody's to measure;
        # as text, because several texts decode to the same bytes
        said = signature.rstrip("=").encode(errors="replace")
        if not hmac.compare_digest(genuine.encode(), said) or secret is None:
            raise Unauthorised(
                "The shopper token's signature is wrong.",
                remedy="Sign it with the shop's current token secret.",
            )
        try:
            payload = _payload.decode(_unbase64(parts[2]))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unauthorised(f"The shopper token cannot be read: {error}.") from None
        if now_ms >= payload.expires * 1000:
            raise Unauthorised(
                "The shopper token has expired.", remedy="Ask the shop's server for a new one."
            )
        return payload.shopper


class FollowedTokens:
    """The tokens of a file, read again whenever its secret has been rotated."""

    def __init__(self, path: Path) -> None:
        """Makes the file with a first secret where there is none; raises ``BadSetting``."""
        self._path = path
        self._tokens = ShopperTokens.open(path)
        self._seen = self._stat()

    def shopper_of(self, token: str, now_ms: int) -> str:
        """The shopper a token names; raises ``Unauthorised`` when forged, garbled or too old."""
        return self._now().shopper_of(token, now_ms)

    def sign(self, shopper: str, *, expires_ms: int) -> str:
        """A token for the shopper, valid until ``expires_ms`` (rounded up to the second)."""
        return self._now().sign(shopper, expires_ms=expires_ms)

    def _now(self) -> ShopperTokens:
        seen = self._stat()
        if seen is not None and seen != self._seen:
            self._tokens = ShopperTokens.open(self._path)
            self._seen = seen
        return self._tokens

    def _stat(self) -> tuple[int, int, int] | None:
        """What changes with the file; ``None``, and the secrets stay, while it is not there."""
        try:
            now = self._path.stat()
        except OSError:
            return None
        return now.st_mtime_ns, now.st_ino, now.st_size


def _read(path: Path) -> _File | None:
    content = read_secret(path)
    if content is None:
        return None
    try:
        file = msgspec.json.decode(content, type=_File)
    except msgspec.DecodeError as error:
        raise BadSetting(f"{path} is damaged: {error}.", remedy="Put back a copy.") from None
    if file.signing not in file.secrets:
        raise BadSetting(f"{path} names a signing secret it does not hold.")
    return file


def _write(path: Path, file: _File) -> None:
    write_secret(path, msgspec.json.format(msgspec.json.encode(file)))


def _sign(secret: bytes, signed: str) -> bytes:
    return hmac.digest(secret, signed.encode(errors="replace"), sha256)


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (NotBase64, ValueError):
        return b""
