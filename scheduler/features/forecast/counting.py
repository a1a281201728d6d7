"""The runs of many jobs that are due: how many in each cell, which jobs are in a cell, which runs are next. Pure."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from heapq import heapify, heappop, heapreplace, nsmallest
from itertools import chain, islice, pairwise
from operator import add

from jobs.definition import JobDefinition
from jobs.definition.dependencies import format_dependencies
from jobs.schedules import Schedule, from_milliseconds
from jobs.schedules.protocol import LAST_MS
from scheduler.catalog.catalog import Query
from scheduler.features.forecast.grid import CounterFactory, ForecastGrid, InstantCounter
from scheduler.features.forecast.schedule_changes import JobSuspensions, MillisecondSpan, SuspensionFinder

_Shared = tuple[InstantCounter, tuple[MillisecondSpan, ...]]
"""What jobs have in common that are due, and suspended, at the same instants."""
_JOBS_AT_ONCE = 100
"""Jobs after which the generator yields; some 0.3 ms."""


class IdleReason(StrEnum):
    """Why a job is not due in a range, in the order of lists."""

    ENDED = "no further instants"
    PAUSED = "paused"
    DISABLED = "disabled"
    LATER = "due later"
    DEPENDENT = "runs after other jobs"
    ON_DEMAND = "on demand only"


@dataclass(frozen=True, slots=True)
class IdleJob:
    """A job without a run in the range. `next_at`: its first run after it; `note`: such as the jobs before it."""

    job: JobDefinition
    reason: IdleReason
    note: str = ""
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DueJob:
    """A job with a schedule. `runs` and `suspended`: in the whole range. `is_frequent`: more often than once a cell."""

    job: JobDefinition
    counter: InstantCounter
    suspensions: JobSuspensions
    runs: int
    suspended: int
    is_frequent: bool

    def count_runs(self, spans: Iterable[MillisecondSpan]) -> int:
        """Return the runs in some spans, without suspended ones."""
        return sum(
            _count_span(self.counter, span) - _count_within_spans(self.counter, span, self.suspensions.spans)
            for span in spans
        )


@dataclass(frozen=True, slots=True)
class CellSums:
    """The runs of each cell, and the instants at which jobs are suspended."""

    runs: Sequence[int]
    suspended: Sequence[int]


@dataclass(frozen=True, slots=True, eq=False)
class ForecastCounts:
    """`every` and `rare`: of all jobs, and of those that are not frequent. `due`: jobs with a run or a suspended
    instant in the range. `jobs`: all that were considered. `is_estimated`: some runs are estimated.
    """

    grid: ForecastGrid
    every: CellSums
    rare: CellSums
    due: Sequence[DueJob]
    idle: Sequence[IdleJob]
    jobs: int
    is_estimated: bool

    @property
    def runs(self) -> int:
        return sum(self.every.runs)

    @property
    def suspended(self) -> int:
        return sum(self.every.suspended)


CountSteps = Generator[None, None, ForecastCounts]


def count_due(
    jobs: Iterable[JobDefinition], grid: ForecastGrid, counters: CounterFactory, suspensions: SuspensionFinder
) -> CountSteps:
    """Count the runs of these jobs. `counters` must cover the range of the grid."""
    since, until = grid.edges[0], grid.edges[-1]
    shared: dict[_Shared, int] = {}
    due: list[DueJob] = []
    idle: list[IdleJob] = []
    considered = 0
    for job in jobs:
        considered += 1
        if (considered_idle := _find_unscheduled(job)) is not None:
            idle.append(considered_idle)
            continue
        assert job.schedule is not None  # _find_unscheduled returns the others
        counter = yield from counters.create(job.schedule)
        of_job, instants = suspensions.find(job), _count_span(counter, (since, until))
        lost = _count_within_spans(counter, (since, until), of_job.spans) if instants else 0
        if not instants or (lost == instants and of_job.next_allowed(since) >= until):
            idle.append(_find_idle(job, of_job, until, of_job.times[0].source if instants else ""))
        if instants:
            shared[counter, of_job.spans] = shared.get((counter, of_job.spans), 0) + 1
            due.append(DueJob(job, counter, of_job, instants - lost, lost, instants > len(grid.cells)))
        yield
    every, rare = yield from _sum_cells(grid, shared)
    is_estimated = any(counter.is_estimated for counter, _ in shared)
    return ForecastCounts(grid, every, rare, due, sorted(idle, key=_order_idle), considered, is_estimated)


def _sum_cells(grid: ForecastGrid, shared: dict[_Shared, int]) -> Generator[None, None, tuple[CellSums, CellSums]]:
    """Return the sums of all jobs, and of those that are not frequent. Jobs that share everything cost as one."""
    frequent, rare = ([0] * len(grid.cells), [0] * len(grid.cells)), ([0] * len(grid.cells), [0] * len(grid.cells))
    for (counter, spans), jobs in shared.items():
        instants, lost = count_spans(grid, counter, spans)
        runs, suspended = frequent if sum(instants) > len(grid.cells) else rare
        for cell, count in zip(grid.cell_of_span, instants, strict=True):
            runs[cell] += jobs * count
        for cell, count in zip(grid.cell_of_span, lost, strict=False):
            runs[cell] -= jobs * count
            suspended[cell] += jobs * count
        yield
    return CellSums(*(list(map(add, one, other)) for one, other in zip(frequent, rare, strict=True))), CellSums(*rare)


def count_spans(
    grid: ForecastGrid, counter: InstantCounter, suspended: Sequence[MillisecondSpan]
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the instants of each span of the grid, and how many of them are suspended; the latter empty if none is."""
    reached = list(map(counter.count_before, grid.edges))
    instants = [after - before for before, after in pairwise(reached)]
    lost = [_count_within_spans(counter, span, suspended) for span in pairwise(grid.edges)] if suspended else []
    return instants, lost


