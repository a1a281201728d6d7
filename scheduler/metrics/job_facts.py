"""What the series of jobs are made of: what follows from finished runs, and what changes without a run.

Counts and the last run are read again only for jobs with new runs. Of the rest, everything but circuits is one read for
all jobs. A circuit is read again when a run of its jobs did not succeed, while it is open, and some in turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from jobs.runs import Outcome, Run
from jobs.runs.outcomes import ReasonCode
from jobs.runs.states import JobStatus, StateChange
from scheduler.catalog.catalog import CatalogJob, JobSnapshot
from scheduler.features.circuits.queries import CircuitQueries
from scheduler.features.jobs.queries import next_due_instants, schedule_resumes_after
from scheduler.metrics.families import STEP_PAUSE
from scheduler.stores.alerting.engine import EngineRows, EngineState
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.gates import Pause, Pauses
from scheduler.stores.runs.codec import RunRecord
from scheduler.stores.runs.repository import Runs
from scheduler.stores.runs.rollups.counters import RunCounters, run_some
from scheduler.stores.runs.rollups.tally import Tally
from scheduler.turns import convert_each

if TYPE_CHECKING:
    from jobs.schedules import Schedule

_LATEST_AT_ONCE = 500
_SUCCESS_PAGES = 3
"""Pages of runs that are searched for the last success of a job that fails."""


class LastRun(NamedTuple):
    """Of a job's newest finished run: instants and durations in seconds. `certificate_expiry`: None without one.

    `last_success`: of the newest succeeded run; None if the stored runs have none.
    """

    finished_at: float
    duration: float
    is_blind: bool
    is_unknown: bool
    certificate_expiry: float | None
    last_success: float | None


@dataclass(slots=True)
class RunFacts:
    """Of one job: the counts of all its runs, and the last one; None before the first."""

    counts: Tally | None = None
    last: LastRun | None = None


class RunFactReader:
    """All methods that await raise StoreError; a failed refresh is repeated by the next one."""

    def __init__(self, counters: RunCounters, runs: Runs) -> None:
        self._counters = counters
        self._runs = runs
        self._facts: dict[str, RunFacts] = {}
        self._pending: set[str] = set()
        """Jobs whose refresh has failed."""

    def find(self, job: str) -> RunFacts:
        """Return what the last refresh has found."""
        return self._facts.get(job) or RunFacts()

    def has_failed(self, job: str) -> bool:
        """Return whether the last run did not succeed."""
        last = self.find(job).last
        return last is not None and last.last_success != last.finished_at

    async def refresh(self, jobs: Sequence[str], now: datetime) -> Collection[str]:
        """Read what has changed of all jobs. Return the jobs that were read."""
        is_first = not self._facts
        known = self._facts.keys()
        self._pending |= {*await self._counters.refresh(jobs, now), *(job for job in jobs if job not in known)}
        if len(known) > len(jobs):
            self._facts = {job: self._facts[job] for job in jobs if job in self._facts}
        changed = [job for job in jobs if job in self._pending]
        if is_first:
            await self._read_first(changed)
        else:
            await run_some(self._read, changed)
        self._pending.clear()
        return changed

    async def _read_first(self, jobs: Sequence[str]) -> None:
        for start in range(0, len(jobs), _LATEST_AT_ONCE):
            some = jobs[start : start + _LATEST_AT_ONCE]
            latest = await self._runs.find_latest_of_jobs(some)
            for job in some:
                await self._put(job, latest.get(job))

    async def _read(self, job: str) -> None:
        await self._put(job, await self._runs.find_latest(job, fresh=True))

    async def _put(self, job: str, record: RunRecord | None) -> None:
        run = None if record is None else record.run
        before = self.find(job).last
        last = None if run is None else _describe_run(run, await self._find_success(run, before))
        self._facts[job] = RunFacts(self._counters.counts_of(job), last)

    async def _find_success(self, run: Run, before: LastRun | None) -> float | None:
        if run.outcome is Outcome.SUCCEEDED:
            return run.finished_at.timestamp()
        if before is not None:
            return before.last_success
        continuation: str | None = None
        for _ in range(_SUCCESS_PAGES):
            page = await self._runs.list_page(job=run.job, outcome="succeeded", limit=1, continuation=continuation)
            for record in page.records:
                if record.run is not None:
                    return record.run.finished_at.timestamp()
            continuation = page.continuation
            if continuation is None:
                break
        return None


def _describe_run(run: Run, last_success: float | None) -> LastRun:
    details = [attempt.details for attempt in reversed(run.attempts) if attempt.details is not None]
    certificates = [
        each.tls.certificate for each in details if each.tls is not None and each.tls.certificate is not None
    ]
    return LastRun(
        finished_at=run.finished_at.timestamp(),
        duration=run.duration_ms / 1000,
        is_blind=run.reason is ReasonCode.BLIND,
        is_unknown=run.is_unknown,
        certificate_expiry=certificates[0].expires_at.timestamp() if certificates else None,
        last_success=last_success,
    )


StatesOf = Callable[[Sequence[str]], Awaitable[Mapping[str, StateChange]]]
"""Returns the state of each of these jobs, by name."""
MAX_LETTERS = 1000
"""Dead letters that are counted, newest first."""
_LETTERS_AT_ONCE = 200
_CIRCUITS_AT_ONCE = 500
_SWEPT_CIRCUITS = 50
_UP_STATES = {JobStatus.UP: True, JobStatus.DEGRADED: True, JobStatus.DOWN: False, JobStatus.SILENT: False}


class JobCondition(NamedTuple):
    """`is_up`: None if it is unknown. `is_circuit_open`: None without a circuit. Instants and durations in seconds."""

    is_up: bool | None
    is_degraded: bool
    is_paused: bool
    has_incident: bool
    is_circuit_open: bool | None
    dead_letters: int
    next_run: float | None
    interval: float | None


@dataclass(frozen=True, slots=True)
class _Plan:
    """When a schedule is due next, as of an earlier scrape."""

    schedule: Schedule
    pause: Pause | None
    next_at: datetime | None
    valid_until: datetime | None
    interval: float | None


class JobStateReader:
    """`read` raises StoreError."""

    def __init__(
        self,
        states_of: StatesOf,
        pauses: Pauses,
        engine: EngineRows,
        letters: DeadLetters,
        circuits: CircuitQueries,
    ) -> None:
        """`circuits`: of all jobs."""
        self._states_of = states_of
        self._pauses = pauses
        self._engine_rows = engine
        self._letters = letters
        self._circuits = circuits
        self._engine: EngineState | None = None
        self._plans: dict[str, _Plan] = {}
        self._open: dict[str, bool] = {}
        """Whether the circuit of a job is open, by job."""
        self._swept = 0

    def is_circuit_open(self, job: str) -> bool:
        """Return whether the last read has found that the circuit of a job rejects runs, or admits probes only."""
        return self._open.get(job, False)

    @property
    def engine(self) -> EngineState | None:
        """The incidents that the last read has found."""
        return self._engine

    async def read(self, jobs: JobSnapshot, failed: Collection[str], now: datetime) -> Mapping[str, JobCondition]:
        """Return the state of each job. `failed`: jobs with a new run that did not succeed."""
        names = jobs.names()
        states = await self._states_of(names)
        pauses = await self._pauses.list_active(now)
        self._engine = await self._engine_rows.read(self._engine)
        alerting = {member.key.subject for incident in self._engine.open for member in incident.open_members}
        letters = await self._count_letters()
        await self._refresh_circuits(jobs, failed)

        def create(entry: CatalogJob) -> JobCondition:
            job, pause = entry.job, pauses.get(entry.job.name)
            state = states.get(job.name)
            plan = self._plan(entry, pause, now)
            is_paused = pause is not None or not job.enabled
            return JobCondition(
                None if state is None or is_paused else _UP_STATES.get(state.state),
                state is not None and state.state is JobStatus.DEGRADED and not is_paused,
                is_paused,
                job.name in alerting,
                self.is_circuit_open(job.name) if job.circuit_key is not None else None,
                letters.get(job.name, 0),
                None if plan is None or plan.next_at is None or not job.enabled else plan.next_at.timestamp(),
                None if plan is None else plan.interval,
            )

        found = await convert_each(create, jobs, STEP_PAUSE)
        if len(self._plans) > len(names):
            self._plans = {name: plan for name, plan in self._plans.items() if name in jobs}
        return {entry.job.name: state for entry, state in zip(jobs, found, strict=True)}

    def _plan(self, entry: CatalogJob, pause: Pause | None, now: datetime) -> _Plan | None:
        schedule, name = entry.job.schedule, entry.job.name
        if schedule is None:
            return None
        plan = self._plans.get(name)
        is_valid = plan is not None and plan.schedule is schedule and plan.pause == pause
        if plan is None or not is_valid or plan.valid_until is None or now >= plan.valid_until:
            plan = self._plans[name] = _make_plan(schedule, pause, now)
        return plan

    async def _count_letters(self) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        after = ""
        while counts.total() < MAX_LETTERS:
            letters = await self._letters.list_letters(limit=_LETTERS_AT_ONCE, after=after)
            counts.update(letter.job for letter in letters if letter.job)
            if len(letters) < _LETTERS_AT_ONCE:
                break
            after = letters[-1].id
        return counts

    async def _refresh_circuits(self, jobs: JobSnapshot, failed: Collection[str]) -> None:
        with_circuit = [entry.job.name for entry in jobs if entry.job.circuit_key is not None]
        start = self._swept % max(1, len(with_circuit))
        self._swept = start + _SWEPT_CIRCUITS
        again = {*failed, *with_circuit[start : start + _SWEPT_CIRCUITS]}
        again |= {name for name in with_circuit if self._open.get(name, True)}
        self._open = {name: is_open for name, is_open in self._open.items() if name in jobs}
        await self._read_circuits(sorted(again.intersection(with_circuit)))

    async def _read_circuits(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), _CIRCUITS_AT_ONCE):
            views = await self._circuits.circuits_of_jobs(names[start : start + _CIRCUITS_AT_ONCE])
            for view in {view.key: view for view in views.values()}.values():
                is_open = view.state not in ("closed", "held_closed")
                self._open.update(dict.fromkeys(view.jobs, is_open))


def _make_plan(schedule: Schedule, pause: Pause | None, now: datetime) -> _Plan:
    instants = next_due_instants(schedule, now, 2)
    interval = (instants[1] - instants[0]).total_seconds() if len(instants) == 2 else None
    resumes = schedule_resumes_after(pause, now)
    if resumes is None:
        return _Plan(schedule, pause, None, instants[0] if instants else None, interval)
    following: Iterable[datetime] = instants if resumes == now else next_due_instants(schedule, resumes, 1)
    next_at = next(iter(following), None)
    return _Plan(schedule, pause, next_at, instants[0] if instants else None, interval)
