"""Instants as UTC milliseconds, the shop's own days and hours, and clocks that are wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from habitue.errors import BadInput

__all__ = [
    "EARLIEST_MS",
    "ClockConfig",
    "EpochUnit",
    "epoch_unit",
    "iso_of",
    "local_ms",
    "shop_days",
    "shop_hours",
    "to_ms",
    "why_not_at",
]

EpochUnit = Literal["s", "ms", "us", "ns"]

EARLIEST_MS: Final = 631_152_000_000
"""1990-01-01: an event before it is a clock that was never set, or a unit mistaken."""

_NO_TIME: Final = 1e24
"""From here on a number is no time in any unit; neither is what is no number."""

_PER_MS: Final[dict[EpochUnit, float]] = {"s": 1e-3, "ms": 1.0, "us": 1e3, "ns": 1e6}


class ClockConfig(BaseModel):
    """How much the clocks of senders may be wrong, and whose days the shop's days are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_zone: str = Field("UTC", description="The shop's time zone (IANA name): its days.")
    max_future_seconds: Annotated[int, Field(ge=0)] = Field(
        300, description="Events later than now by more than this are refused (seconds)."
    )
    late_after_seconds: Annotated[int, Field(ge=0)] = Field(
        86_400, description="Events older than this on arrival are accepted and counted (seconds)."
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{name!r} is no time zone; use an IANA name such as Europe/London"
            ) from None
        return name


def epoch_unit(number: float) -> EpochUnit:
    """The unit in which ``number`` is a plausible time since 1970 (1973 to 5138).

    >>> epoch_unit(1_700_000_000), epoch_unit(1_700_000_000_000), epoch_unit(1.7e15)
    ('s', 'ms', 'us')
    """
    size = abs(number)
    if size < 1e11:
        return "s"
    return "ms" if size < 1e14 else "us" if size < 1e17 else "ns"


def to_ms(value: datetime | int | float | str, unit: EpochUnit | None = None) -> int:
    """UTC milliseconds of an aware datetime, an ISO 8601 text, or a number since 1970.

    Numbers without a ``unit`` are read in the one that makes them plausible. Raises ``BadInput``
    for a time without a zone and for what is no time at all.

    >>> to_ms("2011-12-09T12:50:00Z"), to_ms(1323435000), to_ms("1323435000000000")
    (1323435000000, 1323435000000, 1323435000000)
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            number = int(text) if text.lstrip("+-").isdigit() else None
            value = number if number is not None else datetime.fromisoformat(text)
        except ValueError:
            raise BadInput(
                f"{text!r} is not a time.",
                remedy="Write ISO 8601 with a zone (2024-05-01T12:00:00Z) or time since 1970.",
                field="at",
            ) from None
    if isinstance(value, datetime):
        return _ms_of_datetime(value)
    if not abs(value) < _NO_TIME:
        raise BadInput("Such a number is not a time.", field="at")
    if isinstance(value, int):  # whole numbers stay exact
        return {"s": value * 1000, "ms": value, "us": value // 1000, "ns": value // 1_000_000}[
            unit or epoch_unit(value)
        ]
    return int(value / _PER_MS[unit or epoch_unit(value)])


def _ms_of_datetime(value: datetime) -> int:
    if value.tzinfo is None:
        raise BadInput(
            f"{value.isoformat()} has no time zone.",
            remedy="Add one: 2024-05-01T12:00:00Z or 2024-05-01T14:00:00+02:00.",
            field="at",
        )
    since = value - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def why_not_at(at_ms: int, now_ms: int, max_future_ms: int = 300_000) -> str | None:
    """Why an event cannot have happened at ``at_ms``; ``None`` when it can.

    >>> why_not_at(1_700_000_000, 1_700_000_100_000)
    'is before 1990 (1970-01-20T16:13:20+00:00): it looks like seconds; send milliseconds'
    """
    if EARLIEST_MS <= at_ms <= now_ms + max_future_ms:
        return None
    said = iso_of(at_ms)
    if at_ms < EARLIEST_MS:
        looks = EARLIEST_MS <= at_ms * 1000 <= now_ms + max_future_ms
        hint = ": it looks like seconds; send milliseconds" if looks else ": set the sender's clock"
        return f"is before 1990 ({said}){hint}"
    looks = EARLIEST_MS <= at_ms // 1000 <= now_ms + max_future_ms
    hint = ": it looks like microseconds; send milliseconds" if looks else ": its clock runs ahead"
    return f"is {(at_ms - now_ms) // 1000} s in the future ({said}){hint}"


def iso_of(at_ms: int) -> str:
    """An instant as ISO 8601 text in UTC; beyond the years 1 to 9999 the number itself.

    >>> iso_of(0), iso_of(10**15)
    ('1970-01-01T00:00:00+00:00', '1000000000000000')
    """
    if not -62_135_596_800_000 <= at_ms < 253_402_300_799_000:
        return str(at_ms)
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def local_ms(at_ms: NDArray[np.int64], time_zone: str) -> NDArray[np.int64]:
    """Wall-clock milliseconds in ``time_zone``: the instants shifted by the zone's offset."""
    if time_zone == "UTC":
        return np.asarray(at_ms, np.int64)
    import polars as pl

    wall = (
        pl.Series(at_ms, dtype=pl.Int64)
        .cast(pl.Datetime("ms", "UTC"))
        .dt.convert_time_zone(time_zone)
        .dt.replace_time_zone(None)
    )
    return wall.cast(pl.Int64).to_numpy()


def shop_days(at_ms: NDArray[np.int64], time_zone: str) -> NDArray[np.int32]:
    """The shop's day of each instant, as days since 1970-01-01 on its own calendar.

    >>> shop_days(np.array([1_301_184_000_000, 1_301_265_900_000]), "Europe/London").tolist()
    [15060, 15060]
    """
    return (local_ms(at_ms, time_zone) // 86_400_000).astype(np.int32)


def shop_hours(at_ms: NDArray[np.int64], time_zone: str) -> NDArray[np.int8]:
    """The hour of the shop's day of each instant, 0 to 23."""
    return (local_ms(at_ms, time_zone) // 3_600_000 % 24).astype(np.int8)
