"""Each finished run is counted once: on every store, wherever a process ends, whoever else writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.runs import Outcome, Ticket
from scheduler.stores.port import Change, Etags, Store, StoreError, StoreUnavailable
from scheduler.stores.runs.codec import RunState, decode_record
from scheduler.stores.runs.keys import HISTORY_TABLE, RUN_PREFIX
from scheduler.stores.runs.repository import Claim, ClaimLost, RowNames, RunResult, Runs
from scheduler.stores.runs.rollups import counting, hours
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryData, MemoryStore
from tests.scheduler.stores.samples import LEASE, NOON, at, rollup_of, run_of, ticket

HOUR, DAY = 3600, 86400


async def claimed(runs: Runs, tickets: Sequence[Ticket]) -> list[Claim]:
    answers = await runs.claim_all([(one, NOON + 1000 * LEASE) for one in tickets], "one", NOON)
    return [answer for answer in answers if isinstance(answer, Claim)]


async def finish(runs: Runs, tickets: Sequence[Ticket], outcome: Outcome = Outcome.SUCCEEDED) -> None:
    claims = await claimed(runs, tickets)
    errors = await runs.finish_all([RunResult(claim, run_of(claim.ticket, outcome)) for claim in claims])
    assert [error for error in errors if error is not None] == []


async def test_a_batch_with_many_runs_of_one_hour_is_counted_whole(store: Store) -> None:
    runs = Runs(store)
    await finish(runs, [ticket("a", second) for second in range(45)] + [ticket("b")])
    await finish(runs, [ticket("a", 100), ticket("a", HOUR)], Outcome.FAILED)
    await runs.insert_finished(
        ticket("a", 200), replace(run_of(ticket("a", 200)), outcome=Outcome.SKIPPED, attempts=())
    )
    counted = await rollup_of(runs, "a")
    assert counted.tally.outcomes == [45, 2, 0, 0, 1, 0]
    assert (counted.tally.attempts, counted.tally.retried, counted.tally.duration.total) == (47, 0, 47)
    assert counted.segment is not None
    assert (counted.segment.uptime.up, counted.segment.uptime.down) == (45, 2)
    assert (await rollup_of(runs, "b")).tally.runs == 1


async def test_runs_of_other_owners_in_a_batch_do_not_prevent_the_count_of_the_rest(store: Store) -> None:
    runs = Runs(store)
    claims = await claimed(runs, [ticket("a", second) for second in range(5)])
    await runs.claim(claims[2].ticket, "other", NOON + 3000 * LEASE, NOON + 2000 * LEASE)
    errors = await runs.finish_all([RunResult(claim, run_of(claim.ticket)) for claim in claims])
    assert [isinstance(error, ClaimLost) for error in errors] == [False, False, True, False, False]
    assert (await rollup_of(runs, "a")).tally.runs == 4


@pytest.mark.parametrize("names", [("", ""), ("x1", "x2")], ids=["one row", "a row each"])
async def test_two_processes_count_each_run_once(open_store: OpenStore, names: tuple[str, str]) -> None:
    one, two = [Runs(await open_store(), names=RowNames(counts_as=name)) for name in names]
    for start in range(0, 30, 6):
        await asyncio.gather(
            finish(one, [ticket("a", start + second) for second in (0, 2, 4)]),
            finish(two, [ticket("a", start + second) for second in (1, 3, 5)]),
        )
    counted = await rollup_of(one, "a")
    assert counted.tally.runs == 30
    assert counted.segment is not None
    assert (counted.segment.first, counted.segment.last) == (
        run_of(ticket("a")).started_at,
        run_of(ticket("a", 29)).started_at,
    )


async def test_runs_that_are_taken_over_are_counted(store: Store) -> None:
    runs = Runs(store)
    await claimed(runs, [ticket("a", second) for second in range(3)])
    ended = [(record, run_of(record.ticket, Outcome.CANCELLED)) for record in await runs.list_unfinished()]
    assert await runs.finish_open_all(ended) == [True] * 3
    assert await Runs(store).finish_open_all(ended) == [False] * 3
    assert (await rollup_of(runs, "a")).tally.outcomes[5] == 3


async def test_a_finish_whose_answer_was_lost_is_counted_once_when_it_is_repeated() -> None:
    class LosesAnswers(MemoryStore):
        loses = 0

        async def apply(self, *changes: Change) -> Etags:
            etags = await super().apply(*changes)
            if self.loses:
                self.loses -= 1
                raise StoreUnavailable("the answer was lost")
            return etags

    store = LosesAnswers()
    runs = Runs(store)
    claims = await claimed(runs, [ticket("a", second) for second in range(3)])
    ends = [RunResult(claim, run_of(claim.ticket)) for claim in claims]
    await runs.finish_all(ends[:1])
    store.loses = 1
    assert isinstance((await runs.finish_all(ends[1:]))[0], StoreUnavailable)
    assert await runs.finish_all(ends) == [None] * 3
    assert (await rollup_of(runs, "a")).tally.runs == 3


async def test_a_row_that_changes_all_the_time_ends_as_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    data = MemoryData()
    other = MemoryStore(data)
    runs = Runs(MemoryStore(data))
    await finish(runs, [ticket("a")])
    await finish(Runs(other), [ticket("a", 1)])
    monkeypatch.setattr(counting, "_MAX_TRIES", 0)
    (claim,) = await claimed(runs, [ticket("a", 2)])
    (error,) = await runs.finish_all([RunResult(claim, run_of(claim.ticket))])
    assert isinstance(error, StoreUnavailable)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["finish", "skip", "take over", "prune", "next day"]),
        st.integers(1, 4),  # runs, or days
        st.none() | st.integers(0, 6),  # the process ends after so many writes
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans())
async def test_whatever_ends_where_the_counts_are_those_of_the_finished_runs(
    steps: list[tuple[str, int, int | None]], is_shared: bool
) -> None:
    data, ever, now = MemoryData(), set[str](), NOON
    for number, (step, count, breaks_after) in enumerate(steps):
        names = RowNames(counts_as=f"p{number}" if is_shared else "")
        runs = Runs(MemoryStore(data, breaks_after=breaks_after), names=names)
        new = [ticket("a", (now - NOON).total_seconds() + number + one * 900) for one in range(count)]
        with suppress(StoreError):
            if step == "finish":
                ends = [RunResult(claim, run_of(claim.ticket)) for claim in await claimed(runs, new)]
                await runs.finish_all(ends)
                await runs.finish_all(ends)
            elif step == "skip":
                for one in new:
                    await runs.insert_finished(one, run_of(one, Outcome.SKIPPED))
            elif step == "take over":
                await runs.finish_open_all([(one, run_of(one.ticket)) for one in await runs.list_unfinished()])
            else:
                now += timedelta(days=count) if step == "next day" else timedelta()
                ever |= finished(data)
                await runs.prune(now, 2 * DAY, 2)
        ever |= finished(data)
    runs = Runs(MemoryStore(data))
    assert (await rollup_of(runs, "a")).tally.runs == len(ever)
    await runs.prune(now + timedelta(days=3), DAY, 1)
    assert (await rollup_of(runs, "a")).tally.runs == len(ever)
    assert (await rollup_of(runs, "a", days=3)).tally.runs <= len(ever)


def finished(data: MemoryData) -> set[str]:
    records = [
        decode_record(row)
        for (table, _, key), row in data.rows.items()
        if table == HISTORY_TABLE and key.startswith(RUN_PREFIX)
    ]
    return {record.ticket.id for record in records if record.state is RunState.FINISHED}


async def test_a_run_that_is_refused_does_not_count_with_the_next_one(store: Store) -> None:
    runs = Runs(store)
    await finish(runs, [ticket("a")])
    lost, *claims = await claimed(runs, [ticket("a", second) for second in (1, 2)])
    await runs.claim(lost.ticket, "other", NOON + 3000 * LEASE, NOON + 2000 * LEASE)
    (error,) = await runs.finish_all([RunResult(lost, run_of(lost.ticket))])
    assert isinstance(error, ClaimLost)
    assert await runs.finish_all([RunResult(claim, run_of(claim.ticket)) for claim in claims]) == [None]
    assert (await rollup_of(runs, "a")).tally.runs == 2


async def test_runs_of_more_jobs_than_the_cache_holds_are_counted(
    monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    monkeypatch.setattr(hours, "MAX_CACHED_JOBS", 2)
    runs = Runs(store)
    for second in range(3):
        await finish(runs, [ticket(f"job{number}", second) for number in range(6)])
    for number in range(6):
        assert (await rollup_of(runs, f"job{number}")).tally.runs == 3


async def test_counting_a_run_reads_nothing_but_the_first_time() -> None:
    store = MemoryStore()
    runs = Runs(store)
    await finish(runs, [ticket("a")])
    for second in range(1, 5):
        await finish(runs, [ticket("a", second)])
    await finish(runs, [ticket("a", HOUR)])
    assert store.reads == 0
    assert await runs.list_rollups("a", NOON, at(2 * HOUR)) != []
