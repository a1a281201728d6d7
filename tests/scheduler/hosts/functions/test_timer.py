"""What the Functions host's timer does, on virtual time: planning ahead, what may be lost, tidying up."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import NoReturn

import pytest

from jobs.running.run_factories import skipped_run
from jobs.runs import Outcome
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import JobSnapshot
from scheduler.dispatch.batches import TicketBatch, encode_batch
from scheduler.dispatch.port import DispatchError
from scheduler.hosts.functions.timer import PLANNING_HORIZON, PRUNE_TIMEOUT
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.runs.repository import Claim
from scheduler.stores.schedules import PLANNED_UNTIL_CURSOR
from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import START, WorkerHarness, entry
from tests.scheduler.functions_harness import FunctionsHarness
from tests.scheduler.stores.memory import MemoryData


async def unavailable(*_: object) -> NoReturn:
    raise StoreUnavailable("the store is away")


@virtual_time
async def test_a_tick_plans_until_a_little_after_the_next_one() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="*/30 * * * * *")]))
    start = functions.shop.clock.now()

    assert await functions.ticks.plan_ahead() == 2

    (tickets, _), *_ = functions.dispatch.sent
    assert [ticket.due_at - start for ticket in tickets] == [timedelta(seconds=30), timedelta(seconds=60)]
    assert await functions.shop.cursors.read(PLANNED_UNTIL_CURSOR) == start + PLANNING_HORIZON


@virtual_time
async def test_one_tick_after_the_other_plans_every_instant_once() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="every 7s")]))

    for _ in range(5):
        await functions.ticks.plan_ahead()
        await asyncio.sleep(60)

    assert len(functions.planned) == len(set(functions.planned)) == (4 * 60 + 75) // 7


@virtual_time
async def test_a_tick_that_could_not_send_is_made_up_for_by_the_next_one() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="every 20s")]))
    functions.dispatch.fails = DispatchError("the queue is away")
    with pytest.raises(DispatchError):
        await functions.ticks.plan_ahead()
    functions.dispatch.fails = None

    assert await functions.ticks.plan_ahead() == 3


def seconds(functions: FunctionsHarness, job: str) -> list[float]:
    """When the job's planned tickets are due, after the start."""
    tickets = [ticket for sent, _ in functions.dispatch.sent for ticket in sent if ticket.job == job]
    return [(ticket.due_at - START).total_seconds() for ticket in tickets]


@virtual_time
async def test_a_job_that_changes_between_two_ticks_is_planned_from_then_on_without_a_gap() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry("a", "every 20s"), entry("b", "every 30s")]))
    await functions.ticks.plan_ahead()
    await asyncio.sleep(60)
    functions.dispatch.sent.clear()

    functions.shop.catalog.replace(
        JobSnapshot([entry("a", "every 5s"), entry("b", "every 30s"), entry("c", "every 10s")])
    )
    await functions.ticks.plan_ahead()

    assert seconds(functions, "a") == list(range(65, 140, 5))
    assert seconds(functions, "b") == [90, 120]
    assert seconds(functions, "c") == list(range(70, 140, 10))


@virtual_time
async def test_what_a_tick_could_not_send_of_a_new_job_is_made_up_for_by_the_next_one() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[]))
    await functions.ticks.plan_ahead()
    await asyncio.sleep(60)
    functions.shop.catalog.replace(JobSnapshot([entry("a", "every 5s")]))
    functions.dispatch.fails = DispatchError("the queue is away")
    with pytest.raises(DispatchError):
        await functions.ticks.plan_ahead()
    functions.dispatch.fails = None
    await asyncio.sleep(30)

    await functions.ticks.plan_ahead()

    assert seconds(functions, "a") == list(range(65, 170, 5))


