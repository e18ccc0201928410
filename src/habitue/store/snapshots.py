"""Trained snapshots on a path: immutable folders, one of them active, switched atomically.

::

    snapshots/
      20240501T120000000Z-3fa9c2d1/   one snapshot: manifest.json and its artifacts
      active.json                     which one answers, and which answered before
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from habitue.errors import NotFound, SchemaTooNew, SnapshotError, SnapshotRefused

__all__ = ["FORMAT", "Artifact", "Draft", "Manifest", "Snapshot", "SnapshotStore", "Switch"]

FORMAT: Final = 1
"""Of the folder as a whole: raised when an older program could misread it."""

_MANIFEST: Final = "manifest.json"
_STAGING: Final = ".staging-"
_NAME: Final = re.compile("[A-Za-z0-9-]{1,100}")
_number = count()


class Artifact(msgspec.Struct, frozen=True):
    """One file of a snapshot, as it was written."""

    sha256: str
    bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot says of itself."""

    format: int
    id: str
    created_at_ms: int
    watermark: int  # the last seq it was trained on
    lineage: str = ""  # of the store whose rows it holds
    parent: str | None = None
    metrics: dict[str, Any] = {}
    config: dict[str, Any] = {}
    artifacts: dict[str, Artifact] = {}


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot in its folder."""

    manifest: Manifest
    path: Path


class Switch(msgspec.Struct, frozen=True):
    """One change of the active snapshot."""

    id: str
    at_ms: int
    rolled_back: bool = False


class _Active(msgspec.Struct):
    format: int = FORMAT
    stack: list[str] = []  # what answers now stands last
    log: list[Switch] = []


class Draft:
    """A snapshot being written: put files below ``path``; nobody sees them before the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self.snapshot: Snapshot | None = None  # once the draft is complete


