"""Batches, on virtual time: claimed together ahead, each at its instant; what must not run twice; leases and waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from jobs.runs import ErrorClass, Outcome, Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.leasing import MIN_LEASE_S
from scheduler.stores.runs.repository import AlreadyClaimed, Claim, ClaimLost, RunRecord, RunState
from scheduler.worker.skipping import FAILED_CLAIM_CAUSE
from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import WorkerHarness, entry
from tests.scheduler.stores.memory import MemoryData

JOBS = [entry("a"), entry("b"), entry("c")]


async def state_of(harness: WorkerHarness, ticket: Ticket) -> RunState | None:
    record = await harness.runs.find(ticket.id)
    return None if record is None else record.state


async def record_of(harness: WorkerHarness, ticket: Ticket) -> RunRecord:
    record = await harness.runs.find(ticket.id)
    assert record is not None
    return record


async def claimed_by_the_dead(harness: WorkerHarness, ticket: Ticket) -> None:
    """Its owner's lease is over."""
    now = harness.clock.now()
    assert isinstance(await harness.runs.claim(ticket, "dead", now, now), Claim)


def away_for(harness: WorkerHarness, seconds: float) -> None:
    """Its store takes no change for so long."""
    harness.store.breaks_after = 0
    asyncio.get_running_loop().call_later(seconds, setattr, harness.store, "breaks_after", None)


@virtual_time
async def test_a_batch_is_claimed_before_its_instants_and_each_starts_at_its_own() -> None:
    harness = WorkerHarness(jobs=JOBS)
    tickets = [harness.ticket(seconds, job) for seconds, job in ((2, "a"), (1.5, "b"), (2, "c"))]
    harness.worker.submit_batch(tickets)
    await asyncio.sleep(0.1)

    assert [await state_of(harness, ticket) for ticket in tickets] == [RunState.RUNNING] * 3
    assert harness.check.calls == []

    await harness.worker.wait_until_idle()
    assert {event.run.job: event.run.lateness_ms for event in harness.heard.finished} == {"a": 0, "b": 0, "c": 0}


@virtual_time
async def test_a_batch_may_be_claimed_later_than_it_is_handed_over() -> None:
    harness = WorkerHarness(jobs=JOBS)
    ticket = harness.ticket(2, "a")
    harness.worker.submit_batch([ticket], harness.clock.now() + timedelta(seconds=1))
    await asyncio.sleep(0.9)
    before = await state_of(harness, ticket)
    await asyncio.sleep(0.2)

    assert (before, await state_of(harness, ticket)) == (None, RunState.RUNNING)
    await harness.worker.wait_until_idle()
    assert [event.run.lateness_ms for event in harness.heard.finished] == [0]


@virtual_time
async def test_a_batch_that_is_not_claimed_yet_at_the_end_is_left_to_be_planned_again() -> None:
    harness = WorkerHarness(jobs=JOBS)
    ticket = harness.ticket(2, "a")
    harness.worker.submit_batch([ticket], harness.clock.now() + timedelta(seconds=1))
    await asyncio.sleep(0.5)
    await harness.worker.drain(grace=5)

    assert await state_of(harness, ticket) is None
    assert harness.worker.persisted_until(ticket.due_at + timedelta(seconds=1)) < ticket.due_at


@virtual_time
async def test_what_falls_due_within_a_few_milliseconds_begins_together_and_never_before_its_instant() -> None:
    harness = WorkerHarness(jobs=JOBS)
    harness.worker.submit_batch([harness.ticket(2.001, "a"), harness.ticket(2.003, "b"), harness.ticket(2.005, "c")])
    await harness.worker.wait_until_idle()

    assert {event.run.job: event.run.lateness_ms for event in harness.heard.finished} == {"a": 3, "b": 1, "c": 3}