def _count_span(counter: InstantCounter, span: MillisecondSpan) -> int:
    return counter.count_before(span[1]) - counter.count_before(span[0])


def _count_within_spans(counter: InstantCounter, span: MillisecondSpan, within: Sequence[MillisecondSpan]) -> int:
    return sum(
        _count_span(counter, (max(since, span[0]), min(until, span[1])))
        for since, until in within
        if since < span[1] and until > span[0]
    )


def _find_unscheduled(job: JobDefinition) -> IdleJob | None:
    if not job.enabled:
        return IdleJob(job, IdleReason.DISABLED)
    if job.schedule is not None:
        return None
    if job.depends_on:
        return IdleJob(job, IdleReason.DEPENDENT, format_dependencies(job.depends_on))
    return IdleJob(job, IdleReason.ON_DEMAND)


def _find_idle(job: JobDefinition, suspensions: JobSuspensions, until: int, note: str) -> IdleJob:
    """`note`: what suspends the job in the range."""
    assert job.schedule is not None  # see count_due
    following = find_next_run(job.schedule, suspensions, until - 1)
    if following is not None:
        return IdleJob(job, IdleReason.LATER, note, from_milliseconds(following))
    if note:
        return IdleJob(job, IdleReason.PAUSED, note)
    return IdleJob(job, IdleReason.ENDED)


def find_next_run(schedule: Schedule, suspensions: JobSuspensions, after: int) -> int | None:
    """Return the first instant after `after` at which a job is due and not suspended, in milliseconds."""
    following = schedule.next_after_ms(after)
    while following is not None and (allowed := suspensions.next_allowed(following)) != following:
        following = None if allowed >= LAST_MS else schedule.next_after_ms(allowed - 1)
    return following


def _order_idle(idle: IdleJob) -> tuple[int, str]:
    return list(IdleReason).index(idle.reason), idle.job.name


@dataclass(frozen=True, slots=True)
class UpcomingRun:
    job: JobDefinition
    due_at: datetime


