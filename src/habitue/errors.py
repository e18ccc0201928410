"""What can go wrong, as one tree.

::

    HabitueError
    ├── BadInput              the caller's data is wrong: says where, and what to do
    │   ├── BadSetting        a key of habitue.toml, the environment or a config
    │   ├── BadMapping        a mapping file that does not fit its table
    │   └── BadFilter         a filter expression that cannot be read
    ├── Conflict              the same id was sent before with another body
    ├── NotFound              an item, shopper, slate or snapshot nobody knows
    ├── Refused               the caller may not do this
    │   ├── Unauthorised      no key, a wrong key, or a key without this scope
    │   ├── ConsentMissing    the shopper has not allowed this purpose
    │   └── TooMany           over the rate limit or the body limit
    ├── StoreError            facts or live state cannot be read or written
    │   ├── Unavailable       the store does not answer now; the same call may work later
    │   └── SchemaTooNew      written by a newer Habitué than this one
    ├── SnapshotError         a snapshot cannot be used
    │   └── SnapshotRefused   it failed its checks, and says which
    └── MissingPiece          an optional dependency or service is absent: says how to get it
"""

from __future__ import annotations

__all__ = [
    "BadFilter",
    "BadInput",
    "BadMapping",
    "BadSetting",
    "Conflict",
    "ConsentMissing",
    "HabitueError",
    "MissingPiece",
    "NotFound",
    "Refused",
    "SchemaTooNew",
    "SnapshotError",
    "SnapshotRefused",
    "StoreError",
    "TooMany",
    "Unauthorised",
    "Unavailable",
]


class HabitueError(Exception):
    """Every error Habitué raises on purpose.

    ``message`` says what was wrong and where; ``remedy`` says what to do about it.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message if not remedy else f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


class BadInput(HabitueError):
    """The caller's data is wrong; ``field`` and ``row`` say where (row counts from 0)."""

    def __init__(
        self, message: str, *, remedy: str = "", field: str | None = None, row: int | None = None
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.field = field
        self.row = row


class BadSetting(BadInput):
    """A key of ``habitue.toml``, of the environment or of a config is wrong."""


class BadMapping(BadInput):
    """A mapping file does not fit the table it is used on."""


class BadFilter(BadInput):
    """A filter expression cannot be read."""


class Conflict(HabitueError):
    """The same id was sent before with another body."""


class NotFound(HabitueError):
    """An item, shopper, slate or snapshot nobody knows."""


class Refused(HabitueError):
    """The caller may not do this."""


class Unauthorised(Refused):
    """No key, a wrong key, or a key without the scope this needs."""


class ConsentMissing(Refused):
    """The shopper has not allowed this purpose."""


class TooMany(Refused):
    """Over the rate limit or the body limit."""


class StoreError(HabitueError):
    """Facts or live state cannot be read or written."""


class Unavailable(StoreError):
    """The store does not answer now; the same call may work later."""


class SchemaTooNew(StoreError):
    """The store or snapshot was written by a newer Habitué than this one."""


class SnapshotError(HabitueError):
    """A snapshot cannot be used."""


class SnapshotRefused(SnapshotError):
    """A snapshot failed its checks; the message says which."""


class MissingPiece(HabitueError):
    """An optional dependency or service is absent; the remedy says how to get it."""
