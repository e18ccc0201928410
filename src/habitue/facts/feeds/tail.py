"""A file that grows, read line by line: over rotations, truncations and restarts.

A file is known by its number on the disk (inode) and its first line, and each one followed under a
name gets a number of its own (``generation``). So a line has the same identity however often it is
read, and no other line has it. That it was not written anew is seen by what stands before the place
we have come to.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

__all__ = ["Chunk", "Place", "Tail"]

_HEAD_BYTES: Final = 4096
_LAST_BYTES: Final = 256
_ROTATED: Final = r"[.\-_][0-9][0-9T.:_\-]*"
"""What rotation puts after a name: a number, a day, a time."""


class Place(msgspec.Struct, frozen=True):
    """Where reading has come to: everything before ``offset`` is done with."""

    inode: int
    head: str  # hash of the first line, as far as its first 4096 bytes
    head_bytes: int
    generation: int  # how many files were followed under this name before this one
    offset: int = 0
    lines: int = 0  # lines before ``offset``
    last: str = ""  # hash of the ``last_bytes`` bytes before ``offset``
    last_bytes: int = 0
    written_ns: int = 0  # when the file was last written to, as of then

    @property
    def identity(self) -> str:
        """What tells this file from every other one of its name."""
        return f"{self.inode}:{self.head}:{self.generation}"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines, numbered from 1 as an editor counts, and where reading is after them."""

    lines: list[tuple[int, bytes]]
    place: Place
    behind: int  # bytes of the file not read yet


class Tail:
    """The lines of ``path`` from ``place`` on; call ``read``, store, then ``done``.

    A file that was renamed or copied away is read to its end first: by the open file while we look
    on, and after a restart by looking for it beside its old name. Those that had the name since are
    read in the order in which they were written. A file that became shorter than we had read, or
    says something else there, was written anew.
    """

    def __init__(self, path: Path, place: Place | None, *, chunk_bytes: int = 1 << 20) -> None:
        self._path = path
        self._chunk_bytes = chunk_bytes
        self._file: BinaryIO | None = None
        self.place = place
        self.lost = False  # what ``place`` speaks of was gone when we came, perhaps unread
        self._fresh = True

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self) -> Chunk | None:
        """The next whole lines; ``None`` when there are none now."""
        if self._file is None and not self._open():
            return None
        if not self._is_the_same():
            self._begin(self._file)
        if self.place is None:
            return None  # no whole line yet
        return self._next_lines(self.place)

    def done(self, chunk: Chunk) -> None:
        """These lines are stored: go on after them."""
        self.place = chunk.place

    def rotated(self) -> bool:
        """Whether another file has the name now: the open one grows no more, or not for long."""
        if self._file is None:
            return False
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False  # renamed away, and nothing in its place yet
        return now.st_ino != os.fstat(self._file.fileno()).st_ino

    def last_line(self) -> Chunk | None:
        """What stands after the last line break of a file nobody writes to any more."""
        if self._file is None or self.place is None:
            return None
        self._file.seek(self.place.offset)
        rest = self._file.read()
        return self._chunk(self.place, rest, 0) if rest else None

    def turn(self) -> None:
        """Leave the open file for the one that had its name next."""
        if self._file is None:
            return
        written_ns = os.fstat(self._file.fileno()).st_mtime_ns
        self.close()
        self._begin_after(written_ns)

    # ------------------------------------------------------------------ files

    def _open(self) -> bool:
        """The file ``place`` speaks of, wherever it is now; else the one that has the name."""
        place = self.place
        if place is None:
            return self._begin_after(None)
        there = [self._path, *self._siblings()]
        for same_inode in (True, False):  # renamed; else copied, and the name written anew
            for path in there:
                file = _opened(path)
                if file is None:
                    continue
                if _is_at(file, place, same_inode=same_inode):
                    self._file, self._fresh = file, False
                    return True
                file.close()
        self.lost = self._fresh
        return self._begin_after(place.written_ns)

    def _begin_after(self, written_ns: int | None) -> bool:
        """Begin the first of the rotated files that was written to later; else the named one."""
        self._file = None
        for path in self._rotated_since(written_ns):
            self._file = self._file or _opened(path)
        self._file = self._file or _opened(self._path)
        self._fresh = self._fresh and self._file is None
        self._begin(self._file)
        return self._file is not None

    def _rotated_since(self, written_ns: int | None) -> list[Path]:
        """Files that had the name and were written to since, the oldest first."""
        if written_ns is None:
            return []
        name = re.compile(re.escape(self._path.name) + _ROTATED)
        later = [
            (at_ns, path)
            for path in self._siblings()
            if name.fullmatch(path.name) and (at_ns := _written_ns(path)) > written_ns
        ]
        return [path for _, path in sorted(later)]

    def _begin(self, file: BinaryIO | None) -> None:
        """The first place in a file, once its first line is whole; till then the last one's."""
        if file is None:
            return
        file.seek(0)
        first = file.readline()
        if not first.endswith(b"\n"):
            self.close()
            return
        generation = 0 if self.place is None else self.place.generation + 1
        head = first[:_HEAD_BYTES]
        inode = os.fstat(file.fileno()).st_ino
        self.place = Place(inode, _hash(head), len(head), generation)

    def _siblings(self) -> Iterator[Path]:
        """Files named after ours, newest first."""
        stem, suffix = self._path.stem, self._path.suffix
        there = [
            path
            for path in self._path.parent.glob(f"{glob.escape(stem)}*")
            if path.name != self._path.name and suffix in path.name and path.is_file()
        ]
        yield from sorted(there, key=_written_ns, reverse=True)

    def _is_the_same(self) -> bool:
        if self._file is None or self.place is None:
            return True
        return _is_at(self._file, self.place, same_inode=False)

    # ------------------------------------------------------------------ lines

    def _next_lines(self, place: Place) -> Chunk | None:
        file = self._file
        if file is None:
            return None
        size = os.fstat(file.fileno()).st_size
        file.seek(place.offset)
        body = file.read(self._chunk_bytes)
        while b"\n" not in body and len(body) < size - place.offset:  # a line longer than a chunk
            body += file.read(self._chunk_bytes)
        whole = body[: body.rfind(b"\n") + 1]
        return self._chunk(place, whole, size) if whole else None

    def _chunk(self, place: Place, whole: bytes, size: int) -> Chunk:
        lines = whole.removesuffix(b"\n").split(b"\n")
        last = whole[-_LAST_BYTES:]
        after = msgspec.structs.replace(
            place,
            offset=place.offset + len(whole),
            lines=place.lines + len(lines),
            last=_hash(last),
            last_bytes=len(last),
            written_ns=0 if self._file is None else os.fstat(self._file.fileno()).st_mtime_ns,
        )
        numbered = list(enumerate(lines, place.lines + 1))
        return Chunk(numbered, after, max(size - after.offset, 0))


def _written_ns(path: Path) -> int:
    """When a file was last written to; long ago where it is gone meanwhile."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _is_at(file: BinaryIO, place: Place, *, same_inode: bool) -> bool:
    """Whether this is the file of the place: as long, and the same where we began and ended."""
    now = os.fstat(file.fileno())
    if (same_inode and now.st_ino != place.inode) or now.st_size < place.offset:
        return False
    if _hash(os.pread(file.fileno(), place.head_bytes, 0)) != place.head:
        return False
    last = os.pread(file.fileno(), place.last_bytes, place.offset - place.last_bytes)
    return not place.last or _hash(last) == place.last


def _hash(head: bytes) -> str:
    return blake2b(head, digest_size=8).hexdigest()
