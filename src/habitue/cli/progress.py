"""Progress on the terminal: one bar a step, with what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

__all__ = ["Report", "bars"]


class Report(Protocol):
    """What long work tells of itself: the step, how much of it is done, and how much there is."""

    def __call__(self, step: str, done: float, total: float) -> None:
        """``done`` of ``total`` of this step is done."""
        ...


class _Bars:
    """A bar for each step that reports; on a pipe or in a log one line a step instead."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: float, total: float) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total)
            if not self._console.is_terminal:
                self._console.print(f"{step} …", highlight=False)
        self._progress.update(self._tasks[step], completed=done, total=total)


@contextmanager
def bars(console: Console | None = None) -> Iterator[Report]:
    """Bars on standard error for as long as the block runs."""
    console = console or Console(stderr=True)
    progress = Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with progress:
        yield _Bars(progress, console)
