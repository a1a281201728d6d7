"""Records the result of a ticket, publishes it and starts its dependents.

Called by scheduler.worker.execution.
"""

from __future__ import annotations

import math

from jobs.runs import Outcome, Run, Trigger
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates.open_runs_cache import KEYS_VALID_S
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.runs.repository import AlreadyClaimed, RunResult
from scheduler.worker.claims.ticket_claim import TicketClaim
from scheduler.worker.results.ticket_result import TicketResult
from scheduler.worker.worker_dependencies import WorkerDependencies

STORE_WRITE_TIME = 0.5
"""Seconds for the store to write results."""
MIN_RESULT_DELAY = 0.1
"""Seconds that a result waits for others even if the next run is close: late runs of many jobs end together."""


class ResultFinisher:
    def __init__(self, dependencies: WorkerDependencies) -> None:
        self._dependencies = dependencies

    async def finish(
        self, claim: TicketClaim, entry: CatalogJob | None, run: Run, letter: DeadLetter | None
    ) -> AlreadyClaimed | None:
        """Record the run, claimed or not, then publish it. Returns AlreadyClaimed if another owner has it.

        Raises:
            NotRecorded, StoreError, DispatchError: see TicketExecutor.execute.
        """
        claim.mark_used()
        is_acknowledged = self._dependencies.publisher.is_acknowledged_on_finish(run.job)
        if (
            not claim.is_claimed
            and is_acknowledged
            and await self._dependencies.runs.insert_finished(claim.ticket, run) is None
        ):
            await self._dependencies.publisher.publish(run)
            return None
        if not claim.is_claimed:
            if (held := await claim.ensure()) is not None:
                return held
            if entry is not None and claim.must_not_run(entry.job):
                interrupted = TicketResult.interrupted(claim.ticket, entry.job, self._dependencies.clock)
                run, letter = interrupted.run or run, interrupted.letter
        await self._finish_claimed(claim, entry, run, letter, is_acknowledged=is_acknowledged)
        return None

    async def _finish_claimed(
        self,
        claim: TicketClaim,
        entry: CatalogJob | None,
        run: Run,
        letter: DeadLetter | None,
        *,
        is_acknowledged: bool,
    ) -> None:
        parts = self._dependencies
        end = RunResult(claim.current(), run, is_acknowledged)
        if not await parts.recorder.record(end, letter, max_delay=self._max_delay(run, entry)):
            return
        if claim.is_recovered and letter is None and entry is not None and entry.job.dead_letter:
            await parts.recorder.discard_dead_letter(DeadLetter.id_for_run(run))
        claim.forget()  # its lease is not renewed while the run is published
        await parts.publisher.publish(run, letter)
        await parts.registry.clear_cancellation(run.id)

    def _max_delay(self, run: Run, entry: CatalogJob | None) -> float:
        """Return the seconds for which the result may wait for others.

        It is 0 if a caller waits for the result, or if the run could not be repeated should this process die.
        """
        delay = self._dependencies.recorder.max_delay
        if entry is None:
            return delay
        is_requested = run.trigger is not Trigger.SCHEDULE or run.outcome is Outcome.CANCELLED
        if is_requested or entry.job.effect == "once" or self._dependencies.publisher.has_dependents(run.job):
            return 0.0
        if self._dependencies.options.is_only_process:
            return delay
        return min(delay, max(MIN_RESULT_DELAY, self._until_next_read(run, entry)))

    def _until_next_read(self, run: Run, entry: CatalogJob) -> float:
        """Return the seconds until the job's next run, in another process, may read that this one is open."""
        if entry.job.schedule is None or entry.job.overlap == "allow":
            return math.inf
        following = entry.job.schedule.next_after(run.due_at)
        if following is None:
            return math.inf
        return (following - self._dependencies.clock.now()).total_seconds() - KEYS_VALID_S - STORE_WRITE_TIME
