"""Chains: the runs that follow from one another. Pure; used by follow_up.

A chain begins with a run that nothing started: of a schedule, or one that people asked for. Runs of several schedules
at one instant begin one chain together, so that a job that depends on two jobs of each minute runs once a minute.

All runs of a chain carry the correlation id of a run that began it. One that was started is found by the suffix of its
id, which follows from the chain alone: whoever works it out again comes to the same run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from jobs.runs import Run, Trigger, format_run_instant, split_run_id
from scheduler.catalog.catalog import JobSnapshot


@dataclass(frozen=True, slots=True)
class Chain:
    """`root`: the job whose run `run_id` began it, at `began`; `by_schedule` if other jobs' runs may have, too."""

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
        """The chain that begins with this run."""
        job, due_at, suffix = split_run_id(run_id)
        return Chain(job, run_id, correlation_id or run_id, due_at, not suffix)

    def chain_of(self, run: Run) -> Chain | None:
        """The run's chain; None if it was begun by the replay of a run, whose id its own runs do not carry."""
        if run.trigger is not Trigger.DEPENDENCY:
            return self.chain_started_by(run.id, run.correlation_id)
        chain = self.chain_started_by(run.correlation_id)
        return chain if self.contains(run.id, chain) else None

    def contains(self, run_id: str, chain: Chain) -> bool:
        """Whether the chain started this run."""
        job, _, suffix = split_run_id(run_id)
        return suffix == self.run_id_suffix(job, chain)

    def run_id_suffix(self, job: str, chain: Chain) -> str:
        """Of the id of the job's run in this chain, if it is started; the same whichever of its roots it is."""
        began = chain.run_id
        if chain.by_schedule:
            began = f"{min(self.roots_of(job, chain), default=chain.root)}@{format_run_instant(chain.started_at)}"
        return sha256(began.encode()).hexdigest()[:8]

    def roots_of(self, job: str, chain: Chain) -> frozenset[str]:
        """The jobs whose runs begin this chain and may start the job; empty if the chain does not lead to it."""
        begun = {chain.root} if job in self._graph.all_started_jobs(chain.root) else set()
        if chain.by_schedule:
            others = (root for root in self._graph.root_jobs(job) if root != chain.root)
            begun.update(root for root in others if self._is_due(root, chain.started_at))
        return frozenset(begun)

    def first_run_id(self, job: str, chain: Chain) -> str | None:
        """The id of the run with which this job, which nothing starts, begins the chain; None if it does not."""
        if job == chain.root:
            return chain.run_id
        if chain.by_schedule and self._is_due(job, chain.started_at):
            return f"{job}@{format_run_instant(chain.started_at)}"
        return None

    def _is_due(self, job: str, at: datetime) -> bool:
        entry = self._jobs.find_job(job)
        return entry is not None and entry.is_due(at)
