"""Decides which missed instants still run, by the job's catch-up policy. Pure; called by scheduler.planning.plan.

An instant is missed if no tick planned it in time: the process was down, or stalled.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.policies import CatchUp
from jobs.schedules import Schedule

MAX_CAUGHT_UP_RUNS = 1000
"""Runs that one job catches up at a time; of more missed instants, the newest run."""

_MICROSECOND = timedelta(microseconds=1)
_FIRST_LOOKBACK = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class CatchUpDecision:
    """`run`: missed instants that run now, oldest first. `last_missed`: the last instant that does not run."""

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
    """Decide about the missed instants of a job: `first`, and all later ones before `before`.

    `on_time`: the latest instant until now, if it is not missed and will run. With policy `last` this run replaces the
    missed runs: all instants before `on_time` are skipped, missed or not.
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
    """Return the newest instants in [since, before), oldest first."""
    found: deque[datetime] = deque(maxlen=MAX_CAUGHT_UP_RUNS)
    at = schedule.next_after(since - _MICROSECOND)
    while at is not None and at < before:
        found.append(at)
        at = schedule.next_after(at)
    return tuple(found)


def latest_instant(schedule: Schedule, since: datetime, before: datetime) -> datetime | None:
    """Return the latest instant in [since, before).

    The search goes back in steps that double, so days of a job that is due each second are not walked through.
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