class UpcomingRuns(Query):
    """The next run of each job in a heap, so that a list costs what was due since the list before."""

    def __init__(self, jobs: Sequence[DueJob], until: int) -> None:
        """`until`: the end of the range in milliseconds, exclusive."""
        self._jobs = [due for due in jobs if due.runs]
        self._until = until
        self._heap: list[tuple[int, str, int]] = []
        self._position: int | None = None

    def list_next(self, after: int, count: int) -> Generator[None, None, Sequence[UpcomingRun]]:
        """Return up to `count` runs after `after`, in milliseconds, by instant and name."""
        if self._position is None or after < self._position:
            yield from self._build(after)
        yield from self._advance(after)
        return self._merge(nsmallest(count, self._heap), count)

    def _build(self, after: int) -> Generator[None, None, None]:
        heap: list[tuple[int, str, int]] = []
        for place, due in enumerate(self._jobs):
            at = _find_next_of_due(due, after)
            if at is not None and at < self._until:
                heap.append((at, due.job.name, place))
            if not place % _JOBS_AT_ONCE:
                yield
        heapify(heap)
        self._heap, self._position = heap, after

    def _advance(self, after: int) -> Generator[None, None, None]:
        number = 0
        while self._heap and self._heap[0][0] <= after:
            self._replace_first(self._heap, after)
            number += 1
            if not number % _JOBS_AT_ONCE:
                yield
        self._position = max(after, self._position or after)

    def _merge(self, first: list[tuple[int, str, int]], count: int) -> Sequence[UpcomingRun]:
        """Return the first runs of these jobs: none of another job is earlier. `first`: sorted, which is a heap."""
        runs: list[UpcomingRun] = []
        while first and len(runs) < count:
            at, _, place = first[0]
            runs.append(UpcomingRun(self._jobs[place].job, from_milliseconds(at)))
            self._replace_first(first, at)
        return runs

    def _replace_first(self, heap: list[tuple[int, str, int]], after: int) -> None:
        _, name, place = heap[0]
        following = _find_next_of_due(self._jobs[place], after)
        if following is None or following >= self._until:
            heappop(heap)
        else:
            heapreplace(heap, (following, name, place))


def iterate_runs(due: DueJob, since: int, until: int) -> Iterator[int]:
    """Yield the runs of a job from `since` on, before `until`, in milliseconds."""
    at = _find_next_of_due(due, since - 1)
    while at is not None and at < until:
        yield at
        at = _find_next_of_due(due, at)


def _find_next_of_due(due: DueJob, after: int) -> int | None:
    assert due.job.schedule is not None  # see DueJob
    if not due.suspensions.spans:
        return due.job.schedule.next_after_ms(after)
    return find_next_run(due.job.schedule, due.suspensions, after)


@dataclass(frozen=True, slots=True)
class CellJob:
    """A job with its runs in a cell."""

    due: DueJob
    spans: Sequence[tuple[int, int]]
    runs: int

    @property
    def job(self) -> JobDefinition:
        return self.due.job

    def list_first(self, count: int) -> list[datetime]:
        """Return its first runs in the cell."""
        runs = chain.from_iterable(iterate_runs(self.due, since, until) for since, until in self.spans)
        return [from_milliseconds(at) for at in islice(runs, count)]


def list_cell_jobs(counts: ForecastCounts, cell: int, *, only_rare: bool) -> Generator[None, None, Sequence[CellJob]]:
    """Return the jobs of a cell, the one with most runs first, by name among equals. `only_rare`: see DueJob."""
    spans = counts.grid.cells[cell].spans
    cell_jobs: list[CellJob] = []
    for place, due in enumerate(counts.due):
        runs = 0 if only_rare and due.is_frequent else due.count_runs(spans)
        if runs:
            cell_jobs.append(CellJob(due, spans, runs))
        if not place % _JOBS_AT_ONCE:
            yield
    return sorted(cell_jobs, key=lambda each: (-each.runs, each.job.name))
