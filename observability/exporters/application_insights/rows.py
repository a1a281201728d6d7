"""A run as the attributes of its custom event, availability row and spans. Pure; sent by application_insights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jobs.runs import Attempt, Run
from observability import names
from observability.events import DeadLettered, Fields, ProgramEvent
from observability.exporters.tracing.attributes import (
    Attributes,
    make_attempt_attributes,
    make_http_attributes,
    measure_phases,
    to_attributes,
)
from observability.redaction import redact_fields

if TYPE_CHECKING:
    from jobs.redaction import Redactor

# Azure Monitor's exporter turns log records and spans with these attributes into separate rows.
_CUSTOM_EVENT = "microsoft.custom_event.name"
_MEASUREMENTS = "microsoft.custom_measurements"
_AVAILABILITY = "microsoft.availability."

_MEASUREMENT_FIELDS = (names.DURATION, names.RESPONSE_TIME, names.LATENESS, names.ATTEMPTS)


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


def make_attempt_span(run: Run, attempt: Attempt, endpoint: str) -> Attributes:
    """The attributes of an attempt's span; those of HTTP make it a dependency with a target and a result code."""
    return {
        _MEASUREMENTS: json.dumps(measure_phases(attempt.phases)),
        **make_attempt_attributes(run, attempt),
        # The exporter names the dependency `<method> <path>`; a run does not contain its method.
        **make_http_attributes(endpoint, attempt.status, method="HTTP"),
    }


def _format_time_span(milliseconds: float) -> str:
    """As .NET writes it, which Application Insights reads: `0.00:00:01.500`."""
    seconds, rest = divmod(round(milliseconds), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}.{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"
