"""Which jobs have run since the scheduler started: before, an alert describes its target as it was.

A start is the first tick after a gap in which the scheduler did not run, which the host records: each start of an
embedded process, and on Functions, where processes start often, a tick after ticks have been missing.

    await first_runs.read(now, ["checkout"])
    first_runs.find_end(snapshot, "checkout", now)

Used by scheduler.alerting.facts_source.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from scheduler.alerting.evaluation.due_times import DueTimes
from scheduler.alerting.evaluation.silent_jobs import longest_run
from scheduler.catalog.catalog import JobSnapshot
from scheduler.stores.schedules import Cursors

LONGEST_FIRST_WAIT = timedelta(minutes=15)
"""After a start, for the first run of a job that is due later, or does not run."""
_VERDICT_TIME = timedelta(seconds=2)
"""From the end of a run until its verdict is stored, at least."""


class FirstRuns:
    """`shares_runs`: other processes execute runs, too."""

    def __init__(self, cursors: Cursors, due_times: DueTimes, *, shares_runs: bool) -> None:
        self._cursors = cursors
        self._due_times = due_times
        self._shares_runs = shares_runs
        self._seen: dict[str, datetime] = {}
        """When the first run of a job since the start was known to this process."""
        self.started_at: datetime | None = None

    async def read(self, now: datetime, jobs: Collection[str]) -> None:
        """Read the latest start, and the newest runs of jobs unless they have run since then. Raises StoreError."""
        found = await self._cursors.find_start(now)
        if found != self.started_at:
            self.started_at, self._seen = found, {}
        if found is None or now >= found + LONGEST_FIRST_WAIT:
            return
        missing = [job for job in jobs if job not in self._seen]
        await self._due_times.read(missing if self._shares_runs else self._due_times.list_unknown(missing))
        for job in missing:
            last = self._due_times.find(job)
            if last is not None and last >= found:
                self._seen[job] = now

    def find_end(self, snapshot: JobSnapshot, job: str, now: datetime, *, is_missed: bool = False) -> datetime | None:
        """Return until when the first run of a job is waited for; None if it has run, or has no run to wait for.

        `is_missed`: wait only if a run was due while the scheduler did not run.
        """
        entry, started_at = snapshot.find_job(job), self.started_at
        if entry is None or not entry.job.enabled or started_at is None:
            return None
        seen = self._seen.get(job)
        if seen is not None and now >= seen + _VERDICT_TIME:
            return None
        schedule, last = snapshot.schedule(job), self._due_times.find(job)
        end = started_at + LONGEST_FIRST_WAIT
        if schedule is None:
            # A job that runs after others has no due instants.
            due = started_at if entry.job.depends_on and not is_missed else None
            return None if due is None or now >= end else end
        if is_missed and last is not None and seen is None:
            missed = schedule.next_after(last)
            if missed is None or missed >= started_at:
                return None
        due = schedule.next_after(started_at)
        if due is not None:
            end = min(end, due + longest_run(entry.job) + _VERDICT_TIME)
        return end if now < end else None
