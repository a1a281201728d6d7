"""Events to what Datadog's intakes take, as plain data within their limits. Pure; sent by datadog.

Bodies are dictionaries and not the client's models, which cost five times as much for a log entry; a test reads
them with those models.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from jobs.events import AttemptRetried
from jobs.runs import Attempt, Run
from observability import names
from observability.events import (
    DeadLettered,
    Fields,
    JobFailed,
    JobPerformance,
    JobRetry,
    LogEvent,
    LogLine,
    Measured,
    TelemetryEvent,
)
from observability.exporters.measurements import is_by_job, measurements, tag_values
from observability.redacting import redact_fields, shortened
from observability.sampling import RunReport

if TYPE_CHECKING:
    from jobs.redaction import Redactor

Entry = dict[str, Any]
Kind = Literal["series", "distributions", "checks", "logs"]

_MINUTE, _HOUR = 60.0, 3600.0

KEPT_FOR: Mapping[Kind, float] = {
    "series": _HOUR,
    "distributions": _HOUR,
    "checks": 10 * _MINUTE,
    "logs": 18 * _HOUR,
}
"""Seconds after which the intake refuses it: repeating it any longer is of no use."""

_MOST_ENTRIES = 1000
# The intakes allow 5 MB (series: 500 kB once compressed, to less than a tenth).
_MOST_BYTES = 4_000_000
_LONGEST_TAG = 200
_LONGEST_CHECK_MESSAGE = 500

_INTERVAL = 10
"""Seconds that a count speaks for; as the Datadog agent does it."""

_COUNT, _GAUGE = 1, 3
_OK, _WARNING, _CRITICAL = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends: the unified service tags, and the machine, which keeps instances' counts apart."""

    env: str
    service: str
    version: str
    host: str

    @property
    def metric_tags(self) -> tuple[str, ...]:
        """Without the version: each release would make every custom metric anew."""
        return (f"{names.TAG_ENV}:{self.env}", f"{names.TAG_SERVICE}:{self.service}")

    @property
    def tags(self) -> tuple[str, ...]:
        return (*self.metric_tags, f"{names.TAG_VERSION}:{self.version}")


@dataclass(frozen=True, slots=True)
class Payload:
    """One call of an intake. It is repeated as it is: the same points at the same time replace each other."""

    kind: Kind
    entries: Sequence[Entry]
    made_at: float

    def halves(self) -> tuple[Payload, Payload]:
        middle = len(self.entries) // 2
        return (
            Payload(self.kind, self.entries[:middle], self.made_at),
            Payload(self.kind, self.entries[middle:], self.made_at),
        )


def payloads(events: Sequence[TelemetryEvent], identity: Identity, at: int, redactor: Redactor) -> list[Payload]:
    """Everything to send about the events. `at`: seconds since the epoch, another for each call."""
    reports = [event for event in events if isinstance(event, RunReport)]
    measured = [report for report in reports if report.metrics != "none"]
    dead = [event for event in events if isinstance(event, DeadLettered)]
    return [
        *_chunks("series", _series(measured, dead, identity, at), at),
        *_chunks("series", _gauges(events, identity, at), at),
        *_chunks("distributions", _distributions(measured, identity, at), at),
        *_chunks("checks", _checks([report.run for report in reports if report.check], identity, at, redactor), at),
        *_chunks("logs", (_log_entry(line, identity, redactor) for line in _lines(events, at)), at),
    ]


def _chunks(kind: Kind, entries: Iterable[Entry], at: float) -> Iterator[Payload]:
    chunk: list[Entry] = []
    size = 0
    for entry in entries:
        length = len(json.dumps(entry))
        if chunk and (len(chunk) >= _MOST_ENTRIES or size + length > _MOST_BYTES):
            yield Payload(kind, chunk, at)
            chunk, size = [], 0
        chunk.append(entry)
        size += length
    if chunk:
        yield Payload(kind, chunk, at)


# --- Metrics ----------------------------------------------------------------------------------------------------------


def _series(reports: Sequence[RunReport], dead: Sequence[DeadLettered], identity: Identity, at: int) -> Iterator[Entry]:
    counts: dict[tuple[names.Metric, tuple[str, ...]], int] = defaultdict(int)
    for report in reports:
        counts[names.RUNS, _metric_tags(names.RUNS, report)] += 1
    for letter in dead:
        counts[names.DEAD_LETTERS, (_tag(names.TAG_JOB, letter.ticket.job),)] += 1
    for (metric, tags), count in counts.items():
        yield {
            "metric": metric.name,
            "type": _COUNT,
            "interval": _INTERVAL,
            "points": [{"timestamp": at, "value": float(count)}],
            "tags": [*identity.metric_tags, *tags],
            "resources": [{"type": "host", "name": identity.host}],
        }


