"""Which runs of a job are open, over all processes. Used by the overlap gate where a job's runs may be anywhere."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

from jobs.ports import Clock
from scheduler.stores.claims import OpenRun
from scheduler.stores.runs import Runs

KNOWN_FOR = 1.0
"""Seconds that a look at the open runs of all jobs is good for."""
FEW = 3
"""Jobs that are looked at one by one within that time; for more of them it is cheaper to look at all."""


class OpenRuns:
    """All methods raise StoreUnavailable."""

    def __init__(self, runs: Runs, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock
        self._by_job: Mapping[str, Sequence[OpenRun]] = {}
        self._good_until = 0.0
        self._asked: set[str] = set()
        self._looking: asyncio.Task[Mapping[str, Sequence[OpenRun]]] | None = None
        self._single: list[float] = []
        """When single jobs were looked at."""

    async def fresh(self, job: str) -> Sequence[OpenRun]:
        """The job's open runs as of now."""
        return await self._runs.open_runs_of(job)

    async def recent(self, job: str) -> Sequence[OpenRun]:
        """The same, or as of a second ago, if many jobs are asked for."""
        if self._clock.monotonic() < self._good_until:
            return self._by_job.get(job, ())
        self._asked.add(job)
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look())
            self._looking.add_done_callback(_note_its_error)
        found = await asyncio.shield(self._looking)
        return found.get(job, ())

    async def _look(self) -> Mapping[str, Sequence[OpenRun]]:
        # Those that are due at the same instant come in.
        await asyncio.sleep(0)
        asked, self._asked = self._asked, set()
        now = self._clock.monotonic()
        self._single = [at for at in self._single if now - at < KNOWN_FOR]
        if len(self._single) + len(asked) <= FEW:
            self._single += [now] * len(asked)
            self._looking = None
            return dict(zip(asked, await asyncio.gather(*map(self._runs.open_runs_of, asked)), strict=True))
        try:
            by_job: dict[str, list[OpenRun]] = defaultdict(list)
            for run in await self._runs.open_runs():
                by_job[run.job].append(run)
        finally:
            self._looking = None
        self._by_job, self._good_until = by_job, now + KNOWN_FOR
        return by_job


def _note_its_error(task: asyncio.Task[Mapping[str, Sequence[OpenRun]]]) -> None:
    """Whoever asked may be gone by now."""
    if not task.cancelled():
        task.exception()
