"""Many small requests share one durable commit, and none is acknowledged before it.

A durable commit costs a wait for the disk; a request of a hundred actions is too small to pay it
alone. One thread takes whatever has queued up while the last commit ran, stores it as one
transaction, and tells each caller its own outcome.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol
from weakref import WeakKeyDictionary

from habitue.errors import HabitueError, StoreError, Unavailable
from habitue.facts import Fact
from habitue.store.appending import Batch
from habitue.store.contract import Appended

__all__ = ["CommitCounts", "GroupCommit", "GroupStore", "Told"]

Told = tuple[Sequence[Fact], Appended, int]
"""A batch's facts, what became of them, and when they were received."""

Observer = Callable[[Sequence[Told]], None]


class GroupStore(Protocol):
    """What the queue is written to: a fact store that takes many batches in one commit."""

    def prepare(self, facts: Sequence[Fact], *, received_at_ms: int) -> Batch:
        """Do what needs no database; called in the caller's thread, at any time."""
        ...

    def append_many(self, batches: Sequence[Batch]) -> list[Appended]:
        """Store several callers' batches in one durable commit."""
        ...


@dataclass(slots=True)
class _Waiting:
    facts: Sequence[Fact]  # as the caller gave them
    batch: Batch
    done: Callable[[Appended | BaseException], None] | None  # None: nobody waits


@dataclass(frozen=True, slots=True)
class CommitCounts:
    """What went through the queue so far."""

    commits: int
    batches: int
    facts: int
    failed_commits: int
    dropped: int  # facts nobody waited for that were not stored


