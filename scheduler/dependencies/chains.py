"""Chains of runs that start one another. Pure; called by scheduler.dependencies.trigger.

A chain starts with a scheduled or requested run. Runs of several schedules at one instant start one chain together, so
a job that depends on two jobs of each minute runs once a minute.

All runs of a chain have the correlation id of a run that started it. The id of a dependent run has a suffix that is
derived from the chain alone, so every process computes the same id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from jobs.formats.instants import format_run_instant
from jobs.runs import Run, Trigger, split_run_id
from scheduler.catalog.catalog import JobSnapshot


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
