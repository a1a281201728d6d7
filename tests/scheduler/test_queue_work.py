"""What the Functions host's triggers do, on virtual time: planning ahead, batches, burials."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import NoReturn

import pytest

from jobs.runs import ErrorClass, Outcome
from scheduler.dispatch.batches import BadMessage, Batch, encode
from scheduler.dispatch.port import DispatchError
from scheduler.queue_work import HORIZON, PRUNE_PATIENCE, QueueWork, StillHeld
from scheduler.stores.cursors import PLANNED_UNTIL
from scheduler.stores.port import StoreUnavailable
from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import Sent, Shop, entry
from tests.scheduler.stores.memory import MemoryData


class Post:
    """A shop with a queue."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.dispatch = shop, Sent()
        self.work = QueueWork(
            shop.catalog,
            shop.runs,
            shop.worker,
            self.dispatch,
            shop.cursors,
            shop.marks,
            shop.pauses,
            shop.dead_letters,
            shop.heard,
            shop.clock,
            owner="burial",
        )

    @property
    def planned(self) -> list[str]:
        return [ticket.id for tickets, _ in self.dispatch.sent for ticket in tickets]


async def away(*_: object) -> NoReturn:
    raise StoreUnavailable("the store is away")


@virtual_time
async def test_a_tick_plans_until_a_little_after_the_next_one() -> None:
    post = Post(Shop(jobs=[entry(schedule="*/30 * * * * *")]))
    start = post.shop.clock.now()

    assert await post.work.plan_ahead() == 2

    (tickets, _), *_ = post.dispatch.sent
    assert [ticket.due_at - start for ticket in tickets] == [timedelta(seconds=30), timedelta(seconds=60)]
    assert await post.shop.cursors.get(PLANNED_UNTIL) == start + HORIZON


@virtual_time
async def test_one_tick_after_the_other_plans_every_instant_once() -> None:
    post = Post(Shop(jobs=[entry(schedule="every 7s")]))

    for _ in range(5):
        await post.work.plan_ahead()
        await asyncio.sleep(60)

    assert len(post.planned) == len(set(post.planned)) == (4 * 60 + 75) // 7


@virtual_time
async def test_a_tick_that_could_not_send_is_made_up_for_by_the_next_one() -> None:
    post = Post(Shop(jobs=[entry(schedule="every 20s")]))
    post.dispatch.fails = DispatchError("the queue is away")
    with pytest.raises(DispatchError):
        await post.work.plan_ahead()
    post.dispatch.fails = None

    assert await post.work.plan_ahead() == 3


@virtual_time
async def test_after_a_long_silence_the_last_minute_is_made_up_for_and_the_rest_left_out_with_the_reason() -> None:
    post = Post(Shop(jobs=[entry(schedule="every 30s")]))
    await post.work.plan_ahead()
    await asyncio.sleep(3600)
    post.dispatch.sent.clear()

    await post.work.plan_ahead()

    assert len(post.planned) == 5  # -60 s, -30 s, now, +30 s, +60 s
    (skipped,) = [event.run for event in post.shop.heard.finished]
    assert (skipped.outcome, skipped.due_at) == (Outcome.SKIPPED, post.shop.clock.now() - timedelta(seconds=90))
    assert "catch_up: none" in skipped.message


@virtual_time
async def test_what_fell_due_since_a_first_tick_that_was_cut_short_is_left_out_with_the_reason() -> None:
    post = Post(Shop(jobs=[entry(schedule="every 30s")]))
    start = post.shop.clock.now()
    post.dispatch.fails = DispatchError("the queue is away")
    with pytest.raises(DispatchError):
        await post.work.plan_ahead()
    post.dispatch.fails = None
    await asyncio.sleep(600)

    await post.work.plan_ahead()

    (skipped,) = [event.run for event in post.shop.heard.finished]
    assert skipped.due_at == start + timedelta(seconds=510)
    assert "since 2026-03-01 12:00:30Z" in skipped.message


