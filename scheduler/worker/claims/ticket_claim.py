"""The claim of one ticket: made when it is required, released once. Called by scheduler.worker.execution."""

from __future__ import annotations

from jobs.definition import JobDefinition
from jobs.runs import Ticket
from scheduler.stores.runs.open_runs import AlreadyClaimed, Claim
from scheduler.worker.claims.claimer import TicketClaimer
from scheduler.worker.claims.leases import RunLeases


class TicketClaim:
    def __init__(self, ticket: Ticket, claim: Claim | None, claimer: TicketClaimer, leases: RunLeases) -> None:
        """`claim` None: `ensure` makes one."""
        self.ticket = ticket
        self._claim = claim
        self._claimer = claimer
        self._leases = leases
        self._is_used = False

    @property
    def is_claimed(self) -> bool:
        """Whether the ticket is claimed."""
        return self._claim is not None

    @property
    def is_recovered(self) -> bool:
        """Whether the run was claimed by a process that died."""
        return self._claim is not None and self._claim.is_takeover

    def must_not_run(self, job: JobDefinition) -> bool:
        """Whether a process that died may have executed the run, and the job must not be executed twice."""
        return self.is_recovered and job.effect == "once"

    def current(self) -> Claim:
        """Return the claim as it was renewed last."""
        assert self._claim is not None, "the ticket is claimed"
        return self._leases.current_claim(self._claim)

    async def ensure(self) -> AlreadyClaimed | None:
        """Claim the ticket if it is not claimed. Returns AlreadyClaimed if another owner has it. Raises StoreError."""
        if self._claim is None:
            answer = await self._claimer.claim_with_retry(self.ticket)
            if isinstance(answer, AlreadyClaimed):
                return answer
            self._claim = answer
        return None

    async def ensure_covers_run(self, job: JobDefinition) -> None:
        """Renew the lease, if there is one, so that it covers a run that starts now. Raises ClaimLost, StoreError."""
        if self._claim is not None:
            await self._leases.ensure_covers_run(self._claim, job)

    def may_send(self) -> bool:
        """Return whether the lease lasts for long enough to send a request."""
        return self._leases.may_send(self.ticket.id)

    def mark_used(self) -> None:
        """Do not release the claim: the run starts, or its end is recorded, or another owner has the run."""
        self._is_used = True

    def mark_unused(self) -> None:
        """Release the claim at the end after all: the run did not start."""
        self._is_used = False

    def forget(self) -> None:
        """Stop renewing the lease: the run has finished, or this process does not have it any more."""
        if self._claim is not None:
            self._claimer.forget_claim(self._claim)

    async def release(self) -> None:
        """Stop renewing the lease, and let another process claim the run unless the claim was used. Raises nothing."""
        if self._is_used:
            self.forget()
        elif self._claim is not None:
            self._is_used = True
            await self._claimer.release_claim(self._claim)
