"""What is stored of jobs from when these had a tag of a principal on: runs, pauses, states, pings, entries of health
documents, circuits and alerts. Created by scheduler.catalog.limited, for queries.

What began before and lasts begins at that instant, without its cause. Counts and lists of runs begin at it. Of the hour
that contains it, the stored runs are counted, unless its rollup tells that all runs started after the instant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from jobs.heartbeat import HeartbeatRecord, HeartbeatState, Ping
from jobs.running.circuit_state import CircuitState, dump_state, load_state
from jobs.runs import Run
from jobs.runs.health_history import EntryHistory, HealthHistory
from jobs.runs.states import Cause, StateChange
from scheduler.catalog.catalog import Catalog
from scheduler.stores.alerting.engine import AlertRows, StoredAlert
from scheduler.stores.changes import ChangePage, HealthHistories, StateChanges, StoredHealthHistory, StoredState
from scheduler.stores.gates import Pause, Pauses, StoredCircuits
from scheduler.stores.heartbeats import PINGS_PER_JOB, Heartbeats
from scheduler.stores.runs.pages import JobMatcher
from scheduler.stores.runs.repository import RunPage, RunRecord, Runs
from scheduler.stores.runs.rollups.days import sum_counts
from scheduler.stores.runs.rollups.keys import HOUR
from scheduler.stores.runs.rollups.reading import JobPart, RollupPart
from scheduler.stores.runs.rollups.tally import Tally
from scheduler.stores.runs.rollups.upkeep import sum_runs

MAX_RUNS_COUNTED = 1000
"""An hour with more runs since its job became visible is skipped."""
_MILLISECOND = timedelta(milliseconds=1)


class VisibleRuns(Runs):
    """Reads of one job, and the latest runs, have no run of before. Other methods are those of `whole`."""

    def __init__(self, whole: Runs, catalog: Catalog) -> None:
        vars(self).update(vars(whole))
        self._catalog = catalog

    def list_begins(self, jobs: Iterable[str]) -> tuple[datetime | None, ...]:
        """Return the instant from which on runs of each job are read; None: all are."""
        return tuple(map(self._catalog.begin_of, jobs))

    async def list_page(
        self,
        job: str | None = None,
        outcome: str | None = None,
        limit: int = 50,
        continuation: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        matches_job: JobMatcher | None = None,
    ) -> RunPage:
        """List runs, newest due instant first; of one job, those since it became visible."""
        begin = None if job is None else self._catalog.begin_of(job)
        if begin is not None:
            since = begin if since is None else max(since, begin)
            if until is not None and until < since:
                return RunPage((), None)
        return await super().list_page(
            job, outcome, limit, continuation, since=since, until=until, matches_job=matches_job
        )

    async def find_latest_of_jobs(self, jobs: Iterable[str]) -> dict[str, RunRecord]:
        """Return the newest finished run of each job, unless the job became visible after it."""
        found = await super().find_latest_of_jobs(jobs)
        return {job: record for job, record in found.items() if self._is_own(job, record)}

    async def list_rollups(
        self, job: str, since: datetime, until: datetime, boundaries: Collection[datetime] = ()
    ) -> Sequence[RollupPart]:
        """Return the counts of the job's finished runs since it became visible, in the order of time."""
        begin = self._catalog.begin_of(job)
        if begin is None or begin <= since:
            return await super().list_rollups(job, since, until, boundaries)
        if begin >= until:
            return []
        first = begin.replace(minute=0, second=0, microsecond=0)
        # The next hour divides the day, also where the first hour begins it.
        parts = await super().list_rollups(job, first, until, (*boundaries, first + HOUR))
        if begin == first or all(_is_whole(part, begin) for part in parts if part.start == first):
            return parts
        return [*await self._count_hour(job, begin, first), *(part for part in parts if part.start > first)]

    async def read_response_hours(self, job: str, since: datetime, until: datetime) -> Mapping[datetime, Sequence[int]]:
        """Return the response times of each full hour since it became visible."""
        since = self._find_first_hour(job, since)
        return await super().read_response_hours(job, since, until) if since < until else {}

    async def read_hours(self, job: str, since: datetime, until: datetime) -> Mapping[datetime, Tally]:
        """Return the counts of each full hour since it became visible."""
        since = self._find_first_hour(job, since)
        return await super().read_hours(job, since, until) if since < until else {}

    def _find_first_hour(self, job: str, since: datetime) -> datetime:
        begin = self._catalog.begin_of(job)
        if begin is None or begin <= since:
            return since
        return begin.replace(minute=0, second=0, microsecond=0) + HOUR

    async def iterate_rollups(
        self, jobs: Sequence[str], since: datetime, until: datetime
    ) -> AsyncIterator[Iterator[JobPart]]:
        """Yield what `list_rollups` returns for each of these jobs of one shard."""
        begins = dict(zip(jobs, self.list_begins(jobs), strict=True))
        whole = [job for job, begin in begins.items() if begin is None or begin <= since]
        if whole:
            async for parts in super().iterate_rollups(whole, since, until):
                yield parts
        for job in begins.keys() - {*whole}:
            yield ((job, part) for part in await self.list_rollups(job, since, until))

    def _is_own(self, job: str, record: RunRecord) -> bool:
        begin, run = self._catalog.begin_of(job), record.run
        return begin is None or run is None or run.started_at >= begin

    async def _count_hour(self, job: str, begin: datetime, first: datetime) -> Sequence[RollupPart]:
        page = await self.list_page(job, limit=MAX_RUNS_COUNTED, since=begin, until=first + HOUR - _MILLISECOND)
        runs: list[Run] = [record.run for record in page.records if record.run is not None]
        if page.continuation is not None or not runs:
            return []
        return [RollupPart(hour, HOUR, sum_counts([counts])) for hour, counts in sum_runs(runs).items()]