@virtual_time
async def test_what_is_left_out_is_recorded_though_a_tick_that_was_cut_short_had_the_last_of_it_run() -> None:
    shop = Shop(jobs=[entry(schedule="every 30s")])
    post = Post(shop)
    await post.work.plan_ahead()
    await asyncio.sleep(3600)
    post.dispatch.sent.clear()
    shop.runs.record = away  # type: ignore[method-assign, assignment]  # the store goes away after the tickets are sent
    with pytest.raises(StoreUnavailable):
        await post.work.plan_ahead()
    del shop.runs.record
    ((sent, _),) = post.dispatch.sent
    await post.work.perform_batch(encode(Batch(sent)))
    await asyncio.sleep(60)
    shop.heard.finished.clear()

    await post.work.plan_ahead()

    (skipped,) = [event.run for event in shop.heard.finished]
    assert skipped.due_at == sent[0].due_at - timedelta(seconds=30)
    assert "since 2026-03-01 12:01:30Z" in skipped.message


@virtual_time
@pytest.mark.parametrize("changes", range(1, 6))
async def test_a_tick_that_is_cut_short_while_it_leaves_out_leaves_no_run_that_is_never_finished(changes: int) -> None:
    data = MemoryData()
    first = Post(Shop(jobs=[entry(schedule="every 30s")], data=data))
    await first.work.plan_ahead()
    await asyncio.sleep(3600)
    first.shop.store.breaks_after = changes
    with suppress(StoreUnavailable):
        await first.work.plan_ahead()
    await asyncio.sleep(60)

    second = Post(Shop(jobs=[entry(schedule="every 30s")], data=data))
    await second.work.plan_ahead()

    assert await second.shop.runs.unfinished() == []
    assert [event.run.outcome for event in second.shop.heard.finished] == [Outcome.SKIPPED]


@virtual_time
async def test_what_a_job_catches_up_is_sent_and_performed_one_after_the_other() -> None:
    shop = Shop(Hang("body", 4.0), jobs=[entry(schedule="0 */10 * * * *", catch_up={"policy": "all", "within": "1h"})])
    post = Post(shop)
    await post.work.plan_ahead()
    await asyncio.sleep(3601)
    post.dispatch.sent.clear()
    await post.work.plan_ahead()
    ((tickets, _),) = post.dispatch.sent

    await post.work.perform_batch(encode(Batch(tickets)))

    assert len(tickets) == 6
    assert [event.run.outcome for event in shop.heard.finished] == [Outcome.SUCCEEDED] * 6


@virtual_time
async def test_a_changed_schedule_does_not_fire_for_the_past() -> None:
    data = MemoryData()
    before = Post(Shop(jobs=[entry(schedule="0 0 * * * *", catch_up={"policy": "all"})], data=data))
    await before.work.plan_ahead()
    await asyncio.sleep(1830)
    after = Post(Shop(jobs=[entry(schedule="0 */5 * * * *", catch_up={"policy": "all"})], data=data))

    await after.work.plan_ahead()

    assert after.planned == []
    assert after.shop.heard.finished == []


@virtual_time
async def test_an_idle_tick_sends_nothing() -> None:
    post = Post(Shop(jobs=[entry(schedule="0 0 3 1 1 *")]))

    assert await post.work.plan_ahead() == 0
    assert post.dispatch.sent == []


@virtual_time
async def test_each_ticket_of_a_batch_starts_at_its_instant() -> None:
    shop = Shop(jobs=[entry("a"), entry("b")])
    post = Post(shop)
    tickets = (shop.ticket(3, "a"), shop.ticket(1.5, "b"))

    await post.work.perform_batch(encode(Batch(tickets)))

    assert {event.run.job: event.run.lateness_ms for event in shop.heard.finished} == {"a": 0.0, "b": 0.0}


@virtual_time
async def test_a_ticket_that_another_owner_holds_is_sent_again_for_the_end_of_that_lease() -> None:
    data = MemoryData()
    other = Shop(Hang("body", 9.0), data=data, owner="other")
    post = Post(Shop(data=data))
    ticket = other.ticket()
    other.worker.submit(ticket)
    await asyncio.sleep(1)

    await post.work.perform_batch(encode(Batch((ticket,))))

    record = await other.runs.get(ticket.id)
    assert record is not None
    assert post.dispatch.sent == [((ticket,), record.lease_until)]
    assert post.shop.check.calls == []
    await other.worker.drain(20)


