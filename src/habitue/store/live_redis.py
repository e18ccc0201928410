"""Recent actions in Redis: shared by any number of processes, and nothing lost when it is away.

A shopper is one sorted set, scored by time, so telling the same action twice changes nothing. A
set holds a mark once it is complete; a set without the mark, or no set, is read from the store. The
mark is set in two steps: a reader first opens the set, so that from then on new actions enter it,
and then fills it from the store, which by then holds all earlier ones.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import redis
from numpy.typing import NDArray

from habitue.facts import NO_ROW
from habitue.store.contract import ActionColumns, Recent

__all__ = ["RedisLiveState"]

Load = Callable[[int, int], Sequence[tuple[int, int, int, int]]]

VERSION: Final = 1
"""Of the keys and records: another one reads and writes keys of its own."""

_OPEN, _COMPLETE = b"\0", b"\1"  # marks; they stand above every action, at an endless score
_RECORD: Final = struct.Struct(">qiB")  # seq, item row, kind: ties in time sort by seq
_PACKED: Final = np.dtype([("seq", ">i8"), ("item", ">i4"), ("kind", "u1")])
_MOST_DIRTY: Final = 100_000

_OBSERVE: Final = """
local length, ttl = tonumber(ARGV[1]), ARGV[2]
local place = 3
for k = 1, #KEYS do
  local n = tonumber(ARGV[place])
  if redis.call('EXISTS', KEYS[k]) == 1 then
    redis.call('ZADD', KEYS[k], unpack(ARGV, place + 1, place + 2 * n))
    redis.call('ZREMRANGEBYRANK', KEYS[k], 0, -(length + 2))
    redis.call('EXPIRE', KEYS[k], ttl)
  end
  place = place + 1 + 2 * n
end
"""
_FILL: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('ZADD', KEYS[1], unpack(ARGV, 3))
  redis.call('ZREM', KEYS[1], '\\0')
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -(tonumber(ARGV[1]) + 2))
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
"""


