"""A process that stores actions and writes down what was acknowledged, to be killed or starved.

    python tests/store/writer.py ADDRESS LOG RUN [MODE]

Each line of LOG is "s RUN/THREAD/BATCH" before a batch is sent and "a ..." after it was
acknowledged, "e ..." after an error. A new run first sends again what was never answered. MODE:
``fsync`` or ``write`` makes that call fail in the kernel, from the 4th batch on.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import sys
import threading
from itertools import count
from pathlib import Path
from typing import Any

from habitue.errors import StoreError
from habitue.facts import Action
from habitue.store.group_commit import GroupCommit

SIZE = 10
NOON = 1_700_000_000_000


def actions(batch: str) -> list[Action]:
    return [
        Action(kind="view_item", shopper=f"s{n}", item=f"i{n}", id=f"{batch}/{n}", at=NOON)
        for n in range(SIZE)
    ]


def open_store(address: str) -> Any:
    if address.startswith("postgresql://"):
        from habitue.store.postgres import PostgresFactStore

        return PostgresFactStore(address)
    from habitue.store.sqlite import SqliteFactStore

    return SqliteFactStore(address, wait_seconds=30)


def unanswered(log: Path) -> list[str]:
    lines = log.read_text().splitlines() if log.exists() else []
    sent = {line[2:]: None for line in lines if line.startswith("s ")}
    for line in lines:
        if line.startswith("a "):
            sent.pop(line[2:], None)
    return list(sent)


def fsync_fails() -> None:
    """From now on the kernel answers this thread's fsync and fdatasync with an I/O error."""
    numbers = {"x86_64": (74, 75), "aarch64": (82, 83)}[platform.machine()]
    load, equal, give = 0x20, 0x15, 0x06
    allow, fail = 0x7FFF0000, 0x00050000 | 5
    steps = [(load, 0, 0, 0), (equal, 2, 0, numbers[0]), (equal, 1, 0, numbers[1])]
    steps += [(give, 0, 0, allow), (give, 0, 0, fail)]

    class Step(ctypes.Structure):
        _fields_ = (
            ("code", ctypes.c_ushort),
            ("yes", ctypes.c_ubyte),
            ("no", ctypes.c_ubyte),
            ("k", ctypes.c_uint),
        )

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.POINTER(Step)))

    libc = ctypes.CDLL(None, use_errno=True)
    filter_ = Filter(len(steps), (Step * len(steps))(*steps))
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, ctypes.byref(filter_), 0, 0) == 0  # PR_SET_SECCOMP, filter


def writes_fail(folder: Path) -> None:
    """From now on no file may grow beyond what the largest has now: the write answers EFBIG."""
    largest = max(file.stat().st_size for file in folder.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))


def main() -> None:
    address, log_name, run = sys.argv[1:4]
    mode = sys.argv[4] if len(sys.argv) > 4 else ""
    log = Path(log_name)
    again = unanswered(log)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    store = open_store(address)
    if mode:
        starve(store, Path(address).parent, mode, out)
        return
    group = GroupCommit(store)

    def send(batch: str) -> None:
        os.write(out, f"s {batch}\n".encode())
        group.append_sync(actions(batch), received_at_ms=NOON)
        os.write(out, f"a {batch}\n".encode())

    for batch in again:
        send(batch)
    os.write(out, f"r {run}\n".encode())

    def client(k: int) -> None:
        for n in count():
            send(f"{run}/{k}/{n}")

    threads = [threading.Thread(target=client, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def starve(store: Any, folder: Path, mode: str, out: int) -> None:
    for n in range(10):
        if n == 3:
            if mode == "fsync":
                fsync_fails()
            else:
                writes_fail(folder)
        try:
            store.append(actions(f"0/0/{n}"), received_at_ms=NOON)
            os.write(out, f"a 0/0/{n}\n".encode())
        except StoreError as error:
            os.write(out, f"e 0/0/{n} {type(error).__name__}: {error}\n".encode())
    os._exit(0)  # as a crash would: nothing is tidied up


if __name__ == "__main__":
    main()
