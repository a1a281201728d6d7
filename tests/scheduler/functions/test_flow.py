"""From the tick to recorded runs: Microsoft's worker runs the functions, tables and queue are Azurite's."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.runs import ErrorClass, Outcome, Ticket
from scheduler.dispatch.batches import TicketBatch, decode_batch, encode_batch
from scheduler.hosts.functions.program import load_functions_configuration
from scheduler.hosts.functions.timer import PLANNING_HORIZON
from scheduler.stores.runs.repository import Claim
from scheduler.stores.schedules import PLANNED_UNTIL_CURSOR
from tests.parts.http_target import HttpTarget
from tests.scheduler.functions.hosted import Hosted, write_jobs


@pytest.fixture
async def overdue(hosted: Hosted, jobs: Path, target: HttpTarget) -> datetime:
    """Two jobs that were due two seconds ago and that the last tick, some seconds before, did not plan: the instant."""
    now = datetime.now(UTC)
    due_at = now.replace(microsecond=0) - timedelta(seconds=2)
    schedule = f"{due_at.second} * * * * *"
    write_jobs(
        jobs,
        checkout={"schedule": schedule, "check": {"kind": "http", "url": f"{target.url}/health"}},
        search={"schedule": schedule, "check": {"kind": "http", "url": f"{target.url}/down"}, "retry": {"attempts": 2}},
    )
    schedules = [
        (job.name, job.schedule) for job in load_functions_configuration(os.environ).jobs if job.schedule is not None
    ]
    await hosted.marks.record_all(schedules, now - timedelta(minutes=1))
    await hosted.cursors.advance(PLANNED_UNTIL_CURSOR, now - timedelta(seconds=10))
    return due_at


async def test_a_tick_puts_a_message_a_slice_on_the_queue_hidden_until_shortly_before(hosted: Hosted) -> None:
    before = datetime.now(UTC)

    done = await hosted.worker.timer("tick")

    assert done.failure is None
    planned_until = await hosted.cursors.read(PLANNED_UNTIL_CURSOR)
    assert planned_until is not None
    assert timedelta() <= planned_until - before - PLANNING_HORIZON < timedelta(seconds=10)
    assert await hosted.queue.length() in (3, 4)  # */20 within 75 s
    assert len(await hosted.queue.take()) <= 1


async def test_a_second_tick_plans_only_what_the_first_one_did_not(hosted: Hosted) -> None:
    await hosted.worker.timer("tick")
    first = await hosted.queue.length()

    done = await hosted.worker.timer("tick", past_due=True)

    assert done.failure is None
    assert await hosted.queue.length() in (first, first + 1)  # a slice may have come into the horizon


async def test_a_message_of_the_tick_ends_in_recorded_runs(
    hosted: Hosted, overdue: datetime, target: HttpTarget
) -> None:
    await hosted.worker.timer("tick")

    (done,) = await hosted.deliver()

    assert done.failure is None
    assert await outcomes(hosted) == {"checkout": (Outcome.SUCCEEDED, 1), "search": (Outcome.FAILED, 2)}
    assert {record.ticket.due_at for record in (await hosted.runs.list_page()).records} == {overdue}
    assert len(target.requests) == 3


async def test_a_message_that_comes_twice_runs_its_tickets_once(
    hosted: Hosted, overdue: datetime, target: HttpTarget
) -> None:
    await hosted.worker.timer("tick")
    (message,) = await hosted.queue.take()

    ends = [await hosted.worker.queue("work", message.content, dequeue_count=count) for count in (1, 2)]

    assert [end.failure for end in ends] == [None, None]
    assert len(target.requests) == 3


async def test_a_message_that_was_abandoned_ends_in_dead_letters_and_failed_runs(
    hosted: Hosted, overdue: datetime, target: HttpTarget
) -> None:
    await hosted.worker.timer("tick")
    (message,) = await hosted.queue.take()

    done = await hosted.worker.queue("bury", message.content)
    again = await hosted.worker.queue("bury", message.content)

    assert (done.failure, again.failure) == (None, None)
    letters = await hosted.dead_letters.list_letters()
    assert {letter.ticket for letter in letters} == set(decode_batch(message.content).tickets)
    assert len(letters) == 2
    assert await outcomes(hosted) == {"checkout": (Outcome.FAILED, 0), "search": (Outcome.FAILED, 0)}
    assert {record.run.error for record in (await hosted.runs.list_page()).records if record.run} == {
        ErrorClass.DEAD_LETTERED
    }
    assert target.requests == []


async def test_a_message_that_is_no_batch_fails_and_is_stored_once_it_is_abandoned(hosted: Hosted) -> None:
    failed = await hosted.worker.queue("work", "nonsense")
    buried = await hosted.worker.queue("bury", "nonsense")

    assert failed.failure is not None
    assert failed.failure.startswith("InvalidBatchMessage: not a batch of tickets")
    assert buried.failure is None
    (letter,) = await hosted.dead_letters.list_letters()
    assert letter.message == "nonsense"


async def test_a_ticket_of_a_live_owner_comes_again_after_its_lease_and_is_taken_over(
    hosted: Hosted, target: HttpTarget
) -> None:
    ticket = await requested(hosted)
    now = datetime.now(UTC)
    assert isinstance(await hosted.runs.claim(ticket, "another", now + timedelta(seconds=0.8), now), Claim)

    (done,) = await hosted.deliver()

    assert done.failure is None
    assert target.requests == []
    assert (await hosted.queue.length(), await hosted.queue.take()) == (1, [])
    # The other owner dies: when its lease is over, the message is there.
    (message,) = await hosted.queue.take_when_visible()
    assert decode_batch(message.content).tickets == (ticket,)
    await hosted.hand_over([message])
    assert await outcomes(hosted) == {"onDemand": (Outcome.SUCCEEDED, 1)}
    assert await hosted.queue.length() == 0


async def test_a_ticket_whose_owner_died_long_ago_is_taken_over_at_once(hosted: Hosted, target: HttpTarget) -> None:
    ticket = await requested(hosted)
    then = datetime.now(UTC) - timedelta(minutes=5)
    assert isinstance(await hosted.runs.claim(ticket, "another", then + timedelta(minutes=1), then), Claim)

    await hosted.deliver()

    assert await outcomes(hosted) == {"onDemand": (Outcome.SUCCEEDED, 1)}


async def test_a_dead_owner_s_ticket_is_buried_once_its_lease_is_over(hosted: Hosted) -> None:
    ticket = await requested(hosted)
    now = datetime.now(UTC)
    await hosted.runs.claim(ticket, "another", now + timedelta(minutes=1), now)

    done = await hosted.worker.queue("bury", encode_batch(TicketBatch((ticket,))))

    assert done.failure is not None
    assert done.failure.startswith("LeaseStillHeld: these runs are still claimed")
    assert ticket.id in done.failure
    assert await hosted.dead_letters.list_letters() == []


async def test_what_is_queued_and_has_no_message_is_sent_again_by_a_tick(hosted: Hosted, target: HttpTarget) -> None:
    job = (await hosted.worker.http("GET", "/api/jobs/onDemand", key="read")).json()
    then = datetime.now(UTC) - timedelta(minutes=3)
    lost = Ticket.requested("onDemand", then, job["generation"])
    await hosted.runs.enqueue(lost)

    await hosted.worker.timer("tick")

    found = [ticket for message in await hosted.queue.take() for ticket in decode_batch(message.content).tickets]
    assert lost in found


async def test_an_invocation_that_waits_for_its_instant_leaves_the_loop_to_others(hosted: Hosted) -> None:
    ticket = Ticket.scheduled("checkout", datetime.now(UTC) + timedelta(seconds=0.5), "")
    waiting = asyncio.create_task(hosted.worker.queue("work", encode_batch(TicketBatch((ticket,)))))
    await asyncio.sleep(0)

    reply = await hosted.worker.http("GET", "/api/health/ready")

    assert (reply.status, waiting.done()) == (200, False)
    assert (await waiting).failure is None


async def requested(hosted: Hosted) -> Ticket:
    """Somebody runs a job; its message is on the queue."""
    reply = await hosted.worker.http("POST", "/api/jobs/onDemand/run", key="operate")
    record = await hosted.runs.find(reply.json()["id"])
    assert record is not None
    return record.ticket


async def outcomes(hosted: Hosted) -> dict[str, tuple[Outcome, int]]:
    """Of all recorded runs: the outcome and the number of attempts, by job."""
    runs = [record.run for record in (await hosted.runs.list_page()).records if record.run is not None]
    return {run.job: (run.outcome, len(run.attempts)) for run in runs}