def _gauges(events: Iterable[TelemetryEvent], identity: Identity, at: int) -> Iterator[Entry]:
    """The newest value of each."""
    measured = (event.values for event in events if isinstance(event, Measured))
    newest = {metric: value for values in measured for metric, value in values.items()}
    for metric, value in newest.items():
        yield {
            "metric": metric.name,
            "type": _GAUGE,
            "points": [{"timestamp": at, "value": value}],
            "tags": list(identity.metric_tags),
            "resources": [{"type": "host", "name": identity.host}],
        }


def _distributions(reports: Sequence[RunReport], identity: Identity, at: int) -> Iterator[Entry]:
    values: dict[tuple[names.Metric, tuple[str, ...]], list[float]] = defaultdict(list)
    for report in reports:
        for metric, value in measurements(report.run):
            values[metric, _metric_tags(metric, report)].append(value)
    for (metric, tags), points in values.items():
        yield {"metric": metric.name, "points": [[at, points]], "tags": [*identity.metric_tags, *tags]}


def _metric_tags(metric: names.Metric, report: RunReport) -> tuple[str, ...]:
    run, detail = report.run, report.metrics
    tags = tuple(_tag(name, value) for name, value in tag_values(metric, run, detail).items())
    return tags + _job_tags(run) if is_by_job(metric, detail) else tags


def _job_tags(run: Run) -> tuple[str, ...]:
    return tuple(_tag(key, value) for key, value in run.tags.items())


def _tag(name: str, value: str) -> str:
    return f"{name}:{value}"[:_LONGEST_TAG]


# --- Service checks ---------------------------------------------------------------------------------------------------


def _checks(runs: Sequence[Run], identity: Identity, at: int, redactor: Redactor) -> Iterator[Entry]:
    """The latest of each job. A run that was left out or cancelled, or a backfill, says nothing about its target."""
    latest: dict[str, Run] = {}
    for run in runs:
        if run.tells_availability and (run.job not in latest or run.finished_at >= latest[run.job].finished_at):
            latest[run.job] = run
    for run in latest.values():
        yield {
            "check": names.SERVICE_CHECK.name,
            "host_name": identity.service,
            "status": _CRITICAL if run.outcome.down else _WARNING if run.retried or run.degraded else _OK,
            "tags": [*identity.tags, _tag(names.TAG_JOB, run.job), *_job_tags(run)],
            "timestamp": at,
            "message": shortened(redactor.redact(run.message), _LONGEST_CHECK_MESSAGE),
        }


# --- Logs -------------------------------------------------------------------------------------------------------------


def _lines(events: Iterable[TelemetryEvent], at: float) -> Iterator[tuple[datetime, LogEvent | LogLine, str]]:
    """The lines of the log, as it has them, with their time and the job's tags."""
    for event in events:
        if isinstance(event, RunReport):
            if not event.events:
                continue
            run = event.run
            tags = ",".join((_tag(names.TAG_JOB, run.job), *_job_tags(run)))
            yield run.finished_at, JobPerformance(run, represents=event.events), tags
            if run.outcome.down:
                yield run.finished_at, JobFailed(run), tags
        elif isinstance(event, AttemptRetried):
            yield _end(event.attempt), JobRetry(event), _tag(names.TAG_JOB, event.ticket.job)
        elif isinstance(event, DeadLettered):
            yield datetime.fromtimestamp(at, UTC), event, _tag(names.TAG_JOB, event.ticket.job)
        elif isinstance(event, LogLine):
            yield event.at, event, ""


def _end(attempt: Attempt) -> datetime:
    return attempt.started_at + timedelta(milliseconds=attempt.phases.total_ms)


def _log_entry(line: tuple[datetime, LogEvent | LogLine, str], identity: Identity, redactor: Redactor) -> Entry:
    at, event, tags = line
    fields: Fields = {
        "message": str(event),
        "ddtags": ",".join((*identity.tags, tags) if tags else identity.tags),
        **({names.EVENT: event.name} if event.name else {}),
        **event.fields(),
    }
    if isinstance(event, LogLine) and (trace := event.traceback()):
        fields[names.EXCEPTION] = trace
    return {
        **redact_fields(fields, redactor),
        "status": logging.getLevelName(event.level).lower(),
        "timestamp": at.isoformat(timespec="milliseconds"),
        "ddsource": "scheduler",
        "service": identity.service,
        "hostname": identity.host,
    }
