"""Where is it kept? Facts on SQLite and PostgreSQL, live state in memory and Redis, snapshots."""

from habitue.store.contract import (
    ActionColumns,
    Appended,
    Erased,
    FactKind,
    FactStore,
    LiveState,
    Recent,
    Rejection,
    Stored,
)

__all__ = [
    "ActionColumns",
    "Appended",
    "Erased",
    "FactKind",
    "FactStore",
    "LiveState",
    "Recent",
    "Rejection",
    "Stored",
]
