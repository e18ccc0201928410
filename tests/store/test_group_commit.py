"""Many small requests share a commit; nobody is told before it, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from habitue.errors import StoreError, Unavailable
from habitue.facts import Action, Fact
from habitue.store.appending import NO_ACTIONS, Batch
from habitue.store.contract import Appended
from habitue.store.group_commit import GroupCommit, Told
from habitue.store.sqlite import SqliteFactStore

NOON = 1_700_000_000_000


def views(client: int, n: int) -> list[Action]:
    return [
        Action(kind="view_item", shopper=f"s{client}", item=f"i{k}", id=f"{client}/{k}")
        for k in range(n)
    ]


class Gate:
    """A store whose commits wait until they are let through, or fail."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.commits: list[int] = []
        self.stored: list[Fact] = []
        self.error: Exception | None = None

    def prepare(self, facts: Sequence[Fact], *, received_at_ms: int) -> Batch:
        return Batch(facts, received_at_ms)

    def append_many(self, batches: Sequence[Batch]) -> list[Appended]:
        self.open.wait(10)
        if self.error is not None:
            raise self.error
        self.commits.append(len(batches))
        told = []
        for batch in batches:
            self.stored += batch.facts
            told.append(Appended(len(batch.facts), 0, 0, len(self.stored), (), NO_ACTIONS))
        return told


def in_threads(n: int, work: Any) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, args=(k,)) for k in range(n)]
    for thread in threads:
        thread.start()
    return threads


def test_each_caller_is_told_of_its_own_batch(tmp_path: Path) -> None:
    store = SqliteFactStore(tmp_path / "shop.db")
    store.append(views(3, 5), received_at_ms=NOON)
    group = GroupCommit(store)
    told: dict[int, Appended] = {}

    def client(k: int) -> None:
        told[k] = group.append_sync(views(k, k + 1), received_at_ms=NOON)

    for thread in in_threads(20, client):
        thread.join()
    group.close()
    for k in range(20):
        expected = (0, k + 1) if k == 3 else (k + 1, 0)
        assert (told[k].new, told[k].duplicate) == expected
        assert told[k].actions.item_row.tolist() == list(range(expected[0]))
        assert told[k].last_seq >= max(told[k].actions.seq, default=0)
    counts = group.counts()
    assert (counts.batches, counts.facts) == (20, sum(range(1, 21)))
    assert store.stored().facts["action"] == 5 + sum(range(1, 21)) - 4
    store.close()


def test_batches_that_wait_together_share_a_commit() -> None:
    gate = Gate()
    group = GroupCommit(gate)
    threads = in_threads(50, lambda k: group.append_sync(views(k, 2), received_at_ms=NOON))
    while group.queued() < 100:
        pass
    gate.open.set()
    for thread in threads:
        thread.join()
    group.close()
    assert sum(gate.commits) == 50
    assert len(gate.commits) <= 3


def test_asyncio_callers_are_told_on_their_loop(tmp_path: Path) -> None:
    store = SqliteFactStore(tmp_path / "shop.db")
    group = GroupCommit(store)

    async def main() -> list[Appended]:
        calls = [group.append(views(k, 3), received_at_ms=NOON) for k in range(200)]
        return await asyncio.gather(*calls)

    told = asyncio.run(main())
    assert [appended.new for appended in told] == [3] * 200
    assert asyncio.run(main())[0].duplicate == 3  # on another loop
    group.close()
    store.close()


def test_live_state_knows_before_the_caller_does() -> None:
    gate = Gate()
    gate.open.set()
    order: list[str] = []
    group = GroupCommit(gate, observe=lambda told: order.append(f"observed {told[0][1].new}"))
    group.append_sync(views(1, 2), received_at_ms=NOON)
    order.append("told")
    assert order == ["observed 2", "told"]
    group.close()


def test_what_live_state_did_not_take_in_is_not_acknowledged() -> None:
    gate = Gate()
    gate.open.set()

    def observe(told: Sequence[Told]) -> None:
        raise RuntimeError("no memory")

    group = GroupCommit(gate, observe=observe)
    with pytest.raises(StoreError, match="no memory"):
        group.append_sync(views(1, 2), received_at_ms=NOON)
    group.close()


@pytest.mark.parametrize("error", [Unavailable("the disk is full"), OSError(5, "fsync")])
def test_a_commit_that_fails_is_an_error_to_every_caller(error: Exception) -> None:
    gate = Gate()
    group = GroupCommit(gate)
    gate.error = error
    raised: list[Exception] = []

    def client(k: int) -> None:
        try:
            group.append_sync(views(k, 2), received_at_ms=NOON)
        except StoreError as problem:
            raised.append(problem)

    threads = in_threads(20, client)
    while group.queued() < 40:
        pass
    gate.open.set()
    for thread in threads:
        thread.join()
    assert len(raised) == 20
    gate.error = None
    assert group.append_sync(views(1, 2), received_at_ms=NOON).new == 2  # and goes on afterwards
    assert group.counts().failed_commits >= 1
    group.close()


def test_a_full_queue_makes_callers_wait_and_drops_what_nobody_waits_for() -> None:
    gate = Gate()
    group = GroupCommit(gate, max_queued=10)
    threads = in_threads(8, lambda k: group.append_sync(views(k, 4), received_at_ms=NOON))
    while group.queued() < 8:
        pass
    assert group.append_later(views(99, 4), received_at_ms=NOON) is False
    assert group.counts().dropped == 4
    assert group.queued() <= 10

    async def main() -> Appended:
        return await group.append(views(50, 4), received_at_ms=NOON)

    threading.Timer(0.05, gate.open.set).start()
    assert asyncio.run(main()).new == 4
    for thread in threads:
        thread.join()
    assert len(gate.stored) == 9 * 4
    group.close()


def test_a_batch_larger_than_the_queue_goes_alone() -> None:
    gate = Gate()
    gate.open.set()
    group = GroupCommit(gate, max_queued=10, max_commit=10)
    assert group.append_sync(views(1, 50), received_at_ms=NOON).new == 50
    group.close()


def test_closing_stores_what_is_queued_and_takes_nothing_more() -> None:
    gate = Gate()
    group = GroupCommit(gate)
    assert group.append_later(views(1, 3), received_at_ms=NOON)
    assert group.append_later(views(2, 3), received_at_ms=NOON)
    threading.Timer(0.05, gate.open.set).start()
    group.close()
    assert len(gate.stored) == 6
    with pytest.raises(Unavailable):
        group.append_sync(views(3, 1), received_at_ms=NOON)


def test_a_caller_that_went_away_does_not_hold_up_the_others() -> None:
    gate = Gate()
    group = GroupCommit(gate)

    async def main() -> int:
        leaving = asyncio.create_task(group.append(views(1, 1), received_at_ms=NOON))
        staying = asyncio.create_task(group.append(views(2, 1), received_at_ms=NOON))
        await asyncio.sleep(0.01)
        leaving.cancel()
        gate.open.set()
        return (await staying).new

    assert asyncio.run(main()) == 1
    group.close()
