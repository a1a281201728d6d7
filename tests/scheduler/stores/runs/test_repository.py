"""Claims and the life of a run, on every store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobs.runs import Outcome, StartWait, Ticket, Trigger, WaitReason
from scheduler.stores.port import Store
from scheduler.stores.runs.repository import AlreadyClaimed, Claim, ClaimLost, Runs, RunState
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.samples import LEASE, NOON, at, rollup_of, run_of, ticket


@pytest.fixture
def runs(store: Store) -> Runs:
    return Runs(store)


async def claimed(runs: Runs, ticket: Ticket, owner: str = "one", now: datetime = NOON) -> Claim:
    claim = await runs.claim(ticket, owner, now + LEASE, now)
    assert isinstance(claim, Claim)
    return claim


async def test_a_claimed_run_is_running_until_its_lease_ends(runs: Runs) -> None:
    claim = await claimed(runs, ticket())
    record = await runs.find(ticket().id)
    assert record is not None
    assert (record.ticket, record.state, record.owner) == (ticket(), RunState.RUNNING, "one")
    assert (record.lease_until, record.run, record.etag) == (NOON + LEASE, None, claim.etag)
    assert not claim.is_takeover


async def test_a_finished_run_is_kept_with_everything_that_happened(runs: Runs) -> None:
    run = run_of(ticket(), Outcome.FAILED)
    await runs.finish(await claimed(runs, ticket()), run)
    record = await runs.find(run.id)
    assert record is not None
    assert (record.ticket, record.state, record.owner, record.lease_until) == (ticket(), RunState.FINISHED, "", None)
    assert record.run == run


async def test_a_finished_run_is_kept_with_its_waits(runs: Runs) -> None:
    waits = (
        StartWait(WaitReason.PLACE, 3912.5, "limit of concurrency group payments"),
        StartWait(WaitReason.CLAIM, 20.0),
    )
    run = replace(run_of(ticket()), waits=waits)
    await runs.finish(await claimed(runs, ticket()), run)
    record = await runs.find(run.id)
    assert record is not None
    assert record.run == run


async def test_a_claimed_run_cannot_be_claimed_again_not_even_by_the_same_owner(runs: Runs) -> None:
    await claimed(runs, ticket())
    for owner in ("one", "two"):
        held = await runs.claim(ticket(), owner, at(90), at(30))
        assert isinstance(held, AlreadyClaimed)
        assert held.retry_at == NOON + LEASE
        assert str(held) == "one has claimed it until 2026-11-25 12:01:00Z"


async def test_a_finished_run_is_not_run_again(runs: Runs) -> None:
    await runs.finish(await claimed(runs, ticket()), run_of(ticket()))
    held = await runs.claim(ticket(), "two", at(1000), at(900))
    assert isinstance(held, AlreadyClaimed)
    assert (held.retry_at, str(held)) == (None, "it is finished (succeeded)")
    assert await runs.list_unfinished() == []


async def test_a_run_that_nobody_performs_is_finished_from_the_start(runs: Runs) -> None:
    run = run_of(ticket(), Outcome.SKIPPED)
    assert await runs.insert_finished(ticket(), run) is None
    record = await runs.find(run.id)
    assert record is not None
    assert (record.run, await runs.list_unfinished()) == (run, [])
    assert [listed.run for listed in (await runs.list_page()).records] == [run]


async def test_what_somebody_has_claimed_or_finished_is_not_recorded_as_left_out(runs: Runs) -> None:
    claim = await claimed(runs, ticket())
    there = await runs.insert_finished(ticket(), run_of(ticket(), Outcome.SKIPPED))
    assert there is not None
    assert there.state is RunState.RUNNING
    await runs.finish(claim, run_of(ticket()))
    there = await runs.insert_finished(ticket(), run_of(ticket(), Outcome.SKIPPED))
    assert there is not None
    assert there.run == run_of(ticket())
    assert await runs.list_unfinished() == []


async def test_of_many_claims_at_once_one_succeeds(open_store: OpenStore) -> None:
    processes = [Runs(await open_store()), Runs(await open_store())]
    claims = [runs.claim(ticket(), f"owner {number}", NOON + LEASE, NOON) for number in range(5) for runs in processes]
    assert sum(isinstance(claim, Claim) for claim in await asyncio.gather(*claims)) == 1


async def test_a_run_whose_owner_died_is_taken_over_when_its_lease_has_ended(runs: Runs) -> None:
    await claimed(runs, ticket())
    claim = await runs.claim(ticket(), "two", at(120), at(60))
    assert isinstance(claim, Claim)
    assert claim.is_takeover
    record = await runs.find(ticket().id)
    assert record is not None
    assert (record.owner, record.lease_until) == ("two", at(120))


async def test_of_many_who_take_over_one_succeeds(open_store: OpenStore) -> None:
    processes = [Runs(await open_store()), Runs(await open_store())]
    await claimed(processes[0], ticket())
    claims = [runs.claim(ticket(), f"owner {number}", at(120), at(61)) for number in range(5) for runs in processes]
    assert sum(isinstance(claim, Claim) for claim in await asyncio.gather(*claims)) == 1


async def test_an_owner_that_lost_its_lease_cannot_write_over_the_new_owners_run(runs: Runs) -> None:
    late = await claimed(runs, ticket())
    claim = await claimed(runs, ticket(), "two", at(61))
    with pytest.raises(ClaimLost, match="no longer claimed by one"):
        await runs.finish(late, run_of(ticket(), Outcome.TIMED_OUT))
    await runs.finish(claim, run_of(ticket()))
    with pytest.raises(ClaimLost):
        await runs.finish(late, run_of(ticket(), Outcome.TIMED_OUT))
    record = await runs.find(ticket().id)
    assert record is not None
    assert record.run == run_of(ticket())
    (listed,) = (await runs.list_page(outcome="succeeded")).records
    assert listed.run == run_of(ticket())
    assert (await runs.list_page(outcome="timed_out")).records == ()


async def test_finishing_twice_with_the_same_run_is_finishing_once(runs: Runs) -> None:
    claim = await claimed(runs, ticket())
    await runs.finish(claim, run_of(ticket()))
    await runs.finish(claim, run_of(ticket()))
    assert len((await runs.list_page()).records) == 1


async def test_a_queued_run_waits_to_be_claimed(runs: Runs) -> None:
    wanted = Ticket.requested("checkout", NOON, "abcdef123456")
    record = await runs.enqueue(wanted)
    assert (record.ticket, record.state, record.owner, record.lease_until) == (wanted, RunState.QUEUED, "", None)
    assert await runs.find(wanted.id) == record
    assert await runs.list_unfinished() == [record]
    claim = await claimed(runs, wanted)
    assert not claim.is_takeover
    await runs.finish(claim, run_of(wanted))
    assert await runs.list_unfinished() == []


async def test_queueing_a_run_again_shows_how_far_it_is(runs: Runs) -> None:
    first = await runs.enqueue(ticket())
    assert await runs.enqueue(ticket()) == first
    claim = await claimed(runs, ticket())
    assert (await runs.enqueue(ticket())).state is RunState.RUNNING
    await runs.finish(claim, run_of(ticket()))
    assert (await runs.enqueue(ticket())).run == run_of(ticket())
    assert await runs.list_unfinished() == []


async def test_unfinished_runs_are_found_after_a_restart(open_store: OpenStore) -> None:
    before = Runs(await open_store())
    await claimed(before, ticket("a", 1))
    await before.enqueue(ticket("b", 2))
    await before.finish(await claimed(before, ticket("c", 3)), run_of(ticket("c", 3)))
    after = Runs(await open_store())
    assert [(record.ticket.job, record.state) for record in await after.list_unfinished()] == [
        ("b", RunState.QUEUED),
        ("a", RunState.RUNNING),
    ]


@pytest.mark.parametrize(
    "run_id",
    [
        "checkout",
        "checkout@",
        "@20261125T120000.000Z",
        "checkout@20261125T120000.000Z",
        "checkout@20261125T120000.000Z.",
        "checkout@20261125T120000.0Z...",
        "checkout@20261325T120000.000Z",
        "checkout@19691231T235959.999Z",
        "a/b?c#d\\e@20261125T120000.000Z.'",
        "x" * 1000 + "@20261125T120000.000Z",
        "",
    ],
)
async def test_what_is_no_id_of_a_run_finds_none(store: Store, run_id: str) -> None:
    assert await Runs(store).find(run_id) is None


async def test_a_run_that_was_asked_for_is_found_by_its_id(runs: Runs) -> None:
    wanted = Ticket("a.b-c_d@20261125T120000.007Z.0a1b2c3d", "a.b-c_d", Trigger.MANUAL, at(0.007), "g", "caller-7")
    await runs.enqueue(wanted)
    record = await runs.find(wanted.id)
    assert record is not None
    assert record.ticket == wanted


async def test_an_instant_that_no_key_can_hold_is_refused(runs: Runs) -> None:
    with pytest.raises(ValueError, match="years"):
        await runs.enqueue(Ticket.scheduled("a", datetime(1969, 12, 31, tzinfo=UTC), ""))


async def test_the_latest_run_of_a_job_is_its_newest_finished_one(runs: Runs) -> None:
    for seconds in (10, 30, 20):
        await runs.finish(await claimed(runs, ticket("a", seconds)), run_of(ticket("a", seconds)))
    await claimed(runs, ticket("a", 40))
    await runs.finish(await claimed(runs, ticket("b", 5)), run_of(ticket("b", 5)))
    latest = await runs.find_latest_of_jobs(["a", "b", "c"])
    assert {job: record.run for job, record in latest.items()} == {
        "a": run_of(ticket("a", 30)),
        "b": run_of(ticket("b", 5)),
    }
    assert await runs.find_latest("c") is None


async def test_the_latest_run_follows_what_this_process_finishes_at_once(runs: Runs) -> None:
    assert await runs.find_latest("a") is None
    for seconds, expected in ((10, 10), (30, 30), (20, 30)):
        await runs.finish(await claimed(runs, ticket("a", seconds)), run_of(ticket("a", seconds)))
        latest = await runs.find_latest("a")
        assert latest is not None
        assert latest.run == run_of(ticket("a", expected))


async def test_the_latest_run_of_another_process_is_seen_within_seconds(open_store: OpenStore) -> None:
    time = 0.0
    watching = Runs(await open_store(), monotonic=lambda: time)
    working = Runs(await open_store())
    assert await watching.find_latest("a") is None
    await working.finish(await claimed(working, ticket("a")), run_of(ticket("a")))
    assert await watching.find_latest("a") is None
    time = 5.0
    assert await watching.find_latest("a") is not None


async def test_the_latest_run_is_found_behind_many_that_are_going_on(runs: Runs) -> None:
    await runs.finish(await claimed(runs, ticket("a")), run_of(ticket("a")))
    for seconds in range(1, 8):
        await claimed(runs, ticket("a", seconds))
    latest = await runs.find_latest("a")
    assert latest is not None
    assert latest.run == run_of(ticket("a"))


async def backfilled(runs: Runs, seconds: float) -> None:
    made = replace(ticket("a", seconds), trigger=Trigger.BACKFILL)
    run = replace(run_of(made), trigger=Trigger.BACKFILL)
    await runs.finish(await claimed(runs, made), run)
    record = await runs.find(made.id)
    assert record is not None
    assert (record.ticket.trigger, record.run) == (Trigger.BACKFILL, run)


async def test_a_backfill_is_not_the_latest_run_and_no_uptime(runs: Runs) -> None:
    await runs.finish(await claimed(runs, ticket("a")), run_of(ticket("a")))
    before = await runs.find_latest("a")
    for seconds in (10, 20, 30, 40):
        await backfilled(runs, seconds)

    assert await runs.find_latest("a") == await runs.find_latest("a", fresh=True) == before
    found = await rollup_of(runs, "a")
    assert (found.tally.runs, found.segment and found.segment.uptime.sample_count) == (5, 1)


async def test_a_job_with_backfills_alone_has_no_latest_run(runs: Runs) -> None:
    await backfilled(runs, 10)
    assert await runs.find_latest("a") is None


async def test_a_lease_may_be_longer_than_a_day(runs: Runs) -> None:
    await runs.claim(ticket(), "one", NOON + timedelta(days=400), NOON)
    assert isinstance(await runs.claim(ticket(), "two", at(1e6), NOON + timedelta(days=399)), AlreadyClaimed)
