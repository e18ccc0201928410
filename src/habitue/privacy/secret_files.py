"""Files that hold secrets: readable by their owner alone, replaced in one step."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from habitue.errors import BadSetting

__all__ = ["locked", "read_secret", "write_secret"]


def read_secret(path: Path) -> bytes | None:
    """The file's content; ``None`` when there is none.

    Raises ``BadSetting`` when others on the machine may read or write it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise BadSetting(
                    f"{path} can be read by others on this machine ({stat.filemode(mode)}).",
                    remedy=f"Run: chmod 600 {path}",
                )
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadSetting(f"{path} cannot be read: {error.strerror}.") from None


def write_secret(path: Path, content: bytes) -> None:
    """Replace the file whole: a crash leaves the old one or the new one, mode 0600 either way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # the mode above bows to the umask, and to an old file
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise BadSetting(f"{path} cannot be written: {error.strerror}.") from None
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from changing the file between a read and the write after it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
