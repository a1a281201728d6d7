"""Messages about a heartbeat: its state, and why it is down. Called by the check, the API and the CLI. Pure."""

from __future__ import annotations

from datetime import datetime

from jobs.formats import format_duration, format_instant
from jobs.heartbeat import (
    HeartbeatRecord,
    HeartbeatState,
    PingSchedule,
    due_at,
    first_ping_deadline,
    run_end_deadline,
    state_at,
)
from jobs.problems import make_printable

SHOWN_BODY_CHARACTERS = 500
"""Characters of a ping's body in a message; the ping itself has the rest."""


def describe_heartbeat(record: HeartbeatRecord, schedule: PingSchedule, now: datetime) -> str:
    """Return its state now, and what is due next."""
    state = state_at(record, schedule, now)
    if state is HeartbeatState.DOWN:
        return describe_down(record, schedule, now)
    run = ""
    if record.last_start is not None and (ends := run_end_deadline(record, schedule)) is not None:
        run = f" A run started at {format_instant(record.last_start)} and must end by {format_instant(ends)}."
    if state is HeartbeatState.PAUSED:
        return f"Paused: pings are stored, not judged.{run}"
    if record.last_ping is None:
        first = first_ping_deadline(record, schedule)
        if run:
            return f"No run has ended yet.{run}"
        state_text = (
            "Only log texts have arrived, no ping reports a result" if record.number else "No ping has arrived yet"
        )
        return f"{state_text}." if first is None else f"{state_text}; the first is due by {format_instant(first)}."
    arrived, due = _last_ping_text(record), due_at(record, schedule)
    if due is None:
        return f"The last ping arrived {arrived}; no other is due.{run}"
    if state is HeartbeatState.GRACE:
        grace = f"within the grace of {_duration_text(schedule.grace)}"
        return f"Late: the last ping arrived {arrived}, the next was due at {format_instant(due)}; {grace}.{run}"
    return f"The last ping arrived {arrived}, the next is due at {format_instant(due)}.{run}"


def describe_down(record: HeartbeatRecord, schedule: PingSchedule, now: datetime) -> str:
    """Return why a heartbeat is down."""
    ends = run_end_deadline(record, schedule)
    if ends is not None and now >= ends and record.last_start is not None:
        started, longest = format_instant(record.last_start), _duration_text(schedule.longest_run)
        return f"The run that started at {started} did not report its end within {longest}; {_source_text(record)}."
    if record.overran:
        since = "yet" if record.last_ping is None else f"since {format_instant(record.last_ping)}"
        return f"No run has reported success {since}, and one was overdue; {_source_text(record)}."
    if record.failed and record.last_ping is not None:
        failure = f"a failure{_exit_code_text(record)} at {format_instant(record.last_ping)}"
        return f"The last ping reported {failure}; {_source_text(record)}.{_body_text(record)}"
    if record.last_ping is None:
        return _describe_never_pinged(record, schedule)
    due = due_at(record, schedule)
    overdue = (
        ""
        if due is None
        else f", the next was due at {format_instant(due)}, and the grace of {_duration_text(schedule.grace)} is over"
    )
    return f"No ping since {format_instant(record.last_ping)}{overdue}; {_source_text(record)}."


def _describe_never_pinged(record: HeartbeatRecord, schedule: PingSchedule) -> str:
    if record.known_since is None or schedule.first_within is None:
        return "No ping has arrived."
    return (
        f"No ping has ever arrived: the first was due within {_duration_text(schedule.first_within)} "
        f"after the job came into force at {format_instant(record.known_since)}."
    )


def _last_ping_text(record: HeartbeatRecord) -> str:
    assert record.last_ping is not None
    where = f" from {make_printable(record.source)}" if record.source else ""
    return f"at {format_instant(record.last_ping)}{where}"


def _source_text(record: HeartbeatRecord) -> str:
    if not record.source:
        return "the source of the last one is unknown"
    agent = f" ({make_printable(record.agent, 60)})" if record.agent else ""
    return f"the last one came from {make_printable(record.source)}{agent}"


def _exit_code_text(record: HeartbeatRecord) -> str:
    return "" if record.exit_code is None else f", exit code {record.exit_code},"


def _body_text(record: HeartbeatRecord) -> str:
    text = " ".join(record.body.split())
    return f" Its text: {make_printable(text, SHOWN_BODY_CHARACTERS)}" if text else ""


def _duration_text(seconds: float) -> str:
    return format_duration(seconds)
