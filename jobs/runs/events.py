"""Events that the runner publishes during a run, and the protocol of a listener.

The runner calls the listener; observability.telemetry implements it. Methods return immediately and never raise: a
listener that needs to wait queues the event.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from jobs.fast_frozen import fast_frozen
from jobs.runs import Attempt, Run, Ticket


@fast_frozen(frozen=True, slots=True)
class RunStarted:
    ticket: Ticket
    endpoint: str
    started_at: datetime


@fast_frozen(frozen=True, slots=True)
class AttemptRetried:
    """An attempt failed and another one follows after `attempt.wait_ms`."""

    ticket: Ticket
    endpoint: str
    attempt: Attempt


@fast_frozen(frozen=True, slots=True)
class RunFinished:
    run: Run


class RunListener(Protocol):
    def run_started(self, event: RunStarted) -> None: ...

    def attempt_retried(self, event: AttemptRetried) -> None: ...

    def run_finished(self, event: RunFinished) -> None: ...

    def dead_lettered(self, ticket: Ticket, reason: str) -> None:
        """The run is given up and stored as a dead letter for replay. `reason` is a sentence."""
        ...


class ListenerGroup:
    """Forwards each event to several listeners, in order."""

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
    """Ignores all events; for tools and tests."""

    def run_started(self, event: RunStarted) -> None:
        """Do nothing."""

    def attempt_retried(self, event: AttemptRetried) -> None:
        """Do nothing."""

    def run_finished(self, event: RunFinished) -> None:
        """Do nothing."""

    def dead_lettered(self, ticket: Ticket, reason: str) -> None:
        """Do nothing."""
