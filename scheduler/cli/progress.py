"""Shows on a terminal what runs now, and how the runs of a command end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

from jobs.formats import describe_span
from jobs.runs.events import AttemptRetried, NullListener, RunFinished, RunStarted
from scheduler.cli.output import escape_controls
from scheduler.cli.run_report import outcome_style
from scheduler.cli.times import format_milliseconds

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.console import Console
    from rich.text import Text

    from jobs.runs import Outcome, Run
    from scheduler.features.trials.running import TrialResult
    from scheduler.stores.runs.repository import RunRecord

_MAX_NAMED_RUNS = 10
"""Runs that are named one by one."""


class StatusLine(NullListener):
    """A context that shows a line of what happens now."""

    def __init__(self, console: Console) -> None:
        self._status = console.status("starting")

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._status.stop()


class JobProgress(StatusLine):
    """Listens to the run of one job, and to those that follow from it. The command itself shows how it ended."""

    def __init__(self, job: str, attempts: int, console: Console) -> None:
        """`attempts`: how many the job's retry policy allows."""
        super().__init__(console)
        self._job = job
        self._attempts = attempts
        self._console = console

    def run_started(self, event: RunStarted) -> None:
        if event.ticket.job == self._job:
            self._show_attempt(1, event.endpoint)
        else:
            self._status.update(_styled_text(f"followed by {event.ticket.job}: {event.endpoint}"))

    def attempt_retried(self, event: AttemptRetried) -> None:
        if event.ticket.job != self._job:
            return
        tried, wait = event.attempt, (event.attempt.wait_ms or 0.0) / 1000
        took = format_milliseconds(tried.phases.total_ms)
        line = _styled_text(f"attempt {tried.number} of {self._attempts} ({took}): {tried.message}", "yellow")
        self._console.print(line, overflow="ignore", crop=False)
        following = tried.number + 1
        self._status.update(
            _styled_text(f"waiting {describe_span(wait)} before attempt {following} of {self._attempts}")
        )
        asyncio.get_running_loop().call_later(wait, self._show_attempt, following, event.endpoint)

    def _show_attempt(self, attempt: int, endpoint: str) -> None:
        self._status.update(_styled_text(f"attempt {attempt} of {self._attempts}: {endpoint}"))


class RemoteRunProgress(StatusLine):
    """Shows the state of one run of a running scheduler."""

    def __init__(self, job: str, console: Console) -> None:
        super().__init__(console)
        self._job = job
        self._began = time.monotonic()

    def show(self, record: RunRecord) -> None:
        """Show a run that was read."""
        waited = describe_span(time.monotonic() - self._began)
        self._status.update(_styled_text(f"{self._job} is {record.state} in the scheduler, {waited}"))


class FollowingRuns(NullListener):
    """Listens for the runs that follow from the run of one job."""

    def __init__(self, job: str) -> None:
        self._job = job
        self._runs: list[Run] = []

    def run_finished(self, event: RunFinished) -> None:
        if event.run.job != self._job:
            self._runs.append(event.run)

    def __str__(self) -> str:
        """`followed by load: succeeded, report: skipped`; empty if nothing followed."""
        if len(self._runs) > _MAX_NAMED_RUNS:
            outcomes = Counter(run.outcome for run in self._runs)
            return f"followed by {len(self._runs)} runs: {_format_counts(outcomes)}"
        named = ", ".join(f"{run.job}: {run.outcome}" for run in self._runs)
        return f"followed by {named}" if named else ""


class RunCounter(StatusLine):
    """Listens to all runs of this process, and shows how many are over and how they went."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._outcomes: Counter[str] = Counter()

    def run_finished(self, event: RunFinished) -> None:
        self._outcomes[event.run.outcome] += 1
        self._status.update(_styled_text(self.text))

    def count(self, record: RunRecord) -> None:
        """Count a run of a running scheduler, if it is over."""
        if record.run is not None:
            self.run_finished(RunFinished(record.run))

    @property
    def text(self) -> str:
        """`3 over: 2 succeeded, 1 failed`."""
        return f"{self._outcomes.total()} over: {_format_counts(self._outcomes)}"


def _format_counts(outcomes: Counter[str] | Counter[Outcome]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())


def _styled_text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(escape_controls(text), style)


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
