"""What people are told of a heartbeat: how it is, why it is down. Pure. Called by the check, the API and the CLI."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.formats.durations import format_duration
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
"""Characters of a ping's body in a sentence; the rest is found with the ping."""


def describe_heartbeat(beat: HeartbeatRecord, rhythm: PingSchedule, now: datetime) -> str:
    """How it is now, and what is waited for."""
    state = state_at(beat, rhythm, now)
    if state is HeartbeatState.DOWN:
        return describe_down(beat, rhythm, now)
    begun = ""
    if beat.last_start is not None and (ends := run_end_deadline(beat, rhythm)) is not None:
        begun = f" A run began at {_instant_text(beat.last_start)} and must end by {_instant_text(ends)}."
    if state is HeartbeatState.PAUSED:
        return f"Paused: pings are kept and not judged.{begun}"
    if beat.last_ping is None:
        first = first_ping_deadline(beat, rhythm)
        if begun:
            return f"No run has ended yet.{begun}"
        news = "Only log texts have come yet, no ping says how a run went" if beat.number else "No ping has come yet"
        return f"{news}." if first is None else f"{news}; one must by {_instant_text(first)}."
    came, due = _last_ping_text(beat), due_at(beat, rhythm)
    if due is None:
        return f"The last ping came {came}; no other one is due.{begun}"
    if state is HeartbeatState.GRACE:
        return f"Late: the last ping came {came}, it was due at {_instant_text(due)}; grace of {_duration_text(rhythm.grace)} goes on.{begun}"
    return f"The last ping came {came}, the next one is due at {_instant_text(due)}.{begun}"


def describe_down(beat: HeartbeatRecord, rhythm: PingSchedule, now: datetime) -> str:
    """Of one that is down."""
    ends = run_end_deadline(beat, rhythm)
    if ends is not None and now >= ends and beat.last_start is not None:
        return (
            f"The run that began at {_instant_text(beat.last_start)} has not told its end within {_duration_text(rhythm.longest_run)}; "
            f"{_source_text(beat)}."
        )
    if beat.overran:
        since = "yet" if beat.last_ping is None else f"since {_instant_text(beat.last_ping)}"
        return f"No run has told of a good end {since}, and one of them was overdue; {_source_text(beat)}."
    if beat.failed and beat.last_ping is not None:
        return f"The last ping told of a failure{_exit_code_text(beat)} at {_instant_text(beat.last_ping)}; {_source_text(beat)}.{_body_text(beat)}"
    if beat.last_ping is None:
        return _describe_never_pinged(beat, rhythm)
    due = due_at(beat, rhythm)
    overdue = (
        "" if due is None else f", it was due at {_instant_text(due)}, grace of {_duration_text(rhythm.grace)} is over"
    )
    return f"No ping since {_instant_text(beat.last_ping)}{overdue}; {_source_text(beat)}."


def _describe_never_pinged(beat: HeartbeatRecord, rhythm: PingSchedule) -> str:
    if beat.known_since is None or rhythm.first_within is None:
        return "No ping has come."
    return (
        f"No ping has ever come: the first one was due within {_duration_text(rhythm.first_within)} "
        f"after the job came into force at {_instant_text(beat.known_since)}."
    )


def _last_ping_text(beat: HeartbeatRecord) -> str:
    assert beat.last_ping is not None
    where = f" from {make_printable(beat.source)}" if beat.source else ""
    return f"at {_instant_text(beat.last_ping)}{where}"


def _source_text(beat: HeartbeatRecord) -> str:
    if not beat.source:
        return "nothing is known of where the last one came from"
    agent = f" ({make_printable(beat.agent, 60)})" if beat.agent else ""
    return f"the last one came from {make_printable(beat.source)}{agent}"


def _exit_code_text(beat: HeartbeatRecord) -> str:
    return "" if beat.exit_code is None else f", exit code {beat.exit_code},"


def _body_text(beat: HeartbeatRecord) -> str:
    text = " ".join(beat.body.split())
    return f" It says: {make_printable(text, SHOWN_BODY_CHARACTERS)}" if text else ""


def _instant_text(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _duration_text(seconds: float) -> str:
    return format_duration(seconds)
