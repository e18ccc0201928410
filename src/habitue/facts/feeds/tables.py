"""Tables as they come: CSV, JSON lines, Parquet, or the answer of a SQL query.

A file is read whole and columnar. Only when some line of it cannot be read at all is it read line
by line, so that the lines beside it are kept and that line is reported.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import polars as pl

from habitue.errors import BadInput, MissingPiece
from habitue.facts.feeds.mapping import ReadHints

__all__ = ["ROW", "RawTable", "Unreadable", "read_lines", "read_query", "read_table"]

ROW = "row"
"""Number of a row among the rows of its source, from 0; a source's own ``row`` is renamed."""

_CSV_SUFFIXES = {
    ".csv": None,
    ".dat": None,
    ".tsv": "\t",
    ".tab": "\t",
    ".data": "\t",
    ".txt": "\t",
}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is no row of its table at all."""

    line: int  # as an editor counts, from 1
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class RawTable:
    """A source's rows as it wrote them, with their number in the column ``row``."""

    frame: pl.DataFrame
    name: str  # file name, or address without its password
    content_hash: str | None  # SHA-256 of the file; None for a query, whose rows have no order
    first_line: int = 1  # line of row 0: 2 where a header stands above it
    unreadable: tuple[Unreadable, ...] = field(default=())

    @property
    def rows_read(self) -> int:
        """Rows of the source, readable or not."""
        return self.frame.height + len(self.unreadable)


def read_table(path: str | Path, hints: ReadHints | None = None) -> RawTable:
    """Read a .csv, .tsv, .jsonl, .ndjson or .parquet file.

    Raises ``BadInput`` when the file is missing, of another kind, or wrong throughout.
    """
    path, hints = Path(path), hints or ReadHints()
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        try:
            frame = pl.read_parquet(path)
        except pl.exceptions.PolarsError as error:
            raise BadInput(f"{path} is no Parquet file: {error}.") from None
        return RawTable(_numbered(frame), path.name, digest)
    if suffix in (".jsonl", ".ndjson"):
        frame, unreadable = _read_json_lines(path.read_bytes())
        return RawTable(frame, path.name, digest, 1, unreadable)
    if suffix in _CSV_SUFFIXES:
        separator = _CSV_SUFFIXES[suffix] or hints.separator
        body = _as_utf8(path, hints)
        named = not hints.columns or _names_columns(body, separator, hints)
        if not named:
            body = _header(separator, hints) + body
        frame, unreadable = _read_csv(body, separator, hints)
        if not named:
            unreadable = tuple(replace(bad, line=bad.line - 1) for bad in unreadable)
        return RawTable(frame, path.name, digest, 2 if named else 1, unreadable)
    raise BadInput(
        f"{path.name} is of no kind that can be imported.",
        remedy="Use .parquet, .csv, .tsv, .dat, .jsonl or .ndjson, or a SQL query.",
    )


def read_lines(lines: Sequence[tuple[int, bytes]], name: str, identity: str) -> RawTable:
    """Numbered JSON lines of a source that grows; ``identity`` tells it from every other."""
    said = [(number, line) for number, line in lines if line.strip()]
    frame, unreadable = _read_json_lines(b"\n".join(line for _, line in said))
    numbers = pl.Series(ROW, [number for number, _ in said], pl.UInt32)
    bad = tuple(replace(one, line=int(numbers[one.line - 1])) for one in unreadable)
    return RawTable(frame.with_columns(numbers.gather(frame[ROW])), name, identity, 0, bad)


def read_query(address: str, query: str) -> RawTable:
    """Rows of a SQL query at any SQLAlchemy address (``postgresql+psycopg://...``).

    Raises ``BadInput`` when the query fails, ``MissingPiece`` when the driver is not installed.
    """
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    try:
        url = sqlalchemy.engine.make_url(address)
        engine = sqlalchemy.create_engine(url)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise MissingPiece(
            f"There is no driver for this address: {error}.",
            remedy="Install it with pip (for PostgreSQL: pip install 'habitue[postgres]').",
        ) from None
    except ArgumentError as error:
        raise BadInput(f"That is no database address: {error}.") from None
    try:
        with engine.connect() as connection:
            frame = pl.read_database(sqlalchemy.text(query), connection, infer_schema_length=None)
    except (SQLAlchemyError, pl.exceptions.PolarsError) as error:
        raise BadInput(f"The query failed: {error}") from None
    finally:
        engine.dispose()
    return RawTable(_numbered(frame), url.render_as_string(hide_password=True), None)


