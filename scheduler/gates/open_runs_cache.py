"""Caches which runs of a job are open in all processes. Called by scheduler.gates.remote_runs.

Nearly always no other run of the job is open. So the keys of the open runs of a shard are read at once, without bodies,
and are valid for a moment. Bodies are read only for a job whose keys contain another run.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.ports import Clock
from scheduler.stores.runs.keys import RunKey, shard_of_job
from scheduler.stores.runs.open_runs import OpenRun
from scheduler.stores.runs.repository import Runs

KEYS_VALID_S = 2.5
"""Seconds for which the keys of a shard's open runs are valid, from the request on."""

MAX_SINGLE_JOB_REQUESTS = 4
"""Jobs whose bodies are read with a request each; more jobs share one request, which also reads the jobs between."""

_RunsRequest = tuple[str, asyncio.Future[Sequence[OpenRun]]]
"""A job, and the future that receives its open runs."""
_ByJob = Mapping[str, Sequence[RunKey]]


@dataclass(frozen=True, slots=True)
class _KeysSnapshot:
    """The open runs of a shard. `valid_until`: monotonic seconds."""

    by_job: _ByJob
    valid_until: float


class OpenRunsCache:
    """All methods raise StoreUnavailable."""

    def __init__(self, runs: Runs, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock
        self._snapshots: dict[str, _KeysSnapshot] = {}
        self._refreshing: dict[str, asyncio.Task[_KeysSnapshot]] = {}
        """The refresh in-flight, by shard, which all callers share."""
        self._waiting: defaultdict[str, list[_RunsRequest]] = defaultdict(list)
        self._readers: dict[str, asyncio.Task[None]] = {}
        """The task that reads bodies, by shard."""

    async def read_runs(self, job: str) -> Sequence[OpenRun]:
        """Return the job's open runs as of now.

        A shard has one request in-flight; all calls meanwhile share the next request.
        """
        name = shard_of_job(job)
        answered: asyncio.Future[Sequence[OpenRun]] = asyncio.get_running_loop().create_future()
        self._waiting[name].append((job, answered))
        if name not in self._readers:
            self._readers[name] = asyncio.ensure_future(self._read_waiting(name))
        return await answered

    async def _read_waiting(self, name: str) -> None:
        try:
            while waiting := self._waiting.pop(name, None):
                await self._answer(waiting)
        finally:
            del self._readers[name]

    async def _answer(self, waiting: Sequence[_RunsRequest]) -> None:
        by_job: defaultdict[str, list[OpenRun]] = defaultdict(list)
        error: BaseException | None = None
        try:
            for run in await self._read({job for job, _ in waiting}):
                by_job[run.job].append(run)
        except BaseException as raised:
            # Any error ends the wait: a run must not wait without end.
            error = raised
        for job, answered in waiting:
            if answered.done():
                continue  # its task was cancelled
            if error is not None:
                answered.set_exception(error)
            else:
                answered.set_result(by_job[job])

    async def _read(self, jobs: set[str]) -> Sequence[OpenRun]:
        if len(jobs) > MAX_SINGLE_JOB_REQUESTS:
            return await self._runs.list_open_of_jobs(*jobs)
        return [run for some in await asyncio.gather(*map(self._runs.list_open_of_jobs, jobs)) for run in some]

    async def cached_keys(self, job: str) -> Sequence[RunKey]:
        """Return the keys of the job's open runs, at most KEYS_VALID_S seconds old.

        They include finished runs that are not acknowledged.
        """
        name = shard_of_job(job)
        look = self._snapshots.get(name)
        if look is None or self._clock.monotonic() >= look.valid_until:
            look = await asyncio.shield(self._refreshing.get(name) or self._start_refresh(name))
        return look.by_job.get(job, ())

    def _start_refresh(self, name: str) -> asyncio.Task[_KeysSnapshot]:
        task = asyncio.ensure_future(self._refresh(name))
        self._refreshing[name] = task
        task.add_done_callback(_retrieve_error)
        return task

    async def _refresh(self, name: str) -> _KeysSnapshot:
        good_until = self._clock.monotonic() + KEYS_VALID_S
        try:
            by_job: defaultdict[str, list[RunKey]] = defaultdict(list)
            for key in await self._runs.list_open_keys(name):
                by_job[key.job].append(key)
        finally:
            del self._refreshing[name]
        look = self._snapshots[name] = _KeysSnapshot(by_job, good_until)
        return look


def _retrieve_error(task: asyncio.Task[_KeysSnapshot]) -> None:
    """Retrieve the error of the task: its callers may be cancelled."""
    if not task.cancelled():
        task.exception()
