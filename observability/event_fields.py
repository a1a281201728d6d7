"""The fields of log events, by run and ticket. Used by observability.events and the exporters."""

from __future__ import annotations

from jobs.runs import Run, Ticket
from observability import names

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
    if run.correlation_id not in ("", run.id):
        fields[names.CORRELATION_ID] = run.correlation_id
    return fields


def round_optional(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
