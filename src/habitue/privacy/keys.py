"""API keys: made once, shown once, kept only as hashes.

A key is ``hb_<scope>_<43 random characters>``: 256 bits of randomness, so a plain SHA-256 of it
cannot be turned back and needs no slow hash.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import msgspec

from habitue.errors import BadInput, BadSetting, Conflict, NotFound, SchemaTooNew
from habitue.privacy.secret_files import locked, read_secret, write_secret

__all__ = ["Caller", "KeyEntry", "Keyring", "Scope"]

Scope = Literal["browser", "server", "admin"]
"""What a key may do: a page's events and slates; all of the shop's; keys and models too."""

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the name of a key, never the key itself."""

    name: str
    scope: Scope


class KeyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a key."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}$")]
    scope: Scope
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    created_ms: int
    revoked_ms: int | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int = _VERSION
    keys: list[KeyEntry] = []


class Keyring:
    """The keys of a shop in one file of mode 0600, read again whenever it changes.

    A key made or revoked by another process counts from the next request on. When the file is
    removed while the server runs, the keys last read stay valid: to be without keys is a decision,
    not an accident.
    """

    def __init__(self, path: Path) -> None:
        """Raises ``BadSetting`` when the file is damaged or others may read it."""
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._active: tuple[tuple[bytes, Caller], ...] = ()
        self._renew()

    def find(self, key: str) -> Caller | None:
        """Whose key this is; ``None`` for one that is wrong or revoked.

        Every key is compared in full, so the time taken tells nothing of which one came close.
        """
        self._renew()
        presented = sha256(key.encode(errors="replace")).digest()
        found: Caller | None = None
        for digest, caller in self._active:
            if compare_digest(digest, presented):
                found = caller
        return found

    def __len__(self) -> int:
        """How many keys are valid."""
        self._renew()
        return len(self._active)

    def add(self, name: str, scope: Scope, *, now_ms: int) -> str:
        """Make a key and return it: the only time it can be read.

        Raises ``Conflict`` when a valid key has this name.
        """
        if scope not in get_args(Scope):
            raise BadInput(f"{scope!r} is no scope.", remedy="Use browser, server or admin.")
        key = f"hb_{scope}_{secrets.token_urlsafe(32)}"
        entry = {
            "name": name,
            "scope": scope,
            "sha256": sha256(key.encode()).hexdigest(),
            "created_ms": now_ms,
        }
        try:
            made = msgspec.convert(entry, KeyEntry)
        except msgspec.ValidationError:
            raise BadInput(
                f"{name!r} cannot name a key.",
                remedy="Use up to 60 letters, digits, blanks, points, dashes.",
                field="name",
            ) from None
        with locked(self._path):
            entries = self.entries()
            if any(entry.name == name and entry.revoked_ms is None for entry in entries):
                raise Conflict(f"There is a key {name!r} already.", remedy="Revoke it first.")
            self._write([*entries, made])
        self._renew()
        return key

    def revoke(self, name: str, *, now_ms: int) -> None:
        """End a key's validity; raises ``NotFound`` when no valid key has this name."""
        with locked(self._path):
            entries = self.entries()
            kept = [
                msgspec.structs.replace(entry, revoked_ms=now_ms)
                if entry.name == name and entry.revoked_ms is None
                else entry
                for entry in entries
            ]
            if kept == entries:
                raise NotFound(f"There is no valid key {name!r}.")
            self._write(kept)
        self._renew()

    def entries(self) -> list[KeyEntry]:
        """Every key ever made here, revoked ones too, oldest first."""
        content = read_secret(self._path)
        if content is None:
            return []
        try:
            file = msgspec.json.decode(content, type=_File)
        except msgspec.DecodeError as error:
            raise BadSetting(
                f"{self._path} is damaged: {error}.",
                remedy="Put back a copy, or remove it and make new keys.",
            ) from None
        if file.version > _VERSION:
            raise SchemaTooNew(
                f"{self._path} was written by a newer Habitué.", remedy="Upgrade Habitué."
            )
        return file.keys

    def _write(self, entries: list[KeyEntry]) -> None:
        write_secret(self._path, msgspec.json.format(msgspec.json.encode(_File(keys=entries))))

    def _renew(self) -> None:
        try:
            now = self._path.stat()
        except OSError:
            return
        seen = (now.st_mtime_ns, now.st_ino, now.st_size)
        if seen == self._seen:
            return
        with self._lock:
            self._active = tuple(
                (bytes.fromhex(entry.sha256), Caller(entry.name, entry.scope))
                for entry in self.entries()
                if entry.revoked_ms is None
            )
            self._seen = seen