def _is_whole(part: RollupPart, begin: datetime) -> bool:
    """Whether all runs of an hour started after this instant, as far as its counts tell."""
    segment = part.rollup.segment
    return segment is not None and segment.first >= begin and segment.uptime.sample_count == part.rollup.tally.runs


LASTING_CAUSE = Cause("tags_changed", "The job was in this state when it got its tags.")


def limit_past(value: object, catalog: Catalog) -> object:
    """Return a repository that reads no past of other tags; any other value unchanged."""
    create = _CREATED.get(type(value))
    return value if create is None else create(value, catalog)


def cut_state(change: StateChange, catalog: Catalog) -> StateChange:
    """Return the current state of a visible job; one that began before begins with its tags."""
    begin = catalog.begin_of(change.job)
    if begin is None or change.at >= begin:
        return _cut_previous(change, begin)
    latest = change.latest_run if (change.latest_due or change.at) >= begin else ""
    return StateChange(change.job, change.number, change.state, begin, LASTING_CAUSE, latest_run=latest)


class VisibleStates(StateChanges):
    """The list of all jobs has changes of before, as its pages are counted; their reader removes them."""

    def __init__(self, whole: StateChanges, catalog: Catalog) -> None:
        vars(self).update(vars(whole))
        self._catalog = catalog

    async def read_state(self, job: str) -> StoredState | None:
        """Return the state of a job, without the previous one if that is from before the job became visible."""
        stored = await super().read_state(job)
        return None if stored is None else replace(stored, change=cut_state(stored.change, self._catalog))

    async def list_page(
        self,
        job: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        limit: int,
        after: str = "",
    ) -> ChangePage:
        """Return changes of a job, or of all jobs, newest first; of one job, those since it became visible."""
        begin = None if job is None else self._catalog.begin_of(job)
        since = since if begin is None else max(begin, since or begin)
        page = await super().list_page(job, since, until, limit=limit, after=after)
        shown = (_cut_previous(each, self._catalog.begin_of(each.job)) for each in page.changes)
        return replace(page, changes=tuple(shown))


class VisiblePauses(Pauses):
    """Active pauses. The reasons of others are removed."""

    def __init__(self, whole: Pauses, catalog: Catalog) -> None:
        self._whole = whole
        self._catalog = catalog

    async def list_active(self, now: datetime, *, fresh: bool = False) -> Mapping[str, Pause]:
        """Return the pauses in force, by job, each from when the job became visible."""
        found = await self._whole.list_active(now, fresh=fresh)
        return {job: self._cut(pause) for job, pause in found.items()}

    async def find_active(self, job: str, now: datetime) -> Pause | None:
        """Return the pause of a job that is in force, from the store. Raises StoreUnavailable."""
        found = await self._whole.find_active(job, now)
        return None if found is None else self._cut(found)

    def list_cached(self, now: datetime) -> Mapping[str, Pause]:
        """Return the pauses in force as they were last read, by job."""
        return {job: self._cut(pause) for job, pause in self._whole.list_cached(now).items()}

    def find_ended(self, job: str, now: datetime) -> Pause | None:
        """Return the last pause of the job if it has ended, from the cache."""
        return self._whole.find_ended(job, now)

    def _cut(self, pause: Pause) -> Pause:
        begin = self._catalog.begin_of(pause.job)
        return pause if begin is None or pause.since >= begin else replace(pause, since=begin, reason="")


class VisibleHeartbeats(Heartbeats):
    def __init__(self, whole: Heartbeats, catalog: Catalog) -> None:
        vars(self).update(vars(whole))
        self._catalog = catalog

    async def beat(self, job: str) -> HeartbeatRecord:
        """Return the state of the job's pings, without those from before the job became visible."""
        beat, begin = await super().beat(job), self._catalog.begin_of(job)
        return beat if begin is None else _cut_beat(beat, begin)

    async def list_pings(self, job: str, limit: int = PINGS_PER_JOB) -> Sequence[Ping]:
        """Return the last pings since the job became visible, newest first."""
        begin = self._catalog.begin_of(job)
        return [ping for ping in await super().list_pings(job, limit) if begin is None or ping.at >= begin]


