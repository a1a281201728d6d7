"""Messages about a heartbeat: its state, and why it is down. Called by the check, the API and the CLI. Pure."""

from __future__ import annotations

from datetime import datetime

from jobs.formats.durations import format_duration
from jobs.formats.instants import format_instant
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


def describe_heartbeat(beat: HeartbeatRecord, rhythm: PingSchedule, now: datetime) -> str:
    """Return its state now, and what is due next."""
    state = state_at(beat, rhythm, now)
    if state is HeartbeatState.DOWN:
        return describe_down(beat, rhythm, now)
    run = ""
    if beat.last_start is not None and (ends := run_end_deadline(beat, rhythm)) is not None:
        run = f" A run started at {format_instant(beat.last_start)} and must end by {format_instant(ends)}."
    if state is HeartbeatState.PAUSED:
        return f"Paused: pings are stored, not judged.{run}"
    if beat.last_ping is None:
        first = first_ping_deadline(beat, rhythm)
        if run:
            return f"No run has ended yet.{run}"
        state_text = (
            "Only log texts have arrived, no ping reports a result" if beat.number else "No ping has arrived yet"
        )
        return f"{state_text}." if first is None else f"{state_text}; the first is due by {format_instant(first)}."
    arrived, due = _last_ping_text(beat), due_at(beat, rhythm)
    if due is None:
        return f"The last ping arrived {arrived}; no other is due.{run}"
    if state is HeartbeatState.GRACE:
        grace = f"within the grace of {_duration_text(rhythm.grace)}"
        return f"Late: the last ping arrived {arrived}, the next was due at {format_instant(due)}; {grace}.{run}"
    return f"The last ping arrived {arrived}, the next is due at {format_instant(due)}.{run}"


def describe_down(beat: HeartbeatRecord, rhythm: PingSchedule, now: datetime) -> str:
    """Return why a heartbeat is down."""
    ends = run_end_deadline(beat, rhythm)
    if ends is not None and now >= ends and beat.last_start is not None:
        started, longest = format_instant(beat.last_start), _duration_text(rhythm.longest_run)
        return f"The run that started at {started} did not report its end within {longest}; {_source_text(beat)}."
    if beat.overran:
        since = "yet" if beat.last_ping is None else f"since {format_instant(beat.last_ping)}"
        return f"No run has reported success {since}, and one was overdue; {_source_text(beat)}."
    if beat.failed and beat.last_ping is not None:
        failure = f"a failure{_exit_code_text(beat)} at {format_instant(beat.last_ping)}"
        return f"The last ping reported {failure}; {_source_text(beat)}.{_body_text(beat)}"
    if beat.last_ping is None:
        return _describe_never_pinged(beat, rhythm)
    due = due_at(beat, rhythm)
    overdue = (
        ""
        if due is None
        else f", the next was due at {format_instant(due)}, and the grace of {_duration_text(rhythm.grace)} is over"
    )
    return f"No ping since {format_instant(beat.last_ping)}{overdue}; {_source_text(beat)}."


def _describe_never_pinged(beat: HeartbeatRecord, rhythm: PingSchedule) -> str:
    if beat.known_since is None or rhythm.first_within is None:
        return "No ping has arrived."
    return (
        f"No ping has ever arrived: the first was due within {_duration_text(rhythm.first_within)} "
        f"after the job came into force at {format_instant(beat.known_since)}."
    )


def _last_ping_text(beat: HeartbeatRecord) -> str:
    assert beat.last_ping is not None
    where = f" from {make_printable(beat.source)}" if beat.source else ""
    return f"at {format_instant(beat.last_ping)}{where}"


def _source_text(beat: HeartbeatRecord) -> str:
    if not beat.source:
        return "the source of the last one is unknown"
    agent = f" ({make_printable(beat.agent, 60)})" if beat.agent else ""
    return f"the last one came from {make_printable(beat.source)}{agent}"


def _exit_code_text(beat: HeartbeatRecord) -> str:
    return "" if beat.exit_code is None else f", exit code {beat.exit_code},"


def _body_text(beat: HeartbeatRecord) -> str:
    text = " ".join(beat.body.split())
    return f" Its text: {make_printable(text, SHOWN_BODY_CHARACTERS)}" if text else ""


def _duration_text(seconds: float) -> str:
    return format_duration(seconds)
