"""Reads the state of objectives: budget, burn rates, time to exhaustion, and the statement of a month.

Counts do not include what is excluded. The counters of Prometheus are here, too: they must not fall when the
oldest day is deleted, so they count from an instant that seldom moves. Days that are over are read once a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from jobs.definition.job_alerts import NamedObjective, list_objectives
from jobs.incidents.downtime import CountedFailure, Downtime, ExcludedTime, compute_downtime, merge_spans
from jobs.incidents.suppression.spans import Span
from jobs.objectives import (
    BURN_WINDOWS,
    NO_COUNTS,
    PRESENT_WINDOW,
    BudgetStatus,
    ErrorBudget,
    SliCounts,
    burn_rate_of,
    describe_budget,
    find_window_begin,
    find_window_end,
)
from jobs.ports import Clock
from jobs.problems.findings import did_you_mean, suggest_name
from scheduler.catalog.catalog import Catalog, Query
from scheduler.catalog.limited import LimitedCatalog
from scheduler.errors import NotFound
from scheduler.features.incidents.exclusions import ExclusionReader, ReadExclusions
from scheduler.features.objectives.run_counting import MILLISECOND, ObjectiveRunCounter, ceil_hour
from scheduler.features.statistics.downtime import DowntimeReader
from scheduler.features.statistics.periods import HOUR, hour_of
from scheduler.features.statistics.queries import CACHE_FACTOR, MAX_CACHED_SECONDS
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.keys import instant_before
from scheduler.stores.runs.repository import Runs
from scheduler.timed_cache import TimedCache

JOBS_AT_ONCE = 25
HISTORY_DAYS = 30
RECENT_SECONDS, MAX_RECENT = 15.0, 200
"""Pages show an objective as it was so long ago at least, and CACHE_FACTOR times as long as reading it took."""
_DAY = timedelta(days=1)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class MeasuredJob:
    """One job of an objective in a period.

    `excluded`: runs, or seconds of an objective by time, that do not count. `excluded_seconds`: the time of all
    `exclusions`, which can overlap.
    """

    job: str
    counts: SliCounts
    excluded: SliCounts
    excluded_seconds: float
    exclusions: tuple[ExcludedTime, ...]
    is_complete: bool


class ObjectiveMeasurer(Query):
    """All methods that await raise StoreError."""

    def __init__(self, catalog: Catalog, runs: Runs, downtimes: DowntimeReader, exclusions: ExclusionReader) -> None:
        self._catalog = catalog
        self._runs = runs
        self._downtimes = downtimes
        self._exclusions = exclusions

    async def measure(self, objective: NamedObjective, period: Span) -> Sequence[MeasuredJob]:
        """Return each job of an objective by name. `period`: from a full hour on, until now at the latest."""
        if objective.definition.counts == "time":
            return await self._for_each(objective, lambda job: self._measure_time(job, period))
        excluded = await self._read_uncounted(objective, period)
        counter = ObjectiveRunCounter(self._runs, is_degraded_bad=objective.definition.is_degraded_bad)

        async def measure_runs(job: str) -> MeasuredJob:
            times = excluded[job]
            spans = merge_spans(Span(each.begin, each.end) for each in times.times)
            counted = await counter.count_hours(job, period.begin, ceil_hour(period.end), spans)
            is_complete = counted.is_complete and times.is_complete
            seconds = sum(_clipped_seconds(span, period) for span in spans)
            return MeasuredJob(
                job, counted.counts, counted.excluded, seconds, tuple(_clip_times(times.times, period)), is_complete
            )

        return await self._for_each(objective, measure_runs)

    async def measure_windows(
        self, objective: NamedObjective, now: datetime, windows: Sequence[timedelta]
    ) -> Mapping[timedelta, SliCounts]:
        """Return the counts of all jobs together in each window up to now."""
        period = Span(now - max(windows), now + MILLISECOND)
        if objective.definition.counts == "time":
            downtimes = await self._for_each(objective, lambda job: self._downtimes.read_downtime(job, period))
            measured = [job.downtime for job in downtimes if job.uptime is not None]
            return {window: sum((_clip(each, now - window) for each in measured), NO_COUNTS) for window in windows}
        excluded = await self._read_uncounted(objective, period)
        counter = ObjectiveRunCounter(self._runs, is_degraded_bad=objective.definition.is_degraded_bad)

        async def count(job: str) -> Mapping[timedelta, SliCounts]:
            spans = merge_spans(Span(measured_job.begin, measured_job.end) for measured_job in excluded[job].times)
            return await counter.count_windows(job, now, windows, spans)

        by_job = await self._for_each(objective, count)
        return {window: sum((measured_job[window] for measured_job in by_job), NO_COUNTS) for window in windows}

    async def measure_days(self, objective: NamedObjective, period: Span) -> Mapping[datetime, SliCounts]:
        """Return the counts of each day in UTC that has some. `period`: from a midnight until now."""
        if objective.definition.counts == "time":
            read = await self._for_each(objective, lambda job: self._downtimes.read_downtime(job, period))
            by_job = [_split_days(each.downtime) for each in read if each.uptime is not None]
        else:
            excluded = await self._read_uncounted(objective, period)
            counter = ObjectiveRunCounter(self._runs, is_degraded_bad=objective.definition.is_degraded_bad)

            async def count(job: str) -> Mapping[datetime, SliCounts]:
                spans = merge_spans(Span(each.begin, each.end) for each in excluded[job].times)
                return await counter.count_days(job, period.begin, ceil_hour(period.end), spans)

            by_job = [*await self._for_each(objective, count)]
        days = sorted({day for counts in by_job for day in counts})
        return {day: sum((counts.get(day, NO_COUNTS) for counts in by_job), NO_COUNTS) for day in days}

    async def _for_each(self, objective: NamedObjective, read: Callable[[str], Awaitable[_T]]) -> Sequence[_T]:
        results: list[_T] = []
        for start in range(0, len(objective.jobs), JOBS_AT_ONCE):
            results += await asyncio.gather(*map(read, objective.jobs[start : start + JOBS_AT_ONCE]))
        return results

    async def _read_uncounted(self, objective: NamedObjective, period: Span) -> Mapping[str, ReadExclusions]:
        entries = [self._catalog.get_job(job) for job in objective.jobs]
        return await self._exclusions.read_uncounted(entries, period)

    async def _measure_time(self, job: str, period: Span) -> MeasuredJob:
        measured = await self._downtimes.read_downtime(job, period)
        downtime = measured.downtime
        counts = NO_COUNTS if measured.uptime is None else _counts_of(downtime)
        excluded = downtime.excluded_seconds
        return MeasuredJob(job, counts, SliCounts(excluded), excluded, downtime.exclusions, measured.is_complete)


def _counts_of(downtime: Downtime) -> SliCounts:
    return SliCounts(max(downtime.measured_seconds, 0.0), downtime.down_seconds)


def _clip(downtime: Downtime, since: datetime, until: datetime | None = None) -> SliCounts:
    """Return the counts from a later beginning on, until an earlier end."""
    down = (CountedFailure("", "", "", span.begin, span.end) for span in downtime.spans)
    return _counts_of(compute_downtime(down, downtime.exclusions, since, until or downtime.until))


def _split_days(downtime: Downtime) -> Mapping[datetime, SliCounts]:
    days: dict[datetime, SliCounts] = {}
    day = downtime.since
    while day < downtime.until:
        days[day] = _clip(downtime, day, min(day + _DAY, downtime.until))
        day += _DAY
    return days


def _clip_times(times: Iterable[ExcludedTime], period: Span) -> Iterator[ExcludedTime]:
    for each in times:
        begin, end = max(each.begin, period.begin), min(each.end, period.end)
        if begin < end:
            yield replace(each, begin=begin, end=end)


def _clipped_seconds(span: Span, period: Span) -> float:
    return max((min(span.end, period.end) - max(span.begin, period.begin)).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True)
class ObjectiveState:
    """An objective now. `windows`: counts by window of a burn rate. `ends_at`: of the budget.

    `days`: counts of the last HISTORY_DAYS in UTC, the oldest first, if they were read.
    """

    objective: NamedObjective
    since: datetime
    until: datetime
    budget: ErrorBudget
    jobs: tuple[MeasuredJob, ...]
    windows: Mapping[timedelta, SliCounts]
    ends_at: datetime
    is_complete: bool
    days: tuple[tuple[datetime, SliCounts], ...] = ()

    @property
    def excluded(self) -> SliCounts:
        return sum((each.excluded for each in self.jobs), NO_COUNTS)

    @property
    def excluded_seconds(self) -> float:
        """Return the sum over all jobs."""
        return sum(each.excluded_seconds for each in self.jobs)

    @property
    def burn_rates(self) -> Mapping[timedelta, float | None]:
        return {window: burn_rate_of(counts, self.budget.error_ratio) for window, counts in self.windows.items()}

    @property
    def present_burn_rate(self) -> float | None:
        return self.burn_rates.get(PRESENT_WINDOW)

    @property
    def status(self) -> BudgetStatus:
        return self.budget.find_status(self.present_burn_rate)

    @property
    def time_left(self) -> timedelta | None:
        """Return when the budget is exhausted at the present burn rate; None if never, or not before it is renewed."""
        time_left = self.budget.find_time_left(self.present_burn_rate, self.ends_at - self.since)
        is_renewed = self.ends_at > self.until
        return None if time_left is not None and is_renewed and self.until + time_left > self.ends_at else time_left

    @property
    def text(self) -> str:
        return describe_budget(self.budget, self.present_burn_rate, self.time_left, self.objective.definition.unit)


@dataclass(frozen=True, slots=True)
class ObjectiveStatement:
    """An objective in a calendar month in UTC, until now if it has not ended."""

    objective: NamedObjective
    month: str
    since: datetime
    until: datetime
    has_ended: bool
    jobs: tuple[MeasuredJob, ...]
    is_complete: bool

    @property
    def budget(self) -> ErrorBudget:
        return ErrorBudget(self.objective.definition.target, _sum_counts(self.jobs))

    @property
    def is_met(self) -> bool | None:
        """Return None if nothing counts."""
        attained = self.budget.attained
        return None if attained is None else self.budget.remaining >= 0


class ObjectiveReader(Query):
    """`age`: retention of rollups in seconds; `run_age`: of runs. All methods that await raise StoreError."""

    def __init__(
        self, catalog: Catalog, runs: Runs, measurer: ObjectiveMeasurer, clock: Clock, age: float, run_age: float
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self.measurer = measurer
        self._clock = clock
        self._age = age
        self._run_age = run_age
        self._recent = TimedCache[ObjectiveState](clock, CACHE_FACTOR, MAX_CACHED_SECONDS, MAX_RECENT)

    async def read_page(self, *, limit: int, after: str = "") -> tuple[Sequence[ObjectiveState], str | None]:
        """Return a page of objectives by name, each with the burn rate of the last hour only, and its continuation."""
        rest = [objective for objective in self.list_objectives() if objective.name > after]
        states = [await self._read(objective, (PRESENT_WINDOW,)) for objective in rest[:limit]]
        return states, rest[limit - 1].name if len(rest) > limit else None

    async def read_state(self, name: str) -> ObjectiveState:
        """Return an objective with the burn rates of all windows, and its history. Raises NotFound."""
        return await self._read_with_days(self._find(name))

    async def read_recent(self, objective: NamedObjective) -> ObjectiveState:
        """Return the same of an objective that `list_objectives` has returned, as it was up to some seconds ago."""
        key = (
            objective.name,
            tuple(objective.jobs),
            self._runs.list_begins(objective.jobs),
            objective.definition.model_dump_json(),
        )
        return await self._recent.get(key, RECENT_SECONDS, partial(self._read_with_days, objective))

    async def _read_with_days(self, objective: NamedObjective) -> ObjectiveState:
        now = self._clock.now()
        begin = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - (HISTORY_DAYS - 1) * _DAY
        counts = await self.measurer.measure_days(objective, Span(begin, now))
        state = await self.read_objective(objective)
        days = (begin + number * _DAY for number in range(HISTORY_DAYS))
        return replace(state, days=tuple((day, counts.get(day, NO_COUNTS)) for day in days))

    async def read_objective(self, objective: NamedObjective) -> ObjectiveState:
        """Return an objective that `list_objectives` has returned, with the burn rates of all windows."""
        return await self._read(objective, BURN_WINDOWS)

    async def read_statement(self, name: str, month: str, within: Span) -> ObjectiveStatement:
        """Return what an objective attained in a month.

        `within`: the month in UTC, which has started. Raises NotFound.
        """
        objective, now = self._find(name), self._clock.now()
        since, end = within.begin, within.end
        until = min(end, now)
        jobs = tuple(await self.measurer.measure(objective, Span(since, until)))
        is_complete = await self._is_complete(objective, since, jobs)
        return ObjectiveStatement(objective, month, since, until, end <= now, jobs, is_complete)

    def list_objectives(self) -> Sequence[NamedObjective]:
        """Return the objectives of the jobs in force, by name.

        For a caller that is limited to tags, one without a job of the caller does not exist.
        """
        snapshot = self._catalog.snapshot
        found = list_objectives((entry.job for entry in snapshot), snapshot.alerting)
        return [each for each in found if each.jobs] if isinstance(self._catalog, LimitedCatalog) else found

    def _find(self, name: str) -> NamedObjective:
        objectives = {objective.name: objective for objective in self.list_objectives()}
        if name not in objectives:
            origin = ": a job has one if its definition has slo, others are in the section objectives of job files"
            near = did_you_mean(suggest_name(name, objectives))
            raise NotFound(f"there is no objective named {name!r}{near or origin}")
        return objectives[name]

    async def _read(self, objective: NamedObjective, windows: Sequence[timedelta]) -> ObjectiveState:
        now, window = self._clock.now(), objective.definition.window
        since = hour_of(find_window_begin(window, now))
        ends_at = find_window_end(window, now)
        jobs = tuple(await self.measurer.measure(objective, Span(since, now)))
        counts = await self.measurer.measure_windows(objective, now, windows)
        scale = max((ends_at - since) / (now - since), 1.0) if now > since else 1.0
        budget = ErrorBudget(objective.definition.target, _sum_counts(jobs), scale)
        is_complete = await self._is_complete(objective, since, jobs)
        return ObjectiveState(objective, since, now, budget, jobs, counts, ends_at, is_complete)

    async def _is_complete(self, objective: NamedObjective, since: datetime, jobs: Sequence[MeasuredJob]) -> bool:
        if not all(each.is_complete for each in jobs):
            return False
        if objective.definition.counts == "time":
            return True
        now = self._clock.now()
        if since < hour_of(instant_before(now, self._age)) - HOUR:
            return False
        oldest = instant_before(now, self._run_age)
        begins = [await self._runs.find_rollups_complete_since(job, oldest) for job in objective.jobs[:100]]
        return all(each is None or each <= since for each in begins)


def _sum_counts(jobs: Sequence[MeasuredJob]) -> SliCounts:
    return sum((each.counts for each in jobs), NO_COUNTS)


def build_objective_reader(
    catalog: Catalog,
    runs: Runs,
    stored: Repositories,
    downtimes: DowntimeReader,
    clock: Clock,
    rollup_age: float,
    run_age: float,
) -> ObjectiveReader:
    """Create the reader over these repositories. `rollup_age`, `run_age`: retention in seconds."""
    exclusions = ExclusionReader(catalog, stored.incident_log, stored.requested_windows)
    measurer = ObjectiveMeasurer(catalog, runs, downtimes, exclusions)
    return ObjectiveReader(catalog, runs, measurer, clock, rollup_age, run_age)


_YEAR_S = 366 * 86400.0
_OPEN_DAYS = timedelta(days=2)
"""Runs of these are counted at each read: they may finish late."""


class ObjectiveCounters(Query):
    """`age`: retention of rollups in seconds. If it is less than a year, counters begin with the month."""

    def __init__(self, measurer: ObjectiveMeasurer, age: float) -> None:
        self._measurer = measurer
        self._age = age
        self._closed: dict[str, tuple[NamedObjective, Span, SliCounts]] = {}

    async def read(self, objective: NamedObjective, now: datetime) -> SliCounts:
        """Return valid and bad runs. Raises StoreError."""
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        first = day.replace(day=1) if self._age < _YEAR_S else day.replace(month=1, day=1)
        closed = Span(first, max(first, day - _OPEN_DAYS))
        counts = await self._read_closed(objective, closed)
        return counts + await self._sum(objective, Span(closed.end, now))

    def retain_only(self, names: set[str]) -> None:
        """Forget all objectives but these."""
        self._closed = {name: each for name, each in self._closed.items() if name in names}

    async def _read_closed(self, objective: NamedObjective, closed: Span) -> SliCounts:
        cached = self._closed.get(objective.name)
        if cached is not None and cached[:2] == (objective, closed):
            return cached[2]
        counts = await self._sum(objective, closed) if closed.begin < closed.end else NO_COUNTS
        self._closed[objective.name] = objective, closed, counts
        return counts

    async def _sum(self, objective: NamedObjective, period: Span) -> SliCounts:
        return sum((each.counts for each in await self._measurer.measure(objective, period)), NO_COUNTS)
