"""A process may end between any two steps, and an answer may get lost: the next one goes on from what is there."""

from __future__ import annotations

import pytest

from jobs.runs import Outcome, Ticket
from scheduler.stores.port import Change, Etags, StoreError, StoreUnavailable
from scheduler.stores.runs.codec import RunState, read_status
from scheduler.stores.runs.keys import DONE_PREFIX, HISTORY_TABLE, OPEN_PREFIX, RUN_PREFIX, SHARD_NAMES, RunKey
from scheduler.stores.runs.repository import Claim, ClaimLost, RunResult, Runs
from tests.scheduler.stores.memory import MemoryData, MemoryStore
from tests.scheduler.stores.samples import LEASE, NOON, at, run_of, ticket

BATCH = [ticket(f"job{number}") for number in range(6)]
WANTED = [(each, NOON + LEASE) for each in BATCH]


def keys(data: MemoryData, beginning: str) -> set[RunKey]:
    return {
        RunKey.from_row_key(key) for table, _, key in data.rows if table == HISTORY_TABLE and key.startswith(beginning)
    }


def nothing_is_half_done(data: MemoryData) -> bool:
    """Every row has the pointers that belong to it, and the other way round."""
    rows = [row for (table, _, key), row in data.rows.items() if table == HISTORY_TABLE and key.startswith(RUN_PREFIX)]
    going = {RunKey.from_row_key(row.key) for row in rows if read_status(row) in (RunState.QUEUED, RunState.RUNNING)}
    ended = {RunKey.from_row_key(row.key) for row in rows} - going
    return keys(data, DONE_PREFIX) == ended and going <= keys(data, OPEN_PREFIX) <= going | ended


class Forgetful(MemoryStore):
    """Makes what it is told, and then seems to be away, as often as `forgets` says."""

    forgets = 0

    async def apply(self, *changes: Change) -> Etags:
        etags = await super().apply(*changes)
        if self.forgets:
            self.forgets -= 1
            raise StoreUnavailable("the answer was lost: the changes are made")
        return etags


async def claimed(runs: Runs, ticket: Ticket, owner: str = "one", seconds: float = 0) -> Claim:
    claim = await runs.claim(ticket, owner, at(seconds) + LEASE, at(seconds))
    assert isinstance(claim, Claim)
    return claim


def test_the_batch_of_these_tests_lies_in_every_shard() -> None:
    assert {RunKey.for_ticket(each).shard for each in BATCH} == {*SHARD_NAMES}


@pytest.mark.parametrize("survived", range(len(BATCH)))
async def test_a_batch_whose_claim_was_cut_short_is_claimed_by_the_next_owner(survived: int) -> None:
    data = MemoryData()
    answers = await Runs(MemoryStore(data, breaks_after=survived)).claim_all(WANTED, "one", NOON)
    assert [type(answer) for answer in answers] == [Claim] * survived + [StoreUnavailable] * (len(BATCH) - survived)
    assert nothing_is_half_done(data)
    runs = Runs(MemoryStore(data))
    assert len(await runs.list_unfinished()) == survived
    claims = await runs.claim_all([(each, at(121)) for each in BATCH], "two", at(61))
    assert [isinstance(claim, Claim) and claim.is_takeover for claim in claims] == [
        number < survived for number in range(len(BATCH))
    ]


@pytest.mark.parametrize("survived", range(len(BATCH)))
@pytest.mark.parametrize("healed_by", ["repeating", "taking over"])
async def test_a_batch_whose_finish_was_cut_short_is_finished_once(survived: int, healed_by: str) -> None:
    data = MemoryData()
    store = MemoryStore(data)
    dying = Runs(store)
    claims = [claim for claim in await dying.claim_all(WANTED, "one", NOON) if isinstance(claim, Claim)]
    ends = [RunResult(claim, run_of(claim.ticket)) for claim in claims]
    store.breaks_after = survived
    assert sum(error is None for error in await dying.finish_all(ends)) == survived
    assert nothing_is_half_done(data)
    store.breaks_after = None
    runs = Runs(MemoryStore(data))
    if healed_by == "repeating":
        assert await dying.finish_all(ends) == [None] * len(BATCH)
    else:
        unfinished = [record.ticket for record in await runs.list_unfinished()]
        assert len(unfinished) == len(BATCH) - survived
        for each in unfinished:
            await runs.finish(await claimed(runs, each, "two", 61), run_of(each))
    assert nothing_is_half_done(data)
    assert sorted(record.ticket.job for record in (await runs.list_page(outcome="succeeded")).records) == [
        each.job for each in BATCH
    ]
    assert keys(data, OPEN_PREFIX) == set()


STEPS = 9
"""Of `life`: claiming what is queued takes two."""


async def life(runs: Runs) -> None:
    """Everything that can become of a run."""
    await runs.enqueue(ticket())
    claim = await claimed(runs, ticket())
    await runs.release(claim)
    (renewed,) = await runs.renew_all([await claimed(runs, ticket())], at(300))
    assert isinstance(renewed, Claim), renewed
    run = run_of(ticket(), Outcome.FAILED)
    await runs.finish(renewed, run, acknowledged=False)
    await runs.acknowledge(run)


