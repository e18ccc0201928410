"""A log that grows, is rotated, cut short and left alone for a while: each line is stored once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

import habitue
from habitue.app import following
from habitue.app.following import Followed, follow
from habitue.app.importing import store_facts
from habitue.errors import BadInput, Unavailable
from habitue.facts.feeds.tail import Tail

T = 1_700_000_000_000
MAPPING = """
name = "clicks"
[action]
kind = "view_item"
shopper = "who"
item = "what"
at = { column = "at", unit = "ms" }
platform = { column = "where", optional = true }
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[habitue.Shop]:
    with habitue.open(tmp_path / "shop.db") as opened:
        yield opened


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def line(n: int) -> str:
    said = {"kind": "view_item", "shopper": f"s{n % 3}", "item": f"i{n}", "at": T + n}
    return json.dumps(said) + "\n"


def append(path: Path, *numbers: int) -> None:
    with path.open("a") as file:
        file.writelines(line(n) for n in numbers)


def run(shop: habitue.Shop, path: Path, *steps: Callable[[], object], **more: object) -> Followed:
    """Follow until nothing is to read any more; then take the next step, and so on."""
    stop, waiting, calm, rows = Event(), list(steps), 0, 0

    def told(done: Followed) -> None:
        nonlocal calm, rows
        calm, rows = calm + 1 if rows == done.rows else 0, done.rows
        if calm >= 4:  # as many looks found nothing: longer than the grace of a rotated file
            calm = 0
            if not waiting:
                stop.set()
            else:
                waiting.pop(0)()

    settings = {"mapping": None, "rejects": None, "poll_seconds": 0.002, "grace_seconds": 0.004}
    return follow(shop.parts, path, stop=stop, told=told, **(settings | more))  # type: ignore[arg-type]


def seen(shop: habitue.Shop) -> list[str]:
    """The items acted on, in order of being stored."""
    ids = shop.parts.store.item_ids()
    rows = [
        row for table in shop.parts.store.scan("action") for row in table["item_row"].to_pylist()
    ]
    return [ids[row] for row in rows]


def items(*numbers: int) -> list[str]:
    return [f"i{n}" for n in numbers]


def test_lines_to_come_are_stored_as_they_come(shop: habitue.Shop, log: Path) -> None:
    append(log, 0, 1)
    done = run(shop, log, lambda: append(log, 2), lambda: append(log, 3, 4))
    assert seen(shop) == items(0, 1, 2, 3, 4)
    assert (done.rows, done.stored.new, done.rejected) == (5, 5, 0)


def test_a_line_is_read_when_it_is_whole(shop: habitue.Shop, log: Path) -> None:
    append(log, 0)
    rest = line(1)
    with log.open("a") as file:
        file.write(rest[:20])

    def finish() -> None:
        assert seen(shop) == items(0)
        with log.open("a") as file:
            file.write(rest[20:])

    assert run(shop, log, finish).rejected == 0
    assert seen(shop) == items(0, 1)


def test_a_restart_goes_on_where_the_last_one_came_to(shop: habitue.Shop, log: Path) -> None:
    append(log, 0, 1)
    run(shop, log)
    append(log, 2)
    done = run(shop, log)
    assert (done.rows, done.stored.new, done.stored.duplicate) == (1, 1, 0)
    assert seen(shop) == items(0, 1, 2)


