"""Starts or skips the jobs without a schedule that depend on a finished run.

The worker calls it once a run is recorded, and again if a follow-up may be incomplete. A dependent run is decided when
all its parents have their runs: parents in the chain by their run of this chain, others by their newest run.

A chain starts with a scheduled or requested run. Runs of several schedules at one instant start one chain together, so
a job that depends on two jobs of each minute runs once a minute. All runs of a chain have the correlation id of a run
that started it. The id of a dependent run has a suffix that is derived from the chain alone, so every process computes
the same id, and repeated calls start it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol

from jobs.definition import JobDefinition
from jobs.definition.dependencies import Dependency
from jobs.formats import format_run_instant
from jobs.ports import Clock
from jobs.running.run_factories import skipped_run
from jobs.runs import Outcome, Run, Ticket, Trigger, split_run_id
from jobs.runs.events import RunFinished, RunListener
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.dispatch.port import Dispatch
from scheduler.stores.gates import Pauses
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import RunRecord, Runs, RunState


class FollowUp(Protocol):
    """Starts the dependents of finished runs."""

    def has_dependents(self, job: str) -> bool:
        """Return whether other jobs depend on runs of this job.

        Such runs are finished unacknowledged, and acknowledged after `start_dependents`, which is not called for other
        runs.
        """
        ...

    async def start_dependents(self, run: Run) -> None:
        """Start the jobs that depend on a recorded run. A repeated call for the same run has no further effect.

        Raises:
            StoreError, DispatchError: the run stays unacknowledged, and is followed up later.
        """
        ...


class DeferredFollowUp:
    """Follow-up in a process that does not know all jobs: a running server starts the dependents."""

    def has_dependents(self, job: str) -> bool:
        """Return True for every job, so that its runs are finished unacknowledged and the server finds them."""
        return True

    async def start_dependents(self, run: Run) -> None:
        """Raise StoreError always, so that the run stays unacknowledged."""
        raise StoreError("the job files have problems; a running server starts the dependents")


class NoFollowUp:
    """Follow-up where no job depends on another one."""

    def has_dependents(self, job: str) -> bool:
        return False

    async def start_dependents(self, run: Run) -> None:
        """Start the jobs that depend on a recorded run. A repeated call for the same run has no further effect."""


@dataclass(frozen=True, slots=True)
class Chain:
    """`root`: the job whose run `run_id` started the chain. `by_schedule`: other jobs' runs may have started it too."""

    root: str
    run_id: str
    correlation_id: str
    started_at: datetime
    by_schedule: bool


class Chains:
    def __init__(self, jobs: JobSnapshot) -> None:
        self._jobs = jobs
        self._graph = jobs.graph

    def chain_started_by(self, run_id: str, correlation_id: str = "") -> Chain:
        """Return the chain that starts with this run."""
        job, due_at, suffix = split_run_id(run_id)
        return Chain(job, run_id, correlation_id or run_id, due_at, not suffix)

    def chain_of(self, run: Run) -> Chain | None:
        """Return the run's chain; None if a replay started it, whose id its runs do not have."""
        if run.trigger is not Trigger.DEPENDENCY:
            return self.chain_started_by(run.id, run.correlation_id)
        chain = self.chain_started_by(run.correlation_id)
        return chain if self.contains(run.id, chain) else None

    def contains(self, run_id: str, chain: Chain) -> bool:
        """Return whether the chain started this run."""
        job, _, suffix = split_run_id(run_id)
        return suffix == self.run_id_suffix(job, chain)

    def run_id_suffix(self, job: str, chain: Chain) -> str:
        """Return the suffix of the id of the job's run in this chain; it is equal for all roots of the chain."""
        root_run_id = chain.run_id
        if chain.by_schedule:
            root_run_id = f"{min(self.roots_of(job, chain), default=chain.root)}@{format_run_instant(chain.started_at)}"
        return sha256(root_run_id.encode()).hexdigest()[:8]

    def roots_of(self, job: str, chain: Chain) -> frozenset[str]:
        """Return the jobs whose runs start this chain and lead to the job; empty if no path leads to it."""
        roots = {chain.root} if job in self._graph.all_started_jobs(chain.root) else set()
        if chain.by_schedule:
            others = (root for root in self._graph.root_jobs(job) if root != chain.root)
            roots.update(root for root in others if self._is_due(root, chain.started_at))
        return frozenset(roots)

    def first_run_id(self, job: str, chain: Chain) -> str | None:
        """Return the id of the run with which this root job starts the chain; None if it does not."""
        if job == chain.root:
            return chain.run_id
        if chain.by_schedule and self._is_due(job, chain.started_at):
            return f"{job}@{format_run_instant(chain.started_at)}"
        return None

    def _is_due(self, job: str, at: datetime) -> bool:
        entry = self._jobs.find_job(job)
        return entry is not None and entry.is_due(at)


