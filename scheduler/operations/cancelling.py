"""Cancelling a run that is queued or running, wherever it runs."""

from __future__ import annotations

import logging
from collections.abc import Callable

from jobs.ports import Clock
from jobs.running.verdicts import cancelled_run
from jobs.runs import Outcome
from scheduler.catalog import Catalog
from scheduler.operations.audit import Way, audit
from scheduler.operations.errors import Conflict, NotThere
from scheduler.operations.running import Running
from scheduler.stores.cancellations import Cancellations
from scheduler.stores.runs import Claim, ClaimLost, Record, Runs, RunState
from scheduler.work.telling import NotFollowedUp, Telling

_log = logging.getLogger("scheduler.operations")

CancelHere = Callable[[str, str], bool]
"""Ends the run of this id, given how it was asked for; False if it does not go on in this process: Worker.cancel."""


class Cancelling:
    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        running: Running,
        cancellations: Cancellations,
        cancel_here: CancelHere,
        telling: Telling,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._running = running
        self._cancellations = cancellations
        self._cancel_here = cancel_here
        self._telling = telling
        self._clock = clock

    async def cancel(self, run_id: str, *, way: Way, wait: float) -> Record:
        """Cancel a run. One that is queued is over at once; one that is running is waited for, `wait` seconds at most.

        Returns the run, cancelled or (if it has not ended yet) running. A run of another process is ended within a few
        seconds, and only if it lasts that long.

        Raises:
            NotThere: there is no such run.
            Conflict: it is finished, or was before it could be cancelled.
            StoreError: the run may or may not be cancelled; ask again.
        """
        record = await self._unfinished(run_id)
        if self._is_nobodys(record):
            done = await self._cancelled_at_once(record, way)
            if done is not None:
                return done
            record = await self._unfinished(run_id)
        if not self._cancel_here(run_id, way):
            await self._cancellations.ask(run_id, way, self._clock.now())
        audit(f"run {run_id} is cancelled", way)
        return await self._ended(record, wait)

    async def _unfinished(self, run_id: str) -> Record:
        record = await self._runs.get(run_id)
        if record is None:
            raise NotThere(f"there is no run {run_id!r}; it may not have begun, or be older than what is kept")
        if record.run is not None:
            raise Conflict(f"run {run_id} is finished already: {record.run.outcome}")
        return record

    def _is_nobodys(self, record: Record) -> bool:
        """Nobody is at it: it waits, or its owner died."""
        if record.state is RunState.QUEUED:
            return True
        return record.lease_until is not None and record.lease_until <= self._clock.now()

    async def _cancelled_at_once(self, record: Record, way: Way) -> Record | None:
        """None if somebody has begun with it in this moment."""
        ticket, now = record.ticket, self._clock.now()
        entry = self._catalog.find(ticket.job)
        run = cancelled_run(entry.job if entry else None, ticket, now, now, asked=way)
        try:
            # The etag of what was read: a claim in between makes this one void.
            settled = self._telling.finishes_settled(ticket.job)
            await self._runs.finish(Claim(ticket, "", now, record.etag), run, settled=settled)
        except ClaimLost:
            return None
        audit(f"run {ticket.id} was cancelled", way)
        try:
            await self._telling.tell(run)
        except NotFollowedUp as error:
            # The run is over all the same, and what follows from it is seen to later.
            _log.warning("%s", error)
        return await self._runs.get(ticket.id)

    async def _ended(self, record: Record, wait: float) -> Record:
        run_id = record.ticket.id
        record = await self._running.wait_finished(run_id, wait) or record
        if record.run is None:
            return record
        await self._cancellations.remove(run_id)
        if record.run.outcome is not Outcome.CANCELLED:
            raise Conflict(f"run {run_id} ended before it could be cancelled: {record.run.outcome}")
        return record
