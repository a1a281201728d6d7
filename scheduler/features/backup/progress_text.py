"""The progress of a backup on a terminal. Called by the commands `backup` and `store`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from jobs.formats import describe_span

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID


class ProgressBar:
    """A context. Implements scheduler.features.backup.port.RowProgress."""

    def __init__(self) -> None:
        self._bars: Progress | None = _build_bars() if sys.stderr.isatty() else None
        self._task: TaskID | None = None
        self._began_at = time.monotonic()

    @property
    def elapsed(self) -> str:
        """The time since the begin."""
        return describe_span(time.monotonic() - self._began_at)

    def begin(self, phase: str, total: int | None) -> None:
        if self._bars is not None:
            self._finish_phase()
            self._task = self._bars.add_task(phase, total=total)

    def advance(self, rows: int) -> None:
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, rows)

    def _finish_phase(self) -> None:
        """Without a known total, the rows that came are all."""
        if self._bars is not None and self._task is not None:
            task = self._bars.tasks[self._task]
            self._bars.update(self._task, total=task.completed or 1, completed=task.completed or 1)

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bars is not None:
            if error is None:
                self._finish_phase()
            self._bars.stop()


def _build_bars() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False),
    )
