"""What changes schedules in a range of time: changes of local time, excluded days, pauses and windows. Pure."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from jobs.definition import JobDefinition
from jobs.incidents.suppression.finding import SuppressionSet, list_window_times
from jobs.incidents.suppression.windows import AlertSubject, MaintenanceWindow, RequestedWindow, WindowEffect
from jobs.schedules import (
    BoundedSchedule,
    DefaultSchedule,
    JitteredSchedule,
    Schedule,
    TimeZone,
    UnionSchedule,
    ZonedSchedule,
    from_milliseconds,
    to_milliseconds,
)
from jobs.schedules.exclusions import DAY_SECONDS, ExcludedDates, PublicHolidays
from jobs.schedules.protocol import LAST_MS
from jobs.schedules.time_zones import OffsetSpan
from scheduler.catalog.catalog import Query
from scheduler.stores.gates import Pause

_EPOCH = date(1970, 1, 1)
Calendar = ExcludedDates | PublicHolidays
MillisecondSpan = tuple[int, int]
"""From, inclusive, and until, exclusive, in milliseconds since the epoch."""


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
    clock_changes: list[ClockChange] = []
    at = since
    while at < until:
        span: OffsetSpan = zone.span_at(at)
        if since <= span.start < until and span.offset != span.previous_offset:
            clock_changes.append(
                ClockChange(from_milliseconds(1000 * span.start), zone, span.previous_offset, span.offset)
            )
        at = span.end
    return clock_changes


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


@dataclass(frozen=True, slots=True)
class ExcludedDay:
    """A day of the local time of schedules. `calendar`: such as `holidays of DE-BE`. `jobs`: those that exclude it."""

    day: date
    calendar: str
    is_holiday: bool
    jobs: Sequence[str]


def find_excluded_days(
    jobs: Iterable[JobDefinition], first: date, last: date
) -> Generator[None, None, list[ExcludedDay]]:
    """Return the days from `first` to `last`, inclusive, that a job excludes, in order."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    excluded: dict[Calendar, list[date]] = {}
    names_by_day: dict[tuple[date, bool, str], list[str]] = {}
    for job in jobs:
        for calendar in dict.fromkeys(_list_calendars(job.schedule)) if job.enabled else ():
            if calendar not in excluded:
                excluded[calendar] = [day for day in days if _contains_day(calendar, day)]
            is_holiday = isinstance(calendar, PublicHolidays)
            for day in excluded[calendar]:
                name = calendar.text if is_holiday else "dates of a schedule"
                names_by_day.setdefault((day, not is_holiday, name), []).append(job.name)
        yield
    return [ExcludedDay(day, name, not is_date, names) for (day, is_date, name), names in sorted(names_by_day.items())]


def _contains_day(calendar: Calendar, day: date) -> bool:
    return calendar.period_end((day - _EPOCH).days * DAY_SECONDS) is not None


def _list_calendars(schedule: Schedule | None) -> Iterator[Calendar]:
    if isinstance(schedule, BoundedSchedule):
        for exclusion in schedule.exclusions:
            if isinstance(exclusion, (ExcludedDates, PublicHolidays)):
                yield exclusion
    if isinstance(schedule, (BoundedSchedule, DefaultSchedule, JitteredSchedule)):
        yield from _list_calendars(schedule.schedule)
    elif isinstance(schedule, UnionSchedule):
        for part in schedule.schedules:
            yield from _list_calendars(part)


@dataclass(frozen=True, slots=True)
class SuspendedTime:
    """`source`: such as `paused: deployment` or `window patching`. `until` None: until the job is resumed."""

    source: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class JobSuspensions:
    """`spans`: those of `times` in order, without overlaps."""

    times: tuple[SuspendedTime, ...] = ()
    spans: tuple[MillisecondSpan, ...] = ()

    def next_allowed(self, at: int) -> int:
        """Return the first instant from `at` on at which the job is not suspended."""
        for since, until in self.spans:
            if since <= at < until:
                at = until
        return at


NOT_SUSPENDED = JobSuspensions()


@dataclass(frozen=True, slots=True)
class SuspendedJobs:
    """The times of one source, with the names of the jobs that have all of them."""

    source: str
    times: Sequence[SuspendedTime]
    jobs: Sequence[str]


def group_by_source(suspensions_by_job: Iterable[tuple[str, JobSuspensions]]) -> list[SuspendedJobs]:
    """Return the suspensions of some jobs, by their first begin."""
    by_times: dict[tuple[SuspendedTime, ...], list[str]] = {}
    for job, suspensions in suspensions_by_job:
        for source in dict.fromkeys(time.source for time in suspensions.times):
            times = tuple(time for time in suspensions.times if time.source == source)
            by_times.setdefault(times, []).append(job)
    groups = [SuspendedJobs(times[0].source, times, jobs) for times, jobs in by_times.items()]
    return sorted(groups, key=lambda each: (each.times[0].since, each.source, each.jobs))


class SuspensionFinder(Query):
    """Finds the suspensions of jobs from `since` to `until`. `pauses`: those in force now, by job."""

    def __init__(
        self,
        pauses: Mapping[str, Pause],
        windows: Sequence[MaintenanceWindow],
        requested: Sequence[RequestedWindow],
        since: datetime,
        until: datetime,
    ) -> None:
        self._pauses = pauses
        self._windows = SuppressionSet(
            tuple(each for each in windows if each.effect is WindowEffect.PAUSE),
            tuple(each for each in requested if each.window.effect is WindowEffect.PAUSE),
        )
        self._since, self._until = since, until
        self._by_windows: dict[tuple[int, ...], tuple[SuspendedTime, ...]] = {}

    def find(self, job: JobDefinition) -> JobSuspensions:
        """Return when a job is suspended."""
        pause = self._pauses.get(job.name)
        times = self._find_windows(job) if self._windows.sources else ()
        if pause is not None:
            source = f"paused: {pause.reason}" if pause.reason else "paused"
            times = (SuspendedTime(source, pause.since, pause.until), *times)
        return JobSuspensions(times, _merge_times(times, to_milliseconds(self._since))) if times else NOT_SUSPENDED

    def _find_windows(self, job: JobDefinition) -> tuple[SuspendedTime, ...]:
        subject = AlertSubject(job.name, str(job.check.kind), "", job.tags)
        sources = self._windows.sources
        covering = tuple(place for place, each in enumerate(sources) if each.covers(subject, any_severity=True))
        if not covering:
            return ()
        if covering not in self._by_windows:
            window_times = list_window_times(subject, self._windows, self._since, self._until, pauses=True)
            self._by_windows[covering] = tuple(
                SuspendedTime(
                    f"window {window.name}: {window.reason}" if window.reason else f"window {window.name}",
                    span.begin,
                    span.end,
                )
                for window, span in window_times
            )
        return self._by_windows[covering]


def _merge_times(times: Sequence[SuspendedTime], not_before: int) -> tuple[MillisecondSpan, ...]:
    """Return the spans of these times. Those that began earlier begin at `not_before`, so that many are equal."""
    merged: list[MillisecondSpan] = []
    spans = (
        (max(_round_up(each.since), not_before), LAST_MS if each.until is None else _round_up(each.until))
        for each in times
    )
    for since, until in sorted(spans):
        if merged and since <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], until)
        else:
            merged.append((since, until))
    return tuple(merged)


def _round_up(instant: datetime) -> int:
    at = to_milliseconds(instant)
    return at if from_milliseconds(at) == instant else at + 1
