"""What people ask the scheduler. Reads only; called by the API, the dashboard and the CLI."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobs.ports import Clock
from scheduler.catalog import Catalog, Entry, View
from scheduler.intervals import ANY_TIME, Interval
from scheduler.selection import EVERY_JOB, Selection
from scheduler.stores.dead_letters import DeadLetter, DeadLetters, LetterPage
from scheduler.stores.pauses import Pause, Pauses
from scheduler.stores.runs import Record, RunPage, Runs

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from jobs.schedules import Schedule

JOBS_LOOKED_AT = 500
"""Jobs of which one call reads the latest run: where there are 10,000, none may fit."""

_AT_ONCE = 100
"""Latest runs that are read together."""
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

    `before`: jobs on earlier pages; `total`: on all pages. Both count the jobs of a selection, but not by outcome.
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

    async def jobs(
        self, *, limit: int, after: str = "", among: Sequence[str] | None = None, selection: Selection = EVERY_JOB
    ) -> JobPage:
        """Jobs by name, a page at a time. `among`: only these, which are in order.

        A call reads the latest runs of at most JOBS_LOOKED_AT jobs. So a page of a selection by outcome may hold fewer
        than `limit` (even none) and yet have a continuation.
        """
        jobs = self._catalog.view
        names = await self._selected(jobs, jobs.names() if among is None else among, selection)
        start = bisect_right(names, after) if after else 0
        chosen, end = await self._with_latest(names, start, limit, selection)
        return JobPage(await self._views(jobs, chosen), names[end - 1] if end < len(names) else None, start, len(names))

    async def number_of_jobs(self, selection: Selection) -> int:
        """How many jobs a selection takes, its outcomes aside."""
        jobs = self._catalog.view
        return len(await self._selected(jobs, jobs.names(), selection))

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
        self,
        *,
        job: str | None = None,
        outcome: str | None = None,
        due: Interval = ANY_TIME,
        limit: int = 50,
        continuation: str | None = None,
    ) -> RunPage:
        """Runs, newest first; `due`: when they were due. Raises ValueError for a continuation of another list."""
        return await self._runs.list(
            job=job, outcome=outcome, limit=limit, continuation=continuation, since=due.since, until=due.until
        )

    async def dead_letters(
        self, *, job: str | None = None, limit: int = 50, continuation: str | None = None
    ) -> LetterPage:
        """Dead letters, newest first. Raises ValueError for a continuation that is not one of ours."""
        return await self._letters.page(job=job, limit=limit, after=continuation or "")

    async def dead_letter(self, letter_id: str) -> DeadLetter | None:
        return await self._letters.get(letter_id)

    async def _selected(self, jobs: View, among: Sequence[str], selection: Selection) -> Sequence[str]:
        """Those of the names whose job there is and the selection takes, its outcomes aside; in order."""
        if selection.is_empty:
            return among if among is jobs.names() else [name for name in among if name in jobs]
        pauses = await self._pauses.active(self._clock.now())
        return [
            name
            for name in among
            if (entry := jobs.find(name)) is not None
            and selection.takes_definition(entry.job)
            and selection.takes_state(entry.job, is_paused=name in pauses)
        ]

    async def _with_latest(
        self, names: Sequence[str], start: int, limit: int, selection: Selection
    ) -> tuple[Sequence[str], int]:
        """The first `limit` names from `start` on whose latest run the selection takes; and how far they were read."""
        if not selection.outcomes:
            end = min(start + limit, len(names))
            return names[start:end], end
        found: list[str] = []
        last = min(start + JOBS_LOOKED_AT, len(names))
        for end in range(start, last, _AT_ONCE):
            some = names[end : min(end + _AT_ONCE, last)]
            latest = await self._runs.latest_of(some)
            for number, name in enumerate(some, end + 1):
                if selection.takes_latest(latest.get(name)):
                    found.append(name)
                if len(found) == limit:
                    return found, number
        return found, last

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
