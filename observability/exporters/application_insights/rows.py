"""A run as the attributes of its custom event, availability row and spans. Pure; sent by application_insights.

An attribute without a value is omitted, as OpenTelemetry requires.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jobs.formats.host_ports import effective_port
from jobs.runs import Attempt, Run
from observability import names
from observability.event_fields import Fields, failure_fields
from observability.events import DeadLettered, JobPerformance, LogLine
from observability.program_event import ProgramEvent
from observability.redaction import redact_fields

if TYPE_CHECKING:
    from jobs.redaction import Redactor

Attributes = dict[str, str | bool | int | float]

# Azure Monitor's exporter turns log records and spans with these attributes into separate rows.
_CUSTOM_EVENT = "microsoft.custom_event.name"
_MEASUREMENTS = "microsoft.custom_measurements"
_AVAILABILITY = "microsoft.availability."

_MEASUREMENT_FIELDS = (names.DURATION, names.RESPONSE_TIME, names.LATENESS, names.ATTEMPTS)


def make_run_fields(run: Run, redactor: Redactor) -> Fields:
    """Return all fields of a run, redacted: those of JOB_PERFORMANCE and JOB_FAILED together."""
    return redact_fields({**JobPerformance(run).fields(), **failure_fields(run)}, redactor)


def make_run_event(fields: Fields) -> Attributes:
    """The custom event of a run: numbers as measurements, the rest as properties."""
    properties = {key: value for key, value in fields.items() if key not in _MEASUREMENT_FIELDS}
    numbers = {key: fields[key] for key in _MEASUREMENT_FIELDS if fields[key] is not None}
    return {_CUSTOM_EVENT: names.RUN_EVENT.name, _MEASUREMENTS: json.dumps(numbers), **to_attributes(properties)}


def make_dead_letter_event(event: DeadLettered, redactor: Redactor) -> Attributes:
    """The custom event of a run that is given up."""
    fields = redact_fields(event.fields(), redactor)
    return {_CUSTOM_EVENT: names.DEAD_LETTER_EVENT.name, **to_attributes(fields)}


def make_program_event(event: ProgramEvent, redactor: Redactor) -> Attributes:
    """The custom event of a change of incidents, jobs or the program."""
    fields = redact_fields({names.MESSAGE: str(event), **event.fields()}, redactor)
    return {_CUSTOM_EVENT: event.name, **to_attributes(fields)}


def make_availability_row(run: Run, fields: Fields, location: str) -> Attributes | None:
    """Return the availability row; None for a run without a current check: skipped, cancelled, or a backfill."""
    if not run.counts_for_availability:
        return None
    of_run = (names.JOB_NAME, names.RUN_ID, names.TRIGGER, names.OUTCOME, names.DEGRADED)
    shown = (*of_run, names.STATUS_CODE, names.ENDPOINT)
    return {
        f"{_AVAILABILITY}id": run.id,
        f"{_AVAILABILITY}name": run.job,
        f"{_AVAILABILITY}duration": _format_time_span(run.duration_ms),
        f"{_AVAILABILITY}success": not run.outcome.down,
        f"{_AVAILABILITY}runLocation": location,
        f"{_AVAILABILITY}message": str(fields[names.ERROR_MESSAGE] or run.outcome),
        **to_attributes({key: fields[key] for key in shown}),
    }


def make_run_span(fields: Fields) -> Attributes:
    """The attributes of a run's span."""
    shown = (names.JOB_NAME, names.RUN_ID, names.TRIGGER, names.OUTCOME, names.ERROR_TYPE, names.INVOCATION_ID)
    return to_attributes({key: fields[key] for key in shown if key in fields})


def make_attempt_span(run: Run, attempt: Attempt, endpoint: str) -> Attributes:
    """The attributes of an attempt's span; those of HTTP make it a dependency with a target and a result code."""
    phases = attempt.phases
    times = {
        names.DNS_TIME: phases.dns_ms,
        names.CONNECT_TIME: phases.connect_ms,
        names.TLS_TIME: phases.tls_ms,
        names.FIRST_BYTE_TIME: phases.first_byte_ms,
    }
    return {
        _MEASUREMENTS: json.dumps({key: round(value, 3) for key, value in times.items() if value is not None}),
        **to_attributes(
            {
                names.JOB_NAME: run.job,
                names.RUN_ID: run.id,
                names.ATTEMPT_NUMBER: attempt.number,
                names.ERROR_TYPE: attempt.error,
            }
        ),
        **_http_attributes(endpoint, attempt.status),
    }


def make_exception_fields(line: LogLine) -> Fields:
    """What makes a log line a row of `exceptions`; empty without a traceback. Not redacted."""
    trace = line.traceback()
    if not trace:
        return {}
    kind, _, message = trace.rpartition("\n")[2].partition(": ")
    return {"exception.type": kind, "exception.message": message, "exception.stacktrace": trace}


def to_nanoseconds(instant: datetime) -> int:
    """Since the epoch, to the microsecond."""
    return int(instant.timestamp()) * 1_000_000_000 + instant.microsecond * 1000


def to_attributes(fields: Mapping[str, object]) -> Attributes:
    """Fields as attributes: no value, no attribute; `Tags` become one attribute each (`Tags.team`)."""
    flat: Attributes = {}
    for key, value in fields.items():
        if isinstance(value, str):
            flat[key] = str(value)
        elif isinstance(value, (bool, int, float)):
            flat[key] = value
        elif isinstance(value, Mapping):
            flat.update({f"{key}.{name}": str(each) for name, each in value.items()})
    return flat


def _http_attributes(endpoint: str, status: int | None) -> Attributes:
    """Return the attributes of the target. A query never gets here; if one does, it is removed."""
    try:
        parts = urlsplit(endpoint)
        port = effective_port(parts.scheme, parts.port)
    except ValueError:
        return {}
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        return {}
    known: Attributes = {
        # The exporter names the dependency `<method> <path>`; a run does not contain its method.
        "http.request.method": "HTTP",
        "url.full": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
        "server.address": parts.hostname,
        "server.port": port,
    }
    if status is not None:
        known["http.response.status_code"] = status
    return known


def _format_time_span(milliseconds: float) -> str:
    """As .NET writes it, which Application Insights reads: `0.00:00:01.500`."""
    seconds, rest = divmod(round(milliseconds), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}.{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"
