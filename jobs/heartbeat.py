"""The state of a heartbeat, derived from its pings, and the message when it is down.

Called by jobs.checks.kinds.heartbeat and by the scheduler, which receives pings and displays heartbeats:

    beat = apply_ping(HeartbeatRecord(), Ping(now, PingSignal.SUCCESS), ping_schedule_of(target))
    state = state_at(beat, ping_schedule_of(target), now)      # new, up, grace, down, started or paused
    down_at(beat, ping_schedule_of(target))                    # when it is down without another ping

Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from jobs.formats import format_duration, format_instant
from jobs.problems import make_printable

if TYPE_CHECKING:
    from jobs.schedules import Schedule
    from jobs.targets import HeartbeatTarget


class PingSignal(StrEnum):
    """What a ping reports."""

    SUCCESS = "success"
    START = "start"
    FAIL = "fail"
    LOG = "log"
    """A text only, stored with the other pings; the state does not change."""


class HeartbeatState(StrEnum):
    """`new`: no ping yet. `grace`: a ping is overdue, within the grace period. `started`: a run is in flight."""

    NEW = "new"
    UP = "up"
    GRACE = "grace"
    DOWN = "down"
    STARTED = "started"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Ping:
    """A received ping. `run`: an id chosen by the sender, which pairs a start with its end."""

    at: datetime
    signal: PingSignal
    exit_code: int | None = None
    run: str = ""
    source: str = ""
    """The sender's address."""
    agent: str = ""
    """The sender's user agent, shortened."""
    body: str = ""
    number: int = 0
    """Sequence number within the job; pings that were only counted leave a gap."""


@dataclass(frozen=True, slots=True)
class HeartbeatRecord:
    """The summary of all pings of a job. `state` follows from the last end: new, up, down (or paused)."""

    state: HeartbeatState = HeartbeatState.NEW
    last_ping: datetime | None = None
    """The last end: a success or a failure."""
    last_success: datetime | None = None
    last_fail: datetime | None = None
    last_start: datetime | None = None
    """The start of the run in flight; None after its end."""
    run: str = ""
    """Run id of that start."""
    exit_code: int | None = None
    """Exit code of the last end."""
    duration_s: float | None = None
    """Seconds from start to end of the last run; None if no start came before its end."""
    number: int = 0
    """Number of pings so far, of every signal."""
    source: str = ""
    agent: str = ""
    body: str = ""
    """Body of the last end."""
    overran: bool = False
    """Whether it is down because a run's end was overdue when another run started."""
    known_since: datetime | None = None
    """When the job became active; None: unknown, or no longer relevant."""
    paused: tuple[datetime, datetime] | None = None
    """Start and end (exclusive) of the last pause that ended: a ping due within it is not missing."""

    @property
    def failed(self) -> bool:
        """Whether it is down because a ping reported a failure."""
        return self.state is HeartbeatState.DOWN and not self.overran


@dataclass(frozen=True, slots=True)
class PingSchedule:
    """When pings are due: `period` seconds after the previous one, or by a schedule. All other values are seconds.

    `first_within`: from the job's activation to its first ping; None: no limit.
    """

    period: float | None = None
    schedule: Schedule | None = None
    grace: float = 3600.0
    max_duration: float | None = None
    first_within: float | None = None

    def next_ping_due(self, ping: datetime) -> datetime | None:
        """Return the instant at which the ping after this one is due; None if none is due."""
        if self.schedule is not None:
            return self.schedule.next_after(ping)
        return None if self.period is None else _later(ping, self.period)

    @property
    def longest_run(self) -> float:
        """Maximum seconds from a start to its end."""
        return self.grace if self.max_duration is None else self.max_duration


def ping_schedule_of(target: HeartbeatTarget) -> PingSchedule:
    return PingSchedule(target.period, target.schedule, target.grace, target.max_duration, target.first_within)


