"""Telling how a training goes, so that whoever is told never costs it anything.

A thread waits for the tracking; who trains only puts a point down. What could not be told is told
with the next point.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from textwrap import shorten
from threading import Thread
from typing import Final

from habitue.behaviour.curves import (
    MlflowCurves,
    Point,
    Run,
    State,
    TensorBoardCurves,
    Tracking,
)

__all__ = ["Tell", "telling", "tracking_of"]

Tell = Callable[[int, Mapping[str, float]], None]
"""Told (passes, scalars); comes back at once."""

_LOG = logging.getLogger(__name__)
_PATIENCE_SECONDS: Final[Mapping[State, float]] = {"finished": 30.0, "failed": 5.0}
_LATER = "The training goes on, and they are tried again at each validation."
_LOST = "The training is not harmed; what is missing of them is lost."


def tracking_of(config: TensorBoardCurves | MlflowCurves) -> Tracking:
    """Who draws them. Raises ``MissingPiece`` where the library that does is not installed."""
    if isinstance(config, MlflowCurves):
        from habitue.behaviour.curves_mlflow import MlflowTracking

        return MlflowTracking(config)
    from habitue.behaviour.curves_tensorboard import TensorBoardTracking

    return TensorBoardTracking(config)


@contextmanager
def telling(tracking: Tracking | None, run: str, said: Mapping[str, str]) -> Iterator[Tell]:
    """Whom to tell of each validation; nobody without a ``tracking``.

    Where it fails, that is said once, and the training goes on. At the end what is left is waited
    for, half a minute at most, and five seconds where the training failed.
    """
    if tracking is None:
        yield _nobody
        return
    told = _Telling(tracking, run, said)
    try:
        yield told.tell
    except BaseException:
        told.close("failed")
        raise
    told.close("finished")


def _nobody(step: int, scalars: Mapping[str, float]) -> None:
    del step, scalars


class _Telling:
    def __init__(self, tracking: Tracking, run: str, said: Mapping[str, str]) -> None:
        self._tracking, self._run, self._said = tracking, run, said
        self._waiting: SimpleQueue[Point | State] = SimpleQueue()
        self._warned = False
        self._thread = Thread(target=self._deliver, name=f"curves of {run}", daemon=True)
        self._thread.start()

    def tell(self, step: int, scalars: Mapping[str, float]) -> None:
        self._waiting.put(Point(step, time.time_ns() // 1_000_000, dict(scalars)))

    def close(self, state: State) -> None:
        self._waiting.put(state)
        patience = _PATIENCE_SECONDS[state]
        self._thread.join(patience)
        if self._thread.is_alive():
            self._warn(f"it did not answer for {patience:g} seconds", _LOST)

    def _deliver(self) -> None:
        run: Run | None = None
        points: list[Point] = []
        state: State | None = None
        while True:
            try:
                if run is None:
                    run = self._tracking.begin(self._run, self._said)
                if points:
                    run.tell(points)
                    points = []
                if state is not None:
                    run.close(state)
            except Exception as problem:  # noqa: BLE001 - no curve is worth a training
                said = str(problem) or type(problem).__name__
                self._warn(said, _LATER if state is None else _LOST)
            if state is not None:
                return
            state = self._take(points)

    def _take(self, points: list[Point]) -> State | None:
        """Wait for what is next and take all there is; how the training ended, if it has."""
        one = self._waiting.get()
        while True:
            if not isinstance(one, Point):
                return one
            points.append(one)
            try:
                one = self._waiting.get_nowait()
            except Empty:
                return None

    def _warn(self, problem: str, follows: str) -> None:
        if self._warned:
            return
        self._warned = True
        _LOG.warning(
            "The curves of this training do not reach %s: %s. %s %s",
            self._tracking.name,
            shorten(problem, 200, placeholder=" ...").rstrip("."),
            follows,
            self._tracking.remedy,
        )