class SnapshotStore:
    """The snapshots below ``path``. Several processes may use it at once."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)

    # -- writing -----------------------------------------------------------------------------

    @contextmanager
    def draft(
        self, *, now_ms: int, watermark: int, lineage: str = "", parent: str | None = None
    ) -> Iterator[Draft]:
        """Write a snapshot inside the ``with``; it appears whole at its end, or not at all.

        Set ``metrics`` and ``config`` on the draft; afterwards ``draft.snapshot`` is the snapshot.
        """
        staging = self.path / f"{_STAGING}{os.getpid()}-{next(_number)}"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        draft = Draft(staging)
        try:
            yield draft
            artifacts = _inventory(staging)
            manifest = Manifest(
                format=FORMAT,
                id=_id(now_ms, watermark, artifacts),
                created_at_ms=now_ms,
                watermark=watermark,
                lineage=lineage,
                parent=parent,
                metrics=draft.metrics,
                config=draft.config,
                artifacts=artifacts,
            )
            _write(staging / _MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            draft.snapshot = self._publish(staging, manifest)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _publish(self, staging: Path, manifest: Manifest) -> Snapshot:
        for folder, _, _ in os.walk(staging):
            _sync(Path(folder))
        target = self.path / manifest.id
        try:
            staging.rename(target)
        except OSError as error:
            raise SnapshotError(
                f"Snapshot {manifest.id} cannot be put in place: {error.strerror}.",
                remedy="Check that the folder can be written and has room, then train again.",
            ) from error
        _sync(self.path)
        return Snapshot(manifest, target)

    def sweep(self) -> None:
        """Remove what a killed training run left half-written."""
        for staging in self.path.glob(f"{_STAGING}*"):
            pid = staging.name.removeprefix(_STAGING).partition("-")[0]
            if not Path(f"/proc/{pid}").exists():
                shutil.rmtree(staging, ignore_errors=True)

    def delete(self, snapshot_id: str) -> None:
        """Remove a snapshot; raises ``SnapshotError`` for the active one."""
        with self._switching() as active:
            snapshot = self._find(snapshot_id)
            if active.stack and active.stack[-1] == snapshot_id:
                raise SnapshotError(
                    f"Snapshot {snapshot_id} is active.", remedy="Activate another one first."
                )
            active.stack = [i for i in active.stack if i != snapshot_id]
            doomed = self.path / f"{_STAGING}{os.getpid()}-{next(_number)}"
            snapshot.rename(doomed)
            shutil.rmtree(doomed)

    # -- reading -----------------------------------------------------------------------------

    def list(self) -> list[Manifest]:
        """The manifests of all snapshots that can be read, newest first."""
        found = []
        for folder in sorted(self.path.iterdir(), reverse=True):
            if folder.is_dir() and not folder.name.startswith("."):
                try:
                    found.append(_manifest(folder))
                except (SnapshotRefused, SchemaTooNew):
                    continue
        return found

    def get(self, snapshot_id: str) -> Snapshot:
        """A snapshot all of whose artifacts are there, by name and size.

        Raises ``NotFound``, ``SchemaTooNew`` or ``SnapshotRefused``.
        """
        folder = self._find(snapshot_id)
        manifest = _manifest(folder)
        for name, artifact in manifest.artifacts.items():
            file = folder / name
            if not file.is_file() or file.is_symlink():
                raise _refused(manifest.id, f"{name} is missing")
            if file.stat().st_size != artifact.bytes:
                raise _refused(manifest.id, f"{name} has another size than when it was written")
        return Snapshot(manifest, folder)

    def verify(self, snapshot_id: str) -> Snapshot:
        """As ``get``, and every artifact has the content it was written with."""
        snapshot = self.get(snapshot_id)
        for name, artifact in snapshot.manifest.artifacts.items():
            if _sha256(snapshot.path / name) != artifact.sha256:
                raise _refused(snapshot_id, f"{name} has another content than when it was written")
        return snapshot

    def active(self) -> Snapshot | None:
        """The snapshot that answers now; ``None`` before the first."""
        name = self.active_id()
        return None if name is None else self.get(name)

    def active_id(self) -> str | None:
        """The id of the snapshot that answers now: cheap, for servers that look for a switch."""
        stack = self._read_active().stack
        return stack[-1] if stack else None

    def history(self) -> Sequence[Switch]:
        """Every change of the active snapshot, oldest first."""
        return self._read_active().log

    # -- switching ---------------------------------------------------------------------------

    def activate(self, snapshot_id: str, *, now_ms: int) -> Snapshot:
        """Answer from this snapshot from now on, once it is verified."""
        snapshot = self.verify(snapshot_id)
        with self._switching() as active:
            if not active.stack or active.stack[-1] != snapshot_id:
                active.stack.append(snapshot_id)
                active.log.append(Switch(snapshot_id, now_ms))
        return snapshot

    def roll_back(self, *, now_ms: int) -> Snapshot:
        """Answer from the snapshot that was active before this one; raises ``NotFound``."""
        with self._switching() as active:
            if len(active.stack) < 2:
                raise NotFound(
                    "There is no earlier active snapshot to roll back to.",
                    remedy="`habitue snapshots` lists what can be activated.",
                )
            snapshot = self.verify(active.stack[-2])
            active.stack.pop()
            active.log.append(Switch(snapshot.manifest.id, now_ms, rolled_back=True))
            return snapshot

    @contextmanager
    def _switching(self) -> Iterator[_Active]:
        """The pointer, to be changed; written back atomically unless an exception passes."""
        with (self.path / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            active = self._read_active()
            yield active
            part = self.path / ".active.part"
            _write(part, msgspec.json.encode(active))
            part.replace(self.path / "active.json")
            _sync(self.path)

    def _read_active(self) -> _Active:
        try:
            active = msgspec.json.decode((self.path / "active.json").read_bytes(), type=_Active)
        except FileNotFoundError:
            return _Active()
        except msgspec.DecodeError as error:
            raise SnapshotError(
                f"{self.path / 'active.json'} cannot be read: {error}.",
                remedy="Remove it and activate a snapshot again.",
            ) from error
        _refuse_newer(active.format, str(self.path / "active.json"))
        return active

    def _find(self, snapshot_id: str) -> Path:
        folder = self.path / snapshot_id
        if not _NAME.fullmatch(snapshot_id) or not folder.is_dir():
            raise NotFound(
                f"There is no snapshot {snapshot_id!r}.", remedy="`habitue snapshots` lists them."
            )
        return folder


def _id(now_ms: int, watermark: int, artifacts: Mapping[str, Artifact]) -> str:
    """An id that sorts by time and tells apart what was made in the same millisecond."""
    content = msgspec.json.encode((watermark, artifacts), order="sorted")
    second, ms = divmod(now_ms, 1000)
    when = datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{when}{ms:03d}Z-{hashlib.sha256(content).hexdigest()[:8]}"


def _inventory(folder: Path) -> dict[str, Artifact]:
    """Every file below ``folder`` with its hash, made durable on the way."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_symlink():
            raise SnapshotError(f"{file.name} is a link; a snapshot holds its files itself.")
        if file.is_file():
            _sync(file)
            name = file.relative_to(folder).as_posix()
            found[name] = Artifact(_sha256(file), file.stat().st_size)
    return found


def _manifest(folder: Path) -> Manifest:
    try:
        text = (folder / _MANIFEST).read_bytes()
        _refuse_newer(msgspec.json.decode(text, type=_Format).format, f"Snapshot {folder.name}")
        manifest = msgspec.json.decode(text, type=Manifest)
    except FileNotFoundError as error:
        raise _refused(folder.name, "manifest.json is missing") from error
    except msgspec.DecodeError as error:
        raise _refused(folder.name, f"manifest.json cannot be read: {error}") from error
    if manifest.id != folder.name:
        raise _refused(folder.name, f"its manifest is that of {manifest.id}")
    for name in manifest.artifacts:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise _refused(folder.name, f"its manifest points outside the folder ({name})")
    return manifest


class _Format(msgspec.Struct):
    format: int


def _refuse_newer(found: int, what: str) -> None:
    if found > FORMAT:
        raise SchemaTooNew(
            f"{what} has format {found}; this program knows formats up to {FORMAT}.",
            remedy="Install the Habitué that wrote it or a later one (pip install -U habitue), "
            "or train again.",
        )


def _refused(snapshot_id: str, why: str) -> SnapshotRefused:
    return SnapshotRefused(
        f"Snapshot {snapshot_id} is refused: {why}.",
        remedy="Train again, or activate another one (`habitue snapshots`).",
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _sync(path: Path) -> None:
    """Make a file's content, or a folder's list of names, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