def apply_ping(record: HeartbeatRecord, ping: Ping, schedule: PingSchedule | None = None) -> HeartbeatRecord:
    """Return the record after this ping.

    A failure ends the started run; a success ends it if it has the same run id, or none. A start replaces a run whose
    end is overdue: the heartbeat is then down, by its `schedule`, until a run succeeds.
    """
    counted = replace(record, number=max(record.number + 1, ping.number), source=ping.source, agent=ping.agent)
    at = max(ping.at, record.last_ping) if record.last_ping is not None else ping.at
    if ping.signal is PingSignal.LOG:
        return counted
    if ping.signal is PingSignal.START:
        started = replace(counted, last_start=at, run=ping.run)
        if (
            schedule is None
            or record.state is HeartbeatState.DOWN
            or state_at(record, schedule, at) is not HeartbeatState.DOWN
        ):
            return started
        return replace(started, state=HeartbeatState.DOWN, overran=True)
    failed = ping.signal is PingSignal.FAIL
    ended = replace(
        counted,
        state=HeartbeatState.DOWN if failed else HeartbeatState.UP,
        last_ping=at,
        last_fail=at if failed else record.last_fail,
        last_success=record.last_success if failed else at,
        exit_code=ping.exit_code,
        body=ping.body,
        duration_s=None,
        overran=False,
    )
    if record.last_start is None:
        return ended
    if record.run == ping.run:
        return replace(ended, last_start=None, run="", duration_s=max(0.0, (at - record.last_start).total_seconds()))
    # The end of another run, or of one that is not known: without a duration. A success of another run ends only that.
    return replace(ended, last_start=None, run="") if failed or not ping.run else ended


def due_at(record: HeartbeatRecord, schedule: PingSchedule) -> datetime | None:
    """Return when the next ping is due; None before the first one, after a failure and during a pause."""
    if record.state is not HeartbeatState.UP or record.last_ping is None:
        return None
    return _unless_paused(record, schedule.next_ping_due(record.last_ping), schedule.next_ping_due)


def run_end_deadline(record: HeartbeatRecord, schedule: PingSchedule) -> datetime | None:
    """Return when the started run must have ended; None without one."""
    if record.last_start is None:
        return None
    return _unless_paused(
        record, _later(record.last_start, schedule.longest_run), lambda resumed: _later(resumed, schedule.longest_run)
    )


def first_ping_deadline(record: HeartbeatRecord, schedule: PingSchedule) -> datetime | None:
    """Return when the first ping must have arrived; None if it has, or if it has no limit."""
    wait = schedule.first_within
    if record.state is not HeartbeatState.NEW or record.last_start is not None:
        return None
    if wait is None or record.known_since is None:
        return None
    return _unless_paused(record, _later(record.known_since, wait), lambda resumed: _later(resumed, wait))


def down_at(record: HeartbeatRecord, schedule: PingSchedule) -> datetime | None:
    """Return when it goes down without another ping; None if it is down already, or no ping is expected."""
    if record.state is HeartbeatState.DOWN:
        return None
    due = due_at(record, schedule)
    limits = (
        run_end_deadline(record, schedule),
        first_ping_deadline(record, schedule),
        None if due is None else _later(due, schedule.grace),
    )
    return min((limit for limit in limits if limit is not None), default=None)


def state_at(
    record: HeartbeatRecord, schedule: PingSchedule, now: datetime, *, include_started: bool = False
) -> HeartbeatState:
    """Return the state at this instant.

    `include_started`: report a run in flight as `started`, for display. Otherwise a start changes the state only once
    its end has arrived or is overdue: a heartbeat that is down stays down during the next run.
    """
    ends = run_end_deadline(record, schedule)
    if ends is not None:
        if now >= ends:
            return HeartbeatState.DOWN
        if include_started:
            return HeartbeatState.STARTED
    first = first_ping_deadline(record, schedule)
    if first is not None and now >= first:
        return HeartbeatState.DOWN
    if record.state is not HeartbeatState.UP:
        return record.state
    due = due_at(record, schedule)
    if due is None or now < due:
        return HeartbeatState.UP
    return HeartbeatState.DOWN if now >= _later(due, schedule.grace) else HeartbeatState.GRACE


def _unless_paused(
    record: HeartbeatRecord, limit: datetime | None, again: Callable[[datetime], datetime | None]
) -> datetime | None:
    """Return the limit; if it lies within the last pause, the one that `again` computes from the pause's end."""
    if limit is None or record.paused is None:
        return limit
    began, ended = record.paused
    return again(ended) if began <= limit < ended else limit


def _later(instant: datetime, seconds: float) -> datetime:
    return instant + timedelta(seconds=seconds)


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