@virtual_time
async def test_another_instance_plans_a_change_that_one_has_planned_no_second_time() -> None:
    data = MemoryData()
    changed = JobSnapshot([entry("a", "every 5s")])
    one, other = (FunctionsHarness(WorkerHarness(jobs=[entry("a", "every 20s")], data=data)) for _ in range(2))
    for functions in (one, other):
        await functions.ticks.plan_ahead()
    for functions in (one, other):
        await asyncio.sleep(60)
        functions.shop.catalog.replace(changed)
        await functions.ticks.plan_ahead()

    assert seconds(one, "a") == [20, 40, 60, *range(65, 140, 5)]
    assert seconds(other, "a") == list(range(140, 200, 5))


@virtual_time
async def test_after_a_long_silence_the_last_minute_is_made_up_for_and_the_rest_skipped_with_the_reason() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="every 30s")]))
    await functions.ticks.plan_ahead()
    await asyncio.sleep(3600)
    functions.dispatch.sent.clear()

    await functions.ticks.plan_ahead()

    assert len(functions.planned) == 5  # -60 s, -30 s, now, +30 s, +60 s
    (skipped,) = [event.run for event in functions.shop.heard.finished]
    assert (skipped.outcome, skipped.due_at) == (Outcome.SKIPPED, functions.shop.clock.now() - timedelta(seconds=90))
    assert "catch_up: none" in skipped.message


@virtual_time
async def test_after_a_long_silence_a_minutely_job_that_catches_up_by_last_runs_once_until_now() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="every 1m", catch_up={"policy": "last"})]))
    await functions.ticks.plan_ahead()
    await asyncio.sleep(3620)
    functions.dispatch.sent.clear()

    await functions.ticks.plan_ahead()

    now = functions.shop.clock.now()
    assert seconds(functions, "checkout") == [3600, 3660]
    (skipped,) = [event.run for event in functions.shop.heard.finished]
    assert (skipped.outcome, skipped.due_at) == (Outcome.SKIPPED, now - timedelta(seconds=80))
    assert "catch_up: last" in skipped.message


@virtual_time
async def test_what_fell_due_since_a_first_tick_that_was_cut_short_is_skipped_with_the_reason() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="every 30s")]))
    start = functions.shop.clock.now()
    functions.dispatch.fails = DispatchError("the queue is away")
    with pytest.raises(DispatchError):
        await functions.ticks.plan_ahead()
    functions.dispatch.fails = None
    await asyncio.sleep(600)

    await functions.ticks.plan_ahead()

    (skipped,) = [event.run for event in functions.shop.heard.finished]
    assert skipped.due_at == start + timedelta(seconds=510)
    assert "since 2026-03-01 12:00:30Z" in skipped.message


@virtual_time
async def test_what_is_skipped_is_recorded_though_a_tick_that_was_cut_short_had_the_last_of_it_run() -> None:
    shop = WorkerHarness(jobs=[entry(schedule="every 30s")])
    functions = FunctionsHarness(shop)
    await functions.ticks.plan_ahead()
    await asyncio.sleep(3600)
    functions.dispatch.sent.clear()
    shop.runs.insert_finished = unavailable  # type: ignore[method-assign, assignment]  # the store goes away after the tickets are sent
    with pytest.raises(StoreUnavailable):
        await functions.ticks.plan_ahead()
    del shop.runs.insert_finished
    ((sent, _),) = functions.dispatch.sent
    await functions.work.perform_batch(encode_batch(TicketBatch(sent)))
    await asyncio.sleep(60)
    shop.heard.finished.clear()

    await functions.ticks.plan_ahead()

    (skipped,) = [event.run for event in shop.heard.finished]
    assert skipped.due_at == sent[0].due_at - timedelta(seconds=30)
    assert "since 2026-03-01 12:01:30Z" in skipped.message


@virtual_time
@pytest.mark.parametrize("changes", range(2))
async def test_a_tick_that_is_cut_short_while_it_skips_leaves_no_run_that_is_never_finished(changes: int) -> None:
    data = MemoryData()
    first = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="every 30s")], data=data))
    await first.ticks.plan_ahead()
    await asyncio.sleep(3600)
    first.shop.store.breaks_after = changes
    with suppress(StoreUnavailable):
        await first.ticks.plan_ahead()
    await asyncio.sleep(60)

    second = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="every 30s")], data=data))
    await second.ticks.plan_ahead()

    assert await second.shop.runs.list_unfinished() == []
    assert [event.run.outcome for event in second.shop.heard.finished] == [Outcome.SKIPPED]


