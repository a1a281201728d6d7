"""Fields of runs, attempts and log lines as attributes of OpenTelemetry. Pure; used by the exporters that send these.

An attribute without a value is omitted, as OpenTelemetry requires.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jobs.formats.host_ports import effective_port
from jobs.runs import Attempt, Phases, Run
from observability import names
from observability.events import Fields, JobPerformance, LogLine, failure_fields
from observability.redaction import redact_fields

if TYPE_CHECKING:
    from jobs.redaction import Redactor

Attributes = dict[str, str | bool | int | float]


def make_run_fields(run: Run, redactor: Redactor) -> Fields:
    """Return all fields of a run, redacted: those of JOB_PERFORMANCE and JOB_FAILED together."""
    return redact_fields({**JobPerformance(run).fields(), **failure_fields(run)}, redactor)


def make_run_span(fields: Fields) -> Attributes:
    """The attributes of a run's span."""
    shown = (names.JOB_NAME, names.RUN_ID, names.TRIGGER, names.OUTCOME, names.ERROR_TYPE, names.INVOCATION_ID)
    return to_attributes({key: fields[key] for key in shown if key in fields})


def make_attempt_attributes(run: Run, attempt: Attempt) -> Attributes:
    """The attributes of an attempt's span that do not depend on its destination."""
    return to_attributes(
        {
            names.JOB_NAME: run.job,
            names.RUN_ID: run.id,
            names.ATTEMPT_NUMBER: attempt.number,
            names.ERROR_TYPE: attempt.error,
        }
    )


def measure_phases(phases: Phases) -> dict[str, float]:
    """Return the phases that an attempt had, in milliseconds."""
    times = {
        names.DNS_TIME: phases.dns_ms,
        names.CONNECT_TIME: phases.connect_ms,
        names.TLS_TIME: phases.tls_ms,
        names.FIRST_BYTE_TIME: phases.first_byte_ms,
    }
    return {key: round(value, 3) for key, value in times.items() if value is not None}


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


def make_http_attributes(endpoint: str, status: int | None, *, method: str) -> Attributes:
    """Return the attributes of the target. A query never gets here; if one does, it is removed."""
    try:
        parts = urlsplit(endpoint)
        port = effective_port(parts.scheme, parts.port)
    except ValueError:
        return {}
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        return {}
    known: Attributes = {
        "http.request.method": method,
        "url.full": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
        "server.address": parts.hostname,
        "server.port": port,
    }
    if status is not None:
        known["http.response.status_code"] = status
    return known
