"""The events that the log and the exporters receive: of runs and of the program, measurements, and their fields.

Made by telemetry, written by logs, sent by the exporters. A log event is logged as the message of a log record
(`logger.log(event.level, event)`), so fields and message are made only where the line is written.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from traceback import format_exception
from types import TracebackType
from typing import Literal

from jobs.fast_frozen import fast_frozen
from jobs.formats import describe_milliseconds
from jobs.runs import Attempt, Outcome, Run, Ticket
from jobs.runs.events import AttemptRetried, RunStarted
from jobs.runs.waits import NOTABLE_LATENESS_MS, describe_waits, explain_lateness
from observability import names
from observability.sampling import RunReport, TickPlanned

Fields = dict[str, object]
"""Texts, numbers, booleans, None, and for `Tags` an object of texts."""


def failure_fields(run: Run) -> Fields:
    """Return the error and the endpoint of a run."""
    return {
        names.ERROR_TYPE: run.error,
        names.ERROR_MESSAGE: run.message or None,
        names.ENDPOINT: run.endpoint,
    }


def ticket_fields(ticket: Ticket) -> Fields:
    fields: Fields = {names.JOB_NAME: ticket.job, names.RUN_ID: ticket.id, names.TRIGGER: str(ticket.trigger)}
    if ticket.correlation_id not in ("", ticket.id):
        fields[names.CORRELATION_ID] = ticket.correlation_id
    return fields


def run_fields(run: Run) -> Fields:
    fields: Fields = {
        names.JOB_NAME: run.job,
        names.RUN_ID: run.id,
        names.TRIGGER: str(run.trigger),
        names.OUTCOME: str(run.outcome),  # as encoders are slow with members of enumerations
        names.LATENESS: round(run.lateness_ms, 3),
    }
    if run.reason is not None:
        fields[names.REASON] = str(run.reason)
    if run.correlation_id not in ("", run.id):
        fields[names.CORRELATION_ID] = run.correlation_id
    return fields


def round_optional(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


class LogEvent(ABC):
    """A log line with a name and fields; its `str` is the message."""

    __slots__ = ()
    name: str
    level: int

    @abstractmethod
    def fields(self) -> Fields: ...

    @abstractmethod
    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Measurement:
    """`values`: of a distribution each value, of a count the sum since the last event, of a gauge the newest value."""

    metric: names.Metric
    values: tuple[float, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measurements:
    """Those of runs are not among them: they follow from the reports of the runs."""

    measured: tuple[Measurement, ...]


EventStatus = Literal["info", "success", "warning", "error"]
"""How a chart shows an event."""


@dataclass(frozen=True, slots=True)
class ProgramEvent(LogEvent):
    """A change that people look for in a chart. `key`: the same for events that belong together.

    `tags`: of metrics and events, bounded; `values`: all fields.
    """

    at: datetime
    name: str
    title: str
    text: str
    values: Mapping[str, object]
    key: str
    status: EventStatus = "info"
    tags: Mapping[str, str] = field(default_factory=dict)
    level: int = logging.INFO

    def fields(self) -> Fields:
        return dict(self.values)

    def __str__(self) -> str:
        return f"{self.title}: {self.text}" if self.text else self.title


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
            **({names.WAITS: describe_waits(run.waits, run.lateness_ms)} if run.waits else {}),
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
            return f"{run.job} {'unknown' if run.is_unknown else 'skipped'}: {run.message}"
        status = f", status {run.status}" if run.status is not None else ""
        attempts = f", {len(run.attempts)} attempts" if run.retried else ""
        degraded = f". {run.message}" if run.degraded else ""
        is_late = bool(run.waits) and run.lateness_ms >= NOTABLE_LATENESS_MS
        late = f"{'' if run.degraded else '.'} {explain_lateness(run.waits, run.lateness_ms)}" if is_late else ""
        return f"{run.job} {run.outcome} in {describe_milliseconds(run.duration_ms)}{status}{attempts}{degraded}{late}"


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


@dataclass(frozen=True, slots=True)
class ExportedLine:
    """`job`: empty on lines about the program. `run`: None on lines that are written before a run is finished."""

    at: datetime
    event: LogEvent
    job: str = ""
    run_id: str = ""
    run: Run | None = None


def find_lines(events: Iterable[TelemetryEvent], at: float) -> Iterator[ExportedLine]:
    """Yield the lines of the selected runs, of retries and of the program. `at`: seconds since the epoch, now."""
    for event in events:
        if isinstance(event, RunReport):
            if not event.events:
                continue
            run = event.run
            yield ExportedLine(run.finished_at, JobPerformance(run, represents=event.events), run.job, run.id, run)
            if run.outcome.down:
                yield ExportedLine(run.finished_at, JobFailed(run), run.job, run.id, run)
        elif isinstance(event, AttemptRetried):
            ticket = event.ticket
            yield ExportedLine(_end_of_attempt(event.attempt), JobRetry(event), ticket.job, ticket.id)
        elif isinstance(event, DeadLettered):
            yield ExportedLine(datetime.fromtimestamp(at, UTC), event, event.ticket.job, event.ticket.id)
        elif isinstance(event, LogLine):
            yield ExportedLine(event.at, event)


def _end_of_attempt(attempt: Attempt) -> datetime:
    return attempt.started_at + timedelta(milliseconds=attempt.phases.total_ms)