MISSING_RUN_GRACE = timedelta(seconds=60)
"""How long after its instant a run without a row is expected; a job that was not running then has none."""
_PAGE_SIZES = (20, 200, 200, 200)
"""Runs of a job that are read page by page, until they include the run of a chain."""

StateRecorder = Callable[[Run], Awaitable[object]]
"""Records the state of a job that a run shows. Raises StoreError."""


@dataclass(frozen=True, slots=True)
class _ParentRun:
    """The run of a parent job; None if it has none. `is_of_chain`: the run belongs to the same chain."""

    run: Run | None
    is_of_chain: bool


@dataclass(frozen=True, slots=True)
class _FollowUpDependencies:
    runs: Runs
    pauses: Pauses
    dispatch: Dispatch
    listener: RunListener
    clock: Clock
    record_state: StateRecorder | None


class DependencyTrigger:
    """Implements scheduler.dependencies.FollowUp."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        pauses: Pauses,
        dispatch: Dispatch,
        listener: RunListener,
        clock: Clock,
        record_state: StateRecorder | None = None,
    ) -> None:
        """`record_state`: see StateTracker.record_run; None: the states of jobs are not recorded."""
        self._catalog = catalog
        self._dependencies = _FollowUpDependencies(runs, pauses, dispatch, listener, clock, record_state)

    def has_dependents(self, job: str) -> bool:
        return bool(self._catalog.graph.started_jobs(job))

    async def start_dependents(self, run: Run) -> None:
        """Start the jobs that depend on a recorded run, by the current jobs."""
        await _RunFollowUp(self._catalog.snapshot, self._dependencies).start_dependents(run)


class _RunFollowUp:
    """The follow-up of one run."""

    def __init__(self, jobs: JobSnapshot, parts: _FollowUpDependencies) -> None:
        self._jobs = jobs
        self._chains = Chains(jobs)
        self._runs, self._pauses, self._clock = parts.runs, parts.pauses, parts.clock
        self._dispatch, self._listener = parts.dispatch, parts.listener
        self._record_state = parts.record_state

    async def start_dependents(self, run: Run) -> None:
        tickets: dict[str, Ticket] = {}
        rest = [run]
        while rest:
            ended = rest.pop()
            names = self._jobs.graph.started_jobs(ended.job)
            chain = await self._chain_of(ended) if names else None
            for name in names:
                assert chain is not None
                record = await self._decide(self._jobs.get_job(name), ended, chain)
                if record is None:
                    continue
                if record.state is RunState.QUEUED:
                    tickets[record.ticket.id] = record.ticket
                elif record.run is not None and record.run.outcome is Outcome.SKIPPED:
                    rest.append(record.run)
        # Sent last, so that no run can end before the other runs of its chain are known.
        if tickets:
            await self._dispatch.send(list(tickets.values()))

    async def _decide(self, entry: CatalogJob, ended: Run, chain: Chain) -> RunRecord | None:
        """Return the job's run in this chain, queued or skipped; None while it waits for other parents."""
        job = entry.job
        found = await asyncio.gather(*(self._parent_run(dependency.job, ended, chain) for dependency in job.depends_on))
        parents = [parent for parent in found if parent is not None]
        if len(parents) < len(found):
            return None
        due_at = max(
            _truncate_to_ms(parent.run.finished_at)
            for parent in parents
            if parent.run is not None and parent.is_of_chain
        )
        ticket = Ticket.following(
            job.name, due_at, entry.generation, self._chains.run_id_suffix(job.name, chain), chain.correlation_id
        )
        reason = await self._skip_reason(entry) or _unmet_reason(job.depends_on, parents, due_at)
        if reason is None:
            return await self._runs.enqueue(ticket)
        return await self._record_skipped(entry, ticket, reason)

    async def _skip_reason(self, entry: CatalogJob) -> Reason | None:
        if not entry.job.enabled:
            return Reason(ReasonCode.JOB_DISABLED, "the job is disabled")
        pause = (await self._pauses.list_active(self._clock.now())).get(entry.job.name)
        return None if pause is None else Reason(ReasonCode.JOB_PAUSED, f"the job is {pause}")

    async def _record_skipped(self, entry: CatalogJob, ticket: Ticket, reason: Reason) -> RunRecord:
        """Record the run as skipped, unless it exists already."""
        run = skipped_run(entry.job, ticket, self._clock, reason)
        existing = await self._runs.insert_finished(ticket, run)
        recorded = run if existing is None else existing.run
        if recorded is not None and self._record_state is not None:
            await self._record_state(recorded)
        if existing is not None:
            return existing
        self._listener.run_finished(RunFinished(run))
        return RunRecord(ticket, RunState.FINISHED, "", None, run, "")

    async def _parent_run(self, job: str, ended: Run, chain: Chain) -> _ParentRun | None:
        """Return the run of a parent job; None if it has not finished yet."""
        if job == ended.job:
            return _ParentRun(ended, is_of_chain=True)
        started = self._jobs.graph.is_started_by_others(job)
        first = None if started else self._chains.first_run_id(job, chain)
        roots = self._chains.roots_of(job, chain) if started else frozenset()
        if first is None and not roots:
            return await self._newest_run(job)
        record = await (self._started_run(job, chain) if first is None else self._runs.find(first))
        if record is not None:
            return None if record.run is None else _ParentRun(record.run, is_of_chain=True)
        # A root that does not run, such as a paused job, has no run in this chain: the newest run counts.
        for root in sorted(roots) or [job]:
            if await self._is_expected(root, chain):
                return None
        return await self._newest_run(job)

    async def _is_expected(self, root: str, chain: Chain) -> bool:
        """Return whether this job has a run that starts the chain, or may have one soon."""
        if root == chain.root:
            return True
        first = self._chains.first_run_id(root, chain)
        if first is None or await self._runs.find(first) is not None:
            return first is not None
        now = self._clock.now()
        if root in await self._pauses.list_active(now):
            return False
        job, age = self._jobs.get_job(root).job, now - chain.started_at
        if age < MISSING_RUN_GRACE + timedelta(seconds=job.longest_wait):
            return True
        return await self._is_caught_up(job, chain.started_at, age)

    async def _is_caught_up(self, job: JobDefinition, due_at: datetime, age: timedelta) -> bool:
        """Return whether the job catches up missed runs in order, and has not reached this instant yet."""
        if job.catch_up.policy != "all" or age.total_seconds() > job.catch_up.within:
            return False
        newest = (await self._runs.list_page(job=job.name, limit=1)).records
        return not newest or newest[0].ticket.due_at < due_at

    async def _newest_run(self, job: str) -> _ParentRun:
        record = await self._runs.find_latest(job, fresh=True)
        return _ParentRun(None if record is None else record.run, is_of_chain=False)

    async def _started_run(self, job: str, chain: Chain) -> RunRecord | None:
        """Return the job's run that this chain has started."""
        async for record in self._runs_newest_first(job, chain.started_at):
            if self._chains.contains(record.ticket.id, chain):
                return record
        return None

    async def _runs_newest_first(self, job: str, since: datetime) -> AsyncIterator[RunRecord]:
        continuation: str | None = None
        for limit in _PAGE_SIZES:
            page = await self._runs.list_page(job=job, limit=limit, continuation=continuation)
            for record in page.records:
                if record.ticket.due_at < since:
                    return
                yield record
            continuation = page.continuation
            if continuation is None:
                return

    async def _chain_of(self, run: Run) -> Chain:
        return self._chains.chain_of(run) or await self._replayed_chain(run)

    async def _replayed_chain(self, run: Run) -> Chain:
        """Return the chain that a replay started. Its correlation id is the id of the replayed run."""
        began = self._chains.chain_started_by(run.correlation_id).started_at
        for job in sorted(self._jobs.graph.all_starting_jobs(run.job)):
            async for record in self._runs_newest_first(job, began):
                ticket = record.ticket
                if ticket.trigger.is_rerun and ticket.correlation_id == run.correlation_id:
                    chain = self._chains.chain_started_by(ticket.id, ticket.correlation_id)
                    if self._chains.contains(run.id, chain):
                        return chain
        return self._chains.chain_started_by(run.id, run.correlation_id)


def _unmet_reason(depends_on: tuple[Dependency, ...], parents: list[_ParentRun], at: datetime) -> Reason | None:
    pairs = zip(depends_on, parents, strict=True)
    reasons = (one.explain_unmet(parent.run, at, ignore_age=parent.is_of_chain) for one, parent in pairs)
    return next((Reason(ReasonCode.DEPENDENCY, reason) for reason in reasons if reason is not None), None)


def _truncate_to_ms(instant: datetime) -> datetime:
    """Return the instant in milliseconds, as in run ids."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