@virtual_time
async def test_a_ticket_that_is_done_is_settled_silently() -> None:
    shop = Shop()
    post = Post(shop)
    body = encode(Batch((shop.ticket(),)))
    await post.work.perform_batch(body)

    await post.work.perform_batch(body)

    assert (len(shop.check.calls), post.dispatch.sent) == (1, [])


@virtual_time
async def test_a_run_whose_owner_may_have_died_before_it_told_anybody_is_told_when_its_message_comes_again() -> None:
    data = MemoryData()
    dead, post = Shop(data=data, owner="dead"), Post(Shop(data=data))
    ticket = dead.ticket()
    await dead.worker.perform(ticket)

    await post.work.perform_batch(encode(Batch((ticket,))), delivery=2)

    assert [event.run.id for event in post.shop.heard.finished] == [ticket.id]
    assert post.shop.check.calls == []


@virtual_time
async def test_a_run_is_told_when_its_ticket_was_sent_again_for_the_end_of_a_lease() -> None:
    data = MemoryData()
    dead, post = Shop(data=data, owner="dead"), Post(Shop(data=data))
    ticket = dead.ticket()
    await dead.worker.perform(ticket)
    await asyncio.sleep(60)

    await post.work.perform_batch(encode(Batch((ticket,))))

    assert [event.run.id for event in post.shop.heard.finished] == [ticket.id]


@virtual_time
async def test_one_ticket_that_cannot_be_claimed_stops_no_other_and_fails_the_message() -> None:
    shop = Shop(jobs=[entry("a"), entry("b")])
    post = Post(shop)
    first, second = shop.ticket(0, "a"), shop.ticket(0.5, "b")
    claim = shop.runs.claim

    async def away_for_a(ticket: object, *rest: object) -> object:
        if ticket == first:
            raise StoreUnavailable("the store is away")
        return await claim(ticket, *rest)  # type: ignore[arg-type]  # handed on as they came

    shop.runs.claim = away_for_a  # type: ignore[method-assign, assignment]  # stands in for a store that goes away
    with pytest.raises(StoreUnavailable):
        await post.work.perform_batch(encode(Batch((first, second))))

    assert [event.run.job for event in shop.heard.finished] == ["b"]


@virtual_time
async def test_a_message_that_is_no_batch_is_refused() -> None:
    with pytest.raises(BadMessage):
        await Post(Shop()).work.perform_batch(b"nonsense")


@virtual_time
async def test_tickets_given_up_become_dead_letters_and_failed_runs() -> None:
    shop = Shop()
    post = Post(shop)
    ticket = shop.ticket(-5)

    await post.work.bury(encode(Batch((ticket,))).encode())

    (letter,) = await shop.dead_letters.list()
    assert letter.ticket == ticket
    assert letter.definition is not None
    assert letter.definition["name"] == "checkout"
    record = await shop.runs.get(ticket.id)
    assert record is not None
    assert record.run is not None
    assert (record.run.outcome, record.run.error) == (Outcome.FAILED, ErrorClass.DEAD_LETTERED)
    assert [event.run for event in shop.heard.finished] == [record.run]


@virtual_time
async def test_telemetry_is_told_of_what_is_given_up() -> None:
    shop = Shop()
    ticket = shop.ticket(-5)

    await Post(shop).work.bury(encode(Batch((ticket,))))

    ((told, reason),) = shop.heard.given_up
    assert told == ticket
    assert "as often as the platform allows" in reason


@virtual_time
async def test_burying_again_adds_nothing() -> None:
    shop = Shop()
    post = Post(shop)
    body = encode(Batch((shop.ticket(-5),)))
    given_up_at = shop.clock.now()

    for _ in range(2):
        await post.work.bury(body, given_up_at)
        await post.work.bury(b"nonsense", given_up_at)
        await asyncio.sleep(600)

    assert len(await shop.dead_letters.list()) == 2
    # Told again, as the first burial may have died before it did; it is one run.
    assert len({event.run.id for event in shop.heard.finished}) == 1


