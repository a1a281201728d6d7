"""Reads the state of all jobs from what the process has in memory.

    overview = await queries.read(overview)     # the same `revision` if nothing has changed

A read requests one row of the store, the head of the incidents. It costs the same for any number of runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Final

from jobs.incidents.values import IncidentStatus
from jobs.ports import Clock
from jobs.runs.states import JobStatus, StateChange
from scheduler.catalog.catalog import Catalog, JobSnapshot, Query
from scheduler.catalog.visible_past import cut_state
from scheduler.features.incidents.queries import IncidentFilter, IncidentQueries, IncidentView, sort_open
from scheduler.features.overview.summaries import OverviewJob, summarize
from scheduler.stores.changes import StateChanges
from scheduler.stores.gates import Pause, Pauses
from scheduler.stores.port import MAX_PAGE
from scheduler.turns import convert_each

MAX_INCIDENTS: Final = 200
"""Open incidents that are read, newest first."""
_DAY: Final = timedelta(days=1)
_CHANGES_CACHED_SECONDS: Final = 60.0
_INCIDENTS_CACHED_SECONDS: Final = 30.0
"""For which incidents are not read again while none has changed: a snooze ends without a change."""
_revisions: Final = count(1)


@dataclass(frozen=True, slots=True)
class OverviewFacts:
    """What the summaries follow from. Equal facts have equal summaries."""

    jobs: JobSnapshot
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    """Of the changes of their states, by job of `names`."""
    pauses: Mapping[str, Pause]
    incidents: tuple[IncidentView, ...]
    changes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Overview:
    """`summaries`: of all jobs. `incidents`: the open ones, the worst first. `states`: as of the latest read.

    `revision`: of everything but `states`. `broken`: the jobs that are down or silent.
    """

    facts: OverviewFacts = field(repr=False)
    summaries: Sequence[OverviewJob]
    incidents: Sequence[IncidentView]
    states: Mapping[str, StateChange]
    revision: int
    broken: frozenset[str]

    def newest_runs(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the ids of the newest runs of these jobs that this process knows: they differ after a run."""
        return tuple(state.latest_run if (state := self.states.get(name)) else "" for name in names)


class OverviewQueries(Query):
    """All methods raise StoreError."""

    def __init__(
        self,
        catalog: Catalog,
        pauses: Pauses,
        incidents: IncidentQueries,
        changes: StateChanges,
        states_of: Callable[[Sequence[str]], Awaitable[Mapping[str, StateChange]]],
        clock: Clock,
    ) -> None:
        """`states_of`: see StateTracker.states_of."""
        self._catalog = catalog
        self._pauses = pauses
        self._incidents = incidents
        self._changes = changes
        self._states_of = states_of
        self._clock = clock
        self._changes_by_job: Mapping[str, int] = {}
        self._changes_of: Catalog | None = None
        self._changes_until = float("-inf")
        self._open: tuple[Catalog, str, tuple[IncidentView, ...]] | None = None
        """Of a catalog: a copy for callers that see fewer jobs has another one."""
        self._open_until = float("-inf")

    async def read(self, previous: Overview | None = None) -> Overview:
        """Return the current state of all jobs; that of `previous` if nothing has changed since."""
        jobs = self._catalog.snapshot
        states = await self._states_of(jobs.names())
        states = {name: cut_state(state, self._catalog) for name, state in states.items()}
        facts = OverviewFacts(
            jobs,
            tuple(states),
            tuple(state.number for state in states.values()),
            dict(await self._pauses.list_active(self._clock.now())),
            await self._list_incidents(),
            await self._count_changes(),
        )
        if previous is not None and previous.facts == facts:
            return replace(previous, states=states)
        return await _create_overview(facts, states)

    async def _list_incidents(self) -> tuple[IncidentView, ...]:
        version = await self._incidents.read_version()
        if self._open is not None and self._clock.monotonic() < self._open_until:
            catalog, known, incidents = self._open
            if catalog is self._catalog and known == version:
                return incidents
        page = await self._incidents.list_incidents(IncidentFilter(status=IncidentStatus.OPEN), limit=MAX_INCIDENTS)
        self._open = self._catalog, version, tuple(page.views)
        self._open_until = self._clock.monotonic() + _INCIDENTS_CACHED_SECONDS
        return tuple(page.views)

    async def _count_changes(self) -> Mapping[str, int]:
        """Return the number of changes of the state of each job within a day, without those to wait or
        to be unknown, and back."""
        if self._clock.monotonic() >= self._changes_until or self._changes_of is not self._catalog:
            page = await self._changes.list_page(since=self._clock.now() - _DAY, limit=MAX_PAGE)
            self._changes_by_job = Counter(
                change.job
                for change in page.changes
                if not _is_unrelated(change) and self._catalog.is_visible(change.job, change.at)
            )
            self._changes_of = self._catalog
            self._changes_until = self._clock.monotonic() + _CHANGES_CACHED_SECONDS
        return self._changes_by_job


async def _create_overview(facts: OverviewFacts, states: Mapping[str, StateChange]) -> Overview:
    by_job: dict[str, IncidentView] = {}
    for view in reversed(facts.incidents):
        by_job.update((member.key.subject, view) for member in view.incident.open_members)

    def create(name: str) -> OverviewJob:
        return summarize(
            facts.jobs.get_job(name),
            states.get(name),
            facts.pauses.get(name),
            by_job.get(name),
            facts.changes.get(name, 0),
        )

    summaries = await convert_each(create, facts.jobs.names())
    broken = frozenset(each.name for each in summaries if each.standing.is_broken)
    return Overview(facts, summaries, sort_open(facts.incidents), states, next(_revisions), broken)


def _is_unrelated(change: StateChange) -> bool:
    """Return whether a change does not show how stable the target is."""
    return not {JobStatus.WAITING, JobStatus.UNKNOWN}.isdisjoint((change.state, change.previous))
