"""What of the missed due instants is still run: the job's catch-up policy, pure. Called by the tick of both hosts.

An instant is missed when no tick looked at it in time: the process was down, or stood still.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.policies import CatchUp
from jobs.schedules import Schedule

MAX_CAUGHT_UP_RUNS = 1000
"""Runs that one job catches up at a time; of more, the newest."""

_MICROSECOND = timedelta(microseconds=1)
_FIRST_LOOKBACK = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class CatchUpDecision:
    """`run`: missed instants that are run now, oldest first. `left_out`: the last one that is not run."""

    run: tuple[datetime, ...] = ()
    last_missed: datetime | None = None


def decide_catch_up(
    schedule: Schedule,
    policy: CatchUp,
    first: datetime,
    before: datetime,
    now: datetime,
    on_time: datetime | None = None,
) -> CatchUpDecision:
    """Decide about the missed instants of a job: `first`, and all after it that lie before `before`.

    `on_time`: the latest instant until now, if it is not missed and will run. With policy `last` this run makes up for
    the missed ones: none of them runs, and what lies before `on_time` is left out, whether it was missed or not.
    """
    if policy.policy == "last" and on_time is not None:
        return CatchUpDecision((), latest_instant(schedule, first, on_time))
    window = max(first, now - timedelta(seconds=policy.within))
    run: tuple[datetime, ...] = ()
    if policy.policy == "last" and (last := latest_instant(schedule, window, before)) is not None:
        run = (last,)
    elif policy.policy == "all":
        run = _newest_instants(schedule, window, before)
    return CatchUpDecision(run, latest_instant(schedule, first, run[0] if run else before))


def _newest_instants(schedule: Schedule, since: datetime, before: datetime) -> tuple[datetime, ...]:
    """The newest instants in [since, before), oldest first."""
    found: deque[datetime] = deque(maxlen=MAX_CAUGHT_UP_RUNS)
    at = schedule.next_after(since - _MICROSECOND)
    while at is not None and at < before:
        found.append(at)
        at = schedule.next_after(at)
    return tuple(found)


def latest_instant(schedule: Schedule, since: datetime, before: datetime) -> datetime | None:
    """The latest instant in [since, before).

    Looks back in steps that double, so that a job of each second that was down for days costs no walk over all of them.
    """
    back = _FIRST_LOOKBACK
    while True:
        start = max(since, before - back)
        if start >= before:
            return None
        at = schedule.next_after(start - _MICROSECOND)
        if at is not None and at < before:
            return _last_before(schedule, at, before)
        if start == since:
            return None
        back *= 2


def _last_before(schedule: Schedule, at: datetime, before: datetime) -> datetime:
    while (following := schedule.next_after(at)) is not None and following < before:
        at = following
    return at
