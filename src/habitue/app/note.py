"""What trainings leave for other processes: small files beside the snapshots.

How far the one that runs has come, and why the last one was refused.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec

__all__ = ["Refusal", "TrainingNote", "note_refusal", "read_note", "read_refusal"]

_FILE: Final = "training.json"
_REFUSED: Final = "refused.json"


class _Progress(Protocol):
    def __call__(self, step: str, done: float, total: float, /) -> None: ...


class _Note(msgspec.Struct, frozen=True):
    pid: int
    step: str
    share: float


class TrainingNote:
    """Passes progress on, and notes it for whoever serves; the note goes when training ends."""

    def __init__(self, folder: Path, progress: _Progress) -> None:
        self._path = folder / _FILE
        self._progress = progress

    def __call__(self, step: str, done: float, total: float, /) -> None:
        """Note that ``done`` of ``total`` of a step is done; a full disk ends no training."""
        self._progress(step, done, total)
        note = _Note(os.getpid(), step, min(1.0, done / total) if total > 0 else 0.0)
        fresh = self._path.with_name(f".{_FILE}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.json.encode(note))
            fresh.replace(self._path)
        except OSError:
            fresh.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._path.unlink(missing_ok=True)


def read_note(folder: Path) -> tuple[str, float] | None:
    """The step a training on this machine is at and its share done; None where none runs."""
    try:
        note = msgspec.json.decode((folder / _FILE).read_bytes(), type=_Note)
        os.kill(note.pid, 0)  # whoever wrote it is still there
    except (OSError, msgspec.MsgspecError):
        return None
    return note.step, note.share


class Refusal(msgspec.Struct, frozen=True):
    """Why the last training came to nothing."""

    at_ms: int
    reason: str


def note_refusal(folder: Path, refusal: Refusal | None) -> None:
    """Keep why the last training was refused; ``None`` after one that was not."""
    file = folder / _REFUSED
    if refusal is None:
        file.unlink(missing_ok=True)
    else:
        file.write_bytes(msgspec.json.encode(refusal))


def read_refusal(folder: Path) -> Refusal | None:
    """Why the last training was refused; ``None`` where it was not."""
    try:
        return msgspec.json.decode((folder / _REFUSED).read_bytes(), type=Refusal)
    except (OSError, msgspec.MsgspecError):
        return None
