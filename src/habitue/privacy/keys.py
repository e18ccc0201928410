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
from typing import Annotated, Final, Literal, NamedTuple, get_args

import msgspec

from habitue.errors import BadInput, BadSetting, Conflict, NotFound, SchemaTooNew
from habitue.privacy.secret_files import locked, read_secret, write_secret

__all__ = ["Caller", "KeyEntry", "Keyring", "Scope"]

Scope = Literal["browser", "server", "admin"]
"""What a key may do: a page's events and slates; all of the shop's; keys and models too."""

_VERSION: Final = 1
_ALWAYS: Final = float("inf")


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
    expires_ms: int | None = None
    """When a key that was replaced ends."""

    def valid(self, now_ms: int) -> bool:
        """Whether the key opens anything now."""
        return self.revoked_ms is None and (self.expires_ms is None or now_ms < self.expires_ms)


class _Active(NamedTuple):
    digest: bytes
    caller: Caller
    until_ms: float


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
        self._active: tuple[_Active, ...] = ()
        self._used_ms: dict[bytes, int] = {}
        self._renew()

    def find(self, key: str, now_ms: int) -> Caller | None:
        """Whose key this is; ``None`` for one that is wrong, revoked, or replaced for too long.

        Every key is compared in full, so the time taken tells nothing of which one came close.
        """
        self._renew()
        presented = sha256(key.encode(errors="replace")).digest()
        found: _Active | None = None
        for one in self._active:
            if compare_digest(one.digest, presented):
                found = one
        if found is None or now_ms >= found.until_ms:
            return None
        self._used_ms[found.digest] = now_ms
        return found.caller

    def __len__(self) -> int:
        """How many keys are not revoked; one that was replaced counts though its time is over."""
        self._renew()
        return len(self._active)

    def add(self, name: str, scope: Scope, *, now_ms: int) -> str:
        """Make a key and return it: the only time it can be read.

        Raises ``Conflict`` when a valid key has this name.
        """
        if scope not in get_args(Scope):
            raise BadInput(f"{scope!r} is no scope.", remedy="Use browser, server or admin.")
        key, made = _made(name, scope, now_ms)
        with locked(self._path):
            entries = self.entries()
            if any(entry.name == name and entry.valid(now_ms) for entry in entries):
                raise Conflict(
                    f"There is a key {name!r} already.", remedy="Rotate it, or revoke it first."
                )
            self._write([*entries, made])
        self._renew()
        return key

    def rotate(self, name: str, *, overlap_ms: int, now_ms: int) -> str:
        """Replace a key by a new one of the same name and scope, and return that.

        The old one stays valid for ``overlap_ms`` more; one it had replaced itself ends now. Raises
        ``NotFound`` when no valid key has this name.
        """
        if overlap_ms < 0:
            raise BadInput("The old key cannot have ended before now.", field="overlap")
        with locked(self._path):
            entries = self.entries()
            current = [one for one in entries if one.name == name and one.expires_ms is None]
            current = [one for one in current if one.valid(now_ms)]
            if not current:
                raise NotFound(f"There is no valid key {name!r}.")
            key, made = _made(name, current[0].scope, now_ms)
            ended = [self._replaced(one, name, now_ms, overlap_ms) for one in entries]
            self._write([*ended, made])
        self._renew()
        return key

    @staticmethod
    def _replaced(entry: KeyEntry, name: str, now_ms: int, overlap_ms: int) -> KeyEntry:
        if entry.name != name or not entry.valid(now_ms):
            return entry
        if entry.expires_ms is not None:
            return msgspec.structs.replace(entry, expires_ms=now_ms)
        return msgspec.structs.replace(entry, expires_ms=now_ms + overlap_ms)

    def revoke(self, name: str, *, now_ms: int, replaced: bool = False) -> None:
        """End the validity of every key of this name, or of the ``replaced`` ones only, at once.

        Raises ``NotFound`` when there is none.
        """
        with locked(self._path):
            entries = self.entries()
            kept = [
                msgspec.structs.replace(entry, revoked_ms=now_ms)
                if entry.name == name
                and entry.valid(now_ms)
                and (entry.expires_ms is not None or not replaced)
                else entry
                for entry in entries
            ]
            if kept == entries:
                which = "replaced key" if replaced else "valid key"
                raise NotFound(f"There is no {which} {name!r}.")
            self._write(kept)
        self._renew()

    def stamp(self) -> None:
        """Write down when keys were last used here, for ``last_used`` of any process.

        Beside the keys, in a file of its own: it holds no more than hashes of the hashes.
        """
        used, self._used_ms = self._used_ms, {}
        if not used:
            return
        path = self._stamps
        with locked(path):
            held = _read_stamps(path)
            for digest, at_ms in used.items():
                name = sha256(digest).hexdigest()[:16]
                held[name] = max(at_ms, held.get(name, 0))
            write_secret(path, msgspec.json.encode(held))

    def last_used(self) -> dict[str, int]:
        """When each key was last used, by its ``sha256``, as far as it was stamped."""
        held = _read_stamps(self._stamps)
        names = {sha256(bytes.fromhex(one.sha256)).hexdigest()[:16]: one for one in self.entries()}
        return {entry.sha256: held[name] for name, entry in names.items() if name in held}

    @property
    def _stamps(self) -> Path:
        return self._path.with_suffix(".used.json")

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
                _Active(
                    bytes.fromhex(entry.sha256),
                    Caller(entry.name, entry.scope),
                    _ALWAYS if entry.expires_ms is None else entry.expires_ms,
                )
                for entry in self.entries()
                if entry.revoked_ms is None
            )
            self._seen = seen


def _made(name: str, scope: Scope, now_ms: int) -> tuple[str, KeyEntry]:
    """A new key, and what is kept of it."""
    key = f"hb_{scope}_{secrets.token_urlsafe(32)}"
    entry = {
        "name": name,
        "scope": scope,
        "sha256": sha256(key.encode()).hexdigest(),
        "created_ms": now_ms,
    }
    try:
        return key, msgspec.convert(entry, KeyEntry)
    except msgspec.ValidationError:
        raise BadInput(
            f"{name!r} cannot name a key.",
            remedy="Use up to 60 letters, digits, blanks, points, dashes.",
            field="name",
        ) from None


def _read_stamps(path: Path) -> dict[str, int]:
    """The stamps as far as they can be read: they are told, nothing rests on them."""
    content = read_secret(path)
    if content is None:
        return {}
    try:
        return msgspec.json.decode(content, type=dict[str, int])
    except msgspec.DecodeError:
        return {}
