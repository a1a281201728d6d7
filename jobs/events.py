"""What the runner tells while it works, and the protocol of who listens.

The runner calls the listener; observability.telemetry implements it. Methods return at once and never raise: a
listener that has to wait puts the event into its own queue.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from jobs.fast_frozen import value
from jobs.runs import Attempt, Run, Ticket


@value(frozen=True, slots=True)
class RunStarted:
    ticket: Ticket
    endpoint: str
    started_at: datetime


@value(frozen=True, slots=True)
class AttemptRetried:
    """An attempt failed and another one follows after `attempt.wait_ms`."""

    ticket: Ticket
    endpoint: str
    attempt: Attempt


@value(frozen=True, slots=True)
class RunFinished:
    run: Run


class RunListener(Protocol):
    def run_started(self, event: RunStarted) -> None: ...

    def attempt_retried(self, event: AttemptRetried) -> None: ...

    def run_finished(self, event: RunFinished) -> None: ...

    def dead_lettered(self, ticket: Ticket, reason: str) -> None:
        """The run is given up, and kept with everything that is needed to run it again. `reason` is a sentence."""
        ...


class ListenerGroup:
    """Tells several listeners, in this order."""

    def __init__(self, *listeners: RunListener) -> None:
        self._listeners = listeners

    def run_started(self, event: RunStarted) -> None:
        for listener in self._listeners:
            listener.run_started(event)

    def attempt_retried(self, event: AttemptRetried) -> None:
        for listener in self._listeners:
            listener.attempt_retried(event)

    def run_finished(self, event: RunFinished) -> None:
        for listener in self._listeners:
            listener.run_finished(event)

    def dead_lettered(self, ticket: Ticket, reason: str) -> None:
        for listener in self._listeners:
            listener.dead_lettered(ticket, reason)


class NullListener:
    """Listens to nothing; for tools and tests."""

    def run_started(self, event: RunStarted) -> None:
        """Ignore it."""

    def attempt_retried(self, event: AttemptRetried) -> None:
        """Ignore it."""

    def run_finished(self, event: RunFinished) -> None:
        """Ignore it."""

    def dead_lettered(self, ticket: Ticket, reason: str) -> None:
        """Ignore it."""
