"""Events to what Datadog's intakes take, as plain data within their limits. Pure; sent by the delivery.

Bodies are dictionaries and not the client's models, which cost five times as much for a log entry; a test reads
them with those models.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jobs.runs import Run
from observability import names
from observability.events import (
    DeadLettered,
    ExportedLine,
    Fields,
    LogLine,
    Measurement,
    Measurements,
    ProgramEvent,
    TelemetryEvent,
    find_lines,
)
from observability.exporters.background import Pace
from observability.exporters.measurements import count_run, find_tag_values, is_split_by_job, measure_run
from observability.exporters.outbox import pack_list
from observability.exporters.spool_folder import SpooledRequest
from observability.redaction import redact_fields, shorten_middle
from observability.sampling import RunReport

if TYPE_CHECKING:
    from jobs.redaction import Redactor

IntakeEntry = dict[str, Any]


IntakeKind = Literal["series", "distributions", "checks", "logs", "events"]


_MINUTE, _HOUR = 60.0, 3600.0

RETRY_WINDOW: Mapping[IntakeKind, float] = {
    "series": _HOUR,
    "distributions": _HOUR,
    "checks": 10 * _MINUTE,
    "logs": 18 * _HOUR,
    "events": 18 * _HOUR,
}
"""Seconds after which the intake rejects it: a later retry is useless."""


@dataclass(frozen=True, slots=True)
class DatadogSource:
    """The sender: the unified service tags, and the machine, which separates the counts of instances."""

    env: str
    service: str
    version: str
    host: str

    @property
    def metric_tags(self) -> tuple[str, ...]:
        """Exclude the version: each release would create every custom metric again."""
        return (f"{names.TAG_ENV}:{self.env}", f"{names.TAG_SERVICE}:{self.service}")

    @property
    def tags(self) -> tuple[str, ...]:
        return (*self.metric_tags, f"{names.TAG_VERSION}:{self.version}")


@dataclass(frozen=True, slots=True)
class IntakePayload:
    """One call of an intake. A retry is identical: the same points at the same time replace each other."""

    kind: IntakeKind
    entries: Sequence[IntakeEntry]
    made_at: float

    def to_request(self, pace: Pace) -> SpooledRequest:
        """Return it as it waits on disk."""
        expires_at = self.made_at + RETRY_WINDOW[self.kind]
        return SpooledRequest(self.kind, pack_list(self.entries, pace), len(self.entries), self.made_at, expires_at)


_MAX_TAG_LENGTH = 200
_COUNT_INTERVAL_S = 10
"""Seconds that a count covers, as with the Datadog agent."""
_COUNT, _GAUGE = 1, 3

_Point = tuple[names.Metric, tuple[str, ...]]
"""A metric and its tags."""


def make_series(events: Sequence[TelemetryEvent], source: DatadogSource, at: int, pace: Pace) -> Iterator[IntakeEntry]:
    """Yield the sum of each count, and the newest value of each gauge."""
    counts = _sum_counts(events, pace)
    gauges = {_find_point(each): each.values[-1] for each in _list_measurements(events, "gauge")}
    for (metric, tags), value in (*counts.items(), *gauges.items()):
        kind = {"type": _GAUGE} if metric.kind == "gauge" else {"type": _COUNT, "interval": _COUNT_INTERVAL_S}
        yield {
            "metric": metric.name,
            **kind,
            "points": [{"timestamp": at, "value": float(value)}],
            "tags": [*source.metric_tags, *tags],
            "resources": [{"type": "host", "name": source.host}],
        }


def make_distributions(
    events: Sequence[TelemetryEvent], source: DatadogSource, at: int, pace: Pace
) -> Iterator[IntakeEntry]:
    """Yield all values of each distribution."""
    values: dict[_Point, list[float]] = defaultdict(list)
    for report in pace.spread(_list_measured_reports(events)):
        for metric, value in measure_run(report.run):
            values[metric, _make_metric_tags(metric, report)].append(value)
    for each in _list_measurements(events, "distribution"):
        values[_find_point(each)] += each.values
    for (metric, tags), points in values.items():
        yield {"metric": metric.name, "points": [[at, points]], "tags": [*source.metric_tags, *tags]}


def make_job_tags(run: Run) -> tuple[str, ...]:
    """Return the job's own tags."""
    return tuple(format_tag(key, value) for key, value in run.tags.items())


def format_tag(name: str, value: str) -> str:
    """Return a tag, cut to the length that Datadog keeps."""
    return f"{name}:{value}"[:_MAX_TAG_LENGTH]


def _sum_counts(events: Sequence[TelemetryEvent], pace: Pace) -> Mapping[_Point, float]:
    counts: dict[_Point, float] = defaultdict(float)
    for report in pace.spread(_list_measured_reports(events)):
        for metric, number in count_run(report.run):
            counts[metric, _make_metric_tags(metric, report)] += number
    for event in events:
        if isinstance(event, DeadLettered):
            counts[names.DEAD_LETTERS, (format_tag(names.TAG_JOB, event.ticket.job),)] += 1
    for each in _list_measurements(events, "count"):
        counts[_find_point(each)] += sum(each.values)
    return counts


def _list_measured_reports(events: Sequence[TelemetryEvent]) -> Iterator[RunReport]:
    return (event for event in events if isinstance(event, RunReport) and event.metrics != "none")