@pytest.mark.parametrize("mapped", [False, True])
def test_lines_stored_but_not_noted_are_not_doubled(
    shop: habitue.Shop,
    log: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mapped: bool,
) -> None:
    mapping = None
    if mapped:
        mapping = tmp_path / "clicks.toml"
        mapping.write_text(MAPPING)
        with log.open("w") as file:
            file.writelines(
                json.dumps({"who": "anna", "what": f"i{n}", "at": T + n}) + "\n" for n in range(3)
            )
    else:
        append(log, 0, 1, 2)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(following._Note, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            run(shop, log, mapping=mapping)
    assert seen(shop) == items(0, 1, 2)
    with log.open("a") as file:
        said = {"who": "anna", "what": "i3", "at": T + 3, "where": "app"}
        file.write(json.dumps(said) + "\n" if mapped else line(3))
    done = run(shop, log, mapping=mapping)
    assert (done.stored.new, done.stored.duplicate, done.stored.conflict) == (1, 3, 0)
    assert seen(shop) == items(0, 1, 2, 3)


def test_a_renamed_file_is_read_to_its_end_and_then_the_new_one(
    shop: habitue.Shop, log: Path
) -> None:
    append(log, 0)
    old = log.with_name("events.jsonl.1")

    def rotate() -> None:
        log.rename(old)
        append(old, 1)  # the writer has not noticed yet
        append(log, 2)

    def late() -> None:
        append(log, 3)

    run(shop, log, rotate, late)
    assert seen(shop) == items(0, 1, 2, 3)


def test_the_last_line_of_a_rotated_file_needs_no_line_break(shop: habitue.Shop, log: Path) -> None:
    append(log, 0)
    with log.open("a") as file:
        file.write(line(1).rstrip("\n"))

    def rotate() -> None:
        log.rename(log.with_name("events.jsonl.1"))
        append(log, 2)

    run(shop, log, rotate)
    assert seen(shop) == items(0, 1, 2)


def test_a_file_renamed_while_nobody_looked_is_found_again(shop: habitue.Shop, log: Path) -> None:
    append(log, 0)
    run(shop, log)
    append(log, 1)
    log.rename(log.with_name("events.jsonl.1"))
    append(log, 2)
    done = run(shop, log)
    assert seen(shop) == items(0, 1, 2)
    assert done.stored.duplicate == 0


def test_files_rotated_one_after_another_while_nobody_looked_are_all_read(
    shop: habitue.Shop, log: Path
) -> None:
    append(log, 0)
    run(shop, log)
    append(log, 1)
    for number in (1, 2, 3):
        log.rename(log.with_name(f"events.jsonl.{number}"))
        time.sleep(0.02)  # the clock of files has a grain
        append(log, 2 * number, 2 * number + 1)
    append(log.with_name("events.jsonl.bak"), 99)  # nothing rotation would leave
    run(shop, log)
    assert seen(shop) == items(*range(8))


def test_what_had_the_name_since_is_read_when_the_last_one_is_gone(
    shop: habitue.Shop, log: Path
) -> None:
    append(log, 0)
    run(shop, log)
    log.unlink()
    time.sleep(0.02)
    append(log.with_name("events.jsonl-20240501"), 1)
    append(log, 2)
    run(shop, log)
    assert seen(shop) == items(0, 1, 2)


def test_a_file_copied_and_cut_while_nobody_looked_is_read_to_its_end(
    shop: habitue.Shop, log: Path
) -> None:
    append(log, 0)
    run(shop, log)
    append(log, 1)
    log.with_name("events.jsonl.1").write_bytes(log.read_bytes())
    log.write_text("")
    append(log, 2)
    done = run(shop, log)
    assert seen(shop) == items(0, 1, 2)
    assert done.stored.duplicate == 0


def test_a_file_that_is_gone_with_lines_unread_is_told(shop: habitue.Shop, log: Path) -> None:
    append(log, 0)
    run(shop, log)
    log.unlink()
    other = log.with_name("other")
    append(other, 7, 8)
    other.rename(log)
    troubles = []
    stop = Event()

    def told(done: Followed) -> None:
        troubles.append(done.trouble)
        if len(troubles) > 2:
            stop.set()

    follow(shop.parts, log, None, None, stop=stop, told=told, poll_seconds=0.001)
    assert seen(shop) == items(0, 7, 8)
    assert "may be unread" in troubles[-1]


def test_a_file_written_anew_is_read_from_its_beginning(shop: habitue.Shop, log: Path) -> None:
    append(log, 0, 1)

    def shorter() -> None:
        log.write_text("")
        append(log, 2)

    def longer() -> None:
        log.write_text("")
        append(log, 3, 4, 5, 6)

    run(shop, log, shorter, longer)
    assert seen(shop) == items(0, 1, 2, 3, 4, 5, 6)


def test_a_file_written_anew_with_the_same_lines_says_them_again(
    shop: habitue.Shop, log: Path
) -> None:
    append(log, 0, 1)

    def again() -> None:
        log.write_text("")
        append(log, 0)

    run(shop, log, again)
    assert seen(shop) == items(0, 1, 0)


def test_a_file_written_anew_with_the_same_first_line_is_read_again(
    shop: habitue.Shop, log: Path
) -> None:
    append(log, 0, 1, 2)

    def again() -> None:
        log.write_text("")
        append(log, 0, 7, 8, 9)  # longer than what was read

    run(shop, log, again)
    assert seen(shop) == items(0, 1, 2, 0, 7, 8, 9)


def test_a_file_that_is_not_there_yet_is_waited_for(shop: habitue.Shop, log: Path) -> None:
    run(shop, log, lambda: append(log, 0))
    assert seen(shop) == items(0)


def test_a_line_longer_than_a_chunk_is_read_whole(log: Path) -> None:
    log.write_text("a" * 1000 + "\nb\n")
    tail = Tail(log, None, chunk_bytes=64)
    first = tail.read()
    assert first is not None
    assert first.lines[0] == (1, b"a" * 1000)
    tail.done(first)
    rest = tail.read()
    assert [one for chunk in (first, rest) if chunk for one in chunk.lines][1:] == [(2, b"b")]
    tail.close()


def test_wrong_lines_are_told_by_their_number_in_the_file(
    shop: habitue.Shop, log: Path, tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects.jsonl"
    append(log, 0)

    def wrong() -> None:
        with log.open("a") as file:
            file.write("{broken\n")

    done = run(shop, log, wrong, lambda: append(log, 1), wrong, rejects=rejects)
    assert (done.rows, done.rejected) == (4, 2)
    said = [json.loads(row) for row in rejects.read_text().splitlines()]
    assert [(row["line"], row["said"]) for row in said] == [(2, "{broken"), (4, "{broken")]


def test_a_store_that_does_not_answer_is_asked_again(
    shop: habitue.Shop, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, 0)
    tries: list[int] = []

    def flaky(*said: object) -> object:
        tries.append(1)
        if len(tries) < 3:
            raise Unavailable("The store does not answer.")
        return store_facts(*said)  # type: ignore[arg-type]

    monkeypatch.setattr(following, "store_facts", flaky)
    monkeypatch.setattr(following, "_PATIENCE", (0.001,))
    run(shop, log)
    assert (len(tries), seen(shop)) == (3, items(0))


def test_only_one_follows_a_file(shop: habitue.Shop, log: Path) -> None:
    append(log, 0)
    with following._noted(shop.parts, log), pytest.raises(BadInput, match="another process"):
        run(shop, log)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [("a.csv", "a,b\n", "stand for themselves"), ("a.jsonl", '{"x": 1}\n', "what its lines are")],
)
def test_what_cannot_be_followed(
    shop: habitue.Shop, tmp_path: Path, name: str, text: str, reason: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=reason):
        run(shop, tmp_path / name)


def test_the_command_stops_at_sigterm_with_everything_stored(log: Path, tmp_path: Path) -> None:
    append(log, *range(50))
    store = tmp_path / "cli.db"
    command = [sys.executable, "-m", "habitue", "import", str(log), "--follow"]
    process = subprocess.Popen(
        [*command, "--store", str(store)], stderr=subprocess.PIPE, text=True, env=os.environ
    )
    note = store.with_suffix(".keys.following")
    deadline = time.monotonic() + 60
    while not list(note.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    append(log, 50)
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "51 rows, 51 new facts; stopped." in said
    with habitue.open(store) as shop:
        assert seen(shop) == items(*range(51))
