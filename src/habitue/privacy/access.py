"""Access: everything held of a person, as one JSON document they can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from habitue.facts.facts import Purpose
from habitue.facts.time import iso_of
from habitue.privacy.consent import PURPOSES, ConsentGate

__all__ = ["access_document"]

_INTERNAL = frozenset({"seq", "shopper_row", "item_row", "alias_row", "head_row", "tail_row"})


def access_document(
    held: Mapping[str, Sequence[Mapping[str, object]]],
    gate: ConsentGate,
    *,
    shopper_row: int,
    now_ms: int,
) -> bytes:
    """The document of one person out of ``FactStore.export``.

    Times are ISO 8601, bodies are objects, and the numbers by which Habitué keeps rows are left
    out: they mean nothing to the person. ``allowed`` says which purposes count as allowed now.
    """
    names = [row["id"] for row in held.get("name", ()) if row["id"] is not None]
    allowed: dict[Purpose, bool] = {p: gate.allows(shopper_row, p) for p in PURPOSES}
    document = {
        "made_at": iso_of(now_ms),
        "known_as": names,
        "allowed": allowed,
        "held": {
            kind: [_readable(row) for row in rows] for kind, rows in held.items() if kind != "name"
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def _readable(row: Mapping[str, object]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, value in row.items():
        if name in _INTERNAL or value is None:
            continue
        if name.endswith("_ms") and isinstance(value, int):
            said[name.removesuffix("_ms")] = iso_of(value)
        elif name in ("body", "extra", "granted", "denied") and isinstance(value, str):
            said[name] = msgspec.json.decode(value)
        else:
            said[name] = value
    return said