def _list_measurements(events: Sequence[TelemetryEvent], kind: str) -> Iterator[Measurement]:
    for event in events:
        if isinstance(event, Measurements):
            yield from (each for each in event.measured if each.metric.kind == kind)


def _find_point(measurement: Measurement) -> _Point:
    return measurement.metric, tuple(format_tag(name, value) for name, value in measurement.tags.items())


def _make_metric_tags(metric: names.Metric, report: RunReport) -> tuple[str, ...]:
    run, detail = report.run, report.metrics
    tags = tuple(format_tag(name, value) for name, value in find_tag_values(metric, run, detail).items())
    return tags + make_job_tags(run) if is_split_by_job(metric, detail) else tags


_MAX_ENTRIES = 1000
# The intakes allow 5 MB (series: 500 kB once compressed, to less than a tenth).
_MAX_PAYLOAD_BYTES = 4_000_000
_MAX_CHECK_MESSAGE_LENGTH = 500
_MAX_TITLE_LENGTH, _MAX_TEXT_LENGTH, _MAX_KEY_LENGTH = 500, 4000, 100

_OK, _WARNING, _CRITICAL = 0, 1, 2


def build_payloads(
    events: Sequence[TelemetryEvent], source: DatadogSource, at: int, redactor: Redactor, pace: Pace
) -> list[IntakePayload]:
    """Everything to send about the events. `at`: seconds since the epoch, another for each call."""
    checked = [event.run for event in events if isinstance(event, RunReport) and event.check]
    entries: dict[IntakeKind, Iterator[IntakeEntry]] = {
        "series": make_series(events, source, at, pace),
        "distributions": make_distributions(events, source, at, pace),
        "checks": _make_service_checks(checked, source, at, redactor),
        "logs": (_make_log_entry(line, source, redactor) for line in find_lines(events, at)),
    }
    payloads = [each for kind, made in entries.items() for each in _split_payloads(kind, pace.spread(made), at)]
    return [*payloads, *_make_event_payloads(events, source, at, redactor)]


def _split_payloads(kind: IntakeKind, entries: Iterable[IntakeEntry], at: float) -> Iterator[IntakePayload]:
    chunk: list[IntakeEntry] = []
    size = 0
    for entry in entries:
        length = len(json.dumps(entry))
        if chunk and (len(chunk) >= _MAX_ENTRIES or size + length > _MAX_PAYLOAD_BYTES):
            yield IntakePayload(kind, chunk, at)
            chunk, size = [], 0
        chunk.append(entry)
        size += length
    if chunk:
        yield IntakePayload(kind, chunk, at)


# --- Service checks ---------------------------------------------------------------------------------------------------


def _make_service_checks(
    runs: Sequence[Run], identity: DatadogSource, at: int, redactor: Redactor
) -> Iterator[IntakeEntry]:
    """Make the check of the latest run of each job.

    Skipped and cancelled runs and backfills do not check the target now.
    """
    latest: dict[str, Run] = {}
    for run in runs:
        if run.counts_for_availability and (run.job not in latest or run.finished_at >= latest[run.job].finished_at):
            latest[run.job] = run
    for run in latest.values():
        yield {
            "check": names.SERVICE_CHECK.name,
            "host_name": identity.service,
            "status": _CRITICAL if run.outcome.down else _WARNING if run.retried or run.degraded else _OK,
            "tags": [*identity.tags, format_tag(names.TAG_JOB, run.job), *make_job_tags(run)],
            "timestamp": at,
            "message": shorten_middle(redactor.redact(run.message), _MAX_CHECK_MESSAGE_LENGTH),
        }


# --- Events -----------------------------------------------------------------------------------------------------------


def _make_event_payloads(
    events: Iterable[TelemetryEvent], source: DatadogSource, at: float, redactor: Redactor
) -> Iterator[IntakePayload]:
    """One payload an event, because the intake accepts one a request."""
    for event in events:
        if isinstance(event, ProgramEvent):
            tags = [format_tag(name, value) for name, value in event.tags.items()]
            entry: IntakeEntry = {
                "title": shorten_middle(redactor.redact(event.title), _MAX_TITLE_LENGTH),
                "text": shorten_middle(redactor.redact(event.text), _MAX_TEXT_LENGTH),
                "alert_type": event.status,
                "aggregation_key": event.key[-_MAX_KEY_LENGTH:],
                "date_happened": int(event.at.timestamp()),
                "priority": "normal",
                "tags": [*source.tags, format_tag(names.TAG_EVENT, event.name), *tags],
            }
            yield IntakePayload("events", [entry], at)


# --- Logs -------------------------------------------------------------------------------------------------------------


def _make_log_entry(line: ExportedLine, identity: DatadogSource, redactor: Redactor) -> IntakeEntry:
    event = line.event
    job_tags = make_job_tags(line.run) if line.run is not None else ()
    tags = (*identity.tags, *((format_tag(names.TAG_JOB, line.job), *job_tags) if line.job else ()))
    fields: Fields = {
        "message": str(event),
        "ddtags": ",".join(tags),
        **({names.EVENT: event.name} if event.name else {}),
        **event.fields(),
    }
    if isinstance(event, LogLine) and (trace := event.traceback()):
        fields[names.EXCEPTION] = trace
    return {
        **redact_fields(fields, redactor),
        "status": logging.getLevelName(event.level).lower(),
        "timestamp": line.at.isoformat(timespec="milliseconds"),
        "ddsource": "scheduler",
        "service": identity.service,
        "hostname": identity.host,
    }