class VisibleHealthHistories(HealthHistories):
    def __init__(self, whole: HealthHistories, catalog: Catalog) -> None:
        vars(self).update(vars(whole))
        self._catalog = catalog

    async def read(self, job: str) -> StoredHealthHistory | None:
        """Return the health history of a job, without entries that have not changed since the job became visible."""
        stored, begin = await super().read(job), self._catalog.begin_of(job)
        if stored is None or begin is None:
            return stored
        history = _cut_health(stored.history, begin)
        return replace(stored, history=history) if history.entries else None


class VisibleCircuits(StoredCircuits):
    """The past of a circuit that several jobs share ends when the first of them is visible."""

    def __init__(self, whole: StoredCircuits, catalog: Catalog) -> None:
        vars(self).update(vars(whole))
        self._catalog = catalog
        self._begins: dict[str, datetime | None] | None = None

    async def load(self, key: str) -> tuple[str | None, str | None]:
        """Return the stored text and etag of a circuit whose jobs are all visible."""
        text, etag = await super().load(key)
        begin = self._find_begin(key)
        return (
            (text, etag) if text is None or begin is None else (dump_state(_cut_circuit(load_state(text), begin)), etag)
        )

    def _find_begin(self, key: str) -> datetime | None:
        if self._begins is None:
            found: dict[str, list[datetime | None]] = {}
            for entry in self._catalog:
                found.setdefault(entry.job.circuit_key or "", []).append(self._catalog.begin_of(entry.job.name))
            self._begins = {
                one: None if None in begins else min(each for each in begins if each) for one, begins in found.items()
            }
        return self._begins.get(key)


class VisibleAlerts(AlertRows):
    def __init__(self, whole: AlertRows, catalog: Catalog) -> None:
        vars(self).update(vars(whole))
        self._catalog = catalog

    async def list_all(self) -> list[StoredAlert]:
        """Return the alerts that are not inactive."""
        return [each for each in await super().list_all() if self._is_own(each)]

    async def list_of(self, subject: str) -> list[StoredAlert]:
        """Return the alerts of a subject that are not inactive."""
        return [each for each in await super().list_of(subject) if self._is_own(each)]

    def _is_own(self, stored: StoredAlert) -> bool:
        begin, alert = self._catalog.begin_of(stored.alert.subject), stored.alert
        instants = (alert.failing_since, alert.met_since, alert.changed_at)
        return begin is None or all(at is None or at >= begin for at in instants)


def _cut_previous(change: StateChange, begin: datetime | None) -> StateChange:
    since = change.previous_since
    is_own = begin is None or since is None or since >= begin
    return change if is_own else replace(change, previous=None, previous_since=None)


def _cut_beat(beat: HeartbeatRecord, begin: datetime) -> HeartbeatRecord:
    def cut(at: datetime | None) -> datetime | None:
        return None if at is None or at < begin else at

    success, fail = cut(beat.last_success), cut(beat.last_fail)
    if cut(beat.last_ping) is not None:
        return replace(beat, last_success=success, last_fail=fail)
    start = cut(beat.last_start)
    state = HeartbeatState.NEW if start is None or not beat.overran else beat.state
    return HeartbeatRecord(
        state, last_start=start, run=beat.run if start else "", number=beat.number, overran=beat.overran and bool(start)
    )


def _cut_health(history: HealthHistory, begin: datetime) -> HealthHistory:
    entries: list[EntryHistory] = []
    for entry in history.entries:
        changes = tuple(change for change in entry.changes if change.at >= begin)
        if changes:
            entries.append(replace(entry, changes=changes))
    return replace(history, entries=tuple(entries))


def _cut_circuit(state: CircuitState, begin: datetime) -> CircuitState:
    """Runs that a window counts without their instants, and failures in a row, stay: they decide about the next run."""
    buckets = tuple(bucket for bucket in state.window.buckets if bucket.started >= begin)
    cut = replace(state, window=replace(state.window, buckets=buckets))
    if state.since is not None and state.since < begin:
        cut = replace(cut, since=begin, opened_reason="")
    if state.override is not None and state.override.since < begin:
        cut = replace(cut, override=replace(state.override, since=begin, reason="", source=""))
    return cut


_CREATED: Mapping[type, Callable[[Any, Catalog], object]] = {
    Runs: VisibleRuns,
    StateChanges: VisibleStates,
    Pauses: VisiblePauses,
    Heartbeats: VisibleHeartbeats,
    HealthHistories: VisibleHealthHistories,
    StoredCircuits: VisibleCircuits,
    AlertRows: VisibleAlerts,
}
