"""Ids that sort by time, and ids that a resend derives again.

A store indexes facts by id; ids that grow with time land at the end of the index, which is several
times faster than ids scattered over it. ``uuid7`` makes such ids where the sender gave none;
``derived_id`` makes them out of what the fact says, so that the same fact sent twice is one fact.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from threading import Lock

__all__ = ["derived_id", "row_id_prefix", "uuid7", "uuid7s"]

_RANDOM_BITS = 74  # 12 of rand_a and 62 of rand_b in RFC 9562, section 5.7
_NODE_BITS = 48  # the last group of the text form: a batch counts within it
_VERSION_7 = 0x7 << 76
_VERSION_8 = 0x8 << 76
_VARIANT = 0b10 << 62
_LOW_62 = (1 << 62) - 1
_LOW_12 = (1 << 12) - 1

_lock = Lock()
_last = 0  # the highest 122-bit value handed out: 48 bits of time, 74 of counter


def uuid7(now_ms: int) -> str:
    """An id that sorts after every id this process made before (UUID version 7, RFC 9562).

    ``now_ms`` is UTC milliseconds. When it stands still or runs backwards, ids still grow.

    >>> first, second = uuid7(1_700_000_000_000), uuid7(1_600_000_000_000)
    >>> first < second, first[14], len(first)
    (True, '7', 36)
    """
    return uuid7s(now_ms, 1)[0]


def uuid7s(now_ms: int, n: int) -> list[str]:
    """``n`` ids in ascending order, as ``uuid7``, for one lock and one draw of randomness.

    Ids of one batch are neighbours: they are unique, not secret.

    >>> ids = uuid7s(1_700_000_000_000, 3)
    >>> ids == sorted(ids), len(set(ids))
    (True, 3)
    """
    if n <= 0:
        return []
    first = _reserve(now_ms, n)
    text = _text(first, _VERSION_7)
    prefix, node = text[:24], int(text[24:], 16)
    return [f"{prefix}{number:012x}" for number in range(node, node + n)]


def _reserve(now_ms: int, n: int) -> int:
    """The first of ``n`` successive values above the last, all with one prefix in their text."""
    global _last  # noqa: PLW0603  the one thing a process must remember: where it was
    fresh = (now_ms << _RANDOM_BITS) | (int.from_bytes(os.urandom(10)) >> 6)
    with _lock:
        first = fresh if fresh > _last else _last + 1
        node = first & ((1 << _NODE_BITS) - 1)
        if node + n > 1 << _NODE_BITS:  # would carry out of the last group: start the next one
            first += (1 << _NODE_BITS) - node
        _last = first + n - 1
    return first


def derived_id(at_ms: int, *parts: str | int | float | None) -> str:
    """The id of a fact that names itself: the same time and parts give the same id for ever.

    The form is a UUID of version 8 (RFC 9562, section 5.8): 48 bits of time, then 74 bits of
    BLAKE2b over the parts, so ids of a feed sort by time as those of ``uuid7`` do.

    >>> derived_id(1_700_000_000_000, "purchase", "T-1", 0)
    '018bcfe5-6800-8647-8560-b94237e5190a'
    """
    said = "\x1f".join("\x00" if part is None else str(part) for part in parts)
    digest = int.from_bytes(blake2b(said.encode(), digest_size=10).digest()) >> 6
    return _text((max(at_ms, 0) << _RANDOM_BITS) | digest, _VERSION_8)


def row_id_prefix(source: str, file_hash: str) -> str:
    """What the ids of a file's rows begin with; the row number in twelve digits completes them.

    The same rows of the same file give the same ids, so importing a file twice adds nothing. They
    have the form of UUIDs (version 8), which a store keeps in 16 bytes, and sort by row.

    >>> row_id_prefix("online-retail", "cf293b25e2a3cde5f516") + f"{17:012d}"
    '3a268d20-c381-8fdc-acb3-000000000017'
    """
    said = f"{source}\x1f{file_hash}".encode()
    high = int.from_bytes(blake2b(said, digest_size=10).digest()) >> 6 << _NODE_BITS
    return _text(high, _VERSION_8)[:24]


def _text(value: int, version: int) -> str:
    """The 122-bit value with its version and variant bits put in, in the usual text form."""
    rand_a, rand_b = (value >> 62) & _LOW_12, value & _LOW_62
    bits = ((value >> _RANDOM_BITS) << 80) | version | (rand_a << 64) | _VARIANT | rand_b
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _forget_in_child() -> None:
    """A forked worker draws its own randomness: carrying on from the parent would collide."""
    global _last, _lock
    _last, _lock = 0, Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
