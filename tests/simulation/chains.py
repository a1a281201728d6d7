"""Judges chains: each job that a run leads to runs, or is left out, once, and as its conditions say. Used by oracle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from jobs.definition import JobDefinition
from jobs.runs import Outcome, Run
from scheduler.catalog.catalog import Catalog

TAKES = timedelta(minutes=10)
"""After which a chain is over, if nothing goes wrong any more."""

_OfChain = Mapping[tuple[str, str], Sequence[Run]]
"""Runs by job and correlation id."""


class ChainJudge:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._graph = catalog.graph
        jobs = [entry.job.name for entry in catalog]
        self._roots = [
            job for job in jobs if self._graph.started_jobs(job) and not self._graph.is_started_by_others(job)
        ]
        self.jobs = {job for root in self._roots for job in (root, *self._graph.all_started_jobs(root))}
        """Those whose runs are judged here."""

    def problems(self, runs: Iterable[Run], since: datetime, until: datetime) -> Iterator[str]:
        """Of the chains that began in (since, until]. `runs`: all there are of `jobs`, as far as they are finished."""
        of_chain: defaultdict[tuple[str, str], list[Run]] = defaultdict(list)
        roots = []
        for run in runs:
            of_chain[run.job, run.correlation_id].append(run)
            if run.job in self._roots and since < run.due_at <= until:
                roots.append(run)
        for root in roots:
            for job in sorted(self._graph.all_started_jobs(root.job)):
                yield from self._of_member(self._catalog.get_job(job).job, root, of_chain)

    def _of_member(self, job: JobDefinition, root: Run, of_chain: _OfChain) -> Iterator[str]:
        found = of_chain.get((job.name, root.correlation_id), ())
        if len(found) > 1:
            yield f"{job.name} has {len(found)} runs in the chain of {root.id}: {', '.join(run.id for run in found)}"
        # A root that is left out, as no scheduler was running, may stay untold: see Oracle.
        if not found and root.outcome is not Outcome.SKIPPED:
            yield f"{job.name} has no run in the chain of {root.id}, which {root.outcome}"
        if found:
            yield from self._as_its_conditions_say(job, found[0], root, of_chain)

    def _as_its_conditions_say(self, job: JobDefinition, run: Run, root: Run, of_chain: _OfChain) -> Iterator[str]:
        unmet = None
        for dependency in job.depends_on:
            others = of_chain.get((dependency.job, root.correlation_id), ())
            unmet = unmet or dependency.explain_unmet(others[0] if others else None, run.due_at, ignore_age=True)
        skipped = run.outcome is Outcome.SKIPPED and run.message.startswith("dependency ")
        if unmet is not None and not skipped:
            yield f"run {run.id} {run.outcome}, though {unmet}"
        elif unmet is None and skipped:
            yield f"run {run.id} is left out ({run.message}), though all is as it asks"
