"""Ids of facts packed small, and the names of shoppers and items remembered within bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Generic, TypeVar

import numpy as np

__all__ = ["KeyCache", "pack_ids", "packed_bytes", "unpack_bytes", "unpack_id"]

UUID_LENGTH: Final = 36
_UUID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEX: Final = np.array([i for i in range(UUID_LENGTH) if i not in (8, 13, 18, 23)])
_DASHES: Final = np.array([8, 13, 18, 23])
_NIBBLE: Final = np.full(256, 255, np.uint8)
_NIBBLE[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16, dtype=np.uint8)

T = TypeVar("T")


def pack_ids(ids: Sequence[str]) -> list[bytearray | str]:
    """Ids as SQLite keeps them: 16 bytes for a UUID in its usual lower-case form, else the text.

    A blob and a text are never equal in SQLite, so no two ids meet. Sixteen bytes instead of 36
    halve the index, and an index that fits in memory is what random ids cost or save.

    >>> pack_ids(["018bcfe5-6800-7000-8000-000000000001", "till-7"])[1]
    'till-7'
    """
    if set(map(len, ids)) == {UUID_LENGTH}:
        packed = _pack_uuids(ids)
        if packed is not None:
            return packed
    return [
        bytearray.fromhex(i.replace("-", "")) if len(i) == 36 and _UUID.fullmatch(i) else i
        for i in ids
    ]


def _pack_uuids(ids: Sequence[str]) -> list[bytearray | str] | None:
    """All ids as UUIDs in a few array steps; ``None`` when one of them is none."""
    try:
        text = np.frombuffer("".join(ids).encode("ascii"), np.uint8).reshape(-1, UUID_LENGTH)
    except UnicodeEncodeError:
        return None
    nibbles = _NIBBLE[text[:, _HEX]]  # (n, 32)
    if nibbles.max() > 15 or (text[:, _DASHES] != ord("-")).any():
        return None
    whole = bytearray((nibbles[:, 0::2] << 4 | nibbles[:, 1::2]).tobytes())
    return [whole[i : i + 16] for i in range(0, len(whole), 16)]


def unpack_id(packed: bytes | str) -> str:
    """The id that ``pack_ids`` packed.

    >>> unpack_id(bytes(pack_ids(["018bcfe5-6800-7000-8000-000000000001"])[0]))
    '018bcfe5-6800-7000-8000-000000000001'
    """
    if isinstance(packed, str):
        return packed
    text = packed.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def packed_bytes(packed: bytearray | bytes | str) -> bytes:
    """A packed id as bytes alone, for PostgreSQL: a UUID stands behind a NUL, which no id holds."""
    return packed.encode() if isinstance(packed, str) else b"\0" + bytes(packed)


def unpack_bytes(packed: bytes) -> str:
    """The id that ``packed_bytes`` wrote.

    >>> [unpack_bytes(packed_bytes(p)) for p in pack_ids(["till-7"])]
    ['till-7']
    """
    return unpack_id(packed[1:]) if packed[:1] == b"\0" else packed.decode()


class KeyCache(Generic[T]):
    """Names and what is known of them, the lately used ones: at most ``2 * half`` entries.

    Two dictionaries: a new one fills while the old one still answers; when it is full it becomes
    the old one. That keeps what is used without bookkeeping on every hit.
    """

    __slots__ = ("_half", "_new", "_old")

    def __init__(self, half: int = 250_000) -> None:
        self._half = half
        self._new: dict[str, T] = {}
        self._old: dict[str, T] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def get_many(self, names: Sequence[str]) -> list[T | None]:
        """What is known of each name; ``None`` where nothing is."""
        found = list(map(self._new.get, names))
        if None in found and self._old:
            for place, value in enumerate(found):
                if value is None and (old := self._old.get(names[place])) is not None:
                    found[place] = old
                    self._new[names[place]] = old
            self._turn()
        return found

    def put(self, pairs: Iterable[tuple[str, T]]) -> None:
        """Remember these."""
        self._new.update(pairs)
        self._turn()

    def clear(self) -> None:
        """Forget everything."""
        self._new, self._old = {}, {}

    def _turn(self) -> None:
        if len(self._new) > self._half:
            self._old, self._new = self._new, {}
