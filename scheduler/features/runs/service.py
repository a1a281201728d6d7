"""Starts a run on request, waits for its end, and cancels a queued or running run in any process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from jobs.ports import Clock
from jobs.running.run_factories import cancelled_run
from jobs.runs import Outcome, Ticket
from jobs.targets import Target
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog, Operation
from scheduler.catalog.limited import hide_origin, show_run
from scheduler.dispatch.port import Dispatch
from scheduler.errors import Conflict, NotFound
from scheduler.identity.principal import Caller
from scheduler.stores.gates import Cancellations
from scheduler.stores.runs.repository import Claim, ClaimLost, RunRecord, Runs, RunState
from scheduler.worker.publishing import NotFollowedUp, RunPublisher

_FIRST_PAUSE = 0.02
_MAX_PAUSE = 0.5
"""Seconds between two reads of a run that another process has."""
_LOCAL_RECHECK = 5.0
"""The same for a run of this process, which reports its end: another process may execute it meanwhile."""


class RunStarter(Operation):
    """Queues a run on request, and waits for the end of any run."""

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
                pause = min(_MAX_PAUSE, pause * 1.5)

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


_log = logging.getLogger("scheduler.operations")

CancelLocally = Callable[[str, str], bool]
"""Cancels a run by its id and the source of the request; False if it does not run in this process.

See Worker.cancel.
"""


class RunCanceller(Operation):
    """Cancels a run: in this process, in another one by a request in the store, or by its row if none executes it."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        starter: RunStarter,
        cancellations: Cancellations,
        cancel_locally: CancelLocally,
        publisher: RunPublisher,
        clock: Clock,
        audit: AuditTrail,
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._starter = starter
        self._cancellations = cancellations
        self._cancel_locally = cancel_locally
        self._publisher = publisher
        self._clock = clock
        self._audit = audit

    async def cancel(self, run_id: str, *, caller: Caller, wait: float) -> RunRecord:
        """Cancel a run: a queued one at once; a running one gets up to `wait` seconds to end.

        Returns the run: cancelled, or still running. Another process cancels its run within a few seconds, if the run
        lasts that long.

        Raises:
            NotFound: there is no such run.
            Conflict: the run finished before it could be cancelled.
            StoreError: it is unknown whether the run is cancelled; retry.
        """
        record = await self._get_unfinished(run_id)
        if self._has_no_owner(record):
            done = await self._cancel_unowned(record, caller)
            if done is not None:
                return hide_origin(done, self._catalog)
            record = await self._get_unfinished(run_id)
        async with audited(self._audit, caller, _cancel_change(record, f"run {run_id} is being cancelled")):
            if not self._cancel_locally(run_id, caller.source):
                await self._cancellations.request(run_id, caller.source, self._clock.now())
        return hide_origin(await self._wait_for_end(record, wait), self._catalog)

    async def _get_unfinished(self, run_id: str) -> RunRecord:
        record = await self._runs.find(run_id)
        if show_run(record, self._catalog) is None or record is None:
            raise NotFound(f"there is no run {run_id!r}; it has not started, or the retention has removed it")
        if record.run is not None:
            raise Conflict(f"run {run_id} is already finished: {record.run.outcome}")
        return record

    def _has_no_owner(self, record: RunRecord) -> bool:
        """Whether no process executes the run: it is queued, or its lease has expired."""
        if record.state is RunState.QUEUED:
            return True
        return record.lease_until is not None and record.lease_until <= self._clock.now()

    async def _cancel_unowned(self, record: RunRecord, caller: Caller) -> RunRecord | None:
        """Record the run as cancelled; None if another process claims it meanwhile."""
        ticket, now = record.ticket, self._clock.now()
        entry = self._catalog.find_job(ticket.job)
        run = cancelled_run(entry.job if entry else None, ticket, now, now, cancelled_by=caller.source)
        try:
            # The etag of the row that was read: a claim in between makes this write fail.
            is_acknowledged = self._publisher.is_acknowledged_on_finish(ticket.job)
            async with audited(self._audit, caller, _cancel_change(record, f"run {ticket.id} was cancelled")):
                await self._runs.finish(Claim(ticket, "", now, record.etag), run, acknowledged=is_acknowledged)
        except ClaimLost:
            return None
        try:
            await self._publisher.publish(run)
        except NotFollowedUp as error:
            # The run is finished all the same; recovery starts its dependents later.
            _log.warning("%s", error)
        return await self._runs.find(ticket.id)

    async def _wait_for_end(self, record: RunRecord, wait: float) -> RunRecord:
        run_id = record.ticket.id
        record = await self._starter.wait_until_finished(run_id, wait) or record
        if record.run is None:
            return record
        await self._cancellations.remove(run_id)
        if record.run.outcome is not Outcome.CANCELLED:
            raise Conflict(f"run {run_id} ended before it could be cancelled: {record.run.outcome}")
        return record


def _cancel_change(record: RunRecord, summary: str) -> AuditedChange:
    ticket = record.ticket
    return AuditedChange("run.cancel", ticket.id, summary, (ticket.job,), before={"state": record.state})
