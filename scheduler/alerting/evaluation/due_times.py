"""The due instant of the newest finished run of each job, as far as this process knows. Used by evaluator and by facts
of passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from jobs.runs import Run, Trigger
from scheduler.stores.runs.codec import RunRecord

MAX_CONCURRENT_READS = 16


class LatestRuns(Protocol):
    async def find_latest(self, job: str, *, fresh: bool = False) -> RunRecord | None:
        """See RunReads.find_latest."""
        ...


class DueTimes:
    def __init__(self, runs: LatestRuns) -> None:
        self._runs = runs
        self._newest: dict[str, datetime] = {}

    def add(self, run: Run) -> None:
        """Record a finished run of this process, whatever its outcome."""
        if run.trigger is not Trigger.BACKFILL and run.trigger is not Trigger.REPLAY:
            known = self._newest.get(run.job)
            if known is None or known < run.due_at:
                self._newest[run.job] = run.due_at

    def find(self, job: str) -> datetime | None:
        return self._newest.get(job)

    def list_unknown(self, jobs: Iterable[str]) -> list[str]:
        """Return those of these jobs of which this process knows no run."""
        return [job for job in jobs if job not in self._newest]

    async def read(self, jobs: Iterable[str]) -> None:
        """Read the newest runs of jobs, which another process may have executed. Raises StoreError."""
        semaphore = asyncio.Semaphore(MAX_CONCURRENT_READS)

        async def read_one(job: str) -> None:
            async with semaphore:
                record = await self._runs.find_latest(job, fresh=True)
            if record is not None and record.run is not None:
                self.add(record.run)

        await asyncio.gather(*map(read_one, jobs))
