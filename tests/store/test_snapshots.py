"""Snapshots: whole or absent, never changed, one active, and none used that is not as written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from habitue.errors import NotFound, SchemaTooNew, SnapshotError, SnapshotRefused
from habitue.store.snapshots import Snapshot, SnapshotStore

NOON = 1_700_000_000_000


@pytest.fixture
def snapshots(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "snapshots")


def write(snapshots: SnapshotStore, at: int = 0, content: bytes = b"trees") -> Snapshot:
    with snapshots.draft(now_ms=NOON + at, watermark=7, lineage="l", parent="p") as draft:
        (draft.path / "ranker" / "home").mkdir(parents=True)
        (draft.path / "ranker" / "home" / "trees.bin").write_bytes(content)
        (draft.path / "vectors.npy").write_bytes(b"\0" * 1000)
        draft.metrics["ndcg"] = 0.25
        draft.config["dim"] = 64
    assert draft.snapshot is not None
    return draft.snapshot


def change_manifest(snapshot: Snapshot, **changes: object) -> None:
    file = snapshot.path / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_snapshot_says_what_it_is(snapshots: SnapshotStore) -> None:
    written = write(snapshots)
    read = snapshots.verify(written.manifest.id)
    assert read == written
    manifest = read.manifest
    assert (manifest.created_at_ms, manifest.watermark) == (NOON, 7)
    assert (manifest.lineage, manifest.parent) == ("l", "p")
    assert (manifest.metrics, manifest.config) == ({"ndcg": 0.25}, {"dim": 64})
    assert manifest.artifacts["ranker/home/trees.bin"].bytes == 5
    assert manifest.artifacts["ranker/home/trees.bin"].sha256 == (  # printf trees | sha256sum
        "29d807300a961b0cbdb4f22cc5db866a43d20d87b1e17b7f50c91bab25089940"
    )
    assert set(manifest.artifacts) == {"ranker/home/trees.bin", "vectors.npy"}


def test_ids_sort_by_time_and_the_newest_is_listed_first(snapshots: SnapshotStore) -> None:
    ids = [write(snapshots, at).manifest.id for at in (5, 0, 90_000_000)]
    assert [m.id for m in snapshots.list()] == sorted(ids, reverse=True)
    assert snapshots.list()[0].created_at_ms == NOON + 90_000_000


def test_a_draft_that_fails_leaves_nothing(snapshots: SnapshotStore) -> None:
    def fail() -> None:
        with snapshots.draft(now_ms=NOON, watermark=1) as draft:
            (draft.path / "half").write_text("half")
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()
    assert snapshots.list() == []
    assert list(snapshots.path.iterdir()) == []


def test_what_a_killed_run_left_is_swept_and_a_running_one_is_not(
    snapshots: SnapshotStore,
) -> None:
    (snapshots.path / ".staging-999999999-0").mkdir()
    with snapshots.draft(now_ms=NOON, watermark=1) as draft:
        snapshots.sweep()
        assert draft.path.exists()
    assert [m.watermark for m in snapshots.list()] == [1]
    assert not (snapshots.path / ".staging-999999999-0").exists()


def test_one_is_active_and_rolling_back_goes_back_step_by_step(snapshots: SnapshotStore) -> None:
    assert snapshots.active() is None
    with pytest.raises(NotFound):
        snapshots.roll_back(now_ms=NOON)
    first, second, third = (write(snapshots, at).manifest.id for at in range(3))
    for at, name in enumerate((first, second, third, third)):
        snapshots.activate(name, now_ms=NOON + at)
    assert snapshots.roll_back(now_ms=NOON + 8).manifest.id == second
    assert snapshots.roll_back(now_ms=NOON + 9).manifest.id == first
    with pytest.raises(NotFound):
        snapshots.roll_back(now_ms=NOON + 10)
    again = SnapshotStore(snapshots.path)  # as another process sees it
    assert again.active_id() == first
    assert [(s.id, s.at_ms - NOON, s.rolled_back) for s in again.history()] == [
        (first, 0, False),
        (second, 1, False),
        (third, 2, False),
        (second, 8, True),
        (first, 9, True),
    ]


def test_a_snapshot_that_is_not_as_written_is_refused_and_the_active_one_stays(
    snapshots: SnapshotStore,
) -> None:
    good = write(snapshots).manifest.id
    snapshots.activate(good, now_ms=NOON)
    missing, shorter, other, linked, broken, moved = (write(snapshots, at) for at in range(1, 7))
    (missing.path / "vectors.npy").unlink()
    (shorter.path / "vectors.npy").write_bytes(b"\0" * 999)
    (other.path / "vectors.npy").write_bytes(b"\0" * 999 + b"\1")
    (linked.path / "vectors.npy").unlink()
    (linked.path / "vectors.npy").symlink_to(other.path / "vectors.npy")
    (broken.path / "manifest.json").write_text("{")
    outside = {"../../secret": {"sha256": "", "bytes": 0}}
    change_manifest(moved, artifacts=outside)
    for snapshot, why in (
        (missing, "vectors.npy is missing"),
        (shorter, "another size"),
        (other, "another content"),
        (linked, "vectors.npy is missing"),
        (broken, "cannot be read"),
        (moved, "outside the folder"),
    ):
        with pytest.raises(SnapshotRefused, match=why):
            snapshots.activate(snapshot.manifest.id, now_ms=NOON)
    assert snapshots.active_id() == good
    assert snapshots.get(other.manifest.id)  # the quick look does not read contents
    assert {m.id for m in snapshots.list()} >= {good, other.manifest.id}


def test_a_newer_format_is_refused_with_what_to_do(snapshots: SnapshotStore) -> None:
    snapshot = write(snapshots)
    change_manifest(snapshot, format=99, unheard_of=True)
    with pytest.raises(SchemaTooNew, match="pip install"):
        snapshots.get(snapshot.manifest.id)


@pytest.mark.parametrize("name", ["", ".", "..", "../snapshots", "a/b", "nobody", ".lock", "a\0"])
def test_a_name_nobody_has_is_not_found(snapshots: SnapshotStore, name: str) -> None:
    write(snapshots)
    with pytest.raises(NotFound):
        snapshots.get(name)


def test_the_active_snapshot_is_not_deleted(snapshots: SnapshotStore) -> None:
    first, second = (write(snapshots, at).manifest.id for at in range(2))
    snapshots.activate(first, now_ms=NOON)
    snapshots.activate(second, now_ms=NOON)
    with pytest.raises(SnapshotError):
        snapshots.delete(second)
    snapshots.delete(first)
    assert [m.id for m in snapshots.list()] == [second]
    with pytest.raises(NotFound):
        snapshots.roll_back(now_ms=NOON)


def test_the_pointer_is_replaced_whole(
    snapshots: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (write(snapshots, at).manifest.id for at in range(2))
    snapshots.activate(first, now_ms=NOON)

    def no_room(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OSError, match="No space"):
        snapshots.activate(second, now_ms=NOON)
    assert snapshots.active_id() == first
