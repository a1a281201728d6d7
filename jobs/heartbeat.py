"""The life of a heartbeat: what its pings make of it, how it is at an instant, and when it goes down. Pure.

Called by jobs.checks.kinds.heartbeat, which judges, and by scheduler, which takes pings and shows them:

    beat = after(Beat(), Ping(now, Signal.SUCCESS), rhythm_of(target))
    state = state_at(beat, rhythm_of(target), now)      # new, up, grace, down, started or paused
    down_at(beat, rhythm_of(target))                    # when it is down if nothing comes until then
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.schedules import Schedule
    from jobs.targets import HeartbeatTarget


class PingSignal(StrEnum):
    """What a ping tells."""

    SUCCESS = "success"
    START = "start"
    FAIL = "fail"
    LOG = "log"
    """Nothing but a text, to be kept with the others."""


class HeartbeatState(StrEnum):
    """How a heartbeat is. `new`: no ping yet. `grace`: late, and not yet too late. `started`: a run goes on."""

    NEW = "new"
    UP = "up"
    GRACE = "grace"
    DOWN = "down"
    STARTED = "started"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Ping:
    """One ping as it came. `run` pairs a start with its end; the sender chose it."""

    at: datetime
    signal: PingSignal
    exit_code: int | None = None
    run: str = ""
    source: str = ""
    """The address it came from."""
    agent: str = ""
    """The sender's user agent, shortened."""
    body: str = ""
    number: int = 0
    """The how many-th of its job; pings that were only counted leave a gap."""


@dataclass(frozen=True, slots=True)
class HeartbeatRecord:
    """What is remembered of all pings of a job. `state` is what the last end made of it: new, up, down (or paused)."""

    state: HeartbeatState = HeartbeatState.NEW
    last_ping: datetime | None = None
    """The last end: a success or a failure."""
    last_success: datetime | None = None
    last_fail: datetime | None = None
    last_start: datetime | None = None
    """The start of what goes on; None once it has ended."""
    run: str = ""
    """Of that start."""
    exit_code: int | None = None
    """Of the last end."""
    duration_s: float | None = None
    """Seconds from start to end of the last run; None if no start came before its end."""
    number: int = 0
    """Pings so far, of every kind."""
    source: str = ""
    agent: str = ""
    body: str = ""
    """With the last end."""
    overran: bool = False
    """It is down because a run was followed by the start of another one when its end was overdue."""
    known_since: datetime | None = None
    """When its job came into force; None: that is not known, or does not matter any more."""
    paused: tuple[datetime, datetime] | None = None
    """The begin and the end, exclusive, of the last pause that is over: what was due in it is not missing."""

    @property
    def failed(self) -> bool:
        """Whether it is down because a ping said so."""
        return self.state is HeartbeatState.DOWN and not self.overran


@dataclass(frozen=True, slots=True)
class PingSchedule:
    """When pings are due: seconds after the one before, or by a schedule. All others in seconds.

    `first_within`: from when the job came into force to its first ping; None: that is waited for as long as it takes.
    """

    period: float | None = None
    schedule: Schedule | None = None
    grace: float = 3600.0
    max_duration: float | None = None
    first_within: float | None = None

    def next_ping_due(self, ping: datetime) -> datetime | None:
        """The instant at which the ping after this one is due; None if none is due any more."""
        if self.schedule is not None:
            return self.schedule.next_after(ping)
        return None if self.period is None else _later(ping, self.period)

    @property
    def longest_run(self) -> float:
        """Seconds from a start to its end."""
        return self.grace if self.max_duration is None else self.max_duration


def ping_schedule_of(target: HeartbeatTarget) -> PingSchedule:
    return PingSchedule(target.period, target.schedule, target.grace, target.max_duration, target.first_within)


