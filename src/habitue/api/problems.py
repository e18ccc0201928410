"""Errors as problem documents (RFC 9457): what was wrong, where, and what to do about it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec

from habitue import errors
from habitue.api.wire import RejectedRow

__all__ = ["MEDIA_TYPE", "Problem", "ProblemDocument", "problem_of"]

MEDIA_TYPE: Final = b"application/problem+json"
_TYPES: Final = "https://habitue.dev/problems/"
_encode = msgspec.json.Encoder().encode

_STATUS: Final[tuple[tuple[type[errors.HabitueError], int, str], ...]] = (
    (errors.Conflict, 409, "conflict"),
    (errors.NotFound, 404, "not-found"),
    (errors.Unauthorised, 401, "unauthorised"),
    (errors.ConsentMissing, 403, "consent-missing"),
    (errors.TooMany, 429, "too-many-requests"),
    (errors.Refused, 403, "refused"),
    (errors.BadInput, 422, "bad-input"),
    (errors.SnapshotError, 409, "snapshot-refused"),
    (errors.MissingPiece, 501, "missing-piece"),
    (errors.StoreError, 503, "unavailable"),
)


class ProblemDocument(msgspec.Struct, omit_defaults=True, kw_only=True):
    """RFC 9457, with what Habitué adds: field, row, request id, and the rows refused."""

    type: str
    title: str
    status: int
    detail: str | None = None
    remedy: str | None = None
    field: str | None = None
    row: int | None = None
    request_id: str | None = None
    rejected: list[RejectedRow] | None = None


class Problem(Exception):
    """An answer other than what was asked for."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str = "",
        *,
        remedy: str = "",
        field: str | None = None,
        row: int | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        rejected: list[RejectedRow] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.remedy = remedy
        self.field = field
        self.row = row
        self.headers = headers
        self.rejected = rejected

    def body(self, request_id: bytes) -> bytes:
        """The document, as JSON."""
        return _encode(
            ProblemDocument(
                type=_TYPES + self.kind,
                title=HTTPStatus(self.status).phrase,
                status=self.status,
                detail=self.detail or None,
                remedy=self.remedy or None,
                field=self.field,
                row=self.row,
                request_id=request_id.decode() or None,
                rejected=self.rejected,
            )
        )


def problem_of(error: BaseException) -> Problem:
    """The problem an exception is; one that nobody foresaw says nothing of its inside."""
    if isinstance(error, Problem):
        return error
    for kind, status, name in _STATUS:
        if isinstance(error, kind):
            return Problem(
                status,
                name,
                error.message,
                remedy=error.remedy,
                field=getattr(error, "field", None),
                row=getattr(error, "row", None),
                headers=_headers(status),
            )
    return Problem(
        500,
        "internal-error",
        "Something went wrong inside.",
        remedy="The server's log has the cause beside this request id.",
    )


def _headers(status: int) -> tuple[tuple[bytes, bytes], ...]:
    if status == 401:
        return ((b"www-authenticate", b'Bearer realm="habitue"'),)
    if status in (429, 503):
        return ((b"retry-after", b"1"),)
    return ()
