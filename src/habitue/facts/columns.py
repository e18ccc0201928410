"""Actions as an Arrow table with text ids: what imports make and stores take in bulk."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

__all__ = ["ACTION_TEXT"]

ACTION_TEXT: Final = pa.schema(
    [
        ("id", pa.string()),
        ("at", pa.int64()),  # UTC milliseconds
        ("kind", pa.string()),
        ("shopper", pa.string()),
        ("item", pa.string()),
        ("quantity", pa.float64()),
        ("price_micros", pa.int64()),
        ("value_minor", pa.int64()),
        ("currency", pa.string()),
        ("order_id", pa.string()),
        ("surface", pa.string()),
        ("slate_id", pa.string()),
        ("slot", pa.int64()),
        ("session_id", pa.string()),
        ("platform", pa.string()),
        ("device", pa.string()),
        ("locale", pa.string()),
        ("query", pa.string()),
        ("rating", pa.float64()),
        ("text", pa.string()),
        ("seconds", pa.float64()),
        ("score", pa.float64()),
        ("coupon", pa.string()),
        ("extra", pa.string()),  # JSON
    ]
)
"""The fields of ``Action``; columns nobody filled may be absent."""