@pytest.mark.parametrize("survived", range(STEPS + 1))
async def test_a_run_is_ended_and_told_wherever_its_process_died(survived: int) -> None:
    data = MemoryData()
    try:
        await life(Runs(MemoryStore(data, breaks_after=survived)))
    except (StoreError, AssertionError):
        ended = False
    else:
        ended = True
    assert ended is (survived == STEPS)
    assert nothing_is_half_done(data)
    runs = Runs(MemoryStore(data))
    told = [run.outcome for run in await runs.list_unacknowledged()]
    for run in await runs.list_unacknowledged():
        await runs.acknowledge(run)
    for record in await runs.list_unfinished():
        claim = await claimed(runs, record.ticket, "two", 301)
        await runs.finish(claim, run_of(record.ticket), acknowledged=False)
        told += [run.outcome for run in await runs.list_unacknowledged()]
        await runs.acknowledge(run_of(record.ticket))
    if survived in (0, STEPS):
        assert told == []
    else:
        assert told == [Outcome.FAILED if survived == STEPS - 1 else Outcome.SUCCEEDED]
    assert nothing_is_half_done(data)
    assert keys(data, OPEN_PREFIX) == set()


async def test_what_was_stored_though_the_answer_was_lost_can_be_repeated() -> None:
    store = Forgetful()
    runs = Runs(store)
    claim = await claimed(runs, ticket())
    store.forgets = 1
    assert isinstance((await runs.renew_all([claim], at(300)))[0], StoreUnavailable)
    (renewed,) = await runs.renew_all([claim], at(300))
    assert isinstance(renewed, Claim)
    store.forgets = 1
    with pytest.raises(StoreUnavailable):
        await runs.finish(renewed, run_of(ticket()))
    await runs.finish(renewed, run_of(ticket()))
    assert nothing_is_half_done(store.data)
    assert [record.run for record in (await runs.list_page()).records] == [run_of(ticket())]


async def test_one_batch_whose_answers_were_lost_in_part_is_finished_once() -> None:
    store = Forgetful()
    runs = Runs(store)
    claims = [claim for claim in await runs.claim_all(WANTED, "one", NOON) if isinstance(claim, Claim)]
    ends = [RunResult(claim, run_of(claim.ticket)) for claim in claims]
    store.forgets = 3
    assert sum(error is None for error in await runs.finish_all(ends)) == 3
    assert await runs.finish_all(ends) == [None] * len(ends)
    assert nothing_is_half_done(store.data)


@pytest.mark.parametrize("survived", range(4))
async def test_deleting_that_was_cut_short_is_completed_by_the_next_round(survived: int) -> None:
    data = MemoryData()
    store = MemoryStore(data)
    runs = Runs(store)
    claims = [claim for claim in await runs.claim_all(WANTED, "one", NOON) if isinstance(claim, Claim)]
    await runs.finish_all([RunResult(claim, run_of(claim.ticket)) for claim in claims])
    await runs.prune(NOON, 86400, 100)  # what older versions have left is counted before
    store.breaks_after = survived
    with pytest.raises(StoreUnavailable):
        await runs.prune(at(10 * 86400), 86400, 100)
    store.breaks_after = None
    assert nothing_is_half_done(data)
    await runs.prune(at(10 * 86400), 86400, 100)
    assert keys(data, RUN_PREFIX) == keys(data, DONE_PREFIX) == keys(data, OPEN_PREFIX) == set()


async def test_a_late_owner_does_not_change_where_the_new_owners_run_is_listed() -> None:
    runs = Runs(MemoryStore())
    late, new = await claimed(runs, ticket()), await claimed(runs, ticket(), "two", 61)
    await runs.finish(new, run_of(ticket()))
    with pytest.raises(ClaimLost, match="another owner has the run"):
        await runs.finish(late, run_of(ticket(), Outcome.FAILED))
    assert [record.run for record in (await runs.list_page(outcome="succeeded")).records] == [run_of(ticket())]
    assert (await runs.list_page(outcome="failed")).records == ()


class Renewing(MemoryStore):
    """Renews the lease of a claim before each write of another `Runs`, `renewals` times."""

    renewals = 0
    claim: Claim

    async def apply(self, *changes: Change) -> Etags:
        if self.renewals:
            self.renewals -= 1
            await Runs(MemoryStore(self.data)).renew_all([self.claim], at(300 + self.renewals))
        return await super().apply(*changes)


async def test_a_run_whose_lease_is_renewed_all_the_time_is_not_lost() -> None:
    data = MemoryData()
    store = Renewing(data)
    runs = Runs(store)
    store.claim = await claimed(runs, ticket())
    store.renewals = 5
    with pytest.raises(StoreUnavailable, match="was renewed 4 times"):
        await runs.finish(store.claim, run_of(ticket()))
    await runs.finish(store.claim, run_of(ticket()))
    assert (found := await runs.find(ticket().id)) is not None
    assert found.run == run_of(ticket())
