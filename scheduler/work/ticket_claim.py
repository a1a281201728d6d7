"""The claim of one ticket that is performed: made when it is needed, released once. Used by performing."""

from __future__ import annotations

from jobs.definition import JobDefinition
from jobs.runs import Ticket
from scheduler.stores.claims import Claim, Held
from scheduler.work.claiming import Claiming
from scheduler.work.leases import Leases


class TicketClaim:
    def __init__(self, ticket: Ticket, claim: Claim | None, claiming: Claiming, leases: Leases) -> None:
        """`claim` None: `ensure` makes one."""
        self.ticket = ticket
        self._claim = claim
        self._claiming = claiming
        self._leases = leases
        self._is_used = False

    @property
    def exists(self) -> bool:
        """Whether the ticket is claimed."""
        return self._claim is not None

    @property
    def is_taken_over(self) -> bool:
        """Whether the run was claimed by a process that died."""
        return self._claim is not None and self._claim.taken_over

    def must_not_run(self, job: JobDefinition) -> bool:
        """Whether a process that died may have executed the run, and the job must not be executed twice."""
        return self.is_taken_over and job.effect == "once"

    def current(self) -> Claim:
        """Return the claim as it was renewed last."""
        assert self._claim is not None, "the ticket is claimed"
        return self._leases.newest(self._claim)

    async def ensure(self) -> Held | None:
        """Claim the ticket, unless it is claimed already. Returns Held if another owner has it. Raises StoreError."""
        if self._claim is None:
            answer = await self._claiming.one(self.ticket)
            if isinstance(answer, Held):
                return answer
            self._claim = answer
        return None

    async def cover(self, job: JobDefinition) -> None:
        """Renew the lease, if there is one, so that it outlasts a run that begins now. Raises ClaimLost, StoreError."""
        if self._claim is not None:
            await self._leases.cover(self._claim, job)

    def use(self) -> None:
        """Do not release the claim: the run begins, or its end is recorded, or another owner has the run."""
        self._is_used = True

    def forget(self) -> None:
        """Renew the lease no longer: the run is over, or not this process's any more."""
        if self._claim is not None:
            self._claiming.let_go(self._claim)

    async def release(self) -> None:
        """Let another process claim the run, unless the claim was used. Raises nothing."""
        if self._claim is not None and not self._is_used:
            self._is_used = True
            await self._claiming.give_back(self._claim)
