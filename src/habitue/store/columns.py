"""The Arrow columns of ``FactStore.scan``, by kind of fact."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["ACTION", "ALIAS", "CONSENT", "ITEM", "LINK", "SHOPPER", "SHOWN"]

ACTION = pa.schema(
    [
        ("seq", pa.int64()),
        ("id", pa.string()),
        ("at_ms", pa.int64()),
        ("received_at_ms", pa.int64()),
        ("kind", pa.uint8()),
        ("shopper_row", pa.int32()),
        ("item_row", pa.int32()),  # -1 where there is none
        ("quantity", pa.float32()),
        ("price_micros", pa.int64()),
        ("value_minor", pa.int64()),
        ("currency", pa.string()),
        ("order_id", pa.string()),
        ("surface", pa.string()),
        ("slate_id", pa.string()),
        ("slot", pa.int32()),
        ("session_id", pa.string()),
        ("platform", pa.string()),
        ("device", pa.string()),
        ("locale", pa.string()),
        ("query", pa.string()),
        ("rating", pa.float32()),
        ("text", pa.string()),
        ("seconds", pa.float32()),
        ("score", pa.float32()),
        ("coupon", pa.string()),
        ("extra", pa.string()),  # JSON
    ]
)

ITEM = pa.schema(
    [
        ("seq", pa.int64()),
        ("item_row", pa.int32()),
        ("id", pa.string()),
        ("valid_from_ms", pa.int64()),
        ("received_at_ms", pa.int64()),
        ("deleted", pa.bool_()),
        ("body", pa.string()),  # the whole version as JSON
    ]
)

SHOPPER = pa.schema(
    [
        ("seq", pa.int64()),
        ("shopper_row", pa.int32()),
        ("at_ms", pa.int64()),
        ("received_at_ms", pa.int64()),
        ("body", pa.string()),  # JSON: country, locale, traits
    ]
)

LINK = pa.schema(
    [
        ("seq", pa.int64()),
        ("kind", pa.string()),
        ("head", pa.string()),  # null when the shopper was erased
        ("head_row", pa.int32()),  # shopper row of a friend or trust link, else -1
        ("relation", pa.string()),
        ("tail", pa.string()),
        ("tail_row", pa.int32()),
        ("weight", pa.float64()),
        ("deleted", pa.bool_()),
        ("at_ms", pa.int64()),
        ("received_at_ms", pa.int64()),
    ]
)

ALIAS = pa.schema(
    [
        ("seq", pa.int64()),
        ("shopper_row", pa.int32()),
        ("alias_row", pa.int32()),
        ("undo", pa.bool_()),
        ("at_ms", pa.int64()),
        ("received_at_ms", pa.int64()),
    ]
)

CONSENT = pa.schema(
    [
        ("seq", pa.int64()),
        ("shopper_row", pa.int32()),
        ("at_ms", pa.int64()),
        ("received_at_ms", pa.int64()),
        ("granted", pa.string()),  # JSON list of purposes
        ("denied", pa.string()),
    ]
)

SHOWN = pa.schema(
    [
        ("seq", pa.int64()),
        ("id", pa.string()),
        ("at_ms", pa.int64()),
        ("received_at_ms", pa.int64()),
        ("shopper_row", pa.int32()),  # -1 where nobody was known
        ("surface", pa.string()),
        ("snapshot", pa.string()),
        ("arm", pa.string()),
        ("first_slot", pa.int32()),
        ("fallback", pa.string()),
        ("body", pa.string()),  # JSON of a ShownBody
    ]
)
