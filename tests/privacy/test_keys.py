"""API keys are shown once, kept as hashes, and end when they are revoked."""

import os
import stat
from pathlib import Path

import pytest

from habitue.errors import BadInput, BadSetting, Conflict, NotFound, SchemaTooNew
from habitue.privacy.keys import Caller, Keyring

NOW = 1_700_000_000_000


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "var" / "keys.json")


def test_a_key_opens_and_another_does_not(ring: Keyring) -> None:
    key = ring.add("web shop", "browser", now_ms=NOW)
    assert key.startswith("hb_browser_")
    assert ring.find(key, NOW) == Caller("web shop", "browser")
    for wrong in ("", key[:-1], key + "x", key.upper(), "hb_browser_", "é\udcff"):
        assert ring.find(wrong, NOW) is None


def test_keys_are_long_and_random(ring: Keyring) -> None:
    keys = [ring.add(f"till {n}", "server", now_ms=NOW) for n in range(20)]
    assert len(set(keys)) == 20
    assert min(len(key) for key in keys) == len("hb_server_") + 43


def test_the_file_holds_no_key_and_is_the_owners_alone(ring: Keyring, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        key = ring.add("web", "admin", now_ms=NOW)
    finally:
        os.umask(old)
    file = tmp_path / "var" / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key.rsplit("_", 1)[1] not in file.read_text()
    assert [path.name for path in file.parent.iterdir() if not path.name.startswith(".")] == [
        "keys.json"
    ]


def test_a_revoked_key_ends_at_once_for_everyone(ring: Keyring, tmp_path: Path) -> None:
    key = ring.add("web", "browser", now_ms=NOW)
    server = Keyring(tmp_path / "var" / "keys.json")
    assert server.find(key, NOW) is not None
    ring.revoke("web", now_ms=NOW + 1)
    assert ring.find(key, NOW) is None
    assert server.find(key, NOW) is None
    assert [entry.revoked_ms for entry in ring.entries()] == [NOW + 1]
    assert len(server) == 0
    with pytest.raises(NotFound):
        ring.revoke("web", now_ms=NOW + 2)


def test_a_key_made_by_another_process_counts_at_once(ring: Keyring, tmp_path: Path) -> None:
    assert len(ring) == 0
    key = Keyring(tmp_path / "var" / "keys.json").add("web", "server", now_ms=NOW)
    assert ring.find(key, NOW) == Caller("web", "server")


def test_names_are_unique_among_valid_keys(ring: Keyring) -> None:
    first = ring.add("web", "browser", now_ms=NOW)
    with pytest.raises(Conflict):
        ring.add("web", "server", now_ms=NOW)
    ring.revoke("web", now_ms=NOW)
    second = ring.add("web", "server", now_ms=NOW)
    assert ring.find(first, NOW) is None
    assert ring.find(second, NOW) == Caller("web", "server")


@pytest.mark.parametrize("name", ["", " ", "a" * 61, "new\nline", "../x"])
def test_names_are_plain(ring: Keyring, name: str) -> None:
    with pytest.raises(BadInput):
        ring.add(name, "server", now_ms=NOW)


def test_scopes_are_three(ring: Keyring) -> None:
    with pytest.raises(BadInput, match="browser, server or admin"):
        ring.add("x", "root", now_ms=NOW)  # type: ignore[arg-type]


def test_a_file_others_can_read_is_refused(ring: Keyring, tmp_path: Path) -> None:
    ring.add("web", "server", now_ms=NOW)
    file = tmp_path / "var" / "keys.json"
    file.chmod(0o644)
    with pytest.raises(BadSetting, match="chmod 600"):
        Keyring(file)


def test_a_damaged_or_newer_file_says_so(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    for content, error in ((b"{", BadSetting), (b'{"version": 9, "keys": []}', SchemaTooNew)):
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(error):
            Keyring(file)


def test_losing_the_file_does_not_open_the_shop(ring: Keyring, tmp_path: Path) -> None:
    key = ring.add("web", "server", now_ms=NOW)
    (tmp_path / "var" / "keys.json").unlink()
    assert len(ring) == 1
    assert ring.find(key, NOW) is not None


DAY = 86_400_000


def test_a_rotated_key_is_valid_beside_the_new_one_until_the_overlap_ends(ring: Keyring) -> None:
    old = ring.add("web", "browser", now_ms=NOW)
    new = ring.rotate("web", overlap_ms=7 * DAY, now_ms=NOW)
    assert new.startswith("hb_browser_")
    assert ring.find(old, NOW + 7 * DAY - 1) == ring.find(new, NOW) == Caller("web", "browser")
    assert ring.find(old, NOW + 7 * DAY) is None
    assert ring.find(new, NOW + 700 * DAY) is not None


def test_a_second_rotation_ends_the_first_key_at_once(ring: Keyring) -> None:
    first = ring.add("web", "server", now_ms=NOW)
    second = ring.rotate("web", overlap_ms=DAY, now_ms=NOW)
    third = ring.rotate("web", overlap_ms=DAY, now_ms=NOW + 1)
    assert ring.find(first, NOW + 1) is None
    assert ring.find(second, NOW + 2) == ring.find(third, NOW + 2) == Caller("web", "server")
    assert len({first, second, third}) == 3


def test_rotation_without_overlap_is_a_replacement(ring: Keyring) -> None:
    old = ring.add("web", "admin", now_ms=NOW)
    new = ring.rotate("web", overlap_ms=0, now_ms=NOW)
    assert ring.find(old, NOW) is None
    assert ring.find(new, NOW) == Caller("web", "admin")


def test_the_replaced_key_can_be_revoked_before_its_time(ring: Keyring) -> None:
    old = ring.add("web", "browser", now_ms=NOW)
    new = ring.rotate("web", overlap_ms=DAY, now_ms=NOW)
    ring.revoke("web", now_ms=NOW + 1, replaced=True)
    assert ring.find(old, NOW + 2) is None
    assert ring.find(new, NOW + 2) is not None
    with pytest.raises(NotFound, match="replaced"):
        ring.revoke("web", now_ms=NOW + 2, replaced=True)
    ring.revoke("web", now_ms=NOW + 3)
    assert ring.find(new, NOW + 3) is None


def test_revoking_a_name_ends_both_keys_of_a_rotation(ring: Keyring) -> None:
    old = ring.add("web", "browser", now_ms=NOW)
    new = ring.rotate("web", overlap_ms=DAY, now_ms=NOW)
    ring.revoke("web", now_ms=NOW + 1)
    assert ring.find(old, NOW + 1) is ring.find(new, NOW + 1) is None


def test_only_a_valid_key_can_be_rotated(ring: Keyring) -> None:
    with pytest.raises(NotFound):
        ring.rotate("web", overlap_ms=0, now_ms=NOW)
    ring.add("web", "browser", now_ms=NOW)
    with pytest.raises(BadInput):
        ring.rotate("web", overlap_ms=-1, now_ms=NOW)
    ring.revoke("web", now_ms=NOW)
    with pytest.raises(NotFound):
        ring.rotate("web", overlap_ms=0, now_ms=NOW)


def test_the_last_use_is_stamped_for_every_process(ring: Keyring, tmp_path: Path) -> None:
    used, unused = ring.add("web", "browser", now_ms=NOW), ring.add("till", "server", now_ms=NOW)
    server, other = (Keyring(tmp_path / "var" / "keys.json") for _ in range(2))
    server.find(used, NOW + 5)
    server.find(used + "x", NOW + 9)
    other.find(used, NOW + 3)
    server.stamp()
    other.stamp()  # an older use does not undo a newer one
    stamps = Keyring(tmp_path / "var" / "keys.json").last_used()
    named = {one.name: stamps.get(one.sha256) for one in ring.entries()}
    assert named == {"web": NOW + 5, "till": None}
    file = tmp_path / "var" / "keys.used.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(one.sha256 not in file.read_text() for one in ring.entries())
    assert unused not in file.read_text()