class RedisLiveState:
    """The last ``length`` item actions of shoppers, in the Redis at ``url``.

    ``load`` reads a shopper from the store (``store.recent``); ``namespace``, best the store's
    lineage, keeps shops apart. A shopper not seen for ``keep_seconds`` leaves. While Redis does not
    answer within ``timeout_seconds``, everything is read from the store; Redis is tried again every
    ``retry_seconds``, and what it was not told meanwhile is dropped before it is believed again.
    """

    def __init__(
        self,
        url: str,
        length: int,
        load: Load,
        *,
        namespace: str,
        keep_seconds: int = 30 * 86_400,
        timeout_seconds: float = 0.1,
        retry_seconds: float = 0.5,
    ) -> None:
        self.length = length
        self._load = load
        self._prefix = f"habitue:live:{VERSION}:{namespace}:{length}:"
        self._keep_seconds = keep_seconds
        self._retry_seconds = retry_seconds
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            health_check_interval=30,
            retry=None,
        )
        self._observe = self._client.register_script(_OBSERVE)
        self._fill = self._client.register_script(_FILL)
        self._lock = threading.Lock()
        self._generation = b"0"
        self._dirty: set[int] = set()
        self._all_dirty = True  # what an earlier process failed to tell, nobody knows
        self._healthy = False
        self._retry_at = 0.0  # on the monotonic clock
        self._ready()

    def observe(self, actions: ActionColumns) -> None:
        """Take in new actions before they are acknowledged. Idempotent by ``seq``."""
        mine = np.flatnonzero(actions.item_row >= 0)
        if not len(mine):
            return
        rows = actions.shopper_row[mine]
        if not self._ready():
            self._soil(rows)
            return
        try:
            self._tell(actions, mine[np.argsort(rows, kind="stable")])
        except redis.RedisError:
            self._broken()
            self._soil(rows)

    def recent(self, shopper_row: NDArray[np.int32]) -> Recent:
        """The recent actions of each shopper, read from the store where they are absent here."""
        n = len(shopper_row)
        out = Recent(
            np.full((n, self.length), NO_ROW, np.int32),
            np.zeros((n, self.length), np.uint8),
            np.zeros((n, self.length), np.int64),
            np.zeros(n, np.int64),
        )
        rows = shopper_row.tolist()
        sets = self._sets([row for row in rows if row >= 0])
        for place, row in enumerate(rows):
            if row >= 0:
                found = sets.get(row)
                self._put(out, place, self._loaded(row) if found is None else found)
        return out

    def forget(self, shopper_row: int) -> None:
        """Drop everything held of a shopper."""
        if self._ready():
            try:
                self._client.delete(self._key(shopper_row))
            except redis.RedisError:
                self._broken()
            else:
                return
        self._soil(np.array([shopper_row]))

    def healthy(self) -> bool:
        """Whether Redis answers now."""
        return self._ready()

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    # -- reading -----------------------------------------------------------------------------

    def _sets(self, rows: list[int]) -> dict[int, list[tuple[int, int, int, int]]]:
        """The complete sets among those of ``rows``; none while Redis is away."""
        if not rows or not self._ready():
            return {}
        try:
            pipe = self._client.pipeline(transaction=False)
            pipe.get(self._prefix + "generation")
            for row in rows:
                pipe.zrevrange(self._key(row), 0, self.length, withscores=True)
            generation, *found = pipe.execute()
        except redis.RedisError:
            self._broken()
            return {}
        if generation != self._generation:
            self._follow(generation)
            return {}
        return {
            row: [
                _read(member, score)
                for member, score in members
                if member not in (_OPEN, _COMPLETE)
            ]
            for row, members in zip(rows, found, strict=True)
            if members and members[0][0] == _COMPLETE
        }

    def _loaded(self, row: int) -> Sequence[tuple[int, int, int, int]]:
        """The shopper's actions from the store, put into Redis on the way if it is there."""
        opened = self._ready() and self._try(self._open, row)
        actions = self._load(row, self.length)
        if opened:
            members: list[Any] = ["+inf", _COMPLETE]
            for seq, at_ms, kind, item in actions:
                members += (at_ms, _RECORD.pack(seq, item, kind))
            self._try(self._fill, [self._key(row)], [self.length, self._keep_seconds, *members])
        return actions

    def _open(self, row: int) -> None:
        pipe = self._client.pipeline(transaction=True)
        pipe.zadd(self._key(row), {_OPEN: float("inf")}, nx=True)
        pipe.expire(self._key(row), self._keep_seconds)
        pipe.execute()

    def _put(self, out: Recent, place: int, actions: Sequence[tuple[int, int, int, int]]) -> None:
        if not actions:
            return
        seq, at_ms, kind, item = zip(*actions[: self.length], strict=True)
        n = len(seq)
        out.item_row[place, :n] = item
        out.kind[place, :n] = kind
        out.at_ms[place, :n] = at_ms
        out.seen_seq[place] = max(seq)

    # -- telling -----------------------------------------------------------------------------

    def _tell(self, actions: ActionColumns, order: NDArray[np.int64]) -> None:
        """Enter actions, in order of shopper, into those sets that are open."""
        packed = np.empty(len(order), _PACKED)
        packed["seq"], packed["item"], packed["kind"] = (
            actions.seq[order],
            actions.item_row[order],
            actions.kind[order],
        )
        whole, size = packed.tobytes(), _PACKED.itemsize
        at_ms = actions.at_ms[order].tolist()
        shoppers, first = np.unique(actions.shopper_row[order], return_index=True)
        bounds = [*first.tolist(), len(order)]
        pipe = self._client.pipeline(transaction=False)
        for since in range(0, len(shoppers), 200):
            arguments: list[Any] = [self.length, self._keep_seconds]
            rows = shoppers[since : since + 200].tolist()
            for k in range(since, since + len(rows)):
                last = bounds[k + 1]
                start = max(bounds[k], last - 1000)
                arguments.append(last - start)
                for i in range(start, last):
                    arguments += (at_ms[i], whole[i * size : (i + 1) * size])
            self._observe([self._key(row) for row in rows], arguments, client=pipe)
        pipe.execute()

    # -- health ------------------------------------------------------------------------------

    def _key(self, row: int) -> str:
        return f"{self._prefix}{self._generation.decode()}:{row}"

    def _try(self, call: Callable[..., object], *arguments: Any) -> bool:
        try:
            call(*arguments)
        except redis.RedisError:
            self._broken()
            return False
        return True

    def _broken(self) -> None:
        with self._lock:
            self._healthy = False
            self._retry_at = time.monotonic() + self._retry_seconds

    def _soil(self, rows: NDArray[Any]) -> None:
        """Note whose sets lack something, until they are dropped."""
        with self._lock:
            self._dirty.update(rows.tolist())
            if len(self._dirty) > _MOST_DIRTY:
                self._all_dirty = True
                self._dirty.clear()
            self._healthy = False  # so that the next call drops them first

    def _follow(self, generation: bytes | None) -> None:
        with self._lock:
            if generation is None:  # Redis came back empty
                self._all_dirty = True
                self._healthy = False
            else:
                self._generation = generation

    def _ready(self) -> bool:
        """Whether Redis can be believed; when it was away, drops what it missed first."""
        if self._healthy:
            return True
        with self._lock:
            if time.monotonic() < self._retry_at:
                return False
            try:
                self._drop_dirty()
            except redis.RedisError:
                self._retry_at = time.monotonic() + self._retry_seconds
                return False
            self._healthy = True
            return True

    def _drop_dirty(self) -> None:
        name = self._prefix + "generation"
        if self._all_dirty:
            self._generation = str(self._client.incr(name)).encode()
        else:
            self._generation = bytes(self._client.get(name) or self._generation)  # type: ignore[arg-type]
            rows = list(self._dirty)
            for since in range(0, len(rows), 1000):
                self._client.delete(*(self._key(row) for row in rows[since : since + 1000]))
        self._all_dirty = False
        self._dirty.clear()


def _read(member: bytes, score: float) -> tuple[int, int, int, int]:
    seq, item, kind = _RECORD.unpack(member)
    return seq, int(score), kind, item
