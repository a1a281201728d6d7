"""Leases of claims that this process holds, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Claim, Runs
from scheduler.worker.claims.leases import RunLeases
from tests.jobs.running.virtual_time import LoopClock, virtual_time
from tests.scheduler.fakes import entry
from tests.scheduler.stores.memory import MemoryStore
from tests.scheduler.stores.samples import ticket


class SlowRuns(Runs):
    """Renewing takes a moment. Notes how many claims each request renews."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.renewed: list[int] = []

    async def renew_all(self, claims: Sequence[Claim], lease_until: datetime) -> Sequence[Claim | StoreError]:
        self.renewed.append(len(claims))
        await asyncio.sleep(0.1)
        return await super().renew_all(claims, lease_until)


@virtual_time
async def test_claims_of_runs_that_begin_late_together_are_renewed_together() -> None:
    runs, clock = SlowRuns(), LoopClock()
    leases, job = RunLeases(runs, clock, "me"), entry().job
    now = clock.now()
    ending = [(ticket(f"job-{number}"), now + timedelta(seconds=5)) for number in range(50)]
    claims = [claim for claim in await runs.claim_all(ending, "me", now) if isinstance(claim, Claim)]
    for claim in claims:
        leases.add(claim, job)

    await asyncio.gather(*(leases.ensure_covers_run(claim, job) for claim in claims))

    assert runs.renewed == [1, 49] or runs.renewed == [50]
    assert all(leases.current_claim(claim).lease_until > now + timedelta(seconds=50) for claim in claims)