@virtual_time
async def test_what_a_job_catches_up_is_sent_and_performed_one_after_the_other() -> None:
    shop = WorkerHarness(
        Hang("body", 4.0), jobs=[entry(schedule="0 */10 * * * *", catch_up={"policy": "all", "within": "1h"})]
    )
    functions = FunctionsHarness(shop)
    await functions.ticks.plan_ahead()
    await asyncio.sleep(3601)
    functions.dispatch.sent.clear()
    await functions.ticks.plan_ahead()
    ((tickets, _),) = functions.dispatch.sent

    await functions.work.perform_batch(encode_batch(TicketBatch(tickets)))

    assert len(tickets) == 6
    assert [event.run.outcome for event in shop.heard.finished] == [Outcome.SUCCEEDED] * 6


@virtual_time
async def test_a_changed_schedule_does_not_fire_for_the_past() -> None:
    data = MemoryData()
    before = FunctionsHarness(
        WorkerHarness(jobs=[entry(schedule="0 0 * * * *", catch_up={"policy": "all"})], data=data)
    )
    await before.ticks.plan_ahead()
    await asyncio.sleep(1830)
    after = FunctionsHarness(
        WorkerHarness(jobs=[entry(schedule="0 */5 * * * *", catch_up={"policy": "all"})], data=data)
    )

    await after.ticks.plan_ahead()

    assert after.planned == []
    assert after.shop.heard.finished == []


@virtual_time
async def test_instances_that_tick_in_turn_plan_every_instant_once() -> None:
    data = MemoryData()
    jobs = [entry("a", "every 7s"), entry("b", "every 40s offset 20s")]
    instances = [FunctionsHarness(WorkerHarness(jobs=jobs, data=data)) for _ in range(3)]

    for number in range(9):
        # The first one goes on after it was away for some ticks, and the third one comes late.
        await instances[(0, 1, 1, 0, 2, 0, 1, 2, 2)[number]].ticks.plan_ahead()
        await asyncio.sleep(60)

    planned = [run_id for functions in instances for run_id in functions.planned]
    assert len(planned) == len(set(planned)) == 555 // 7 + 535 // 40 + 1


@virtual_time
async def test_a_clock_that_was_far_ahead_keeps_nothing_from_being_planned_once_it_is_put_back() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="every 30s")]))
    start = functions.shop.clock.now()
    await functions.ticks.plan_ahead()
    right = functions.shop.clock.now
    functions.shop.clock.now = lambda: right() + timedelta(days=300)  # type: ignore[method-assign]  # a clock that is wrong
    await functions.ticks.plan_ahead()
    functions.shop.clock.now = right  # type: ignore[method-assign]  # and is put right
    functions.dispatch.sent.clear()
    await asyncio.sleep(60)

    for _ in range(2):
        await functions.ticks.plan_ahead()
        await asyncio.sleep(60)

    assert len(functions.planned) == len(set(functions.planned))
    due = [ticket.due_at for tickets, _ in functions.dispatch.sent for ticket in tickets]
    assert (due[0], due[-1]) == (start + timedelta(seconds=30), start + timedelta(seconds=180))
    assert await functions.shop.cursors.read(PLANNED_UNTIL_CURSOR) == start + timedelta(seconds=120) + PLANNING_HORIZON


@virtual_time
async def test_an_idle_tick_sends_nothing() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="0 0 3 1 1 *")]))

    assert await functions.ticks.plan_ahead() == 0
    assert functions.dispatch.sent == []


@virtual_time
async def test_a_run_that_stays_queued_is_sent_again_once() -> None:
    shop = WorkerHarness()
    functions = FunctionsHarness(shop)
    lost = shop.ticket()
    await shop.runs.enqueue(lost)
    sent = []

    for _ in range(5):
        sent.append(await functions.ticks.resend_stranded())
        await asyncio.sleep(60)

    assert sent == [0, 0, 1, 0, 0]
    assert functions.dispatch.sent == [((lost,), None)]


