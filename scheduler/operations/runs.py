"""Starts a run on request and waits for its end. Called by scheduler.api and the commands, and for heartbeat pings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from jobs.ports import Clock
from jobs.runs import Ticket
from jobs.targets import Target
from scheduler.audit.change_log import log_change
from scheduler.catalog.catalog import Catalog
from scheduler.dispatch.port import Dispatch
from scheduler.identity.caller import ChangeSource
from scheduler.stores.runs.repository import RunRecord, Runs, RunState

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5
"""Seconds between two reads of the run."""


class RunStarter:
    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        dispatch: Dispatch,
        clock: Clock,
        preload_check: Callable[[Target], None] = lambda target: None,
        on_requested: Callable[[Ticket, str], None] = lambda ticket, trace_parent: None,
    ) -> None:
        """`on_requested` gets the ticket and the `traceparent` header of a request that is part of a trace.

        `preload_check` imports the modules of a target's check before the run is due, so that it is not late.
        """
        self._preload_check = preload_check
        self._on_requested = on_requested
        self._catalog = catalog
        self._runs = runs
        self._dispatch = dispatch
        self._clock = clock
        self._stopping = asyncio.Event()

    async def run_now(self, name: str, *, source: ChangeSource, trace_parent: str = "") -> RunRecord:
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
        record = await self._runs.enqueue(ticket)
        log_change(f"run {ticket.id} was queued", source)
        if trace_parent:
            self._on_requested(ticket, trace_parent)
        await self._dispatch.send([ticket])
        return record

    async def wait_until_finished(self, run_id: str, seconds: float) -> RunRecord | None:
        """Return the run once it finishes, after `seconds`, or when the program stops; None if there is no such run."""
        end = self._clock.monotonic() + seconds
        pause = _FIRST_PAUSE
        while True:
            record = await self._runs.find(run_id)
            left = end - self._clock.monotonic()
            if record is None or record.state is RunState.FINISHED or left <= 0 or self._stopping.is_set():
                return record
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause, left)):
                    await self._stopping.wait()
            pause = min(_LONGEST_PAUSE, pause * 1.5)

    def stop_waiting(self) -> None:
        """Return all waits, because the program stops."""
        self._stopping.set()
