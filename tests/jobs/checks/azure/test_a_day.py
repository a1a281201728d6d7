"""500 jobs of one subscription ask Azure for a day: its buckets are never exceeded, and each job is judged in time."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from jobs.checks.azure.budget import AzureBudget
from jobs.checks.azure.client import AzureClient
from jobs.checks.clock import PhaseClock
from jobs.checks.kinds.azure_resource import AzureResourceCheck
from jobs.checks.port import AttemptContext
from jobs.redaction import Redactor
from jobs.runs import Observation, Phases
from jobs.targets import AzureResourceTarget, HttpTarget
from jobs.targets.azure_apis import SUBSCRIPTION_READS
from tests.jobs.running.virtual_time import LoopClock, virtual_time

SUBSCRIPTION = "/subscriptions/00000000-0000-4000-8000-000000000001"
DAY = 86_400.0
_BODY = json.dumps({"value": [{"name": "a"}]}).encode()
_MORE = json.dumps(
    {
        "value": [{"name": "a"}],
        "nextLink": "https://management.azure.com/subscriptions/00000000-0000-4000-8000-000000000001/x?page=2",
    }
).encode()


@dataclass
class Arm:
    """Resource Manager with its bucket of reads, which others use, too. Answers after 200 ms."""

    clock: LoopClock = field(default_factory=LoopClock)
    level: float = SUBSCRIPTION_READS.size
    at: float = 0.0
    lowest: float = SUBSCRIPTION_READS.size
    answered: Counter[int] = field(default_factory=Counter)

    async def observe(self, target: HttpTarget, call: AttemptContext) -> Observation:
        remaining = self.take()
        await self.clock.sleep(0.2)
        headers = {"x-ms-ratelimit-remaining-subscription-reads": str(max(math.floor(remaining), 0))}
        status = 200 if remaining >= 0 else 429
        self.answered[status] += 1
        body = _MORE if "pages" in target.url else _BODY
        return Observation(Phases(), status, headers=headers, body=body)

    def take(self) -> float:
        """Take a token; return how many are left, negative if there was none."""
        now = self.clock.monotonic()
        self.level = min(SUBSCRIPTION_READS.size, self.level + (now - self.at) * SUBSCRIPTION_READS.refill)
        self.at = now
        self.lowest = min(self.lowest, self.level - 1)
        if self.level < 1:
            return -1.0
        self.level -= 1
        return self.level

    async def others(self) -> None:
        """A pipeline of somebody else with the same identity: 60 requests each ten minutes."""
        while True:
            await self.clock.sleep(600)
            for _ in range(40):
                self.take()

    def prepare(self, target: HttpTarget) -> None:
        """Needs nothing."""


@dataclass
class Judged:
    longest_gap: float = 0.0
    """Of its interval."""
    unknown: int = 0
    runs: int = 0


async def run_job(number: int, every: float, check: AzureResourceCheck, clock: LoopClock, judged: Judged) -> None:
    """Run at multiples of the interval, as a schedule without jitter does: all jobs at once."""
    part = "pages" if number % 10 == 0 else "queues"
    target = AzureResourceTarget.model_validate(
        {"kind": "azure_resource", "resource": f"{SUBSCRIPTION}/{part}{number}", "api_version": "2024-01-01"}
    )
    last = 0.0
    due = every
    while due < DAY:
        await clock.sleep(max(due - clock.monotonic(), 0))
        observed = await check.observe(target, AttemptContext("a@1", 1, PhaseClock()))
        judged.runs += 1
        if observed.unknown:
            judged.unknown += 1
        else:
            judged.longest_gap = max(judged.longest_gap, (clock.monotonic() - last) / every)
            last = clock.monotonic()
        due += every


@virtual_time
async def test_500_jobs_stay_within_the_buckets_of_azure_for_a_day_and_are_judged_in_time() -> None:
    clock, arm = LoopClock(), Arm()
    client = AzureClient(arm, AzureBudget(clock.monotonic), Redactor(), clock)
    check = AzureResourceCheck(client, {})
    intervals = [60.0 if number < 40 else 300.0 if number < 400 else 900.0 for number in range(500)]
    found = [Judged() for _ in intervals]
    others = asyncio.create_task(arm.others())
    run = partial(run_job, check=check, clock=clock)
    await asyncio.gather(*(run(number, every, judged=found[number]) for number, every in enumerate(intervals)))
    others.cancel()
    assert sum(judged.runs for judged in found) > 165_000
    assert arm.answered[429] == 0
    assert arm.lowest >= 0
    assert sum(judged.unknown for judged in found) == 0
    assert max(judged.longest_gap for judged in found) < 1.5
