"""What people are told of a heartbeat: how it is, why it is down. Pure. Called by the check, the API and the CLI."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.durations import format_duration
from jobs.heartbeat import Beat, Rhythm, State, due_at, ends_by, first_by, state_at
from jobs.problems import printable

SHOWN_BODY = 500
"""Characters of a ping's body in a sentence; the rest is found with the ping."""


def sentence(beat: Beat, rhythm: Rhythm, now: datetime) -> str:
    """How it is now, and what is waited for."""
    state = state_at(beat, rhythm, now)
    if state is State.DOWN:
        return why_down(beat, rhythm, now)
    begun = ""
    if beat.last_start is not None and (ends := ends_by(beat, rhythm)) is not None:
        begun = f" A run began at {_at(beat.last_start)} and must end by {_at(ends)}."
    if state is State.PAUSED:
        return f"Paused: pings are kept and not judged.{begun}"
    if beat.last_ping is None:
        first = first_by(beat, rhythm)
        if begun:
            return f"No run has ended yet.{begun}"
        news = "Only log texts have come yet, no ping says how a run went" if beat.number else "No ping has come yet"
        return f"{news}." if first is None else f"{news}; one must by {_at(first)}."
    came, due = _came(beat), due_at(beat, rhythm)
    if due is None:
        return f"The last ping came {came}; no other one is due.{begun}"
    if state is State.GRACE:
        return (
            f"Late: the last ping came {came}, it was due at {_at(due)}; grace of {_long(rhythm.grace)} goes on.{begun}"
        )
    return f"The last ping came {came}, the next one is due at {_at(due)}.{begun}"


def why_down(beat: Beat, rhythm: Rhythm, now: datetime) -> str:
    """Of one that is down."""
    ends = ends_by(beat, rhythm)
    if ends is not None and now >= ends and beat.last_start is not None:
        return (
            f"The run that began at {_at(beat.last_start)} has not told its end within {_long(rhythm.longest)}; "
            f"{_from(beat)}."
        )
    if beat.overran:
        since = "yet" if beat.last_ping is None else f"since {_at(beat.last_ping)}"
        return f"No run has told of a good end {since}, and one of them was overdue; {_from(beat)}."
    if beat.failed and beat.last_ping is not None:
        return f"The last ping told of a failure{_code(beat)} at {_at(beat.last_ping)}; {_from(beat)}.{_body(beat)}"
    if beat.last_ping is None:
        return _never_came(beat, rhythm)
    due = due_at(beat, rhythm)
    overdue = "" if due is None else f", it was due at {_at(due)}, grace of {_long(rhythm.grace)} is over"
    return f"No ping since {_at(beat.last_ping)}{overdue}; {_from(beat)}."


def _never_came(beat: Beat, rhythm: Rhythm) -> str:
    if beat.known_since is None or rhythm.first_within is None:
        return "No ping has come."
    return (
        f"No ping has ever come: the first one was due within {_long(rhythm.first_within)} "
        f"after the job came into force at {_at(beat.known_since)}."
    )


def _came(beat: Beat) -> str:
    assert beat.last_ping is not None
    where = f" from {printable(beat.source)}" if beat.source else ""
    return f"at {_at(beat.last_ping)}{where}"


def _from(beat: Beat) -> str:
    if not beat.source:
        return "nothing is known of where the last one came from"
    agent = f" ({printable(beat.agent, 60)})" if beat.agent else ""
    return f"the last one came from {printable(beat.source)}{agent}"


def _code(beat: Beat) -> str:
    return "" if beat.exit_code is None else f", exit code {beat.exit_code},"


def _body(beat: Beat) -> str:
    text = " ".join(beat.body.split())
    return f" It says: {printable(text, SHOWN_BODY)}" if text else ""


def _at(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _long(seconds: float) -> str:
    return format_duration(seconds)