def apply_ping(beat: HeartbeatRecord, ping: Ping, rhythm: PingSchedule | None = None) -> HeartbeatRecord:
    """What the ping makes of it. A success or failure ends what was started, if it is the same run or says none.

    A start takes the place of one whose end is overdue, and by the `rhythm` it is down nevertheless until something
    ends well.
    """
    counted = replace(beat, number=max(beat.number + 1, ping.number), source=ping.source, agent=ping.agent)
    at = max(ping.at, beat.last_ping) if beat.last_ping is not None else ping.at
    if ping.signal is PingSignal.LOG:
        return counted
    if ping.signal is PingSignal.START:
        started = replace(counted, last_start=at, run=ping.run)
        if rhythm is None or beat.state is HeartbeatState.DOWN or state_at(beat, rhythm, at) is not HeartbeatState.DOWN:
            return started
        return replace(started, state=HeartbeatState.DOWN, overran=True)
    failed = ping.signal is PingSignal.FAIL
    ended = replace(
        counted,
        state=HeartbeatState.DOWN if failed else HeartbeatState.UP,
        last_ping=at,
        last_fail=at if failed else beat.last_fail,
        last_success=beat.last_success if failed else at,
        exit_code=ping.exit_code,
        body=ping.body,
        duration_s=None,
        overran=False,
    )
    if beat.last_start is None:
        return ended
    if beat.run == ping.run:
        return replace(ended, last_start=None, run="", duration_s=max(0.0, (at - beat.last_start).total_seconds()))
    return replace(ended, last_start=None, run="") if failed or not ping.run else ended


def due_at(beat: HeartbeatRecord, rhythm: PingSchedule) -> datetime | None:
    """When the next ping is expected; None while nothing is: before the first one, after a failure, in a pause."""
    if beat.state is not HeartbeatState.UP or beat.last_ping is None:
        return None
    return _unless_paused(beat, rhythm.next_ping_due(beat.last_ping), rhythm.next_ping_due)


def run_end_deadline(beat: HeartbeatRecord, rhythm: PingSchedule) -> datetime | None:
    """When what was started must have ended; None if nothing goes on."""
    if beat.last_start is None:
        return None
    return _unless_paused(
        beat, _later(beat.last_start, rhythm.longest_run), lambda resumed: _later(resumed, rhythm.longest_run)
    )


def first_ping_deadline(beat: HeartbeatRecord, rhythm: PingSchedule) -> datetime | None:
    """When the first ping must have come; None if it has, or is waited for as long as it takes."""
    wait = rhythm.first_within
    if beat.state is not HeartbeatState.NEW or beat.last_start is not None:
        return None
    if wait is None or beat.known_since is None:
        return None
    return _unless_paused(beat, _later(beat.known_since, wait), lambda resumed: _later(resumed, wait))


def down_at(beat: HeartbeatRecord, rhythm: PingSchedule) -> datetime | None:
    """When it goes down unless a ping comes before; None if it is down already, or nothing is expected."""
    if beat.state is HeartbeatState.DOWN:
        return None
    due = due_at(beat, rhythm)
    limits = (
        run_end_deadline(beat, rhythm),
        first_ping_deadline(beat, rhythm),
        None if due is None else _later(due, rhythm.grace),
    )
    return min((limit for limit in limits if limit is not None), default=None)


def state_at(
    beat: HeartbeatRecord, rhythm: PingSchedule, now: datetime, *, include_started: bool = False
) -> HeartbeatState:
    """How it is at this instant.

    `include_started`: tell that a run goes on, for people. Otherwise a start changes nothing until it has ended, or
    should have: what is down stays down while it is tried again.
    """
    ends = run_end_deadline(beat, rhythm)
    if ends is not None:
        if now >= ends:
            return HeartbeatState.DOWN
        if include_started:
            return HeartbeatState.STARTED
    first = first_ping_deadline(beat, rhythm)
    if first is not None and now >= first:
        return HeartbeatState.DOWN
    if beat.state is not HeartbeatState.UP:
        return beat.state
    due = due_at(beat, rhythm)
    if due is None or now < due:
        return HeartbeatState.UP
    return HeartbeatState.DOWN if now >= _later(due, rhythm.grace) else HeartbeatState.GRACE


def _unless_paused(
    beat: HeartbeatRecord, limit: datetime | None, again: Callable[[datetime], datetime | None]
) -> datetime | None:
    """The limit; or, if it fell into the pause that is over, what it is `again` from the end of that."""
    if limit is None or beat.paused is None:
        return limit
    began, ended = beat.paused
    return again(ended) if began <= limit < ended else limit


def _later(instant: datetime, seconds: float) -> datetime:
    return instant + timedelta(seconds=seconds)
