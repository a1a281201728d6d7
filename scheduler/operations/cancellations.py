"""Cancels a queued or running run in any process. Called by scheduler.api and the commands."""

from __future__ import annotations

import logging
from collections.abc import Callable

from jobs.ports import Clock
from jobs.running.run_factories import cancelled_run
from jobs.runs import Outcome
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog
from scheduler.catalog.limited import hide_origin, show_run
from scheduler.errors import Conflict, NotFound
from scheduler.identity.principal import Caller
from scheduler.operations.runs import RunStarter
from scheduler.stores.gates import Cancellations
from scheduler.stores.runs.repository import Claim, ClaimLost, RunRecord, Runs, RunState
from scheduler.worker.publishing import NotFollowedUp, RunPublisher

_log = logging.getLogger("scheduler.operations")

CancelLocally = Callable[[str, str], bool]
"""Cancels a run by its id and the source of the request; False if it does not run in this process.

See Worker.cancel.
"""


class RunCanceller:
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
        """Cancel a run: a queued one at once, a running one with a wait of up to `wait` seconds for its end.

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
            settled = self._publisher.is_acknowledged_on_finish(ticket.job)
            async with audited(self._audit, caller, _cancel_change(record, f"run {ticket.id} was cancelled")):
                await self._runs.finish(Claim(ticket, "", now, record.etag), run, acknowledged=settled)
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
