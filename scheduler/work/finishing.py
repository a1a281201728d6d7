"""Records the result of a ticket, publishes it, and starts what follows from it. Used by performing."""

from __future__ import annotations

import math

from jobs.runs import Outcome, Run, Trigger
from scheduler.catalog import Entry
from scheduler.gates.open_runs import KNOWN_FOR
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.runs import End, Held
from scheduler.work.parts import Parts
from scheduler.work.ticket_claim import TicketClaim
from scheduler.work.ticket_result import TicketResult

WRITTEN_WITHIN = 0.5
"""Seconds for the store to take results."""
LEAST_LINGER = 0.1
"""Seconds that a result waits for others also where the next run looks soon: late runs of many jobs end together."""


class Finishing:
    """`alone`: no other process looks at the store to see whether a run goes on."""

    def __init__(self, parts: Parts, *, alone: bool) -> None:
        self._parts = parts
        self._alone = alone

    async def finish(self, claim: TicketClaim, entry: Entry | None, run: Run, letter: DeadLetter | None) -> Held | None:
        """Record the run, claimed or not, then publish it. Returns Held if another owner has it.

        Raises:
            NotRecorded, StoreError, DispatchError: see Performing.perform.
        """
        claim.use()
        settled = self._parts.telling.finishes_settled(run.job)
        if not claim.exists and settled and await self._parts.runs.record(claim.ticket, run) is None:
            await self._parts.telling.tell(run)
            return None
        if not claim.exists:
            if (held := await claim.ensure()) is not None:
                return held
            if entry is not None and claim.must_not_run(entry.job):
                interrupted = TicketResult.interrupted(claim.ticket, entry.job, self._parts.clock)
                run, letter = interrupted.run or run, interrupted.letter
        await self._finish_claimed(claim, entry, run, letter, settled=settled)
        return None

    async def _finish_claimed(
        self, claim: TicketClaim, entry: Entry | None, run: Run, letter: DeadLetter | None, *, settled: bool
    ) -> None:
        parts = self._parts
        try:
            end = End(claim.current(), run, settled)
            if not await parts.recorder.record(end, letter, within=self._linger(run, entry)):
                return
            if claim.is_taken_over and letter is None and entry is not None and entry.job.dead_letter:
                await parts.recorder.discard_letter(DeadLetter.id_of(run))
        finally:
            claim.forget()
        await parts.telling.tell(run, letter)
        await parts.going.recorded(run.id)

    def _linger(self, run: Run, entry: Entry | None) -> float:
        """Seconds for which the result may wait for others: none if somebody waits for it, or if the run could not be
        repeated should this process die."""
        linger = self._parts.recorder.linger
        if entry is None:
            return linger
        asked_for = run.trigger is not Trigger.SCHEDULE or run.outcome is Outcome.CANCELLED
        if asked_for or entry.job.effect == "once" or self._parts.telling.follows(run.job):
            return 0.0
        return linger if self._alone else min(linger, max(LEAST_LINGER, self._until_next_looks(run, entry)))

    def _until_next_looks(self, run: Run, entry: Entry) -> float:
        """Seconds until the job's next run, in another process, may read that this one is open."""
        if entry.job.schedule is None or entry.job.overlap == "allow":
            return math.inf
        following = entry.job.schedule.next_after(run.due_at)
        if following is None:
            return math.inf
        return (following - self._parts.clock.now()).total_seconds() - KNOWN_FOR - WRITTEN_WITHIN