@virtual_time
async def test_runs_that_have_started_end_by_themselves_when_the_rest_of_their_batch_is_abandoned() -> None:
    harness = WorkerHarness(Hang("body", 1.0), jobs=JOBS)
    tickets = [harness.ticket(1, "a"), harness.ticket(9, "b")]
    harness.worker.submit_batch(tickets)
    await asyncio.sleep(1.5)
    await harness.worker.drain(grace=5)

    assert [(event.run.job, event.run.outcome) for event in harness.heard.finished] == [("a", Outcome.SUCCEEDED)]
    assert await state_of(harness, tickets[1]) is None


@virtual_time
async def test_runs_that_have_started_are_cancelled_with_any_caller_that_waits_for_their_batch() -> None:
    harness = WorkerHarness(Hang("body", 60.0), jobs=JOBS)
    tickets = [harness.ticket(1, "a"), harness.ticket(9, "b")]
    waiting = asyncio.create_task(harness.worker.execute_batch(tickets))
    await asyncio.sleep(1.5)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert [(event.run.job, event.run.outcome) for event in harness.heard.finished] == [("a", Outcome.CANCELLED)]
    assert await state_of(harness, tickets[1]) is None


@virtual_time
async def test_what_must_not_run_twice_is_claimed_alone_at_its_instant() -> None:
    harness = WorkerHarness(jobs=[entry(effect="once")])
    ticket = harness.ticket(2)
    harness.worker.submit_batch([ticket])
    await asyncio.sleep(1.9)
    before = await state_of(harness, ticket)
    await harness.worker.wait_until_idle()

    assert (before, await state_of(harness, ticket)) == (None, RunState.FINISHED)


@virtual_time
async def test_what_must_not_run_twice_has_failed_when_its_owner_died() -> None:
    harness = WorkerHarness(jobs=[entry(effect="once", dead_letter=True)])
    ticket = harness.ticket()
    await claimed_by_the_dead(harness, ticket)

    await harness.worker.execute(ticket)

    run = (await record_of(harness, ticket)).run
    assert run is not None
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.INTERRUPTED)
    assert "not executed again" in run.message
    assert harness.check.calls == []
    assert [letter.ticket for letter in await harness.dead_letters.list_letters()] == [ticket]
    assert [reported for reported, _ in harness.heard.given_up] == [ticket]


@virtual_time
async def test_what_must_not_run_twice_and_is_skipped_needs_no_claim() -> None:
    harness = WorkerHarness(jobs=[entry(effect="once", schedule="1 0 0 1 1 *")])
    ticket = replace(harness.ticket(), generation="older")

    await harness.worker.execute(ticket)

    run = (await record_of(harness, ticket)).run
    assert run is not None
    assert (run.outcome, harness.check.calls) == (Outcome.SKIPPED, [])


@virtual_time
async def test_a_run_that_does_no_harm_twice_is_taken_over_and_run_again() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket()
    await claimed_by_the_dead(harness, ticket)

    await harness.worker.execute(ticket)

    assert [event.run.outcome for event in harness.heard.finished] == [Outcome.SUCCEEDED]


@virtual_time
async def test_what_people_request_stays_queued_until_it_begins() -> None:
    harness = WorkerHarness(Hang("body", 3.0), jobs=[entry("a"), entry("b")], places=1)
    harness.worker.submit(harness.ticket(job="a"))
    await asyncio.sleep(0.5)
    requests_made = Ticket.requested("b", harness.clock.now(), harness.catalog.get_job("b").generation)
    await harness.runs.enqueue(requests_made)
    harness.worker.submit(requests_made)
    await asyncio.sleep(1)

    assert await state_of(harness, requests_made) is RunState.QUEUED
    await harness.worker.wait_until_idle()


@virtual_time
async def test_a_claim_is_made_late_when_the_store_is_unavailable_for_a_moment() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket(2)
    away_for(harness, 6)

    harness.worker.submit_batch([ticket])
    await harness.worker.wait_until_idle()

    (event,) = harness.heard.finished
    assert 4000 <= event.run.lateness_ms < 5500


