"""The history of some jobs: how their runs ended in equal spans of time, and their latency.

Complete hours are cached until the next hour, and everything of a job until its next run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from jobs.ports import Clock
from jobs.runs import Outcome, Run
from scheduler.catalog.catalog import Query
from scheduler.features.statistics.periods import hour_of
from scheduler.stores.runs.repository import Runs
from scheduler.stores.runs.rollups.reading import RollupPart

SPAN_COUNT: Final = 90
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MAX_RUNS_READ: Final = 60
"""Newest runs of a job that are read for spans shorter than an hour."""
MAX_CACHED_HISTORIES: Final = 600
"""Each takes about 10 KB."""
_CACHED_SECONDS: Final = 60.0
"""For which the history of a job is cached at most: runs of other processes appear then."""
_JOBS_AT_ONCE: Final = 25
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


class TimeWindow(StrEnum):
    """The time that the spans divide, and the value of it in URLs."""

    HOURS_1 = "1h"
    HOURS_3 = "3h"
    HOURS_24 = "24h"
    DAYS_7 = "7d"
    DAYS_90 = "90d"

    @property
    def span(self) -> timedelta:
        """The length of one span."""
        return _SPANS[self]

    def narrow_to(self, age: timedelta) -> TimeWindow:
        """Return the shortest window that covers this age, at most this one: a job that is new does not fill more."""
        covering = (window for window in TimeWindow if window.span * SPAN_COUNT >= age)
        return min(next(covering, self), self, key=lambda window: window.span)


_SPANS: Final = {
    TimeWindow.HOURS_1: timedelta(seconds=40),
    TimeWindow.HOURS_3: timedelta(minutes=2),
    TimeWindow.HOURS_24: timedelta(minutes=16),
    TimeWindow.DAYS_7: timedelta(minutes=112),
    TimeWindow.DAYS_90: timedelta(days=1),
}


class SpanCounts(NamedTuple):
    """Runs by what they show. `other`: skipped and cancelled ones that are not unknown."""

    succeeded: int = 0
    degraded: int = 0
    down: int = 0
    other: int = 0
    unknown: int = 0

    def add(self, more: SpanCounts) -> SpanCounts:
        return SpanCounts(*(own + other for own, other in zip(self, more, strict=True)))

    def subtract(self, less: SpanCounts) -> SpanCounts:
        return SpanCounts(*(max(0, own - other) for own, other in zip(self, less, strict=True)))

    @property
    def is_uniform(self) -> bool:
        """Whether all runs show the same."""
        return sum(map(bool, self)) == 1


NO_COUNTS: Final = SpanCounts()


class CountedPart(NamedTuple):
    """The counts of an hour or a day. `latency`: the median of its response times in milliseconds. `first_at`: when its
    first run that counts was due.
    """

    start: datetime
    length: timedelta
    counts: SpanCounts
    latency: float | None
    first_at: datetime | None = None

    @property
    def end(self) -> datetime:
        return self.start + self.length

    def starting_at(self, instant: datetime) -> CountedPart:
        """Return the part from this instant on, if that is inside of it."""
        if not self.start < instant < self.end:
            return self
        return self._replace(start=instant, length=self.end - instant)


class CountedRun(NamedTuple):
    """`reason`: the message of a run that is down, degraded or unknown."""

    id: str
    due_at: datetime
    counts: SpanCounts
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WindowBounds:
    """`until`: the end of the current span, in which `now` is."""

    since: datetime
    until: datetime
    span: timedelta

    @staticmethod
    def of(window: TimeWindow, now: datetime) -> WindowBounds:
        span = window.span
        until = _EPOCH + ((now - _EPOCH) // span + 1) * span
        return WindowBounds(until - SPAN_COUNT * span, until, span)

    def place_of(self, instant: datetime) -> int:
        """Return the number of the span of an instant; it may be outside of 0 to SPAN_COUNT - 1."""
        return (instant - self.since) // self.span


def count_run(run: Run) -> CountedRun:
    if run.outcome.down:
        counts = SpanCounts(down=1)
    elif run.outcome is not Outcome.SUCCEEDED:
        counts = SpanCounts(unknown=1) if run.is_unknown else SpanCounts(other=1)
    else:
        counts = SpanCounts(degraded=1) if run.degraded else SpanCounts(succeeded=1)
    has_reason = run.outcome.down or run.degraded or run.is_unknown
    return CountedRun(run.id, run.due_at, counts, run.message if has_reason else "")


def count_spans(
    bounds: WindowBounds, parts: Iterable[CountedPart], runs: Sequence[CountedRun], known_since: datetime, now: datetime
) -> list[SpanCounts]:
    """Return the counts of each span, oldest first. `runs`: all that were due from `known_since` on."""
    spans = [NO_COUNTS] * SPAN_COUNT
    for part in parts:
        if part.start < known_since:
            _add_part(spans, bounds, _without(part, runs, known_since), min(known_since, now))
    for run in runs:
        place = bounds.place_of(run.due_at)
        if 0 <= place < SPAN_COUNT:
            spans[place] = spans[place].add(run.counts)
    return spans


def needs_runs(bounds: WindowBounds, parts: Iterable[CountedPart], now: datetime) -> bool:
    """Whether the parts do not show what each of their spans had: unlike runs, or fewer runs than spans."""
    return any(
        not part.counts.is_uniform or sum(part.counts) < (min(part.end, now) - part.start) / bounds.span
        for part in parts
        if part.length > bounds.span and part.counts != NO_COUNTS
    )


def list_latencies(bounds: WindowBounds, parts: Iterable[CountedPart]) -> list[float]:
    """Return the medians of the parts, oldest first: of those within one span their mean."""
    latencies_by_place: dict[datetime | int, list[float]] = {}
    for part in parts:
        if part.latency is not None:
            place = part.start if part.length > bounds.span else bounds.place_of(part.start)
            latencies_by_place.setdefault(place, []).append(part.latency)
    return [sum(values) / len(values) for values in latencies_by_place.values()]


def _without(part: CountedPart, runs: Sequence[CountedRun], known_since: datetime) -> CountedPart:
    """Return the part without those of these runs that it counts."""
    if part.end <= known_since:
        return part
    counts = part.counts
    for run in runs:
        if part.start <= run.due_at < part.end:
            counts = counts.subtract(run.counts)
    return part._replace(counts=counts)


def _add_part(spans: list[SpanCounts], bounds: WindowBounds, part: CountedPart, until: datetime) -> None:
    """A part that is shorter than a span counts in that of its start; a longer one in each that it touches."""
    first = last = bounds.place_of(part.start)
    if part.length > bounds.span:
        last = bounds.place_of(min(part.end, until) - timedelta(microseconds=1))
    for place in range(max(first, 0), min(last, SPAN_COUNT - 1) + 1):
        spans[place] = spans[place].add(part.counts)


@dataclass(frozen=True, slots=True)
class JobTimeline:
    """`window`: the requested one, or a shorter one that covers the life of a new job. `since`: the begin of the first
    span.

    `spans`: oldest first; `reasons`: by the number of a span, the message of its newest run that was down, degraded or
    unknown, of the newest runs alone. `latencies`: medians in milliseconds of the hours or days of the window, oldest
    first.

    `failed_at`: when the last run that is down was due; `is_exact`: to the instant, not to its hour or day.
    """

    spans: Sequence[SpanCounts]
    latencies: Sequence[float]
    total: SpanCounts
    failed_at: datetime | None
    is_exact: bool
    window: TimeWindow
    since: datetime = _EPOCH
    reasons: Mapping[int, str] = field(default_factory=dict)

    @property
    def success_rate(self) -> float | None:
        """Share of the runs that succeeded among those that succeeded or were down; None without one."""
        succeeded = self.total.succeeded + self.total.degraded
        counted = succeeded + self.total.down
        return succeeded / counted if counted else None


@dataclass(frozen=True, slots=True)
class _CachedTimeline:
    newest: str
    bounds: WindowBounds
    closed_until: datetime
    closed: Sequence[CountedPart]
    timeline: JobTimeline
    until: float


class TimelineReader(Query):
    """All methods raise StoreError. The caller passes only jobs that its user may see."""

    def __init__(self, runs: Runs, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock
        self._cached: dict[tuple[str, TimeWindow, tuple[datetime | None, ...]], _CachedTimeline] = {}

    async def read(self, newest: Mapping[str, str], window: TimeWindow) -> Mapping[str, JobTimeline]:
        """Return the history of each job. `newest`: the id of its newest run, by job: a new one is looked for then."""
        names, by_job = list(newest), dict[str, JobTimeline]()
        for start in range(0, len(names), _JOBS_AT_ONCE):
            some = names[start : start + _JOBS_AT_ONCE]
            timelines = await asyncio.gather(*(self._read_job(name, newest[name], window) for name in some))
            by_job.update(zip(some, timelines, strict=True))
        return by_job

    async def _read_job(
        self, job: str, newest: str, window: TimeWindow, first_at: datetime | None = None
    ) -> JobTimeline:
        """`first_at`: of a new job, when its first run was due."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        bounds, key = WindowBounds.of(window, now), (job, window, self._runs.list_begins([job]))
        cached = self._cached.get(key)
        if cached and cached.newest == newest and cached.bounds == bounds and monotonic < cached.until:
            return cached.timeline
        current = hour_of(now)
        is_closed_known = cached is not None and cached.closed_until == current
        closed = (
            cached.closed if cached and is_closed_known else await self._read_parts(job, window, bounds.since, current)
        )
        parts = [*closed, *await self._read_parts(job, window, current, current + _HOUR)]
        timeline = await self._read_shorter(job, newest, window, parts, now) if first_at is None else None
        if timeline is None:
            parts = [each.starting_at(first_at) for each in parts] if first_at is not None else parts
            runs, known_since = await self._read_runs(job, bounds, parts, now)
            inside = [each for each in parts if _is_inside(each, bounds)]
            timeline = _create_timeline(window, bounds, inside, runs, known_since, now)
        self._cached.pop(key, None)
        self._cached[key] = _CachedTimeline(newest, bounds, current, closed, timeline, monotonic + _CACHED_SECONDS)
        while len(self._cached) > MAX_CACHED_HISTORIES:
            del self._cached[next(iter(self._cached))]
        return timeline

    async def _read_shorter(
        self, job: str, newest: str, window: TimeWindow, parts: Sequence[CountedPart], now: datetime
    ) -> JobTimeline | None:
        """Return the history in a shorter window if all runs of the job are in it."""
        first_at = min((each.first_at for each in parts if each.first_at is not None), default=None)
        shorter = window if first_at is None else window.narrow_to(now - first_at)
        if first_at is None or shorter is window:
            return None
        before = min(each.start for each in parts) - timedelta(microseconds=1)
        older = await self._runs.list_page(job, limit=1, until=before)
        if older.records or older.continuation is not None:
            return None
        return await self._read_job(job, newest, shorter, first_at)

    async def _read_parts(
        self, job: str, window: TimeWindow, since: datetime, until: datetime
    ) -> Sequence[CountedPart]:
        since, days = hour_of(since), list[datetime]()
        if window is not TimeWindow.DAYS_90:  # hours of all days
            midnight = since.replace(hour=0)
            days = [midnight + number * _DAY + _HOUR for number in range((until - midnight) // _DAY + 1)]
        parts = await self._runs.list_rollups(job, since, until, days)
        await asyncio.sleep(0)
        return [_count_part(part) for part in parts]

    async def _read_runs(
        self, job: str, bounds: WindowBounds, parts: Sequence[CountedPart], now: datetime
    ) -> tuple[Sequence[CountedRun], datetime]:
        """Return the newest runs, and the instant since when these are all."""
        if not needs_runs(bounds, parts, now):
            return (), bounds.until
        page = await self._runs.list_page(job, limit=MAX_RUNS_READ, since=bounds.since, until=now)
        runs = [count_run(record.run) for record in page.records if record.run is not None]
        await asyncio.sleep(0)
        counted = sum(sum(part.counts) for part in parts if part.start >= bounds.since)
        # Old runs are deleted before their rollups.
        if page.continuation is None and len(runs) >= counted:
            return runs, bounds.since
        return runs, min((run.due_at for run in runs), default=bounds.until)


def _count_part(part: RollupPart) -> CountedPart:
    tally = part.rollup.tally
    succeeded = tally.outcomes[0] - tally.degraded
    other = tally.runs - tally.outcomes[0] - tally.down - tally.unknown
    latency = tally.response_time.quantile(0.5)
    counts = SpanCounts(succeeded, tally.degraded, tally.down, other, tally.unknown)
    segment = part.rollup.segment
    return CountedPart(part.start, part.span, counts, latency, None if segment is None else segment.first)


def _is_inside(part: CountedPart, bounds: WindowBounds) -> bool:
    return part.end > bounds.since


def _create_timeline(
    window: TimeWindow,
    bounds: WindowBounds,
    parts: Sequence[CountedPart],
    runs: Sequence[CountedRun],
    known_since: datetime,
    now: datetime,
) -> JobTimeline:
    total = SpanCounts()
    for one in runs if known_since <= bounds.since else parts:
        total = total.add(one.counts)
    failed_run = max((run.due_at for run in runs if run.counts.down), default=None)
    failed_part = max((part.start for part in parts if part.counts.down), default=None)
    return JobTimeline(
        count_spans(bounds, parts, runs, known_since, now),
        list_latencies(bounds, parts),
        total,
        failed_run or failed_part,
        failed_run is not None,
        window,
        bounds.since,
        {bounds.place_of(run.due_at): run.reason for run in reversed(runs) if run.reason},
    )
