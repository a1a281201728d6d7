"""What health says of the store by what claims and results meet, and by a check of its file."""

from __future__ import annotations

from datetime import timedelta

from jobs.runs import Ticket
from scheduler.health import PartHealth, Status
from scheduler.probes import store_health
from scheduler.stores.port import StoreDamaged, StoreUnavailable
from scheduler.watchdog import Noted, StoreTrouble, Watchdog, WatchedRuns
from scheduler.watchdog.trouble import REMEMBERED
from scheduler.watchdog.watching import STORE_IS_DOWN
from tests.scheduler.fakes import Shop, VirtualClock
from tests.scheduler.stores.memory import MemoryStore

FULL = StoreUnavailable("disk is full")
DAMAGED = StoreDamaged("page 7 is damaged")
WELL = PartHealth("store", Status.OK)


async def part(trouble: StoreTrouble, damage: str = "") -> PartHealth:
    (found,) = await store_health(MemoryStore(), "the disk", trouble, lambda: damage)()
    return found


async def test_the_store_is_down_while_claims_or_results_fail_whatever_a_ping_says() -> None:
    clock = VirtualClock()
    trouble = StoreTrouble(clock.monotonic)

    before = await part(trouble)
    trouble.note([None, FULL])
    meanwhile = await part(trouble)
    clock.move(REMEMBERED)

    assert (before, meanwhile, await part(trouble)) == (WELL, PartHealth("store", Status.DOWN, "disk is full"), WELL)


async def test_a_disk_that_has_room_again_is_well_at_once() -> None:
    trouble = StoreTrouble(VirtualClock().monotonic)
    trouble.note([FULL])
    trouble.note([None])

    assert await part(trouble) == WELL


async def test_a_damaged_store_is_not_well_because_one_claim_succeeds() -> None:
    clock = VirtualClock()
    trouble = StoreTrouble(clock.monotonic)
    trouble.note([DAMAGED])
    trouble.note([None])

    assert await part(trouble) == PartHealth("store", Status.DOWN, "page 7 is damaged")


async def test_damage_that_no_claim_meets_degrades_the_store() -> None:
    trouble = StoreTrouble(VirtualClock().monotonic)

    assert await part(trouble, "page 7 is damaged") == PartHealth("store", Status.DEGRADED, "page 7 is damaged")


async def test_claims_and_results_that_fail_are_noted() -> None:
    shop = Shop()
    trouble = StoreTrouble(shop.clock.monotonic)
    runs = WatchedRuns(shop.store, Noted(shop.clock), shop.clock.monotonic, trouble=trouble)
    ticket, now = shop.ticket(), shop.clock.now()

    shop.store.breaks_after = 0
    await runs.claim_all([(ticket, now + timedelta(minutes=1))], "me", now)
    failed = trouble.error
    shop.store.breaks_after = None
    await runs.claim_all([(ticket, now + timedelta(minutes=1))], "me", now)

    assert str(failed) == "the store is away"
    assert trouble.error is None


async def test_while_the_store_takes_no_claims_the_queue_does_not_blame_targets() -> None:
    clock = VirtualClock()
    trouble, noted = StoreTrouble(clock.monotonic), Noted(clock)
    shop = Shop()
    watchdog = Watchdog(_NoJobs(), noted, shop.store, _Silent(), clock, trouble=trouble)  # type: ignore[arg-type]  # fakes
    noted.taken(Ticket.scheduled("checkout", clock.now(), ""))
    clock.move(100)
    trouble.note([DAMAGED])
    parts = {each.name: each for each in await watchdog.health()}

    assert parts["queue"] == PartHealth("queue", Status.DEGRADED, STORE_IS_DOWN)


class _NoJobs:
    async def look(self, most: int) -> None:
        """Nothing is looked at."""


class _Silent:
    def gauges(self, values: object) -> None:
        """Nobody hears of it."""

    def watchdog(self, part: str, message: str, *, well: bool) -> None:
        """Nobody hears of it."""
