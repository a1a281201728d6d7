"""Starts a run on request and waits for its end. Called by scheduler.api and the commands, and for heartbeat pings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from jobs.ports import Clock
from jobs.runs import Ticket
from jobs.targets import Target
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog
from scheduler.dispatch.port import Dispatch
from scheduler.identity.principal import Caller
from scheduler.stores.runs.repository import RunRecord, Runs, RunState

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5
"""Seconds between two reads of a run that another process has."""
_LOCAL_RECHECK = 5.0
"""The same for a run of this process, which reports its end: another process may execute it meanwhile."""


class RunStarter:
    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        dispatch: Dispatch,
        clock: Clock,
        audit: AuditTrail,
        preload_check: Callable[[Target], None] = lambda target: None,
        on_requested: Callable[[Ticket, str], None] = lambda ticket, trace_parent: None,
        end_of: Callable[[str], asyncio.Future[None] | None] = lambda run_id: None,
    ) -> None:
        """`end_of`: see Worker.end_of.

        `on_requested` gets the ticket and the `traceparent` header of a request that is part of a trace.

        `preload_check` imports the modules of a target's check before the run is due, so that it is not late.
        """
        self._preload_check = preload_check
        self._on_requested = on_requested
        self._catalog = catalog
        self._runs = runs
        self._dispatch = dispatch
        self._clock = clock
        self._audit = audit
        self._end_of = end_of
        self._stopping = asyncio.Event()

    async def run_now(self, name: str, *, caller: Caller, trace_parent: str = "") -> RunRecord:
        """Queue a run of an enabled or disabled job. It is stored before it is dispatched, so a crash does not lose it.

        `trace_parent`: the `traceparent` header of the request.

        Raises:
            UnknownJob: no job has that name.
            StoreError: the run could not be stored and does not start.
            DispatchError: the run is stored as queued but could not be dispatched.
        """
        entry = self._catalog.get_job(name)
        self._preload_check(entry.job.check)
        ticket = Ticket.requested(name, self._clock.now(), entry.generation)
        change = AuditedChange("job.run", name, f"run {ticket.id} was queued", (name,), after={"run": ticket.id})
        async with audited(self._audit, caller, change):
            record = await self._runs.enqueue(ticket)
            if trace_parent:
                self._on_requested(ticket, trace_parent)
            await self._dispatch.send([ticket])
        return record

    async def wait_until_finished(self, run_id: str, seconds: float) -> RunRecord | None:
        """Return the run once it finishes, after `seconds`, or when the program stops; None if there is no such run."""
        end = self._clock.monotonic() + seconds
        pause = _FIRST_PAUSE
        while True:
            ended_here = self._end_of(run_id)  # before the run is read, so that no end is missed
            record = await self._runs.find(run_id)
            left = end - self._clock.monotonic()
            if record is None or record.state is RunState.FINISHED or left <= 0 or self._stopping.is_set():
                return record
            if ended_here is not None:
                await self._wait_for_any(min(_LOCAL_RECHECK, left), ended_here)
            else:
                await self._wait_for_any(min(pause, left))
                pause = min(_LONGEST_PAUSE, pause * 1.5)

    async def _wait_for_any(self, seconds: float, *ended: asyncio.Future[None]) -> None:
        """Wait until one of them is done or the program stops, at most `seconds`."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        ends: set[asyncio.Future[Any]] = {stopping, *ended}
        try:
            await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()

    def stop_waiting(self) -> None:
        """Return all waits, because the program stops."""
        self._stopping.set()
