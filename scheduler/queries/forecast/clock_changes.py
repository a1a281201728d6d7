"""Changes of local time in a range, and what happens to the jobs that are due then. Pure.

Called by scheduler.queries.forecast.reader. The rules are those of jobs.schedules.time_zones.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from jobs.definition import JobDefinition
from jobs.schedules import (
    BoundedSchedule,
    DefaultSchedule,
    JitteredSchedule,
    Schedule,
    TimeZone,
    UnionSchedule,
    ZonedSchedule,
    from_milliseconds,
)
from jobs.schedules.time_zones import OffsetSpan


@dataclass(frozen=True, slots=True)
class AffectedJob:
    """`effect`: such as `the skipped times are not run`."""

    job: str
    effect: str


@dataclass(frozen=True, slots=True)
class ClockChange:
    """`before_s` and `after_s`: seconds east of UTC. `jobs`: those that are due in the gap or the repeated time."""

    at: datetime
    zone: TimeZone
    before_s: int
    after_s: int
    jobs: list[AffectedJob] = field(default_factory=list)

    @property
    def is_gap(self) -> bool:
        """Whether local time goes forward."""
        return self.after_s > self.before_s

    @property
    def shift_s(self) -> int:
        return self.after_s - self.before_s


def find_clock_changes(
    jobs: Iterable[JobDefinition], zone: TimeZone, since: int, until: int
) -> Generator[None, None, list[ClockChange]]:
    """Return the changes of `zone`, and those of other zones that affect a job, in order.

    `since` and `until`, exclusive, are in seconds.
    """
    changes = {zone.name: _list_changes(zone, since, until)}
    effects: dict[tuple[ZonedSchedule, datetime], str] = {}
    for job in jobs:
        for schedule in _list_zoned(job.schedule) if job.enabled else ():
            if schedule.zone.name not in changes:
                changes[schedule.zone.name] = _list_changes(schedule.zone, since, until)
            for change in changes[schedule.zone.name]:
                if (schedule, change.at) not in effects:
                    effects[schedule, change.at] = _find_effect(schedule, change)
                effect = effects[schedule, change.at]
                if effect and not any(each.job == job.name for each in change.jobs[-1:]):
                    change.jobs.append(AffectedJob(job.name, effect))
        yield
    found = [each for name, some in changes.items() for each in some if each.jobs or name == zone.name]
    return sorted(found, key=lambda each: (each.at, each.zone.name))


def _list_changes(zone: TimeZone, since: int, until: int) -> list[ClockChange]:
    found: list[ClockChange] = []
    at = since
    while at < until:
        span: OffsetSpan = zone.span_at(at)
        if since <= span.start < until and span.offset != span.previous_offset:
            found.append(ClockChange(from_milliseconds(1000 * span.start), zone, span.previous_offset, span.offset))
        at = span.end
    return found


def _list_zoned(schedule: Schedule | None) -> Iterator[ZonedSchedule]:
    if isinstance(schedule, ZonedSchedule):
        yield schedule
    elif isinstance(schedule, (BoundedSchedule, DefaultSchedule, JitteredSchedule)):
        yield from _list_zoned(schedule.schedule)
    elif isinstance(schedule, UnionSchedule):
        for part in schedule.schedules:
            yield from _list_zoned(part)


def _find_effect(schedule: ZonedSchedule, change: ClockChange) -> str:
    """Return what happens to the times that a change skips or repeats; empty if the job is not due at one of them."""
    first = int(change.at.timestamp()) + min(change.before_s, change.after_s)
    end = first + abs(change.shift_s)
    due = schedule.cron.next_second(first - 1)
    if due is None or due >= end:
        return ""
    if not change.is_gap:
        return "runs in the first pass only" if schedule.is_first_pass_only else "runs in both passes"
    if schedule.gap == "skip":
        return "skipped times are not run"
    if schedule.gap == "end":
        return "runs once the skipped time has ended"
    following = schedule.cron.next_second(due)
    if schedule.gap == "shift" or following is None or following >= end:
        return "runs later by the skipped time"
    return "the first skipped time runs later, the others do not"
