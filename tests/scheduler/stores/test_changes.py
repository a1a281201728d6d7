"""The stored changes of states, on every store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs import Failure, Outcome, Run, Trigger
from jobs.runs.outcomes import ReasonCode
from jobs.runs.states import Cause, JobStatus, StateChange, enter_state
from scheduler.changes.tracking import REFRESH_INTERVAL, StateTracker
from scheduler.stores.changes import (
    CHANGES_PARTITION,
    CHANGES_TABLE,
    StateChanges,
    StoredState,
    read_position,
    state_key,
)
from scheduler.stores.port import RowChanged, RowExists, Store
from scheduler.stores.rows import InvalidContinuation, decode_json
from tests.scheduler.fakes import VirtualClock
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryData, MemoryStore
from tests.scheduler.stores.samples import NOON, at, run_of, ticket

CAUSE = Cause("job_paused", "deployment")


def ended(seconds: float, outcome: Outcome = Outcome.SUCCEEDED, job: str = "checkout") -> Run:
    return run_of(ticket(job, seconds), outcome)


async def write_all(changes: StateChanges, *steps: tuple[str, float]) -> None:
    """Each step alternates the state of a job at a second."""
    stored = await changes.read_states()
    for job, seconds in steps:
        known = stored.get(job)
        before = None if known is None else known.change
        state = JobStatus.UP if before is None or before.state is JobStatus.DOWN else JobStatus.DOWN
        change = enter_state(before, job, state, at(seconds), CAUSE)
        assert change is not None
        stored[job] = await changes.write(change, "" if known is None else known.etag)


def places(changes: tuple[StateChange, ...]) -> list[tuple[str, int]]:
    return [(change.job, change.number) for change in changes]


async def test_changes_are_listed_newest_first_of_all_jobs_and_of_one(store: Store) -> None:
    changes = StateChanges(store)
    await write_all(changes, ("b", 0), ("a", 1), ("b", 2), ("a", 2), ("a", 2))

    everything = await changes.list_page(limit=10)
    first = await changes.list_page(limit=2)
    second = await changes.list_page(limit=2, after=first.positions[-1])

    assert {*places(everything.changes[:3])} == {("a", 3), ("a", 2), ("b", 2)}
    assert places(everything.changes[3:]) == [("a", 1), ("b", 1)]
    assert first.changes + second.changes == everything.changes[:4]
    assert places((await changes.list_page("a", limit=10)).changes) == [("a", 3), ("a", 2), ("a", 1)]
    ranged = await changes.list_page("a", since=at(1), until=at(1), limit=10)
    assert places(ranged.changes) == [("a", 1)]
    with pytest.raises(InvalidContinuation):
        await changes.list_page(limit=2, after="s~b")


async def test_the_state_of_a_job_that_waits_is_read_back_and_unknown_to_older_programs(store: Store) -> None:
    changes = StateChanges(store)
    stored, states = None, (JobStatus.UP, JobStatus.WAITING, JobStatus.UP)
    for second, state in enumerate(states):
        change = enter_state(None if stored is None else stored.change, "a", state, at(second), CAUSE)
        assert change is not None
        stored = await changes.write(change, "" if stored is None else stored.etag)
        row = await store.get_row(CHANGES_TABLE, CHANGES_PARTITION, state_key("a"))
        assert row is not None
        body = decode_json(row.body)
        assert "waiting" not in (body["state"], body.get("previous"))
        read = await changes.read_state("a")
        assert read is not None
        assert read.change == change
    assert [each.state for each in (await changes.list_page(limit=9)).changes] == [*reversed(states)]


async def test_the_positions_of_changes_name_their_jobs_and_numbers(store: Store) -> None:
    changes = StateChanges(store)
    await write_all(changes, ("b", 0), ("a", 1), ("b.c-d", 1.5), ("a", 2), ("b", 3))

    listed = await changes.list_page(since=at(1), limit=10)
    positions = await changes.list_positions(at(1), limit=10)
    assert positions == {*listed.positions}
    assert {*map(read_position, positions)} == {*places(listed.changes)}


async def test_changes_of_more_jobs_than_a_page_by_another_process_are_found_without_reading_all(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualClock(NOON)
    here, other = StateTracker(StateChanges(await open_store()), clock), StateChanges(await open_store())
    await here.current_states()

    async def read_states(self: StateChanges) -> dict[str, StoredState]:
        raise AssertionError("all states are read again")

    monkeypatch.setattr(StateChanges, "read_states", read_states)
    monkeypatch.setattr("scheduler.stores.rows.MAX_PAGE", 3)
    await write_all_new(other, 8)
    clock.move(REFRESH_INTERVAL)

    assert [*await here.states_of([f"job-{number}" for number in range(8)])] == [f"job-{number}" for number in range(8)]


async def write_all_new(changes: StateChanges, number: int) -> None:
    for each in range(number):
        change = enter_state(None, f"job-{each}", JobStatus.UP, at(-each), CAUSE)
        assert change is not None
        await changes.write(change, "")


async def test_a_state_is_fenced(store: Store) -> None:
    changes = StateChanges(store)
    await write_all(changes, ("a", 0))
    stored = await changes.read_state("a")
    assert stored is not None
    change = enter_state(stored.change, "a", JobStatus.DOWN, at(1), CAUSE)
    assert change is not None

    with pytest.raises(RowExists):
        await changes.write(change, "")
    await changes.write(change, stored.etag)
    with pytest.raises(RowChanged):
        await changes.write(change, stored.etag)

    assert len((await changes.list_page(limit=10)).changes) == 2


async def test_old_changes_are_deleted_and_the_state_stays_unless_the_job_was_removed(store: Store) -> None:
    changes = StateChanges(store)
    await write_all(changes, ("a", 0), ("gone", 0), ("a", 100))
    gone = await changes.read_state("gone")
    assert gone is not None
    removed = enter_state(gone.change, "gone", JobStatus.REMOVED, at(10), CAUSE)
    assert removed is not None
    await changes.write(removed, gone.etag)

    assert await changes.prune(at(60), 30) == 3

    assert places((await changes.list_page(limit=10)).changes) == [("a", 2)]
    assert (await changes.list_page("gone", limit=10)).changes == ()
    assert [*await changes.read_states()] == ["a"]


async def test_a_restarted_process_that_repeats_a_run_writes_one_row(open_store: OpenStore) -> None:
    """As if it was killed after it recorded the state, before it acknowledged the run."""
    clock = VirtualClock(NOON)
    down = ended(60, Outcome.FAILED)
    for _ in range(3):
        await StateTracker(StateChanges(await open_store()), clock).record_run(down)

    page = await StateChanges(await open_store()).list_page(limit=10)

    assert [(change.run, change.state) for change in page.changes] == [(down.id, JobStatus.DOWN)]


async def test_two_processes_write_one_row(open_store: OpenStore) -> None:
    clock = VirtualClock(NOON)
    trackers = [StateTracker(StateChanges(await open_store()), clock) for _ in range(2)]
    for tracker in trackers:
        await tracker.record_run(ended(0))

    await asyncio.gather(*(tracker.record_run(ended(60, Outcome.FAILED)) for tracker in trackers * 3))

    page = await StateChanges(await open_store()).list_page(limit=10)
    assert [change.state for change in page.changes] == [JobStatus.DOWN, JobStatus.UP]


async def test_the_change_of_another_process_is_found(open_store: OpenStore) -> None:
    clock = VirtualClock(NOON)
    one, two = [StateTracker(StateChanges(await open_store()), clock) for _ in range(2)]
    await one.record_run(ended(0))
    await two.record_run(ended(1))
    clock.move(60)
    await two.record_run(ended(60, Outcome.FAILED))
    clock.move(REFRESH_INTERVAL)

    recovered = await one.record_run(ended(120))

    assert recovered is not None
    assert (recovered.number, recovered.previous) == (3, JobStatus.DOWN)


class CountingStore(StateChanges):
    """Counts the requests."""

    requests = 0

    async def list_positions(self, since: datetime, *, limit: int) -> set[str]:
        self.requests += 1
        return await super().list_positions(since, limit=limit)


async def test_runs_that_change_nothing_cost_no_request(store: Store) -> None:
    clock = VirtualClock(NOON)
    changes = CountingStore(store)
    tracker = StateTracker(changes, clock)
    await tracker.record_run(ended(0))

    for second in range(1, 101):
        clock.move(REFRESH_INTERVAL / 100)
        await tracker.record_run(ended(second))

    assert changes.requests == 1
    assert await changes.read_state("checkout") is not None
    assert NOON + timedelta(seconds=100) > clock.now()


RUNS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(0, 30),
        st.sampled_from([*Outcome]),
        st.sampled_from([Trigger.SCHEDULE, Trigger.MANUAL, Trigger.BACKFILL]),
        st.sampled_from([None, ReasonCode.DEPENDENCY]),
        st.booleans(),
        st.sampled_from([0.0, REFRESH_INTERVAL]),
    ),
    max_size=25,
)


@given(RUNS)
def test_a_run_that_needs_no_record_leaves_the_states_that_a_recorded_one_leaves(
    drawn: list[tuple[str, int, Outcome, Trigger, ReasonCode | None, bool, float]],
) -> None:
    async def follow() -> None:
        clock = VirtualClock(NOON)
        quick, thorough = (StateTracker(StateChanges(MemoryStore(MemoryData())), clock) for _ in range(2))
        for job, second, outcome, trigger, reason, is_degraded, pause in drawn:
            clock.move(pause)
            run = replace(ended(second, outcome, job), trigger=trigger, reason=reason)
            if is_degraded:
                attempt = replace(run.attempts[0], failures=(Failure("status", "2xx", "503"),))
                run = replace(run, attempts=(attempt,))
            if not quick.is_unchanged_by(run):
                await quick.record_run(run)
            await thorough.record_run(run)
            assert await values(quick) == await values(thorough)

    asyncio.run(follow())


async def values(tracker: StateTracker) -> dict[str, StateChange]:
    return {job: stored.change for job, stored in (await tracker.current_states()).items()}


async def test_a_run_that_changes_nothing_needs_no_record_until_the_states_are_read_again(store: Store) -> None:
    clock = VirtualClock(NOON)
    tracker = StateTracker(StateChanges(store), clock)
    assert not tracker.is_unchanged_by(ended(0))
    await tracker.record_run(ended(0))

    assert tracker.is_unchanged_by(ended(1))
    assert not tracker.is_unchanged_by(ended(2, Outcome.FAILED))
    clock.move(REFRESH_INTERVAL)
    assert not tracker.is_unchanged_by(ended(3))
