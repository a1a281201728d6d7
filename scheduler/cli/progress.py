"""A run while it goes on, on a terminal: each attempt that failed as a line, and below them what happens now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.events import AttemptRetried, RunFinished, RunStarted
from scheduler.cli.output import clean
from scheduler.cli.texts import milliseconds, span

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.console import Console


class Progress:
    """Listens to the one run of this process; a context that shows it."""

    def __init__(self, attempts: int, console: Console) -> None:
        """`attempts`: how many the job's retry policy allows."""
        self._attempts = attempts
        self._console = console
        self._status = console.status("starting")

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._status.stop()

    def run_started(self, event: RunStarted) -> None:
        self._say(f"attempt 1 of {self._attempts}: {event.endpoint}")

    def attempt_retried(self, event: AttemptRetried) -> None:
        tried = event.attempt
        took = milliseconds(tried.phases.total_ms)
        self._console.print(
            clean(f"attempt {tried.number} of {self._attempts} ({took}): {tried.message}"), style="yellow"
        )
        wait = span((tried.wait_ms or 0.0) / 1000)
        self._say(f"attempt {tried.number + 1} of {self._attempts}, {wait} after the one before: {event.endpoint}")

    def run_finished(self, event: RunFinished) -> None:
        """The result is shown by the command."""

    def _say(self, text: str) -> None:
        from rich.text import Text

        self._status.update(Text(clean(text)))
