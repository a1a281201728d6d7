"""What people ask the scheduler. Reads only; called by the API, the dashboard and the CLI."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.definition import JobDefinition
from jobs.ports import Clock
from jobs.schedules import Schedule
from scheduler.catalog import Catalog, Entry, View
from scheduler.stores.dead_letters import DeadLetter, DeadLetters, LetterPage
from scheduler.stores.pauses import Pause, Pauses
from scheduler.stores.runs import Record, RunPage, Runs

_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class JobView:
    """A job, when it runs next and how it went last. `latest` is its newest finished run, `pause` what holds now.

    `dependents`: the jobs that depend on it.
    """

    entry: Entry
    next_at: datetime | None
    latest: Record | None
    pause: Pause | None = None
    dependents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobPage:
    """`continuation` is the name after which the next page begins; None on the last page.

    `before`: jobs on earlier pages; `total`: on all pages.
    """

    jobs: tuple[JobView, ...]
    continuation: str | None
    before: int
    total: int


def upcoming(schedule: Schedule, after: datetime, count: int) -> list[datetime]:
    """The next due instants strictly after `after`; fewer than `count` if there are no more."""
    found: list[datetime] = []
    while len(found) < count and (at := schedule.next_after(found[-1] if found else after)) is not None:
        found.append(at)
    return found


class Queries:
    """Reads, one method each."""

    def __init__(self, catalog: Catalog, runs: Runs, pauses: Pauses, letters: DeadLetters, clock: Clock) -> None:
        self._catalog = catalog
        self._runs = runs
        self._pauses = pauses
        self._letters = letters
        self._clock = clock

    async def jobs(self, *, limit: int, after: str = "", among: Sequence[str] | None = None) -> JobPage:
        """Jobs by name, a page at a time. `among`: only these, which are in order."""
        jobs = self._catalog.view
        names = jobs.names() if among is None else [name for name in among if name in jobs]
        start = bisect_right(names, after) if after else 0
        chosen = names[start : start + limit]
        more = start + limit < len(names)
        return JobPage(await self._views(jobs, chosen), chosen[-1] if more else None, start, len(names))

    async def job(self, name: str) -> JobView:
        """Raises UnknownJob."""
        jobs = self._catalog.view
        jobs.get(name)
        (view,) = await self._views(jobs, [name])
        return view

    def known(self, name: str) -> None:
        """Raises UnknownJob."""
        self._catalog.get(name)

    def names(self) -> Sequence[str]:
        """Of all jobs, in order."""
        return self._catalog.names()

    def in_force(self) -> View:
        """The jobs as they are now."""
        return self._catalog.view

    async def latest_of(self, names: Sequence[str]) -> dict[str, Record]:
        """The newest finished run of each of these jobs that has one."""
        return await self._runs.latest_of(names)

    def next_runs(self, view: JobView, count: int) -> list[datetime]:
        """The job's next due instants, from the end of its pause on; none if it is disabled or has no schedule."""
        return self._due(view.entry.job, view.pause, count)

    async def run(self, run_id: str) -> Record | None:
        return await self._runs.get(run_id)

    async def runs(
        self, *, job: str | None = None, outcome: str | None = None, limit: int = 50, continuation: str | None = None
    ) -> RunPage:
        """Runs, newest first. Raises ValueError for a continuation that is not one of ours."""
        return await self._runs.list(job=job, outcome=outcome, limit=limit, continuation=continuation)

    async def dead_letters(
        self, *, job: str | None = None, limit: int = 50, continuation: str | None = None
    ) -> LetterPage:
        """Dead letters, newest first. Raises ValueError for a continuation that is not one of ours."""
        return await self._letters.page(job=job, limit=limit, after=continuation or "")

    async def dead_letter(self, letter_id: str) -> DeadLetter | None:
        return await self._letters.get(letter_id)

    async def _views(self, jobs: View, names: Sequence[str]) -> tuple[JobView, ...]:
        latest = await self._runs.latest_of(names)
        pauses = await self._pauses.active(self._clock.now())
        return tuple(self._view(jobs, jobs.get(name), latest.get(name), pauses.get(name)) for name in names)

    def _view(self, jobs: View, entry: Entry, latest: Record | None, pause: Pause | None) -> JobView:
        soonest = self._due(entry.job, pause, 1)
        dependents = jobs.graph.dependents(entry.job.name)
        return JobView(entry, soonest[0] if soonest else None, latest, pause, dependents)

    def _due(self, job: JobDefinition, pause: Pause | None, count: int) -> list[datetime]:
        start = _runs_after(pause, self._clock.now())
        if job.schedule is None or not job.enabled or start is None:
            return []
        return upcoming(job.schedule, start, count)


def _runs_after(pause: Pause | None, now: datetime) -> datetime | None:
    """The instant after which there are scheduled runs; None as long as nobody knows."""
    if pause is None:
        return now
    return None if pause.until is None else pause.until - _MOMENT
