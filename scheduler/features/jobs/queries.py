"""Reads runs, and jobs with state, newest run and next run. Called by scheduler.api and scheduler.cli."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobs.definition.dependencies import describe_wait
from jobs.ports import Clock
from jobs.runs import Outcome
from jobs.runs.states import JobStatus, StateChange, state_of_run
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot, Query
from scheduler.catalog.limited import LimitedCatalog, hide_continuation, show_run
from scheduler.features.jobs.selection import EVERY_JOB, JobSelection
from scheduler.features.statistics.periods import ANY_TIME, TimeRange
from scheduler.stores.gates import Pause, Pauses
from scheduler.stores.runs.repository import JobMatcher, RunPage, RunRecord, Runs
from scheduler.turns import convert_each

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from jobs.schedules import Schedule

_WITH_REASON = frozenset({JobStatus.DOWN, JobStatus.SILENT, JobStatus.DEGRADED, JobStatus.WAITING})
"""In addition to a job that is unknown because of its runs."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its next due instant, its newest finished run (`latest`) and its current pause.

    `dependents`: the jobs that depend on it. `state`: its current one, None if none is recorded.
    """

    entry: CatalogJob
    next_at: datetime | None
    latest: RunRecord | None
    pause: Pause | None = None
    dependents: tuple[str, ...] = ()
    state: StateChange | None = None

    @property
    def status(self) -> JobStatus:
        """The recorded state."""
        return JobStatus.UNKNOWN if self.state is None else self.state.state

    @property
    def wait(self) -> str:
        """For which job it waits, such as `waiting for database`; empty if it does not wait."""
        if self.status is not JobStatus.WAITING or self.state is None or self.pause or not self.entry.job.enabled:
            return ""
        return describe_wait(self.entry.job.depends_on, self.state.cause.message)

    @property
    def last_known(self) -> JobStatus | None:
        """The state of a job before its runs became unknown; None of any other job."""
        is_known = self.state is not None and self.state.is_unknown and self.state.previous is not JobStatus.UNKNOWN
        return self.state.previous if is_known and self.state is not None else None

    @property
    def reason(self) -> str:
        """Why the job is down, degraded, unknown or waits: the message of its newest run that shows it, or of the run
        that began this state if the circuit rejected the newest one; empty otherwise.
        """
        if self.state is None or not (self.status in _WITH_REASON or self.state.is_unknown):
            return ""
        run = None if self.latest is None else self.latest.run
        is_known = run is not None and run.outcome is not Outcome.REJECTED and state_of_run(run) is self.status
        if run is not None and is_known and run.message:
            return run.message
        return self.state.cause.message or self.state.cause.code.replace("_", " ")


MAX_JOBS_SCANNED = 500
"""Jobs whose latest run one call reads, so that a filter that matches none of 10,000 jobs stays cheap."""
MAX_PAGES_SCANNED = 5
"""Pages of runs that one call reads until it has enough runs of visible jobs."""
_SCAN_BATCH = 100
"""Latest runs that are read in one batch."""
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class JobPage:
    """`continuation` is the name after which the next page starts; None on the last page.

    `before` counts the jobs on earlier pages, `total` those on all pages. Both ignore the outcome filter.
    """

    jobs: tuple[JobView, ...]
    continuation: str | None
    before: int
    total: int


def next_due_instants(schedule: Schedule, after: datetime, count: int) -> list[datetime]:
    """Return up to `count` due instants strictly after `after`."""
    found: list[datetime] = []
    while len(found) < count and (at := schedule.next_after(found[-1] if found else after)) is not None:
        found.append(at)
    return found


class JobAndRunQueries(Query):
    """One method a read. All methods that await raise StoreError."""

    HIDES_ITSELF = (Runs,)
    """A backfill for a time before the caller saw the job is shown, because it ran later: scheduler.catalog.limited."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        pauses: Pauses,
        clock: Clock,
        states_of: Callable[[Sequence[str]], Awaitable[Mapping[str, StateChange]]],
    ) -> None:
        """`states_of`: see StateTracker.states_of."""
        self.states_of = states_of
        self._catalog = catalog
        self._runs = runs
        self._pauses = pauses
        self._clock = clock

    async def list_jobs(
        self, *, limit: int, after: str = "", among: Sequence[str] | None = None, selection: JobSelection = EVERY_JOB
    ) -> JobPage:
        """Return a page of jobs by name. `among`: restrict it to these names, which must be sorted.

        A call reads the latest runs of at most MAX_JOBS_SCANNED jobs, so a page filtered by outcome can hold fewer than
        `limit` jobs (even none) and still have a continuation.
        """
        jobs = self._catalog.snapshot
        names = await self._select_names(jobs, jobs.names() if among is None else among, selection)
        start = bisect_right(names, after) if after else 0
        chosen, end = await self._select_by_latest(names, start, limit, selection)
        return JobPage(
            await self._read_views(jobs, chosen), names[end - 1] if end < len(names) else None, start, len(names)
        )

    async def select_names(
        self, selection: JobSelection, *, limit: int, after: str = ""
    ) -> tuple[Sequence[str], str | None]:
        """Return the names of a page of jobs, and its continuation, as `list_jobs`."""
        jobs = self._catalog.snapshot
        names = await self._select_names(jobs, jobs.names(), selection)
        chosen, end = await self._select_by_latest(names, bisect_right(names, after) if after else 0, limit, selection)
        return chosen, names[end - 1] if end < len(names) else None

    async def count_jobs(self, selection: JobSelection) -> int:
        """Count the jobs that match a selection, ignoring its outcomes."""
        jobs = self._catalog.snapshot
        return len(await self._select_names(jobs, jobs.names(), selection))

    async def view_job(self, name: str) -> JobView:
        """Raises UnknownJob."""
        jobs = self._catalog.snapshot
        jobs.get_job(name)
        (view,) = await self._read_views(jobs, [name])
        return view

    def require_job(self, name: str) -> None:
        """Raises UnknownJob."""
        self._catalog.get_job(name)

    def job_names(self) -> Sequence[str]:
        """Return the names of all jobs, sorted."""
        return self._catalog.names()

    def current_jobs(self) -> JobSnapshot:
        """Return the current snapshot of all jobs."""
        return self._catalog.snapshot

    async def list_pauses(self) -> Mapping[str, Pause]:
        return await self._pauses.list_active(self._clock.now())

    async def latest_runs(self, names: Sequence[str]) -> dict[str, RunRecord]:
        """Return the newest finished run of each of these jobs that has one."""
        found = await self._runs.find_latest_of_jobs(names)
        return {job: shown for job, record in found.items() if (shown := show_run(record, self._catalog))}

    def next_due(self, view: JobView, count: int) -> list[datetime]:
        """Return the job's next due instants after its pause; none if it is disabled or has no schedule."""
        return self._due_instants(view.entry.job, view.pause, count)

    async def find_run(self, run_id: str) -> RunRecord | None:
        return show_run(await self._runs.find(run_id), self._catalog)

    async def list_runs(
        self,
        *,
        job: str | None = None,
        outcome: str | None = None,
        due: TimeRange = ANY_TIME,
        limit: int = 50,
        continuation: str | None = None,
        matches_job: JobMatcher | None = None,
    ) -> RunPage:
        """Return a page of runs due in `due`, newest first: see Runs.list_page. Raises ValueError.

        For a caller that is limited to tags a page can have fewer runs than `limit`, even none. The list of a job ends
        where only runs of before it had a tag of the caller follow.
        """
        records: list[RunRecord] = []
        for _ in range(MAX_PAGES_SCANNED):
            left = limit - len(records)
            page = await self._runs.list_page(
                job, outcome, left, continuation, since=due.since, until=due.until, matches_job=matches_job
            )
            visible = [shown for record in page.records if (shown := show_run(record, self._catalog))]
            records += visible
            continuation = page.continuation
            # A page is short because of hidden runs, or because its read is limited: only the former is filled up.
            if continuation is None or len(records) == limit or len(visible) == len(page.records):
                break
        if job is None:
            return RunPage(tuple(records), hide_continuation(continuation, self._catalog))
        if continuation is not None and self._catalog.begin_of(job) is not None:
            rest = await self._runs.list_page(job, outcome, _SCAN_BATCH, continuation, since=due.since, until=due.until)
            if not any(show_run(record, self._catalog) for record in rest.records):
                continuation = None
        return RunPage(tuple(records), continuation)

    async def _select_names(self, jobs: JobSnapshot, among: Sequence[str], selection: JobSelection) -> Sequence[str]:
        """Return the names, in order, whose job exists and matches the selection, ignoring its outcomes."""
        if selection.is_empty:
            return among if among is jobs.names() else [name for name in among if name in jobs]
        pauses = await self._pauses.list_active(self._clock.now())
        return [
            name
            for name in among
            if (entry := jobs.find_job(name)) is not None
            and selection.matches_definition(entry.job)
            and selection.matches_state(entry.job, is_paused=name in pauses)
        ]

    async def _select_by_latest(
        self, names: Sequence[str], start: int, limit: int, selection: JobSelection
    ) -> tuple[Sequence[str], int]:
        """Return up to `limit` names from `start` whose latest run matches, and the index after the last one read."""
        if not selection.outcomes:
            end = min(start + limit, len(names))
            return names[start:end], end
        matching: list[str] = []
        last = min(start + MAX_JOBS_SCANNED, len(names))
        for end in range(start, last, _SCAN_BATCH):
            some = names[end : min(end + _SCAN_BATCH, last)]
            latest = await self.latest_runs(some)
            for number, name in enumerate(some, end + 1):
                if selection.matches_latest(latest.get(name)):
                    matching.append(name)
                if len(matching) == limit:
                    return matching, number
        return matching, last

    async def _read_views(self, jobs: JobSnapshot, names: Sequence[str]) -> tuple[JobView, ...]:
        latest = await self.latest_runs(names)
        pauses = await self._pauses.list_active(self._clock.now())
        states = await self.states_of(names)
        if isinstance(self._catalog, LimitedCatalog):
            from scheduler.catalog.visible_past import cut_state  # which imports the repositories

            states = {name: cut_state(state, self._catalog) for name, state in states.items()}

        def create(name: str) -> JobView:
            entry, pause = jobs.get_job(name), pauses.get(name)
            soonest = next(iter(self._due_instants(entry.job, pause, 1)), None)
            return JobView(entry, soonest, latest.get(name), pause, jobs.graph.dependents(name), states.get(name))

        return tuple(await convert_each(create, names))

    def _due_instants(self, job: JobDefinition, pause: Pause | None, count: int) -> list[datetime]:
        start = schedule_resumes_after(pause, self._clock.now())
        if job.schedule is None or not job.enabled or start is None:
            return []
        return next_due_instants(job.schedule, start, count)


def schedule_resumes_after(pause: Pause | None, now: datetime) -> datetime | None:
    """Return the instant after which scheduled runs resume; None for a pause without an end."""
    if pause is None:
        return now
    return None if pause.until is None else pause.until - _MICROSECOND