def _numbered(frame: pl.DataFrame, rows: Sequence[int] | None = None) -> pl.DataFrame:
    """The frame with its row numbers in front; a column that has their name gets another."""
    taken = frame.rename({ROW: f"{ROW}_"}) if ROW in frame.columns else frame
    if rows is None:
        return taken.with_row_index(ROW)
    return taken.with_columns(pl.Series(ROW, rows, pl.UInt32)).select(ROW, pl.exclude(ROW))


def _as_utf8(path: Path, hints: ReadHints) -> bytes:
    body = path.read_bytes()
    try:
        text = body.decode(hints.encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise BadInput(
            f"{path.name} is not written in {hints.encoding}: {error}.",
            remedy='Say which in the mapping: [read] encoding = "iso-8859-1".',
        ) from None
    return text.removeprefix("\ufeff").encode()


def _names_columns(body: bytes, separator: str, hints: ReadHints) -> bool:
    """Whether the first line names columns: a file of data alone begins with data."""
    first = body.split(b"\n", 1)[0].decode()
    cells = {cell.strip().strip(hints.quote or None) for cell in first.split(separator)}
    return not cells.isdisjoint(hints.columns) or not any(map(_is_number, cells))


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).replace("-", "", 1).isdigit()


def _header(separator: str, hints: ReadHints) -> bytes:
    return separator.join(hints.columns).encode() + b"\n"


def _read_csv(
    body: bytes, separator: str, hints: ReadHints
) -> tuple[pl.DataFrame, tuple[Unreadable, ...]]:
    """All columns as text; the mapping knows what they mean, a guess from ten rows does not."""
    try:
        frame = pl.read_csv(
            body,
            separator=separator,
            quote_char=hints.quote or None,
            null_values=list(hints.missing),
            infer_schema=False,
        )
        return _numbered(frame), ()
    except pl.exceptions.NoDataError:
        raise BadInput("The file is empty.", remedy="Give it a header line and rows.") from None
    except pl.exceptions.PolarsError:
        return _read_csv_by_line(body.decode(), separator, hints)


def _read_csv_by_line(
    text: str, separator: str, hints: ReadHints
) -> tuple[pl.DataFrame, tuple[Unreadable, ...]]:
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        quotechar=hints.quote or None,
        quoting=csv.QUOTE_MINIMAL if hints.quote else csv.QUOTE_NONE,
    )
    header = next(reader)
    missing = set(hints.missing)
    numbers: list[int] = []
    good: list[list[str | None]] = []
    bad: list[Unreadable] = []
    for number, cells in enumerate(reader):
        if len(cells) > len(header):
            reason = f"{len(cells)} fields where the header names {len(header)}"
            bad.append(Unreadable(number + 2, reason, separator.join(cells)))
        elif cells:
            said = [None if cell in missing else cell for cell in cells]
            good.append(said + [None] * (len(header) - len(cells)))
            numbers.append(number)
    frame = pl.DataFrame(good, schema=dict.fromkeys(header, pl.String), orient="row")
    return _numbered(frame, numbers), tuple(bad)


def _read_json_lines(body: bytes) -> tuple[pl.DataFrame, tuple[Unreadable, ...]]:
    try:
        frame = pl.read_ndjson(body, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        return _read_json_by_line(body.splitlines())
    return _numbered(frame), ()


def _read_json_by_line(lines: Iterable[bytes]) -> tuple[pl.DataFrame, tuple[Unreadable, ...]]:
    numbers: list[int] = []
    good: list[dict[str, object]] = []
    bad: list[Unreadable] = []
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            good.append(msgspec.json.decode(line, type=dict[str, object]))
            numbers.append(number)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            bad.append(Unreadable(number + 1, str(error), line.decode(errors="replace")))
    try:
        frame = pl.from_dicts(good, infer_schema_length=None, strict=False)
    except pl.exceptions.NoDataError:
        frame = pl.DataFrame()
    return _numbered(frame, numbers), tuple(bad)
