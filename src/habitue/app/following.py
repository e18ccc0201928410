"""A log followed as it grows: each of its lines stored once, whatever happens in between.

Lines are durable in the store before the place after them is noted. Whoever stops between the two
reads them again, and they have the same ids, so nothing is lost and nothing is there twice.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl

from habitue.app.clock import clock_ms
from habitue.app.importing import Counted, readable_rejects, store_facts, store_imported
from habitue.app.secrets import reject_files
from habitue.errors import BadInput, Unavailable
from habitue.facts.cleaning.rejects import write_rejects
from habitue.facts.feeds.imports import import_table
from habitue.facts.feeds.json_files import JSON_FORMS, JsonForm, import_json_lines
from habitue.facts.feeds.mapping import Mapping, load_mapping
from habitue.facts.feeds.recognise import form_of_line
from habitue.facts.feeds.tables import read_lines
from habitue.facts.feeds.tail import Chunk, Place, Tail

if TYPE_CHECKING:
    from habitue.app.wiring import Parts

__all__ = ["Followed", "follow"]

_SUFFIXES: Final = (".jsonl", ".ndjson", ".log", ".json")
_PATIENCE: Final = (0.5, 1, 2, 5, 10, 30)
"""Seconds to wait for a store that does not answer, longer each time."""


@dataclass(frozen=True, slots=True)
class Followed:
    """How far following has come."""

    rows: int = 0
    rejected: int = 0
    stored: Counted = field(default_factory=Counted)
    behind: int = 0  # bytes of the file not read yet
    trouble: str = ""  # why it does not go on just now

    def plus(self, other: Followed) -> Followed:
        """With what came after."""
        one, more = self.stored, other.stored
        stored = Counted(
            one.new + more.new,
            one.duplicate + more.duplicate,
            one.conflict + more.conflict,
            one.refused + more.refused,
        )
        rows, rejected = self.rows + other.rows, self.rejected + other.rejected
        return Followed(rows, rejected, stored, other.behind)


def follow(
    parts: Parts,
    path: Path,
    mapping: str | Path | None,
    rejects: Path | None,
    *,
    stop: Event,
    told: Callable[[Followed], None],
    poll_seconds: float = 0.5,
    grace_seconds: float = 5.0,
) -> Followed:
    """Store the lines of a file of JSON lines, those there and those to come, until ``stop``.

    ``mapping`` as in ``Shop.ingest``; without one the first line says what the file is. A file that
    was renamed is read to its end, and left for the one that has its name once it has not grown
    for ``grace_seconds``. Raises ``BadInput`` where the file is of another kind, or followed by
    another process.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise BadInput(
            f"{path.name} cannot be followed: its lines do not stand for themselves.",
            remedy="Files of JSON lines can (.jsonl, .ndjson, .json, .log).",
        )
    if rejects is not None and rejects.suffix != ".jsonl":
        raise BadInput(f"{rejects.name} cannot grow.", remedy="Name the reject file .jsonl.")
    with _noted(parts, path) as note:
        tail = Tail(path, note.read())
        try:
            store = _Storing(parts, path, mapping, rejects)
            return _until(stop, tail, note, store, told, poll_seconds, grace_seconds)
        finally:
            tail.close()


def _until(
    stop: Event,
    tail: Tail,
    note: _Note,
    store: _Storing,
    told: Callable[[Followed], None],
    poll_seconds: float,
    grace_seconds: float,
) -> Followed:
    so_far, idle, tries = Followed(), 0.0, 0
    while not stop.is_set():
        chunk = tail.read()
        if chunk is None and tail.rotated() and idle >= grace_seconds:
            chunk = tail.last_line()
            if chunk is None:
                tail.turn()
                idle = 0.0
                continue
        if chunk is None:
            trouble = "lines of a file that is gone may be unread" if tail.lost else ""
            told(replace(so_far, behind=0, trouble=trouble))
            stop.wait(poll_seconds)
            idle += poll_seconds
            continue
        try:
            so_far = so_far.plus(store(chunk))
        except Unavailable as problem:
            told(replace(so_far, behind=chunk.behind, trouble=str(problem)))
            stop.wait(_PATIENCE[min(tries, len(_PATIENCE) - 1)])
            tries += 1
            continue
        tail.done(chunk)
        note.write(chunk.place)
        idle, tries = 0.0, 0
        told(so_far)
    return so_far


