"""What health says of the store by what claims and results meet, and by a check of its file."""

from __future__ import annotations

from datetime import timedelta

from jobs.runs import Ticket
from scheduler.app.health_probes import store_probe
from scheduler.health import HealthStatus, PartHealth
from scheduler.stores.port import StoreDamaged, StoreUnavailable
from scheduler.watchdog import RunActivity, StoreFailures, TrackedRuns, Watchdog
from scheduler.watchdog.job_watch import FAILURE_REMEMBERED_S
from scheduler.watchdog.watchdog import STORE_UNAVAILABLE_MESSAGE
from tests.scheduler.fakes import VirtualClock, WorkerHarness
from tests.scheduler.stores.memory import MemoryStore

FULL = StoreUnavailable("disk is full")
DAMAGED = StoreDamaged("page 7 is damaged")
WELL = PartHealth("store", HealthStatus.OK)


async def part(trouble: StoreFailures, damage: str = "") -> PartHealth:
    (found,) = await store_probe(MemoryStore(), "the disk", trouble, lambda: damage)()
    return found


async def test_the_store_is_down_while_claims_or_results_fail_whatever_a_ping_reports() -> None:
    clock = VirtualClock()
    trouble = StoreFailures(clock.monotonic)

    before = await part(trouble)
    trouble.record([None, FULL])
    meanwhile = await part(trouble)
    clock.move(FAILURE_REMEMBERED_S)

    assert (before, meanwhile, await part(trouble)) == (
        WELL,
        PartHealth("store", HealthStatus.DOWN, "disk is full"),
        WELL,
    )


async def test_a_disk_that_has_room_again_is_well_at_once() -> None:
    trouble = StoreFailures(VirtualClock().monotonic)
    trouble.record([FULL])
    trouble.record([None])

    assert await part(trouble) == WELL


async def test_a_damaged_store_is_not_well_because_one_claim_succeeds() -> None:
    clock = VirtualClock()
    trouble = StoreFailures(clock.monotonic)
    trouble.record([DAMAGED])
    trouble.record([None])

    assert await part(trouble) == PartHealth("store", HealthStatus.DOWN, "page 7 is damaged")


async def test_damage_that_no_claim_meets_degrades_the_store() -> None:
    trouble = StoreFailures(VirtualClock().monotonic)

    assert await part(trouble, "page 7 is damaged") == PartHealth("store", HealthStatus.DEGRADED, "page 7 is damaged")


async def test_claims_and_results_that_fail_are_recorded() -> None:
    harness = WorkerHarness()
    trouble = StoreFailures(harness.clock.monotonic)
    runs = TrackedRuns(harness.store, RunActivity(harness.clock), harness.clock.monotonic, failures=trouble)
    ticket, now = harness.ticket(), harness.clock.now()

    harness.store.breaks_after = 0
    await runs.claim_all([(ticket, now + timedelta(minutes=1))], "me", now)
    failed = trouble.recent_error
    harness.store.breaks_after = None
    await runs.claim_all([(ticket, now + timedelta(minutes=1))], "me", now)

    assert str(failed) == "the store is away"
    assert trouble.recent_error is None


async def test_while_the_store_takes_no_claims_the_queue_does_not_blame_targets() -> None:
    clock = VirtualClock()
    trouble, activity = StoreFailures(clock.monotonic), RunActivity(clock)
    harness = WorkerHarness()
    watchdog = Watchdog(_NoJobs(), activity, harness.store, _Silent(), clock, failures=trouble)  # type: ignore[arg-type]  # fakes
    activity.mark_submitted(Ticket.scheduled("checkout", clock.now(), ""))
    clock.move(100)
    trouble.record([DAMAGED])
    parts = {each.name: each for each in await watchdog.health()}

    assert parts["queue"] == PartHealth("queue", HealthStatus.DEGRADED, STORE_UNAVAILABLE_MESSAGE)


class _NoJobs:
    async def check_jobs(self, max_reads: int) -> None:
        """Judge no job."""


class _Silent:
    def gauges(self, values: object) -> None:
        """Nobody hears of it."""

    def watchdog(self, part: str, message: str, *, well: bool) -> None:
        """Nobody hears of it."""