@virtual_time
async def test_what_the_store_took_no_claim_of_is_recorded_as_skipped_once_it_is_back() -> None:
    harness = WorkerHarness()
    first, last = harness.ticket(2), harness.ticket(12)
    away_for(harness, 42)

    harness.worker.submit_batch([first, last])
    await harness.worker.wait_until_idle()
    before = harness.worker.persisted_until(harness.clock.now())
    await asyncio.sleep(60)

    (skipped,) = [event.run for event in harness.heard.finished]
    assert (skipped.outcome, skipped.due_at) == (Outcome.SKIPPED, last.due_at)
    assert skipped.message.startswith(FAILED_CLAIM_CAUSE.message)
    assert f"since {first.due_at:%Y-%m-%d %H:%M:%S}Z" in skipped.message
    assert before < first.due_at
    assert harness.worker.persisted_until(harness.clock.now()) == harness.clock.now()


@virtual_time
async def test_the_lease_of_a_ticket_that_waits_for_its_place_is_renewed() -> None:
    long = {"timeout": {"run": "300s", "attempt": "300s"}}
    harness = WorkerHarness(Hang("body", 200.0), jobs=[entry("a", **long), entry("b")], places=1)
    harness.worker.submit(harness.ticket(job="a"))
    await asyncio.sleep(1)
    waiting = harness.ticket(job="b")
    harness.worker.submit_batch([waiting])
    await asyncio.sleep(150)

    record = await record_of(harness, waiting)
    assert record.lease_until is not None
    assert record.lease_until > harness.clock.now()
    now = harness.clock.now()
    assert isinstance(await harness.runs.claim(waiting, "other", now, now), AlreadyClaimed)
    await harness.worker.wait_until_idle()
    assert [event.run.outcome for event in harness.heard.finished][-1] is not Outcome.SKIPPED


