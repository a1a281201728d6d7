"""Records skipped tickets: missed instants, released runs, and runs that another process left open.

Called by scheduler.worker.worker and scheduler.worker.failed_claims.
"""

from __future__ import annotations

import logging

from jobs.running.run_factories import skipped_run
from jobs.runs import Run, Ticket
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.planning.missed_span import MissedSpan
from scheduler.stores.runs.repository import Claim, RunRecord, RunResult, RunState
from scheduler.worker.results.recorder import RECORD_BACKOFF
from scheduler.worker.store_retry import retry_store
from scheduler.worker.worker_dependencies import WorkerDependencies

_log = logging.getLogger("scheduler.worker")

_REASONS_WITHOUT_CLAIM = frozenset({ReasonCode.MISSED, ReasonCode.STORE_UNAVAILABLE})
"""The reasons with which tickets are skipped here: no recovery finds such a run unpublished."""


class SkipRecorder:
    def __init__(self, dependencies: WorkerDependencies) -> None:
        self._catalog, self._runs = dependencies.catalog, dependencies.runs
        self._claimer, self._recorder = dependencies.claimer, dependencies.recorder
        self._publisher, self._clock = dependencies.publisher, dependencies.clock
        self._registry = dependencies.registry

    async def record_skipped(self, ticket: Ticket, reason: Reason) -> bool:
        """Record a ticket as skipped; False if it was run after all, is in-flight, or is skipped with another reason.

        The ticket is not claimed first: after a crash in between, an interrupted run would hide the reason. Raises
        StoreError.
        """
        entry = self._catalog.find_job(ticket.job)
        run = skipped_run(entry.job if entry else None, ticket, self._clock, reason)
        there = await self._insert_finished(ticket, run)
        if there is not None and there.state is RunState.QUEUED:
            return await self._skip_queued(ticket, run)
        stored = run if there is None else there.run
        if stored is None or stored.reason not in _REASONS_WITHOUT_CLAIM:
            return False
        # A process that recorded it before may have died before it published the run; it may have planned a shorter
        # span. The ids of dependent runs are derived from its end, so the stored run is published.
        await self._publisher.publish(stored)
        return stored.message == run.message

    async def record_missed(self, missed: MissedSpan) -> None:
        """Record missed instants as one skipped run, at the latest instant without a run. Raises StoreError.

        An interrupted tick may have run some of them.
        """
        left_out: MissedSpan | None = missed
        while left_out is not None and not await self.record_skipped(left_out.ticket, left_out.reason):
            left_out = left_out.without_last()
        if left_out is not None:
            _log.warning("run %s is skipped: %s", left_out.ticket.id, left_out.reason)

    async def _insert_finished(self, ticket: Ticket, run: Run) -> RunRecord | None:
        """Insert the run, with retries over a short outage of the store. See Runs.insert_finished."""
        return await retry_store(
            lambda: self._runs.insert_finished(ticket, run),
            RECORD_BACKOFF,
            self._clock,
            lambda error: _log.warning("could not record run %s: %s; retrying", run.id, error),
        )

    async def _skip_queued(self, ticket: Ticket, run: Run) -> bool:
        """Skip a run that a stopping process released."""
        claim = await self._claimer.claim_with_retry(ticket)
        return isinstance(claim, Claim) and await self.finish_claimed(claim, run)

    async def finish_claimed(self, claim: Claim, run: Run) -> bool:
        """Record the end of a claimed run; False if another owner has it now. Raises StoreError."""
        try:
            end = RunResult(claim, run, self._publisher.is_acknowledged_on_finish(run.job))
            recorded = await self._recorder.record(end)
        finally:
            self._claimer.forget_claim(claim)
            self._registry.mark_ended(run.id)
        if recorded:
            await self._publisher.publish(run)
        return recorded