@virtual_time
async def test_a_run_whose_lease_has_ended_is_sent_again_where_no_tick_has_checked_it() -> None:
    """A store that was restored has neither the process nor the queue of the run."""
    shop = WorkerHarness()
    functions = FunctionsHarness(shop)
    now = shop.clock.now()
    dead, alive = shop.ticket(-600), shop.ticket(-300)
    await shop.runs.claim(dead, "another", now - timedelta(seconds=500), now)
    await shop.runs.claim(alive, "another", now + timedelta(seconds=500), now)

    assert await functions.ticks.resend_stranded() == 1
    assert functions.dispatch.sent == [((dead,), None)]


@virtual_time
async def test_a_run_that_could_not_be_sent_again_is_tried_by_the_next_tick() -> None:
    shop = WorkerHarness()
    functions = FunctionsHarness(shop)
    await shop.runs.enqueue(shop.ticket(-180))
    functions.dispatch.fails = DispatchError("the queue is away")
    with pytest.raises(DispatchError):
        await functions.ticks.resend_stranded()
    functions.dispatch.fails = None

    assert await functions.ticks.resend_stranded() == 1


@virtual_time
async def test_a_run_in_work_is_not_sent_again() -> None:
    shop = WorkerHarness(Hang("body", 300.0), jobs=[entry(timeout={"run": "400s", "attempt": "300s"})])
    functions = FunctionsHarness(shop)
    ticket = shop.ticket()
    await shop.runs.enqueue(ticket)
    shop.worker.submit(ticket)
    await asyncio.sleep(200)

    assert await functions.ticks.resend_stranded() == 0
    await shop.worker.drain(300)


@virtual_time
async def test_a_run_that_was_not_followed_up_is_followed_up_by_a_later_tick() -> None:
    shop = WorkerHarness(jobs=[entry("root"), entry("load", None, depends_on=["root"])])
    functions = FunctionsHarness(shop)
    ticket = shop.ticket(job="root")
    claim = await shop.runs.claim(ticket, "died", shop.clock.now(), shop.clock.now())
    assert isinstance(claim, Claim)
    paused = Reason(ReasonCode.JOB_PAUSED, "it is paused")
    await shop.runs.finish(claim, skipped_run(None, ticket, shop.clock, paused), acknowledged=False)
    reported = []

    for _ in range(5):
        reported.append(await functions.ticks.publish_unacknowledged())
        await asyncio.sleep(60)

    assert reported == [0, 0, 1, 0, 0]
    (record,) = (await shop.runs.list_page(job="load")).records
    assert record.run is not None
    assert record.run.message.endswith("was skipped: it is paused")


@virtual_time
async def test_old_runs_are_removed_every_hour() -> None:
    shop = WorkerHarness()
    functions = FunctionsHarness(shop)
    days = 86_400.0

    async def left_after(hours: float) -> int:
        await asyncio.sleep(hours * 3600)
        await functions.ticks.prune(days, 1000)
        return len((await shop.runs.list_page()).records)

    assert await left_after(0) == 0
    for seconds in (-2 * days, -30):
        await shop.worker.execute(shop.ticket(seconds))

    assert [await left_after(0.5), await left_after(0.5), await left_after(24)] == [2, 1, 0]


@virtual_time
async def test_a_tick_spends_little_time_on_old_runs_and_the_next_one_continues() -> None:
    functions = FunctionsHarness(WorkerHarness())
    started = []

    async def endless(*_: object) -> int:
        started.append(functions.shop.clock.now())
        await asyncio.sleep(3600)
        return 0

    functions.shop.runs.prune = endless  # type: ignore[method-assign, assignment]  # stands in for very many old runs
    for _ in range(2):
        await functions.ticks.prune(1.0, 1)

    assert started[1] - started[0] == timedelta(seconds=PRUNE_TIMEOUT)