@virtual_time
async def test_a_renewal_of_a_claim_that_was_released_meanwhile_reports_no_problem(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_released(claims: Sequence[Claim], until: datetime) -> list[ClaimLost]:
        return [ClaimLost(claim.ticket.id, claim.owner) for claim in claims]

    long = {"timeout": {"run": "300s", "attempt": "300s"}}
    harness = WorkerHarness(Hang("body", 200.0), jobs=[entry("a", **long), entry("b")], places=1)
    harness.worker.submit(harness.ticket(job="a"))
    await asyncio.sleep(1)
    harness.worker.submit_batch([harness.ticket(job="b")])
    monkeypatch.setattr(harness.runs, "renew_all", find_released)
    await asyncio.sleep(150)

    assert "could not renew" not in caplog.text
    await harness.worker.wait_until_idle()


@virtual_time
async def test_a_lease_outlasts_the_longest_that_the_run_may_take() -> None:
    harness = WorkerHarness(
        Hang("body", 1.0), jobs=[entry("short"), entry("long", timeout={"run": "400s", "attempt": "10s"})]
    )
    tickets = [harness.ticket(1, "short"), harness.ticket(1, "long")]
    harness.worker.submit_batch(tickets)
    await asyncio.sleep(0.1)

    leases = [(await record_of(harness, ticket)).lease_until for ticket in tickets]
    assert leases[0] == tickets[0].due_at + timedelta(seconds=MIN_LEASE_S)
    assert leases[1] is not None
    assert leases[1] > tickets[1].due_at + timedelta(seconds=400)
    await harness.worker.wait_until_idle()


@virtual_time
async def test_a_planned_ticket_that_is_not_due_at_the_end_leaves_no_trace() -> None:
    """The next process plans it again, by what its jobs are then."""
    harness = WorkerHarness()
    ticket = harness.ticket(2)
    harness.worker.submit_batch([ticket])
    await asyncio.sleep(0.5)

    await harness.worker.drain(5)

    assert await state_of(harness, ticket) is None
    assert await harness.runs.list_unfinished() == []


@virtual_time
async def test_a_ticket_that_is_claimed_and_not_due_yet_can_be_cancelled() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket(2)
    harness.worker.submit_batch([ticket])
    await asyncio.sleep(0.5)

    assert harness.worker.cancel(ticket.id, "over the API")
    await harness.worker.wait_until_idle()

    (event,) = harness.heard.finished
    assert (event.run.outcome, harness.check.calls) == (Outcome.CANCELLED, [])


@virtual_time
async def test_a_ticket_that_is_cancelled_before_its_instant_is_not_run_though_no_place_is_free_then() -> None:
    harness = WorkerHarness(Hang("body", 5.0), jobs=[entry("a"), entry("b")], places=1)
    cancelled = harness.ticket(2, "b")
    harness.worker.submit_batch([harness.ticket(1, "a"), cancelled])
    await asyncio.sleep(0.5)

    assert harness.worker.cancel(cancelled.id, "over the API")
    await harness.worker.wait_until_idle()

    assert {event.run.job: event.run.outcome for event in harness.heard.finished} == {
        "a": Outcome.SUCCEEDED,
        "b": Outcome.CANCELLED,
    }


@virtual_time
async def test_a_claimed_ticket_that_waits_for_its_place_can_be_cancelled_from_another_process() -> None:
    harness = WorkerHarness(Hang("body", 9.0), jobs=[entry("a"), entry("b")], places=1)
    harness.worker.submit(harness.ticket(job="a"))
    waiting = harness.ticket(job="b")
    harness.worker.submit_batch([waiting])
    await asyncio.sleep(0.5)

    await harness.cancellations.request(waiting.id, "on the command line", harness.clock.now())
    await asyncio.sleep(5)

    run = (await record_of(harness, waiting)).run
    assert run is not None
    assert (run.outcome, run.message) == (
        Outcome.CANCELLED,
        "Cancelled on the command line before it finished.",
    )
    await harness.worker.wait_until_idle()


@virtual_time
@pytest.mark.parametrize("batch", [True, False])
async def test_one_ticket_that_another_caller_holds_stops_no_other(batch: bool) -> None:
    data = MemoryData()
    other, harness = WorkerHarness(Hang("body", 9.0), data=data, owner="other"), WorkerHarness(jobs=JOBS, data=data)
    held = harness.ticket(0.5, "a")
    now = harness.clock.now()
    await other.runs.claim(held, "other", now + timedelta(seconds=60), now)

    ends = dict(await harness.worker.execute_batch([held, harness.ticket(0.5 if batch else 0, "b")]))

    assert isinstance(ends[held], AlreadyClaimed)
    assert [event.run.job for event in harness.heard.finished] == ["b"]


@virtual_time
async def test_a_run_that_was_finished_unsettled_is_settled_soon_after_it_is_reported() -> None:
    harness = WorkerHarness()
    ticket = replace(harness.ticket(), trigger=Trigger.SCHEDULE)
    await harness.worker.execute(ticket)
    reported = [event.run.id for event in harness.heard.finished]
    before = [run.id for run in await harness.runs.list_unacknowledged()]
    await asyncio.sleep(1)

    assert (reported, before) == ([ticket.id], [ticket.id])
    assert await harness.runs.list_unacknowledged() == []


@virtual_time
async def test_what_is_skipped_and_reported_again_is_followed_up_once() -> None:
    harness = WorkerHarness(jobs=[entry("root"), entry("next", None, depends_on=["root"])])
    ticket = harness.ticket(-30, "root")
    for _ in range(2):
        await harness.worker.skip_recorder.record_skipped(
            ticket, Reason(ReasonCode.MISSED, "it was due while no scheduler was running")
        )
        await asyncio.sleep(5)
    await harness.worker.wait_until_idle()

    assert len((await harness.runs.list_page(job="next")).records) == 1