class _Storing:
    """Stores a chunk of lines in the form the file has."""

    def __init__(
        self, parts: Parts, path: Path, mapping: str | Path | None, rejects: Path | None
    ) -> None:
        self._parts, self._name, self._rejects = parts, path.name, rejects
        self._form: JsonForm | None = None
        self._told: Mapping | None = None
        if mapping in JSON_FORMS:
            self._form = mapping
        elif mapping is not None:
            self._told = load_mapping(mapping)

    def __call__(self, chunk: Chunk) -> Followed:
        """What became of the lines. Raises ``Unavailable`` when they could not be stored."""
        now_ms, identity = clock_ms(), chunk.place.identity
        if self._told is not None:
            found, counted = self._by_mapping(self._told, chunk, identity, now_ms)
        else:
            found, counted = self._as_said(chunk, identity, now_ms)
        rejected, read = found
        if self._rejects is not None and rejected.height:
            write_rejects(
                readable_rejects(self._parts, rejected, self._told), self._rejects, more=True
            )
            reject_files(self._parts.settings).note(self._rejects)
        return Followed(read, rejected.height, counted, chunk.behind)

    def _as_said(
        self, chunk: Chunk, identity: str, now_ms: int
    ) -> tuple[tuple[pl.DataFrame, int], Counted]:
        if self._form is None:
            first = next((line for _, line in chunk.lines if line.strip()), b"")
            form = form_of_line(first)
            if form not in JSON_FORMS:
                raise BadInput(
                    f"{self._name} does not say what its lines are.",
                    remedy=f"Say it: a mapping, or one of {', '.join(JSON_FORMS)}.",
                )
            self._form = form
        clock = self._parts.settings.clock
        found = import_json_lines(
            chunk.lines, self._form, self._name, identity, now_ms=now_ms, clock=clock
        )
        counted = store_facts(self._parts, found.facts, now_ms, _silent, "facts")
        return (found.rejects, found.report.rows_read), counted

    def _by_mapping(
        self, told: Mapping, chunk: Chunk, identity: str, now_ms: int
    ) -> tuple[tuple[pl.DataFrame, int], Counted]:
        raw = read_lines(chunk.lines, self._name, identity)
        # a few lines may leave out what the file's others say
        unsaid = sorted(told.columns() - set(raw.frame.columns))
        nothing = (pl.lit(None, pl.String).alias(name) for name in unsaid)
        raw = replace(raw, frame=raw.frame.with_columns(nothing))
        found = import_table(raw, told, now_ms=now_ms, clock=self._parts.settings.clock)
        done = store_imported(self._parts, found, now_ms, _silent)
        return (found.rejects, found.report.rows_read), done.stored


def _silent(step: str, done: float, total: float) -> None:
    """Following tells of itself otherwise."""


class _Note:
    """The place reading has come to, kept in a file that is whole after a power cut."""

    def __init__(self, file: Path, followed: Path) -> None:
        self._file, self._followed = file, followed

    def read(self) -> Place | None:
        """The place noted last; ``None`` where nobody has followed this file."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_Noted).place
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise BadInput(
                f"{self._file} does not say how far {self._followed.name} was read: {error}.",
                remedy="Put it right, or delete it and read the file from its beginning.",
            ) from None

    def write(self, place: Place) -> None:
        """Note a place; on return it is durable."""
        fresh = self._file.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(_Noted(str(self._followed), place)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)


class _Noted(msgspec.Struct):
    path: str
    place: Place


@contextmanager
def _noted(parts: Parts, path: Path) -> Iterator[_Note]:
    """The note of a followed file, beside the shop's keys, held by this process alone."""
    followed = path.resolve()
    folder = parts.settings.server.keys_file.with_suffix(".following")
    folder.mkdir(parents=True, exist_ok=True)
    name = blake2b(str(followed).encode(), digest_size=8).hexdigest()
    with (folder / f"{name}.lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"{path} is followed by another process.") from None
        yield _Note(folder / f"{name}.json", followed)
