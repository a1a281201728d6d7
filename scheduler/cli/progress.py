"""Runs while they go on, on a terminal: one with each attempt that failed as a line and below them what happens now, or
many as a count."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from jobs.events import AttemptRetried, RunFinished, RunStarted
from scheduler.cli.output import clean
from scheduler.cli.texts import milliseconds, span

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.console import Console
    from rich.text import Text

    from jobs.runs import Ticket


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
        self._asking(1, event.endpoint)

    def attempt_retried(self, event: AttemptRetried) -> None:
        tried, wait = event.attempt, (event.attempt.wait_ms or 0.0) / 1000
        took = milliseconds(tried.phases.total_ms)
        self._console.print(_text(f"attempt {tried.number} of {self._attempts} ({took}): {tried.message}", "yellow"))
        following = tried.number + 1
        self._status.update(_text(f"waiting {span(wait)} before attempt {following} of {self._attempts}"))
        asyncio.get_running_loop().call_later(wait, self._asking, following, event.endpoint)

    def run_finished(self, event: RunFinished) -> None:
        """The result is shown by the command."""

    def dead_lettered(self, ticket: Ticket, reason: str) -> None:
        """`dead-letters` shows it."""

    def _asking(self, attempt: int, endpoint: str) -> None:
        self._status.update(_text(f"attempt {attempt} of {self._attempts}: {endpoint}"))


class Count:
    """Listens to all runs of this process; a context that shows how many are over and how they went."""

    def __init__(self, console: Console) -> None:
        self._status = console.status("starting")
        self._outcomes: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._status.stop()

    def run_started(self, event: RunStarted) -> None:
        """Counted at its end."""

    def attempt_retried(self, event: AttemptRetried) -> None:
        """Counted at its end."""

    def run_finished(self, event: RunFinished) -> None:
        self._outcomes[event.run.outcome] += 1
        self._status.update(_text(self.text))

    def dead_lettered(self, ticket: Ticket, reason: str) -> None:
        """`dead-letters` shows it."""

    @property
    def text(self) -> str:
        """`3 over: 2 succeeded, 1 failed`."""
        each = ", ".join(f"{number} {outcome}" for outcome, number in self._outcomes.most_common())
        return f"{self._outcomes.total()} over: {each}"


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(clean(text), style)