@virtual_time
async def test_a_run_that_did_finish_is_not_buried() -> None:
    """One ticket of a batch may be why the message came again and again."""
    shop = Shop()
    post = Post(shop)
    ticket = shop.ticket()
    await shop.worker.perform(ticket)

    await post.work.bury(encode(Batch((ticket,))))

    record = await shop.runs.get(ticket.id)
    assert record is not None
    assert record.run is not None
    assert record.run.outcome is Outcome.SUCCEEDED
    assert await shop.dead_letters.list() == []


@virtual_time
async def test_a_run_whose_owner_s_lease_goes_on_is_buried_after_it_and_keeps_no_other_waiting() -> None:
    shop = Shop(jobs=[entry("a"), entry("b")])
    post = Post(shop)
    held, free = shop.ticket(-5, "a"), shop.ticket(-5, "b")
    await shop.runs.claim(held, "dead", shop.clock.now() + timedelta(seconds=30), shop.clock.now())
    body = encode(Batch((held, free)))

    with pytest.raises(StillHeld, match="a@"):
        await post.work.bury(body)
    assert [letter.ticket for letter in await shop.dead_letters.list()] == [free]

    await asyncio.sleep(31)
    await post.work.bury(body)
    assert {letter.ticket for letter in await shop.dead_letters.list()} == {held, free}


@virtual_time
async def test_a_poison_message_that_is_no_batch_is_kept_as_it_came() -> None:
    shop = Shop()

    await Post(shop).work.bury(b"\xffnonsense")

    (letter,) = await shop.dead_letters.list()
    assert letter.message is not None
    assert "nonsense" in letter.message
    assert "not a batch" in letter.reason


@virtual_time
async def test_a_run_that_stays_queued_is_sent_again_once() -> None:
    shop = Shop()
    post = Post(shop)
    lost = shop.ticket()
    await shop.runs.enqueue(lost)
    sent = []

    for _ in range(5):
        sent.append(await post.work.send_stranded())
        await asyncio.sleep(60)

    assert sent == [0, 0, 1, 0, 0]
    assert post.dispatch.sent == [((lost,), None)]


@virtual_time
async def test_a_run_that_could_not_be_sent_again_is_tried_by_the_next_tick() -> None:
    shop = Shop()
    post = Post(shop)
    await shop.runs.enqueue(shop.ticket(-180))
    post.dispatch.fails = DispatchError("the queue is away")
    with pytest.raises(DispatchError):
        await post.work.send_stranded()
    post.dispatch.fails = None

    assert await post.work.send_stranded() == 1


@virtual_time
async def test_a_run_in_work_is_not_sent_again() -> None:
    shop = Shop(Hang("body", 300.0), jobs=[entry(timeout={"run": "400s", "attempt": "300s"})])
    post = Post(shop)
    ticket = shop.ticket()
    await shop.runs.enqueue(ticket)
    shop.worker.submit(ticket)
    await asyncio.sleep(200)

    assert await post.work.send_stranded() == 0
    await shop.worker.drain(300)


@virtual_time
async def test_old_runs_are_removed_every_hour() -> None:
    shop = Shop()
    post = Post(shop)
    days = 86_400.0

    async def left_after(hours: float) -> int:
        await asyncio.sleep(hours * 3600)
        await post.work.prune(days, 1000)
        return len((await shop.runs.list()).records)

    assert await left_after(0) == 0
    for seconds in (-2 * days, -30):
        await shop.worker.perform(shop.ticket(seconds))

    assert [await left_after(0.5), await left_after(0.5), await left_after(24)] == [2, 1, 0]


@virtual_time
async def test_a_tick_spends_little_time_on_old_runs_and_the_next_one_goes_on() -> None:
    post = Post(Shop())
    begun = []

    async def endless(*_: object) -> int:
        begun.append(post.shop.clock.now())
        await asyncio.sleep(3600)
        return 0

    post.shop.runs.prune = endless  # type: ignore[method-assign, assignment]  # stands in for very many old runs
    for _ in range(2):
        await post.work.prune(1.0, 1)

    assert begun[1] - begun[0] == timedelta(seconds=PRUNE_PATIENCE)