class GroupCommit:
    """A bounded queue in front of a fact store, written by one thread.

    ``observe`` is called with the batches of each commit after it became durable and before any of
    their callers is told: live state is updated there. ``max_queued`` facts may
    wait; beyond that ``append`` waits for room and ``append_later`` drops and counts. What nobody
    waits for may lie for ``linger_seconds``, so that slates shown meanwhile are stored together: a
    commit for each would take the processor from the next request.
    """

    def __init__(
        self,
        store: GroupStore,
        *,
        observe: Observer | None = None,
        max_queued: int = 100_000,
        max_commit: int = 20_000,
        linger_seconds: float = 0.05,
    ) -> None:
        self._store = store
        self._linger_seconds = linger_seconds
        self._urgent = 0  # queued batches that somebody waits for
        self._observe = observe
        self._max_queued = max_queued
        self._max_commit = max_commit
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._async_waiters: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._closing = False
        self._commits = self._batches = self._facts = self._failed = self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="habitue-commit", daemon=True)
        self._thread.start()

    # -- callers -----------------------------------------------------------------------------

    async def append(self, facts: Sequence[Fact], *, received_at_ms: int) -> Appended:
        """Store a batch; returns when it is durable and observed. For callers on an event loop.

        Raises what the store raised, and ``Unavailable`` after ``close``.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Appended] = loop.create_future()
        bell = _Bell.of(loop)
        batch = self._store.prepare(facts, received_at_ms=received_at_ms)
        waiting = _Waiting(facts, batch, lambda outcome: bell.ring(future, outcome))
        while not self._offer(waiting):
            room = loop.create_future()
            with self._lock:
                self._async_waiters.append((loop, room))
            await room
        return await future

    def append_sync(self, facts: Sequence[Fact], *, received_at_ms: int) -> Appended:
        """As ``append``, for callers in threads."""
        future: Future[Appended] = Future()

        def done(outcome: Appended | BaseException) -> None:
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        batch = self._store.prepare(facts, received_at_ms=received_at_ms)
        waiting = _Waiting(facts, batch, done)
        while not self._offer(waiting):
            with self._room:
                self._room.wait(0.1)
        return future.result()

    def append_later(self, facts: Sequence[Fact], *, received_at_ms: int) -> bool:
        """Store a batch some time soon; nobody waits. False, and counted, when the queue is full.

        What is queued is lost when the process is killed: at most ``max_queued`` facts.
        """
        if self._offer(_Waiting(facts, Batch(facts, received_at_ms), None)):
            return True
        with self._lock:
            self._dropped += len(facts)
        return False

    def counts(self) -> CommitCounts:
        """What went through so far."""
        with self._lock:
            return CommitCounts(
                self._commits, self._batches, self._facts, self._failed, self._dropped
            )

    def queued(self) -> int:
        """How many facts wait now."""
        with self._lock:
            return self._queued

    def close(self) -> None:
        """Take nothing more, store what is queued, and end the thread."""
        with self._lock:
            self._closing = True
            self._work.notify_all()
            self._wake_waiters()
        self._thread.join()

    def _offer(self, waiting: _Waiting) -> bool:
        """Queue it if there is room (a batch larger than the queue goes alone)."""
        with self._lock:
            if self._closing:
                raise Unavailable(
                    "The store is closing.", remedy="Send it again after the restart."
                )
            if self._queued and self._queued + len(waiting.facts) > self._max_queued:
                return False
            self._queue.append(waiting)
            self._queued += len(waiting.facts)
            if waiting.done is not None:
                self._urgent += 1
            if waiting.done is not None or len(self._queue) == 1 or self._much():
                self._work.notify()
            return True

    def _much(self) -> bool:
        """Whether the next commit should not wait for more."""
        return bool(self._urgent or self._closing or self._queued >= self._max_queued // 2)

    # -- the writing thread ------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._take():
            self._commit(batch)
            with self._lock:
                self._queued -= sum(len(waiting.facts) for waiting in batch)
                self._wake_waiters()

    def _take(self) -> list[_Waiting]:
        """What is to go into the next commit; empty at the end."""
        with self._work:
            while not self._queue and not self._closing:
                self._work.wait()
            if not self._much():
                self._work.wait_for(self._much, self._linger_seconds)
            taken: list[_Waiting] = []
            size = 0
            while self._queue and (
                not taken or size + len(self._queue[0].facts) <= self._max_commit
            ):
                taken.append(self._queue.popleft())
                size += len(taken[-1].facts)
                self._urgent -= taken[-1].done is not None
            return taken

    def _commit(self, batch: list[_Waiting]) -> None:
        batch = _joined(batch)
        try:
            outcomes = self._store.append_many([waiting.batch for waiting in batch])
        except HabitueError as error:
            self._fail(batch, error)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            self._fail(batch, StoreError(f"The batch could not be stored: {error!r}."))
            return
        with self._lock:
            self._commits += 1
            self._batches += len(batch)
            self._facts += sum(len(waiting.facts) for waiting in batch)
        unseen = self._show(batch, outcomes)
        for waiting, appended in zip(batch, outcomes, strict=True):
            if waiting.done is not None:
                waiting.done(unseen or appended)

    def _show(self, batch: list[_Waiting], outcomes: list[Appended]) -> StoreError | None:
        """Tell the observer; what its failure means to the callers."""
        if self._observe is None:
            return None
        told = [
            (waiting.facts, appended, waiting.batch.received_at_ms)
            for waiting, appended in zip(batch, outcomes, strict=True)
        ]
        try:
            self._observe(told)
        except Exception as error:  # noqa: BLE001 - durable, but not seen: no acknowledgement
            return StoreError(
                f"Stored, but live state did not take it in: {error!r}.",
                remedy="Send it again: what is stored already is recognised.",
            )
        return None

    def _fail(self, batch: list[_Waiting], error: HabitueError) -> None:
        with self._lock:
            self._failed += 1
            self._dropped += sum(len(w.facts) for w in batch if w.done is None)
        for waiting in batch:
            if waiting.done is not None:
                waiting.done(error)

    def _wake_waiters(self) -> None:
        self._room.notify_all()
        while self._async_waiters:
            loop, room = self._async_waiters.popleft()
            _post(loop, lambda room=room: room.done() or room.set_result(None))  # type: ignore[misc]


def _joined(batch: list[_Waiting]) -> list[_Waiting]:
    """The same facts in the same order; neighbours nobody waits for as one batch."""
    joined: list[_Waiting] = []
    for unwaited, run in groupby(batch, lambda waiting: waiting.done is None):
        waiting = list(run)
        if unwaited and len(waiting) > 1:
            facts = [fact for one in waiting for fact in one.facts]
            last = waiting[-1].batch.received_at_ms
            waiting = [_Waiting(facts, Batch(facts, last), None)]
        joined += waiting
    return joined


def _post(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:  # the loop has ended: nobody waits there any more
        return


class _Bell:
    """Tells the waiters of one event loop, waking it once for all that came meanwhile."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._told: list[tuple[asyncio.Future[Appended], Appended | BaseException]] = []

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> _Bell:
        """The bell of this loop."""
        bell = _BELLS.get(loop)
        if bell is None:
            bell = _BELLS[loop] = cls(loop)
        return bell

    def ring(self, future: asyncio.Future[Appended], outcome: Appended | BaseException) -> None:
        """Set the future's outcome, on its loop."""
        with self._lock:
            self._told.append((future, outcome))
            first = len(self._told) == 1
        if first:
            _post(self._loop, self._tell)

    def _tell(self) -> None:
        with self._lock:
            told, self._told = self._told, []
        for future, outcome in told:
            if future.done():
                continue  # the caller went away
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


_BELLS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Bell] = WeakKeyDictionary()
