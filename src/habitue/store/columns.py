"""The Arrow columns of ``FactStore.scan``, by kind of fact."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["ACTION", "ITEM"]

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
