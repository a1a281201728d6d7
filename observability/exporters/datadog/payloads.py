"""Events to what Datadog's intakes take, as plain data within their limits. Pure; sent by datadog.

Bodies are dictionaries and not the client's models, which cost five times as much for a log entry; a test reads
them with those models.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.runs import Run
from observability import names
from observability.events import ExportedLine, Fields, LogLine, ProgramEvent, TelemetryEvent, find_lines
from observability.exporters.datadog.intakes import DatadogSource, IntakeEntry, IntakeKind, IntakePayload
from observability.exporters.datadog.metrics import format_tag, make_distributions, make_job_tags, make_series
from observability.exporters.pacing import Pace
from observability.redaction import redact_fields, shorten_middle
from observability.sampling import RunReport

if TYPE_CHECKING:
    from jobs.redaction import Redactor


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
