"""Shows the runs of a test on a terminal: failures as lines, below them how many are over. Called by `test`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.runs.events import AttemptRetried, RunStarted
from scheduler.cli.output import escape_controls
from scheduler.cli.progress import StatusLine
from scheduler.cli.run_report import outcome_style

if TYPE_CHECKING:
    from rich.console import Console

    from scheduler.cli.trial.running import TrialResult


class TrialProgress(StatusLine):
    """A context that shows the progress until it ends."""

    def __init__(self, jobs: int, console: Console) -> None:
        super().__init__(console)
        self._jobs = jobs
        self._over = 0
        self._running: dict[str, None] = {}
        self._console = console

    def run_started(self, event: RunStarted) -> None:
        """Show what runs now."""
        self._running[event.ticket.job] = None
        self._update()

    def attempt_retried(self, event: AttemptRetried) -> None:
        """Show the retry as a line."""
        self._print(f"{event.ticket.job}: attempt {event.attempt.number}: {event.attempt.message}", "yellow")

    def add(self, result: TrialResult) -> None:
        """Count a result. A failure is shown at once, not only at the end."""
        self._over += 1
        self._running.pop(result.job.name, None)
        if result.run is not None and not result.has_succeeded:
            text = f"{result.job.name} {result.run.outcome}: {result.run.message}"
            self._print(text, outcome_style(result.run.outcome))
        self._update()

    def _update(self) -> None:
        from rich.text import Text

        names = ", ".join(list(self._running)[:5])
        self._status.update(Text(escape_controls(f"{self._over} of {self._jobs} over; running: {names or '-'}")))

    def _print(self, text: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(escape_controls(text), style), overflow="ignore", crop=False)
