"""The structured lines of the log, as fields and as a message. Also the events for exporters.

Made by telemetry, written by logs, sent by the exporters. A log event is logged as the message of a log record
(`logger.log(event.level, event)`), so fields and message are made only where the line is written.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from traceback import format_exception
from types import TracebackType

from jobs.fast_frozen import fast_frozen
from jobs.formats.durations import describe_milliseconds
from jobs.runs import Outcome, Run, Ticket
from jobs.runs.events import AttemptRetried, RunStarted
from observability import names
from observability.event_fields import (
    Fields,
    failure_fields,
    round_optional,
    run_fields,
    ticket_fields,
)
from observability.log_event import LogEvent
from observability.measured_values import Measurements
from observability.program_event import ProgramEvent
from observability.sampling import RunReport
from observability.ticks import TickPlanned

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]


@fast_frozen(frozen=True, slots=True)
class JobStarted(LogEvent):
    """A run starts."""

    event: RunStarted
    name: str = names.JOB_STARTED
    level: int = logging.INFO

    def fields(self) -> Fields:
        ticket = self.event.ticket
        lateness = (self.event.started_at - ticket.due_at).total_seconds() * 1000
        return {
            **ticket_fields(ticket),
            names.LATENESS: round(lateness, 3),
            names.ENDPOINT: self.event.endpoint,
        }

    def __str__(self) -> str:
        return f"{self.event.ticket.job} started ({self.event.ticket.trigger})"


@fast_frozen(frozen=True, slots=True)
class JobPerformance(LogEvent):
    """A run is finished, whatever its outcome."""

    run: Run
    name: str = names.JOB_PERFORMANCE
    level: int = logging.INFO
    represents: int = 1
    """The number of runs that it represents, where lines of ordinary runs are sampled."""

    def fields(self) -> Fields:
        run = self.run
        return {
            **run_fields(run),
            names.DURATION: round(run.duration_ms, 3),
            names.SUCCESS: run.outcome is Outcome.SUCCEEDED,
            names.DEGRADED: run.degraded,
            names.RESPONSE_TIME: round_optional(run.response_time_ms),
            names.STATUS_CODE: run.status,
            names.ATTEMPTS: len(run.attempts),
            **({names.RUNS_REPRESENTED: self.represents} if self.represents > 1 else {}),
            **({names.TAGS: dict(run.tags)} if run.tags else {}),
        }

    def __str__(self) -> str:
        run = self.run
        if run.outcome is Outcome.SKIPPED:
            return f"{run.job} skipped: {run.message}"
        status = f", status {run.status}" if run.status is not None else ""
        attempts = f", {len(run.attempts)} attempts" if run.retried else ""
        degraded = f". {run.message}" if run.degraded else ""
        return f"{run.job} {run.outcome} in {describe_milliseconds(run.duration_ms)}{status}{attempts}{degraded}"


@dataclass(frozen=True, slots=True)
class JobRetry(LogEvent):
    """An attempt failed and another one follows."""

    event: AttemptRetried
    name: str = names.JOB_RETRY
    level: int = logging.WARNING

    def fields(self) -> Fields:
        attempt = self.event.attempt
        return {
            **ticket_fields(self.event.ticket),
            names.ERROR_TYPE: attempt.error,
            names.ERROR_MESSAGE: attempt.message,
            names.ENDPOINT: self.event.endpoint,
            names.ATTEMPT_NUMBER: attempt.number,
            names.NEXT_RETRY_IN: round_optional(attempt.wait_ms and attempt.wait_ms / 1000),
            names.STATUS_CODE: attempt.status,
            names.RESPONSE_TIME: round(attempt.phases.total_ms, 3),
        }

    def __str__(self) -> str:
        attempt = self.event.attempt
        again = describe_milliseconds(attempt.wait_ms or 0.0)
        return f"{self.event.ticket.job} attempt {attempt.number} failed, retry in {again}: {attempt.message}"


@dataclass(frozen=True, slots=True)
class JobFailed(LogEvent):
    """A run is finished and its target is down."""

    run: Run
    name: str = names.JOB_FAILED
    level: int = logging.ERROR

    def fields(self) -> Fields:
        return {
            **run_fields(self.run),
            **failure_fields(self.run),
            names.ATTEMPT_NUMBER: len(self.run.attempts),
            names.NEXT_RETRY_IN: None,
            names.STATUS_CODE: self.run.status,
            **({names.ANSWER: answer} if (answer := self._answer_excerpt()) else {}),
        }

    def _answer_excerpt(self) -> str:
        return self.run.attempts[-1].body if self.run.attempts else ""

    def __str__(self) -> str:
        return f"{self.run.job} {self.run.outcome}: {self.run.message}"


@dataclass(frozen=True, slots=True)
class DeadLettered(LogEvent):
    """A run is given up; `reason` is a sentence."""

    ticket: Ticket
    reason: str
    name: str = names.JOB_DEAD_LETTERED
    level: int = logging.ERROR

    def fields(self) -> Fields:
        return {
            **ticket_fields(self.ticket),
            names.ERROR_TYPE: "dead_lettered",
            names.ERROR_MESSAGE: self.reason,
        }

    def __str__(self) -> str:
        return f"{self.ticket.job} given up, stored as a dead letter: {self.reason}"


@dataclass(frozen=True, slots=True)
class ServiceEvent(LogEvent):
    """A change of the scheduler itself."""

    name: str
    sentence: str
    values: Mapping[str, object]
    level: int = logging.INFO

    def fields(self) -> Fields:
        return dict(self.values)

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class LogLine(LogEvent):
    """A line that exporters send: warnings and errors of the whole program, and the service events."""

    at: datetime
    level: int
    logger: str
    message: str
    name: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    exc_info: ExceptionInfo | None = None
    exc_text: str = ""
    """The traceback, if it has been formatted already."""

    def fields(self) -> Fields:
        return {names.LOGGER: self.logger, **self.values}

    def traceback(self) -> str:
        """Return it as text, empty without one. Slow, because source files are read."""
        return (self.exc_text or ("".join(format_exception(*self.exc_info)) if self.exc_info else "")).rstrip()

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class RunRequested:
    """A run was requested within a trace. `caller`: the ids of trace and span. Not logged."""

    run_id: str
    job: str
    caller: tuple[int, int]
    at: datetime


TelemetryEvent = (
    RunReport | RunRequested | TickPlanned | AttemptRetried | DeadLettered | LogLine | ProgramEvent | Measurements
)
"""The events for exporters."""
