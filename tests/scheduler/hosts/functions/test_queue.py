"""What the Functions host's queue triggers do, on virtual time: batches and burials."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from jobs.runs import ErrorClass, Outcome, Ticket
from scheduler.catalog.catalog import JobSnapshot
from scheduler.dispatch.batches import InvalidBatchMessage, TicketBatch, encode_batch
from scheduler.hosts.functions.queue import (
    LEASE_RESEND_DELAY,
    MIN_FINISHED_FOR_RESEND,
    RELOAD_INTERVAL,
    RESEND_WINDOW,
    UNKNOWN_JOB_RELOAD_INTERVAL,
    LeaseStillHeld,
    QueueHandler,
)
from scheduler.hosts.functions.triggers import as_utc
from scheduler.stores.port import StoreUnavailable
from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import Sent, WorkerHarness, entry
from tests.scheduler.functions_harness import FunctionsHarness
from tests.scheduler.stores.memory import MemoryData


def is_away_for(shop: WorkerHarness, failing: Ticket) -> None:
    """The store takes no claim of this one."""
    claim_all = shop.runs.claim_all

    async def unavailable(expected: list[tuple[Ticket, datetime]], owner: str, now: datetime) -> Sequence[object]:
        answers = iter(await claim_all([one for one in expected if one[0] != failing], owner, now))
        return [StoreUnavailable("the store is away") if ticket == failing else next(answers) for ticket, _ in expected]

    shop.runs.claim_all = unavailable  # type: ignore[method-assign, assignment]  # stands in for a store that goes away


@virtual_time
async def test_each_ticket_of_a_batch_starts_at_its_instant() -> None:
    shop = WorkerHarness(jobs=[entry("a"), entry("b")])
    functions = FunctionsHarness(shop)
    tickets = (shop.ticket(3, "a"), shop.ticket(1.5, "b"))

    await functions.work.perform_batch(encode_batch(TicketBatch(tickets)))

    assert {event.run.job: event.run.lateness_ms for event in shop.heard.finished} == {"a": 0.0, "b": 0.0}


@virtual_time
async def test_a_message_that_waited_on_the_queue_explains_a_late_run() -> None:
    shop = WorkerHarness()
    functions, ticket = FunctionsHarness(shop), shop.ticket()
    await asyncio.sleep(9)

    body = encode_batch(TicketBatch((ticket,)))
    await functions.work.perform_batch(body, sent_at=ticket.due_at + timedelta(seconds=5))

    (run,) = (event.run for event in shop.heard.finished)
    assert [(wait.reason.value, wait.milliseconds) for wait in run.waits] == [("queue", 5000), ("queue", 4000)]
    assert "sent after its instant" in run.waits[0].detail


@pytest.mark.parametrize("zone", [None, UTC], ids=["without an offset", "UTC"])
def test_an_instant_of_the_platform_is_utc(zone: tzinfo | None) -> None:
    assert as_utc(datetime(2026, 3, 1, 12, tzinfo=zone)) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert as_utc(None) is None


@virtual_time
async def test_a_ticket_that_another_owner_holds_is_sent_again_for_the_end_of_that_lease() -> None:
    data = MemoryData()
    other = WorkerHarness(Hang("body", 9.0), data=data, owner="other")
    functions = FunctionsHarness(WorkerHarness(data=data))
    ticket = other.ticket()
    other.worker.submit(ticket)
    await asyncio.sleep(1)

    await functions.work.perform_batch(encode_batch(TicketBatch((ticket,))))

    record = await other.runs.find(ticket.id)
    assert record is not None
    assert functions.dispatch.sent == [((ticket,), record.lease_until)]
    assert functions.shop.check.calls == []
    await other.worker.drain(20)


@virtual_time
async def test_a_ticket_that_is_due_much_later_is_sent_again_and_keeps_no_other_waiting() -> None:
    """The clock of the tick that planned it was ahead."""
    shop = WorkerHarness(jobs=[entry("a"), entry("b")])
    functions = FunctionsHarness(shop)
    later, soon = shop.ticket(300 * 86_400, "a"), shop.ticket(2, "b")

    await functions.work.perform_batch(encode_batch(TicketBatch((later, soon))))

    assert functions.dispatch.sent == [((later,), None)]
    assert [event.run.job for event in shop.heard.finished] == ["b"]
    assert shop.clock.monotonic() < 60


@virtual_time
async def test_a_ticket_that_is_done_is_settled_silently() -> None:
    shop = WorkerHarness()
    functions = FunctionsHarness(shop)
    body = encode_batch(TicketBatch((shop.ticket(),)))
    await functions.work.perform_batch(body)

    await functions.work.perform_batch(body)

    assert (len(shop.check.calls), functions.dispatch.sent) == (1, [])


@virtual_time
async def test_a_run_that_may_be_unpublished_is_published_when_its_message_comes_again() -> None:
    data = MemoryData()
    dead, functions = WorkerHarness(data=data, owner="dead"), FunctionsHarness(WorkerHarness(data=data))
    ticket = dead.ticket()
    await dead.worker.execute(ticket)

    await functions.work.perform_batch(encode_batch(TicketBatch((ticket,))), delivery=2)

    assert [event.run.id for event in functions.shop.heard.finished] == [ticket.id]
    assert functions.shop.check.calls == []


@virtual_time
async def test_a_run_is_reported_when_its_ticket_was_sent_again_for_the_end_of_a_lease() -> None:
    data = MemoryData()
    dead, functions = WorkerHarness(data=data, owner="dead"), FunctionsHarness(WorkerHarness(data=data))
    ticket = dead.ticket()
    await dead.worker.execute(ticket)
    await asyncio.sleep(60)

    await functions.work.perform_batch(encode_batch(TicketBatch((ticket,))))

    assert [event.run.id for event in functions.shop.heard.finished] == [ticket.id]


@virtual_time
async def test_one_ticket_that_cannot_be_claimed_stops_no_other_and_fails_the_message() -> None:
    shop = WorkerHarness(jobs=[entry("a"), entry("b")])
    functions = FunctionsHarness(shop)
    first, second = shop.ticket(0, "a"), shop.ticket(0.5, "b")
    is_away_for(shop, first)
    with pytest.raises(StoreUnavailable):
        await functions.work.perform_batch(encode_batch(TicketBatch((first, second))))

    assert [event.run.job for event in shop.heard.finished] == ["b"]


@virtual_time
async def test_a_few_failures_among_many_are_sent_again_without_the_rest() -> None:
    """With the whole message, every ticket that is done would be claimed in vain."""
    jobs = [entry(f"j{number}") for number in range(MIN_FINISHED_FOR_RESEND + 2)]
    shop = WorkerHarness(jobs=jobs)
    functions = FunctionsHarness(shop)
    tickets = [shop.ticket(0.5, job.job.name) for job in jobs]
    is_away_for(shop, tickets[0])

    await functions.work.perform_batch(encode_batch(TicketBatch(tuple(tickets))))

    ((again, not_before),) = functions.dispatch.sent
    assert again == (tickets[0],)
    assert not_before is not None
    assert 0 < (not_before - tickets[0].due_at).total_seconds() < LEASE_RESEND_DELAY.total_seconds()
    assert len(shop.heard.finished) == MIN_FINISHED_FOR_RESEND + 1


@virtual_time
async def test_what_fails_for_minutes_fails_its_message_which_the_platform_counts() -> None:
    jobs = [entry(f"j{number}") for number in range(MIN_FINISHED_FOR_RESEND + 2)]
    shop = WorkerHarness(jobs=jobs)
    functions = FunctionsHarness(shop)
    late = shop.ticket(-RESEND_WINDOW.total_seconds(), "j0")
    is_away_for(shop, late)

    with pytest.raises(StoreUnavailable):
        await functions.work.perform_batch(
            encode_batch(TicketBatch((late, *(shop.ticket(0.5, job.job.name) for job in jobs[1:]))))
        )

    assert functions.dispatch.sent == []


@virtual_time
async def test_what_another_owner_holds_is_not_sent_again_from_a_message_that_comes_again_anyway() -> None:
    """It would be sent once more with each delivery, and each of these copies the same."""
    data, jobs = MemoryData(), [entry("a"), entry("b")]
    other = WorkerHarness(Hang("body", 9.0), data=data, jobs=jobs, owner="other")
    shop = WorkerHarness(data=data, jobs=jobs)
    functions = FunctionsHarness(shop)
    failing, held = shop.ticket(0, "a"), shop.ticket(0, "b")
    other.worker.submit(held)
    await asyncio.sleep(1)
    is_away_for(shop, failing)
    with pytest.raises(StoreUnavailable):
        await functions.work.perform_batch(encode_batch(TicketBatch((failing, held))))

    assert functions.dispatch.sent == []
    await other.worker.drain(20)


@virtual_time
async def test_a_message_that_is_no_batch_is_refused() -> None:
    with pytest.raises(InvalidBatchMessage):
        await FunctionsHarness(WorkerHarness()).work.perform_batch(b"nonsense")


@virtual_time
async def test_tickets_abandoned_become_dead_letters_and_failed_runs() -> None:
    shop = WorkerHarness()
    functions = FunctionsHarness(shop)
    ticket = shop.ticket(-5)

    await functions.work.dead_letter_poison(encode_batch(TicketBatch((ticket,))).encode())

    (letter,) = await shop.dead_letters.list_letters()
    assert letter.ticket == ticket
    assert letter.definition is not None
    assert letter.definition["name"] == "checkout"
    record = await shop.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    assert (record.run.outcome, record.run.error) == (Outcome.FAILED, ErrorClass.DEAD_LETTERED)
    assert [event.run for event in shop.heard.finished] == [record.run]


@virtual_time
async def test_telemetry_is_notified_of_what_is_abandoned() -> None:
    shop = WorkerHarness()
    ticket = shop.ticket(-5)

    await FunctionsHarness(shop).work.dead_letter_poison(encode_batch(TicketBatch((ticket,))))

    ((reported, reason),) = shop.heard.given_up
    assert reported == ticket
    assert "the maximum number of times" in reason


@virtual_time
async def test_burying_again_adds_nothing() -> None:
    shop = WorkerHarness()
    functions = FunctionsHarness(shop)
    body = encode_batch(TicketBatch((shop.ticket(-5),)))
    given_up_at = shop.clock.now()

    for _ in range(2):
        await functions.work.dead_letter_poison(body, given_up_at)
        await functions.work.dead_letter_poison(b"nonsense", given_up_at)
        await asyncio.sleep(600)

    assert len(await shop.dead_letters.list_letters()) == 2
    # Told again, as the first burial may have died before it did; it is one run.
    assert len({event.run.id for event in shop.heard.finished}) == 1


@virtual_time
async def test_a_run_that_did_finish_is_not_buried() -> None:
    """One ticket of a batch may be why the message came again and again."""
    shop = WorkerHarness()
    functions = FunctionsHarness(shop)
    ticket = shop.ticket()
    await shop.worker.execute(ticket)

    await functions.work.dead_letter_poison(encode_batch(TicketBatch((ticket,))))

    record = await shop.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    assert record.run.outcome is Outcome.SUCCEEDED
    assert await shop.dead_letters.list_letters() == []


@virtual_time
async def test_a_run_whose_owner_s_lease_continues_is_buried_after_it_and_keeps_no_other_waiting() -> None:
    shop = WorkerHarness(jobs=[entry("a"), entry("b")])
    functions = FunctionsHarness(shop)
    held, free = shop.ticket(-5, "a"), shop.ticket(-5, "b")
    await shop.runs.claim(held, "dead", shop.clock.now() + timedelta(seconds=30), shop.clock.now())
    body = encode_batch(TicketBatch((held, free)))

    with pytest.raises(LeaseStillHeld, match="a@"):
        await functions.work.dead_letter_poison(body)
    assert [letter.ticket for letter in await shop.dead_letters.list_letters()] == [free]

    await asyncio.sleep(31)
    await functions.work.dead_letter_poison(body)
    assert {letter.ticket for letter in await shop.dead_letters.list_letters()} == {held, free}


@virtual_time
async def test_a_poison_message_that_is_no_batch_is_stored_as_it_came() -> None:
    shop = WorkerHarness()

    await FunctionsHarness(shop).work.dead_letter_poison(b"\xffnonsense")

    (letter,) = await shop.dead_letters.list_letters()
    assert letter.message is not None
    assert "nonsense" in letter.message
    assert "not a batch" in letter.reason


@virtual_time
async def test_a_batch_that_was_planned_by_other_job_files_has_them_checked_again() -> None:
    shop = WorkerHarness(jobs=[entry("a"), entry("b")])
    checked: list[float] = []

    async def look(unless_within: float, patience: float) -> None:
        checked.append(unless_within)
        if unless_within == UNKNOWN_JOB_RELOAD_INTERVAL:
            shop.catalog.replace(JobSnapshot([entry("a"), entry("b"), entry("new")]))

    work = QueueHandler(
        shop.catalog, shop.runs, shop.worker, Sent(), shop.dead_letters, shop.clock, owner="me", reload=look
    )
    known, unknown = shop.ticket(0, "a"), Ticket.scheduled("new", shop.clock.now(), entry("new").generation)

    await work.perform_batch(encode_batch(TicketBatch([known])))
    await work.perform_batch(encode_batch(TicketBatch([unknown])))

    record = await shop.runs.find(unknown.id)
    assert record is not None
    assert record.run is not None
    assert record.run.outcome is Outcome.SUCCEEDED
    assert checked == [RELOAD_INTERVAL, UNKNOWN_JOB_RELOAD_INTERVAL]
