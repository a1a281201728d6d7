"""Runs of a batch: claimed, renewed, given up and finished together, each with its own answer, on every store."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobs.runs import Outcome, Ticket
from scheduler.stores.port import Store, StoreError
from scheduler.stores.runs.repository import AlreadyClaimed, Claim, ClaimLost, OpenRun, RunResult, Runs, RunState
from tests.scheduler.stores.samples import LEASE, NOON, at, run_of, ticket


@pytest.fixture
def runs(store: Store) -> Runs:
    return Runs(store)


async def claimed(runs: Runs, ticket: Ticket, owner: str = "one", now: datetime = NOON) -> Claim:
    claim = await runs.claim(ticket, owner, now + LEASE, now)
    assert isinstance(claim, Claim)
    return claim


async def test_tickets_are_claimed_together_each_with_its_lease(runs: Runs) -> None:
    answers = await runs.claim_all([(ticket("a"), at(60)), (ticket("b", 5), at(65))], "one", NOON)
    assert [isinstance(answer, Claim) and answer.lease_until for answer in answers] == [at(60), at(65)]
    assert [(found.job, found.owner, found.lease_until) for found in await runs.list_open()] == [
        ("b", "one", at(65)),
        ("a", "one", at(60)),
    ]


async def test_what_cannot_be_claimed_does_not_spoil_the_rest(runs: Runs) -> None:
    await claimed(runs, ticket("held"), "other")
    await runs.finish(await claimed(runs, ticket("done")), run_of(ticket("done")))
    late = await claimed(runs, ticket("late"), "other", at(-61))
    never = Ticket.scheduled("a", datetime(1969, 12, 31, tzinfo=UTC), "")
    expected = [ticket("held"), never, ticket("new"), ticket("done"), ticket("late")]
    held, refused, new, done, acquired = await runs.claim_all([(each, at(60)) for each in expected], "one", NOON)
    assert isinstance(held, AlreadyClaimed)
    assert held.retry_at == NOON + LEASE
    assert isinstance(refused, StoreError)
    assert "years" in str(refused)
    assert isinstance(new, Claim)
    assert isinstance(done, AlreadyClaimed)
    assert done.record.run == run_of(ticket("done"))
    assert isinstance(acquired, Claim)
    assert acquired.is_takeover
    with pytest.raises(ClaimLost):
        await runs.finish(late, run_of(ticket("late")))


async def test_one_ticket_twice_in_a_batch_is_claimed_once(runs: Runs) -> None:
    answers = await runs.claim_all([(ticket(), at(60)), (ticket(), at(60))], "one", NOON)
    assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyClaimed", "Claim"]


async def test_runs_are_finished_together_each_with_its_answer(runs: Runs) -> None:
    lost = await claimed(runs, ticket("lost"))
    await claimed(runs, ticket("lost"), "two", at(61))
    stored = await claimed(runs, ticket("kept"))
    answers = await runs.finish_all(
        [RunResult(lost, run_of(ticket("lost"))), RunResult(stored, run_of(ticket("kept")))]
    )
    assert isinstance(answers[0], ClaimLost)
    assert answers[1] is None
    assert [(record.ticket.job, record.state) for record in (await runs.list_page()).records] == [
        ("lost", RunState.RUNNING),
        ("kept", RunState.FINISHED),
    ]


async def test_finishing_a_batch_again_is_finishing_it_once(runs: Runs) -> None:
    ends = [RunResult(await claimed(runs, ticket(job)), run_of(ticket(job))) for job in ("a", "b")]
    assert await runs.finish_all(ends) == [None, None]
    assert await runs.finish_all(ends) == [None, None]
    assert len((await runs.list_page()).records) == 2


async def test_a_renewed_claim_lasts_until_its_new_lease_ends(runs: Runs) -> None:
    claim = await claimed(runs, ticket())
    (renewed,) = await runs.renew_all([claim], at(300))
    assert isinstance(renewed, Claim)
    assert (renewed.ticket, renewed.owner, renewed.lease_until) == (claim.ticket, "one", at(300))
    assert isinstance(await runs.claim(ticket(), "two", at(360), at(299)), AlreadyClaimed)
    assert [found.lease_until for found in await runs.list_open()] == [at(300)]
    await runs.finish(renewed, run_of(ticket()))
    assert await runs.list_open() == []


async def test_what_was_taken_over_or_finished_is_not_renewed(runs: Runs) -> None:
    acquired = await claimed(runs, ticket("taken"))
    await claimed(runs, ticket("taken"), "two", at(61))
    done = await claimed(runs, ticket("done"))
    await runs.finish(done, run_of(ticket("done")))
    stored = await claimed(runs, ticket("kept"))
    answers = await runs.renew_all([acquired, done, stored], at(300))
    assert [type(answer) for answer in answers] == [ClaimLost, ClaimLost, Claim]
    record = await runs.find(ticket("done").id)
    assert record is not None
    assert record.run == run_of(ticket("done"))


async def test_a_run_is_finished_with_a_claim_from_before_its_renewal(runs: Runs) -> None:
    claim = await claimed(runs, ticket())
    await runs.renew_all([claim], at(300))
    await runs.finish(claim, run_of(ticket()))
    record = await runs.find(ticket().id)
    assert record is not None
    assert record.run == run_of(ticket())


async def test_a_claim_from_before_a_renewal_is_renewed_again(runs: Runs) -> None:
    claim = await claimed(runs, ticket())
    await runs.renew_all([claim], at(300))
    (again,) = await runs.renew_all([claim], at(600))
    assert isinstance(again, Claim)
    assert again.lease_until == at(600)


async def test_a_run_that_was_put_back_is_for_any_caller_to_claim(runs: Runs) -> None:
    claim = await claimed(runs, ticket())
    record = await runs.release(claim)
    assert (record.state, record.owner, record.lease_until) == (RunState.QUEUED, "", None)
    assert await runs.find(ticket().id) == record
    assert await runs.list_open() == [OpenRun(ticket().id, "checkout", NOON)]
    again = await claimed(runs, ticket(), "two", at(1))
    assert not again.is_takeover
    with pytest.raises(ClaimLost):
        await runs.finish(claim, run_of(ticket()))
    with pytest.raises(ClaimLost):
        await runs.release(claim)


async def test_the_open_runs_of_a_job_are_its_queued_and_running_ones(runs: Runs) -> None:
    await claimed(runs, ticket("a", 1))
    await runs.enqueue(ticket("a", 2))
    await runs.enqueue(ticket("ab", 3))
    await runs.finish(await claimed(runs, ticket("a", 4)), run_of(ticket("a", 4)), acknowledged=False)
    assert [(found.run_id, found.owner) for found in await runs.list_open_of_jobs("a")] == [
        (ticket("a", 2).id, ""),
        (ticket("a", 1).id, "one"),
    ]
    assert await runs.list_open_of_jobs("b") == []


async def test_a_finished_run_is_unreported_until_it_is_settled(runs: Runs) -> None:
    run = run_of(ticket(), Outcome.FAILED)
    await runs.finish(await claimed(runs, ticket()), run, acknowledged=False)
    assert await runs.list_unfinished() == []
    assert isinstance(await runs.claim(ticket(), "two", at(120), at(61)), AlreadyClaimed)
    assert await runs.list_unacknowledged() == [run]
    assert [record.run for record in (await runs.list_page()).records] == [run]
    await runs.acknowledge(run)
    await runs.acknowledge(run)
    assert await runs.list_unacknowledged() == []
    assert [record.run for record in (await runs.list_page()).records] == [run]


async def test_a_run_that_was_settled_at_once_is_not_unreported(runs: Runs) -> None:
    await claimed(runs, ticket("going"))
    await runs.finish(await claimed(runs, ticket()), run_of(ticket()))
    assert await runs.list_unacknowledged() == []
