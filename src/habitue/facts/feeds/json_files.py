"""Files of JSON lines that need no mapping: Habitué's own facts, and GA4 events.

A line of Habitué's is what ``decode`` reads: an action, a list, or an object of lists. A line of
GA4's is a Measurement Protocol body or an event of its BigQuery export. An action that brings no id
is known by its file and its place there, so that reading a file twice adds nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec
import polars as pl

from habitue.errors import BadInput
from habitue.facts.cleaning.findings import Found
from habitue.facts.cleaning.report import DataReport
from habitue.facts.facts import Action, Alias, Fact
from habitue.facts.feeds.bigquery import decode_export, export_lines
from habitue.facts.feeds.ga4 import decode_ga4
from habitue.facts.feeds.habitue_json import Decoded, decode
from habitue.facts.ids import derived_id
from habitue.facts.time import ClockConfig, to_ms

__all__ = ["JSON_FORMS", "ImportedJson", "JsonForm", "import_json", "import_json_lines"]

JsonForm = Literal["habitue", "ga4"]
JSON_FORMS: Final[tuple[JsonForm, ...]] = ("habitue", "ga4")

_TOGETHER: Final = 500
"""Lines decoded in one go while all of them are right."""


@dataclass(frozen=True, slots=True)
class ImportedJson:
    """The facts of a file in its order, and what became of its rows."""

    facts: list[Fact]
    rejects: pl.DataFrame  # line, field, reason, said (the raw line)
    report: DataReport


def import_json(
    path: Path, form: JsonForm, *, now_ms: int, clock: ClockConfig | None = None
) -> ImportedJson:
    """Read a file of JSON lines, or GA4's export as Parquet.

    A wrong row is rejected with its line, the others are kept.

    Rows are facts (``habitue``) or events (``ga4``); a line may hold several. Lines of one order
    belong on neighbouring lines. Raises ``BadInput`` when the file cannot be opened.
    """
    try:
        body = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    packed = form == "ga4" and path.suffix.lower() == ".parquet"
    lines = export_lines(path) if packed else enumerate(body.splitlines(), 1)
    digest = hashlib.sha256(body).hexdigest()
    return import_json_lines(lines, form, path.name, digest, now_ms=now_ms, clock=clock)


def import_json_lines(
    lines: Iterable[tuple[int, bytes]],
    form: JsonForm,
    name: str,
    identity: str,
    *,
    now_ms: int,
    clock: ClockConfig | None = None,
) -> ImportedJson:
    """Read numbered lines of the source that ``identity`` tells from every other, as a file."""
    reader = _Reader(form, identity, now_ms, clock or ClockConfig())
    numbered = [(number, line) for number, line in lines if line.strip()]
    for start in range(0, len(numbered), _TOGETHER):
        reader.read(numbered[start : start + _TOGETHER])
    return reader.result(name)


class _Reader:
    """Facts and rejects of the lines read so far."""

    def __init__(self, form: JsonForm, identity: str, now_ms: int, clock: ClockConfig) -> None:
        self._form = form
        self._identity = identity
        self._now_ms = now_ms
        self._max_future_ms = clock.max_future_seconds * 1000
        self._facts: list[Fact] = []
        self._rejects: list[tuple[int, str | None, str, str]] = []
        self._ignored: Counter[str] = Counter()
        self._aliases: dict[str, tuple[str, bool]] = {}
        self._kept = 0

    def read(self, lines: list[tuple[int, bytes]]) -> None:
        """Take in some lines: together if all are right, else one by one."""
        if self._form == "habitue" and self._read_together(lines):
            return
        for number, line in lines:
            self._read_line(number, line)

    def _read_together(self, lines: list[tuple[int, bytes]]) -> bool:
        try:
            decoded = self._decode_ours(b"[" + b",".join(line for _, line in lines) + b"]")
        except BadInput:
            return False
        if decoded.rejected or len(decoded.facts) != len(lines):
            return False
        self._take(decoded.facts, [(number, 0) for number, _ in lines], len(lines))
        return True

    def _read_line(self, number: int, line: bytes) -> None:
        raw = line.decode(errors="replace")
        try:
            decoded = self._decode(line)
        except BadInput as error:
            self._rejects.append((number, error.field, error.message, raw))
            return
        self._rejects += [(number, bad.field, bad.reason, raw) for bad in decoded.rejected]
        self._ignored.update(decoded.skipped)
        # a GA4 event of three items is one row and three facts: rows are what was sent
        sent = decoded.sent if self._form == "habitue" else decoded.events
        places = [(number, place) for place in range(len(decoded.facts))]
        kept = sent - len(decoded.rejected) - sum(decoded.skipped.values())
        self._take(decoded.facts, places, kept)

    def _decode(self, line: bytes) -> Decoded:
        if self._form == "habitue":
            return self._decode_ours(line)
        read = decode_export if b'"event_name"' in line else decode_ga4
        return read(line, now_ms=self._now_ms, max_future_ms=self._max_future_ms)

    def _decode_ours(self, body: bytes) -> Decoded:
        return decode(body, now_ms=self._now_ms, max_future_ms=self._max_future_ms)

    def _take(self, facts: Sequence[Fact], places: Sequence[tuple[int, int]], rows: int) -> None:
        """Keep the facts of some rows; ``places`` are their lines and their places in these."""
        for fact, place in zip(facts, places, strict=True):
            if type(fact) is Action and fact.id is None:
                self._facts.append(self._named(fact, *place))
            elif type(fact) is not Alias or self._is_news(fact):
                self._facts.append(fact)
        self._kept += rows

    def _is_news(self, alias: Alias) -> bool:
        """GA4 says who is whom with every event; once is enough, until it is said otherwise."""
        pair = (alias.shopper, alias.undo)
        if self._aliases.get(alias.alias) == pair:
            return False
        self._aliases[alias.alias] = pair
        return True

    def _named(self, action: Action, line: int, place: int) -> Action:
        at_ms = 0 if action.at is None else to_ms(action.at, "ms")
        own = derived_id(at_ms, self._form, self._identity, line, place)
        return msgspec.structs.replace(action, id=own)

    def result(self, name: str) -> ImportedJson:
        """Everything read, and the report of it."""
        rejects = pl.DataFrame(
            self._rejects,
            schema={"line": pl.Int64, "field": pl.String, "reason": pl.String, "said": pl.String},
            orient="row",
        )
        times = [to_ms(f.at, "ms") for f in self._facts if type(f) is Action and f.at is not None]
        ignored = sum(self._ignored.values())
        return ImportedJson(
            self._facts,
            rejects,
            DataReport(
                source=name,
                rows_read=self._kept + len(self._rejects) + ignored,
                kept=self._kept,
                mended=0,
                rejected=len(self._rejects),
                found=self._found(rejects),
                made=dict(Counter(_name(fact) for fact in self._facts)),
                since_ms=min(times, default=None),
                until_ms=max(times, default=None),
                ignored=ignored,
            ),
        )

    def _found(self, rejects: pl.DataFrame) -> tuple[Found, ...]:
        """The reasons for which rows were rejected or ignored, each with how often."""
        by_reason = rejects.group_by("field", "reason", maintain_order=True).agg(
            pl.len(), pl.col("line").head(5)
        )
        rejected = (
            Found("rejected", field, reason, "rejected", n, tuple(lines))
            for field, reason, n, lines in by_reason.sort("len", descending=True).iter_rows()
        )
        ignored = (
            Found("ignored", "name", f"{name} says nothing of a shop", "ignored", n, ())
            for name, n in self._ignored.most_common()
        )
        return (*rejected, *ignored)


def _name(fact: Fact) -> str:
    return fact.kind if isinstance(fact, Action) else f"{type(fact).__name__.lower()}s"
