"""What follows from the finished runs of a job: its counts and its last run. Called by scheduler.metrics.job_series.

It is read again only for jobs with new runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from jobs.runs import Outcome, Run
from jobs.runs.outcomes import ReasonCode
from scheduler.stores.runs.codec import RunRecord
from scheduler.stores.runs.repository import Runs
from scheduler.stores.runs.rollups.counters import RunCounters, run_some
from scheduler.stores.runs.rollups.tally import Tally

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
        certificate_expiry=certificates[0].expires_at.timestamp() if certificates else None,
        last_success=last_success,
    )
