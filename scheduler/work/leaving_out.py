"""Records tickets that are not run, or not any more: missed instants, what was given back, what another process left
behind. Used by the worker."""

from __future__ import annotations

import logging

from jobs.ports import Clock
from jobs.running.verdicts import skipped_run
from jobs.runs import Run, Ticket
from scheduler.catalog import Catalog
from scheduler.planning.left_out import LeftOut
from scheduler.stores.runs import Claim, End, Record, Runs, RunState
from scheduler.work.claiming import Claiming
from scheduler.work.recording import PATIENCE, Recorder
from scheduler.work.store_retry import retry_store
from scheduler.work.telling import Telling

_log = logging.getLogger("scheduler.worker")


class LeavingOut:
    def __init__(
        self, catalog: Catalog, runs: Runs, claiming: Claiming, recorder: Recorder, telling: Telling, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._claiming = claiming
        self._recorder = recorder
        self._telling = telling
        self._clock = clock

    async def skip(self, ticket: Ticket, reason: str) -> bool:
        """Record a ticket that is not run; False if somebody has run it after all, or is at it. Raises StoreError.

        It is not claimed first: a crash in between would leave an interrupted run, which says nothing of the reason.
        """
        entry = self._catalog.find(ticket.job)
        run = skipped_run(entry.job if entry else None, ticket, self._clock, reason)
        there = await self._recorded(ticket, run)
        if there is not None and there.state is RunState.QUEUED:
            return await self._skip_queued(ticket, run)
        if there is not None and (there.run is None or there.run.message != run.message):
            return False
        # If it was there already, whoever recorded it may have died before it told anybody. What follows from it has
        # ids that come from its end, so it is told as history has it.
        await self._telling.tell(run if there is None or there.run is None else there.run)
        return True

    async def leave_out(self, found: LeftOut) -> None:
        """Record missed instants as one skipped run, at the latest of them that has no run yet: a tick that was cut
        short may have run some of them. Raises StoreError."""
        left_out: LeftOut | None = found
        while left_out is not None and not await self.skip(left_out.ticket, left_out.reason):
            left_out = left_out.earlier()
        if left_out is not None:
            _log.warning("run %s is left out: %s", left_out.ticket.id, left_out.reason)

    async def _recorded(self, ticket: Ticket, run: Run) -> Record | None:
        """See Runs.record; over a short absence of the store."""
        return await retry_store(
            lambda: self._runs.record(ticket, run),
            PATIENCE,
            self._clock,
            lambda error: _log.warning("run %s is not recorded yet: %s", run.id, error),
        )

    async def _skip_queued(self, ticket: Ticket, run: Run) -> bool:
        """One that was given back by a process that was told to stop."""
        claim = await self._claiming.one(ticket)
        return isinstance(claim, Claim) and await self.end(claim, run)

    async def end(self, claim: Claim, run: Run) -> bool:
        """Record this as the end of a claimed run; False if somebody else has it by now. Raises StoreError."""
        try:
            end = End(claim, run, self._telling.finishes_settled(run.job))
            recorded = await self._recorder.record(end)
        finally:
            self._claiming.let_go(claim)
        if recorded:
            await self._telling.tell(run)
        return recorded
