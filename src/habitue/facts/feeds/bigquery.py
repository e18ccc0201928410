"""Events as GA4 exports them to BigQuery, and ``bq extract`` writes them: JSON lines or Parquet.

An exported event says what a Measurement Protocol body says, in another shape: parameters as
records of a key and a typed value, the visitor as ``user_pseudo_id``, the order within
``ecommerce``. So it becomes such a body, and the same facts as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from habitue.errors import BadInput
from habitue.facts.feeds.ga4 import SKIPPED_EVENTS, decode_ga4
from habitue.facts.feeds.habitue_json import Decoded

__all__ = ["decode_export", "export_lines"]

_NOT_SET: Final = frozenset({"", "(not set)"})
_ROWS: Final = 50_000


class _Value(msgspec.Struct):
    string_value: str | None = None
    int_value: int | None = None
    float_value: float | None = None
    double_value: float | None = None

    def said(self) -> str | int | float | None:
        """The one of the typed values that is set."""
        numbers = (self.int_value, self.float_value, self.double_value)
        return self.string_value or next((one for one in numbers if one is not None), None)


class _Param(msgspec.Struct):
    key: str
    value: _Value = msgspec.field(default_factory=_Value)


class _Device(msgspec.Struct):
    category: str | None = None
    language: str | None = None


class _Source(msgspec.Struct):
    manual_source: str | None = None
    manual_medium: str | None = None
    manual_campaign_name: str | None = None


class _Event(msgspec.Struct):
    event_name: str
    event_timestamp: int
    event_params: list[_Param] | None = None
    user_pseudo_id: str | None = None
    user_id: str | None = None
    items: list[dict[str, Any]] | None = None
    ecommerce: dict[str, Any] | None = None
    platform: str | None = None
    device: _Device | None = None
    collected_traffic_source: _Source | None = None


_event = msgspec.json.Decoder(_Event, strict=False)
_encode = msgspec.json.Encoder().encode


def decode_export(
    row: bytes, *, now_ms: int, max_future_ms: int = 300_000, late_after_ms: int = 86_400_000
) -> Decoded:
    """Facts of one exported event as a JSON object. Raises ``BadInput`` when it is none."""
    try:
        said = _event.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The line is no event of a GA4 export: {error}.") from None
    if said.event_name in SKIPPED_EVENTS:
        return Decoded([], skipped={said.event_name: 1}, rows=[], events=1)
    body = {
        "client_id": said.user_pseudo_id,
        "user_id": said.user_id or None,
        "timestamp_micros": said.event_timestamp,
        "events": [{"name": said.event_name, "params": _params(said)}],
    }
    sent = _encode({key: value for key, value in body.items() if value is not None})
    return decode_ga4(sent, now_ms=now_ms, max_future_ms=max_future_ms, late_after_ms=late_after_ms)


def _params(event: _Event) -> dict[str, Any]:
    """The parameters of a body: the event's own before what the export says beside them."""
    source = event.collected_traffic_source or _Source()
    device = event.device or _Device()
    params: dict[str, Any] = {
        "platform": event.platform.lower() if event.platform else None,
        "device": device.category,
        "language": device.language,
        "source": source.manual_source,
        "medium": source.manual_medium,
        "campaign": source.manual_campaign_name,
        "transaction_id": (event.ecommerce or {}).get("transaction_id"),
    }
    params |= {param.key: param.value.said() for param in event.event_params or ()}
    params = {key: value for key, value in params.items() if _is_said(value)}
    lines = [{k: v for k, v in line.items() if _is_said(v)} for line in event.items or ()]
    return params | {"items": lines} if lines else params


def _is_said(value: object) -> bool:
    return value is not None and not (isinstance(value, str) and value in _NOT_SET)


def export_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The rows of a Parquet file as JSON objects, numbered from 1, without columns nobody reads.

    Raises ``BadInput`` for a file that is no such export.
    """
    try:
        frame = pl.scan_parquet(path)
        there = frame.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BadInput(f"{path.name} is no Parquet file: {error}.") from None
    wanted = [name for name in _Event.__struct_fields__ if name in there]
    if "event_name" not in wanted or "event_timestamp" not in wanted:
        raise BadInput(
            f"{path.name} is no export of GA4: it has no event_name and event_timestamp."
        )
    plain = frame.select(_as_list(name, there[name]) for name in wanted).collect()
    number = 0
    for some in plain.iter_slices(_ROWS):
        lines = some.select(pl.struct(pl.all()).struct.json_encode()).to_series()
        for line in lines.to_list():
            number += 1
            yield number, line.encode()


def _as_list(name: str, kind: pl.DataType) -> pl.Expr:
    """A repeated column as a list, whichever of the two ways Parquet has of writing one."""
    column = pl.col(name)
    if isinstance(kind, pl.Struct) and [part.name for part in kind.fields] == ["list"]:
        column, kind = column.struct.field("list"), kind.fields[0].dtype  # type: ignore[assignment]
    if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct):
        parts = [part.name for part in kind.inner.fields]
        if parts in (["element"], ["item"]):
            column = column.list.eval(pl.element().struct.field(parts[0]))
    return column.alias(name)
