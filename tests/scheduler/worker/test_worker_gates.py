"""Runs that wait at the gates, from ticket to history, through a whole worker: one that is alone, and two of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from jobs.runs import ErrorClass, Outcome, Run, Ticket, Trigger
from scheduler.catalog.catalog import CatalogJob, JobSnapshot
from scheduler.gates import Wait
from scheduler.hosts.functions.queue import LEASE_RESEND_DELAY
from scheduler.stores.runs.repository import RunState
from scheduler.worker.options import EMBEDDED_OPTIONS, FUNCTIONS_OPTIONS, WorkerOptions
from tests.jobs.running.run_parts import Hang, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import START, WorkerHarness, entry
from tests.scheduler.stores.memory import MemoryData

SUCCEEDED, SKIPPED, CANCELLED = Outcome.SUCCEEDED, Outcome.SKIPPED, Outcome.CANCELLED
HOSTS = pytest.mark.parametrize("ways", [EMBEDDED_OPTIONS, FUNCTIONS_OPTIONS], ids=["embedded", "functions"])
SLOW = Hang("body", 7.0)


def shops(ways: WorkerOptions, *jobs: CatalogJob, step: Hang = SLOW) -> list[WorkerHarness]:
    """Two processes of the Functions host; embedded there is one."""
    if ways is EMBEDDED_OPTIONS:
        return [WorkerHarness(step, jobs=jobs)] * 2
    data = MemoryData()
    return [WorkerHarness(step, jobs=jobs, data=data, owner=name, ways=ways, shared=True) for name in ("one", "other")]


async def performed(both: list[WorkerHarness], tickets: Sequence[Ticket]) -> list[Run]:
    """In turn by the one and the other, each handed over two seconds ahead; as history has them."""

    async def one(harness: WorkerHarness, ticket: Ticket) -> None:
        await harness.clock.sleep((ticket.due_at - harness.clock.now()).total_seconds() - 2)
        while isinstance(end := await harness.worker.execute(ticket), Wait):
            await harness.clock.sleep((end.retry_at - harness.clock.now()).total_seconds())
        assert end is None

    await asyncio.gather(*(one(both[number % 2], ticket) for number, ticket in enumerate(tickets)))
    return [await run_of(both[0], ticket) for ticket in tickets]


async def run_of(harness: WorkerHarness, ticket: Ticket) -> Run:
    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    return record.run


def outcomes(runs: list[Run]) -> list[Outcome]:
    return [run.outcome for run in runs]


def began(run: Run) -> float:
    return (run.started_at - START).total_seconds()


@virtual_time
@HOSTS
@pytest.mark.parametrize("effect", ["repeatable", "once"])
async def test_skip_records_what_fell_due_meanwhile_with_the_reason(ways: WorkerOptions, effect: str) -> None:
    both = shops(ways, entry(overlap="skip", effect=effect))

    runs = await performed(both, [both[0].ticket(10), both[0].ticket(15), both[0].ticket(20)])

    assert outcomes(runs) == [SUCCEEDED, SKIPPED, SUCCEEDED]
    assert runs[1].message == f"the previous run ({runs[0].id}) was still running (overlap: skip)"


@virtual_time
@HOSTS
@pytest.mark.parametrize("effect", ["repeatable", "once"])
async def test_buffer_one_runs_the_one_that_waited_and_records_the_others_as_skipped(
    ways: WorkerOptions, effect: str
) -> None:
    both = shops(ways, entry(overlap="buffer_one", effect=effect))

    runs = await performed(both, [both[0].ticket(seconds) for seconds in (10, 12, 14, 30)])

    assert outcomes(runs) == [SUCCEEDED, SUCCEEDED, SKIPPED, SUCCEEDED]
    assert "waits for it (overlap: buffer_one)" in runs[2].message
    assert 17 <= began(runs[1]) <= 19.5


@virtual_time
@HOSTS
@pytest.mark.parametrize("effect", ["repeatable", "once"])
async def test_buffer_all_runs_everything_in_order_though_some_is_put_back_meanwhile(
    ways: WorkerOptions, effect: str
) -> None:
    both = shops(ways, entry(overlap="buffer_all", effect=effect))

    runs = await performed(both, [both[0].ticket(10 + number) for number in range(8)])

    assert outcomes(runs) == [SUCCEEDED] * 8
    starts = [began(run) for run in runs]
    assert starts == sorted(starts)
    assert all(later.started_at >= earlier.finished_at for earlier, later in pairwise(runs))
    if ways is EMBEDDED_OPTIONS:
        assert starts == [10 + 7 * number for number in range(8)]


@virtual_time
@HOSTS
async def test_cancel_previous_records_the_run_before_as_cancelled_for_the_new_one(ways: WorkerOptions) -> None:
    both = shops(ways, entry(overlap="cancel_previous"), step=Hang("body", 9.5))

    runs = await performed(both, [both[0].ticket(10), both[0].ticket(14)])

    assert outcomes(runs) == [CANCELLED, SUCCEEDED]
    assert f"by run {runs[1].id} (overlap: cancel_previous)" in runs[0].message
    assert runs[0].finished_at <= runs[1].started_at


@virtual_time
@HOSTS
async def test_a_concurrency_group_lets_one_run_of_its_jobs_continue_at_a_time(ways: WorkerOptions) -> None:
    both = shops(ways, *(entry(name, concurrency_group="checkout") for name in ("pay", "refund", "book")))
    tickets = [both[0].ticket(10, job) for job in ("pay", "refund", "book")]

    runs = sorted(await performed(both, tickets), key=lambda run: run.started_at)

    assert outcomes(runs) == [SUCCEEDED] * 3
    assert all(later.started_at >= earlier.finished_at for earlier, later in pairwise(runs))
    assert began(runs[2]) <= 27


@virtual_time
@HOSTS
async def test_a_run_that_gets_no_slot_is_recorded_as_skipped_when_its_patience_ends(ways: WorkerOptions) -> None:
    group = {"name": "checkout", "wait": "40s"}
    jobs = [entry(name, concurrency_group=group, timeout={"attempt": "90s", "run": "90s"}) for name in ("pay", "book")]
    both = shops(ways, *jobs, step=Hang("body", 80))

    runs = await performed(both, [both[0].ticket(10, "pay"), both[0].ticket(11, "book")])

    assert outcomes(runs) == [SUCCEEDED, SKIPPED]
    assert runs[1].message == (
        f"no slot of concurrency group checkout (limit: 1) was free within 40s: run {runs[0].id} holds it"
    )
    assert 51 <= (runs[1].finished_at - START).total_seconds() <= 53


@virtual_time
async def test_max_running_holds_for_all_jobs() -> None:
    harness = WorkerHarness(SLOW, jobs=[entry(f"j{number}") for number in range(5)], max_running=2)
    tickets = [harness.ticket(10, f"j{number}") for number in range(5)]

    harness.worker.submit_batch(tickets)
    await harness.worker.wait_until_idle()

    assert sorted([began(await run_of(harness, ticket)) for ticket in tickets]) == [10, 10, 17, 17, 24]


@virtual_time
async def test_a_run_that_waits_holds_no_place_of_the_process() -> None:
    jobs = [entry("pay", concurrency_group="g"), entry("book", concurrency_group="g"), entry("mail")]
    harness = WorkerHarness(SLOW, jobs=jobs, places=2)
    harness.worker.submit_batch([harness.ticket(10, "pay"), harness.ticket(11, "book")])
    await asyncio.sleep(12)
    mail = harness.ticket(1, "mail")

    await harness.worker.execute(mail)

    assert began(await run_of(harness, mail)) == 13


@virtual_time
async def test_what_waits_at_a_gate_when_the_program_ends_is_queued_again_and_runs_in_the_next_one() -> None:
    data, jobs = MemoryData(), [entry(overlap="buffer_all")]
    harness = WorkerHarness(SLOW, jobs=jobs, data=data)
    first, second = harness.ticket(1), harness.ticket(2)
    harness.worker.submit_batch([first, second])
    await asyncio.sleep(3)

    await harness.worker.drain(10)

    record = await harness.runs.find(second.id)
    assert record is not None
    assert record.state is RunState.QUEUED
    following = WorkerHarness(answer(), jobs=jobs, data=data, owner="next")
    await following.worker.execute(second)
    assert (await run_of(following, second)).outcome is SUCCEEDED


@virtual_time
async def test_a_run_that_waits_at_a_gate_can_be_cancelled_and_makes_way_for_the_next_one() -> None:
    harness = WorkerHarness(SLOW, jobs=[entry(overlap="buffer_one")])
    tickets = [harness.ticket(seconds) for seconds in (1, 2, 4)]
    harness.worker.submit_batch(tickets)
    await asyncio.sleep(3)

    assert harness.worker.cancel(tickets[1].id, "over the API")
    await harness.worker.wait_until_idle()

    assert outcomes([await run_of(harness, ticket) for ticket in tickets]) == [SUCCEEDED, CANCELLED, SUCCEEDED]


@virtual_time
async def test_a_run_that_waits_is_running_in_history_and_the_log_reports_once_for_what(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="scheduler.gates")
    harness = WorkerHarness(SLOW, jobs=[entry(overlap="buffer_all")])
    first, second = harness.ticket(1), harness.ticket(2)
    harness.worker.submit_batch([first, second])
    await asyncio.sleep(4)

    record = await harness.runs.find(second.id)
    await harness.worker.wait_until_idle()

    assert record is not None
    assert record.state is RunState.RUNNING
    assert caplog.messages == [f"run {second.id} waits: the previous run ({first.id}) is running (overlap: buffer_all)"]


@virtual_time
@HOSTS
async def test_no_run_outlives_the_run_timeout_of_its_job_and_its_slot_is_free_then(ways: WorkerOptions) -> None:
    group = {"timeout": {"attempt": "5s", "run": "8s"}, "concurrency_group": "g"}
    both = shops(ways, entry("pay", **group), entry("book", **group), step=Hang("body", 1000))

    runs = await performed(both, [both[0].ticket(10, "pay"), both[0].ticket(11, "book")])

    assert outcomes(runs) == [Outcome.TIMED_OUT] * 2
    assert all(run.finished_at - run.started_at <= timedelta(seconds=10) for run in runs)
    assert runs[1].error in (ErrorClass.RUN_TIMEOUT, ErrorClass.BODY_TIMEOUT)


@virtual_time
@HOSTS
async def test_a_replay_waits_for_a_scheduled_run_and_is_never_skipped(ways: WorkerOptions) -> None:
    both = shops(ways, entry(overlap="skip"))
    replay = replace(both[0].ticket(12), trigger=Trigger.REPLAY)

    runs = await performed(both, [both[0].ticket(10), replay])

    assert outcomes(runs) == [SUCCEEDED, SUCCEEDED]
    assert runs[1].started_at >= runs[0].finished_at


@virtual_time
async def test_a_ticket_that_comes_again_while_it_waits_here_waits_once_and_runs_once() -> None:
    harness, _ = shops(FUNCTIONS_OPTIONS, entry(overlap="buffer_all", effect="once"))
    tickets = [harness.ticket(1), harness.ticket(2)]

    ends = await asyncio.gather(*(harness.worker.execute(ticket) for ticket in (*tickets, tickets[1])))

    assert ends[:2] == [None, None]
    assert isinstance(ends[2], Wait)
    # So late that whoever gets it then tells of the run, in case this process dies before.
    assert ends[2].retry_at - tickets[1].due_at > LEASE_RESEND_DELAY
    assert len(harness.check.calls) == 2


@virtual_time
@pytest.mark.parametrize("after", ["skip", "cancel_previous"])
@HOSTS
async def test_a_run_that_may_have_others_next_to_it_is_known_when_its_job_does_not_let_it_any_more(
    after: str, ways: WorkerOptions
) -> None:
    harness = shops(ways, entry(overlap="allow"))[0]
    first, second = harness.ticket(1), harness.ticket(11 - 7)
    harness.worker.submit_batch([first])
    await asyncio.sleep(3)
    harness.catalog.replace(JobSnapshot([entry("checkout", "every 1s", overlap=after)]))

    harness.worker.submit_batch([second])
    await harness.worker.wait_until_idle()

    runs = [await run_of(harness, ticket) for ticket in (first, second)]
    assert outcomes(runs) == ([SUCCEEDED, SKIPPED] if after == "skip" else [CANCELLED, SUCCEEDED])


@virtual_time
@HOSTS
async def test_a_run_that_waits_while_its_job_is_changed_begins_by_the_new_definition(ways: WorkerOptions) -> None:
    harness = shops(ways, entry("checkout", "every 1s", overlap="buffer_all"))[0]
    tickets = [harness.ticket(1), harness.ticket(2), harness.ticket(3)]
    harness.worker.submit_batch(tickets)
    await asyncio.sleep(4)
    changed = entry(
        "checkout", "every 2s", overlap="buffer_all", check={"kind": "http", "url": "http://127.0.0.1:9/new"}
    )
    harness.catalog.replace(JobSnapshot([changed]))

    await harness.worker.wait_until_idle()

    first, second, third = [await run_of(harness, ticket) for ticket in tickets]
    assert (second.outcome, second.endpoint, second.generation) == (
        SUCCEEDED,
        "http://127.0.0.1:9/new",
        changed.generation,
    )
    assert (first.outcome, first.endpoint) == (SUCCEEDED, "http://127.0.0.1:9/")
    assert (third.outcome, "new definition" in third.message) == (SKIPPED, True)


@virtual_time
async def test_a_run_that_waits_for_a_place_while_its_job_is_removed_is_skipped() -> None:
    harness = WorkerHarness(SLOW, jobs=[entry("a"), entry("b")], places=1)
    harness.worker.submit(harness.ticket(-2, "a"))
    harness.worker.submit(waiting := harness.ticket(-1, "b"))
    await asyncio.sleep(1)
    harness.catalog.replace(JobSnapshot([entry("a")]))

    await harness.worker.wait_until_idle()

    run = await run_of(harness, waiting)
    assert (run.outcome, run.message) == (SKIPPED, "the job was removed")
