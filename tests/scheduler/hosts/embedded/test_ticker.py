"""The embedded tick, on virtual time: what it starts, and how it takes a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pytest

from jobs.runs import Ticket
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.hosts.embedded.ticker import (
    MAX_BATCH_SPACING,
    MAX_CHANGES_PER_TICK,
    MAX_TICK_INTERVAL,
    SUBMIT_AHEAD,
    Ticker,
)
from scheduler.planning.plan import MissedSpan
from scheduler.stores.gates import Pause
from tests.scheduler.fakes import START, VirtualClock, entry


class Ticking:
    """A ticker with what it started: (seconds after the start, job)."""

    def __init__(
        self, *jobs: CatalogJob, after: datetime | None = None, paused: Mapping[str, Pause] | None = None
    ) -> None:
        self.clock = VirtualClock()
        self.started: list[Ticket] = []
        self.started_at: list[datetime] = []
        self.in_turn: list[tuple[Ticket, ...]] = []
        self.batches: list[tuple[int, datetime | None]] = []
        """How many, and when they are to be claimed."""
        self.skipped: list[tuple[Ticket, str]] = []
        self.catalog = Catalog(jobs)
        self.ticker = Ticker(self.catalog, self, self.clock, after=after, pauses_at=lambda _: paused or {})

    def submit(self, *tickets: Ticket) -> None:
        self.started += tickets
        self.started_at += [self.clock.now()] * len(tickets)
        self.in_turn.append(tickets)

    def submit_batch(self, tickets: Sequence[Ticket], claim_at: datetime | None = None) -> None:
        self.batches.append((len(tickets), claim_at))
        for ticket in tickets:
            self.submit(ticket)

    def submit_missed(self, excluded: MissedSpan) -> None:
        self.skipped.append((excluded.ticket, excluded.reason))

    def change(self, *jobs: CatalogJob) -> None:
        self.catalog.replace(JobSnapshot(jobs))
        self.ticker.tick()

    def due(self, job: str) -> list[float]:
        """Seconds after the start."""
        return [(ticket.due_at - START).total_seconds() for ticket in self.started if ticket.job == job]

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.move(1)
            self.ticker.tick()

    async def run_until(self, seconds: float) -> None:
        end = START + timedelta(seconds=seconds)

        def stop(_: float) -> None:
            if self.clock.now() >= end:
                raise asyncio.CancelledError

        self.clock.on_sleep = stop
        with pytest.raises(asyncio.CancelledError):
            await self.ticker.run()


async def test_each_due_instant_is_handed_on_a_little_ahead_once() -> None:
    ticking = Ticking(entry("a", "*/20 * * * * *"), entry("b", "every 1500ms"))

    await ticking.run_until(58)

    ahead = [ticket.due_at - at for ticket, at in zip(ticking.started, ticking.started_at, strict=True)]
    assert timedelta() < min(ahead) <= max(ahead) <= SUBMIT_AHEAD
    assert [ticket.due_at.second for ticket in ticking.started if ticket.job == "a"] == [20, 40, 0]
    assert sum(ticket.job == "b" for ticket in ticking.started) == 40


def test_many_that_are_planned_at_a_time_are_claimed_bit_by_bit() -> None:
    ticking = Ticking(*(entry(f"job-{number}", "every 10s") for number in range(120)))

    ticking.clock.move(8)
    ticking.ticker.tick()

    now = ticking.clock.now()
    assert ticking.batches == [(50, None), (50, now + MAX_BATCH_SPACING), (20, now + 2 * MAX_BATCH_SPACING)]


def test_what_is_due_soon_is_claimed_at_once_however_many_they_are() -> None:
    ticking = Ticking(*(entry(f"job-{number}", "every 10s") for number in range(120)))

    ticking.clock.move(9.5)
    ticking.ticker.tick()

    assert ticking.batches == [(50, None), (50, None), (20, None)]


async def test_disabled_jobs_and_jobs_without_a_schedule_do_not_start() -> None:
    ticking = Ticking(entry("off", "every 1s", enabled=False), entry("asked", None))

    await ticking.run_until(5)

    assert ticking.started == []


async def test_it_never_sleeps_longer_than_a_moment_so_that_a_changed_clock_is_noticed() -> None:
    ticking = Ticking(entry("yearly", "0 0 0 1 1 *"))
    slept: list[float] = []
    ticking.clock.on_sleep = slept.append

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await ticking.ticker.run()

    assert set(slept) == {MAX_TICK_INTERVAL}


def test_what_fell_due_while_the_machine_slept_long_is_skipped_with_the_reason() -> None:
    ticking = Ticking(entry("a", "0 */5 * * * *"))

    ticking.clock.move(3600 + 150)
    ticking.ticker.tick()

    assert ticking.started == []
    ((ticket, reason),) = ticking.skipped
    assert ticket.due_at == START + timedelta(hours=1)
    assert "stalled" in reason.message


def test_what_fell_due_since_the_last_process_stopped_is_caught_up_in_turn() -> None:
    job = entry("a", "0 */5 * * * *", catch_up={"policy": "all", "within": "15m"})
    ticking = Ticking(job, after=START - timedelta(hours=2))

    ticking.ticker.tick()

    assert [[ticket.due_at for ticket in tickets] for tickets in ticking.in_turn] == [
        [START - timedelta(minutes=minutes) for minutes in (15, 10, 5, 0)]
    ]


def test_what_is_due_now_waits_for_what_its_job_catches_up() -> None:
    job = entry("a", "0 */5 * * * *", catch_up={"policy": "all", "within": "6m"})
    ticking = Ticking(job, entry("b", "every 5s"), after=START - timedelta(minutes=6))

    ticking.ticker.tick()

    of_a = [[ticket.due_at for ticket in tickets] for tickets in ticking.in_turn if tickets[0].job == "a"]
    assert of_a == [[START - timedelta(minutes=5), START]]


def test_a_job_that_catches_up_by_last_runs_once_where_an_instant_fell_due_just_before_the_start() -> None:
    job = entry("a", "0 * * * * *", catch_up={"policy": "last"})
    ticking = Ticking(job, after=START - timedelta(minutes=6, seconds=30))

    ticking.clock.move(5)
    ticking.ticker.tick()

    assert [ticket.due_at for ticket in ticking.started] == [START]
    ((excluded, _),) = ticking.skipped
    assert excluded.due_at == START - timedelta(minutes=1)


def test_a_plan_that_ended_in_the_future_begins_with_the_present() -> None:
    ticking = Ticking(entry("a", "every 10s"), after=START + timedelta(hours=5))

    ticking.clock.move(10)
    ticking.ticker.tick()

    assert len(ticking.started) == 1


def test_a_short_hang_still_runs_what_fell_due() -> None:
    ticking = Ticking(entry("a", "*/3 * * * * *"))

    ticking.clock.move(9)
    ticking.ticker.tick()

    assert [ticket.due_at.second for ticket in ticking.started] == [3, 6, 9]
    assert ticking.skipped == []


def test_a_clock_set_back_continues_with_the_new_time() -> None:
    ticking = Ticking(entry("a", "0 * * * * *"))
    ticking.clock.move(600)
    ticking.ticker.tick()
    before = len(ticking.started)

    ticking.clock.move(-3600)
    ticking.ticker.tick()
    ticking.clock.move(60)
    ticking.ticker.tick()

    due = [ticket.due_at - START for ticket in ticking.started[before:]]
    # The first one counts as on time, too: it may have been missed only by the wrong clock.
    assert due == [timedelta(seconds=600 - 3600), timedelta(seconds=600 - 3600 + 60)]


def test_a_time_that_passes_a_second_time_is_known_and_one_that_was_never_ticked_is_none() -> None:
    ticking = Ticking(entry("a", "every 1s"))
    ticking.pass_seconds(60)
    ticking.clock.move(3600)  # put forward, and back again
    ticking.pass_seconds(60)
    forward = ticking.clock.now()

    def until(seconds: float) -> datetime | None:
        ticking.clock.move(seconds)
        ticking.ticker.tick()
        return ticking.ticker.repeated_until(ticking.clock.now())

    assert until(-3600) is None  # an hour in which nothing ran
    assert until(3600 - 30) == forward
    ticking.pass_seconds(31)
    assert until(0) is None
    assert until(-30) == forward + timedelta(seconds=1)


def test_a_ticket_carries_the_generation_of_its_job() -> None:
    job = entry("a", "every 1s")
    ticking = Ticking(job)

    ticking.clock.move(1)
    ticking.ticker.tick()

    assert {ticket.generation for ticket in ticking.started} == {job.generation}


def test_of_a_paused_job_only_the_first_instants_are_handed_on_to_be_skipped() -> None:
    ticking = Ticking(entry("a", "every 3s"), paused={"a": Pause("a", START + timedelta(seconds=4))})

    ticking.clock.move(10)
    ticking.ticker.tick()
    ticking.clock.move(10)
    ticking.ticker.tick()

    # Until everybody knows of it, and one more.
    due = [(ticket.due_at - START).total_seconds() for ticket in ticking.started]
    assert due == [3, 6, 9, 12]


def test_what_a_paused_job_missed_while_nothing_ran_is_neither_caught_up_nor_recorded() -> None:
    job = entry("a", "every 3s", catch_up={"policy": "all"})
    ticking = Ticking(job, after=START, paused={"a": Pause("a", START - timedelta(hours=1))})

    ticking.clock.move(600)
    ticking.ticker.tick()

    assert (ticking.started, ticking.skipped) == ([], [])


def test_a_new_job_begins_at_once_and_never_for_the_past() -> None:
    ticking = Ticking(entry("a", "every 1s"))
    ticking.pass_seconds(3)

    ticking.change(entry("a", "every 1s"), entry("b", "every 1s"))
    ticking.pass_seconds(2)

    assert ticking.due("b") == [4, 5, 6, 7]
    assert ticking.due("a") == [1, 2, 3, 4, 5, 6, 7]


def test_of_a_changed_schedule_no_instant_is_handed_on_twice_and_none_skipped() -> None:
    ticking = Ticking(entry("a", "every 2s"))
    ticking.pass_seconds(3)  # what is due at 4 is handed on

    ticking.change(entry("a", "every 1s"))
    ticking.pass_seconds(3)

    assert ticking.due("a") == [2, 4, 5, 6, 7, 8]


def test_a_job_that_is_gone_is_planned_no_more_and_the_others_of_its_schedule_are() -> None:
    ticking = Ticking(*(entry(name, "every 1s") for name in "abc"))
    ticking.pass_seconds(3)

    ticking.change(entry("a", "every 1s"), entry("b", "every 1s", enabled=False))
    ticking.pass_seconds(3)

    assert (ticking.due("b"), ticking.due("c")) == ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    assert ticking.due("a") == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_job_that_comes_back_at_once_has_each_instant_once() -> None:
    ticking = Ticking(entry("a", "every 1s"))
    ticking.pass_seconds(3)

    ticking.change()
    ticking.change(entry("a", "every 1s"))
    ticking.pass_seconds(1)

    assert ticking.due("a") == [1, 2, 3, 4, 5, 6]


def test_a_changed_check_alone_changes_no_plan() -> None:
    ticking = Ticking(entry("a", "every 1s"))
    ticking.pass_seconds(3)

    ticking.change(changed := entry("a", "every 1s", timeout={"run": "9s"}))
    ticking.pass_seconds(1)

    assert ticking.due("a") == [1, 2, 3, 4, 5, 6]
    assert ticking.started[-1].generation == changed.generation


def test_what_the_old_schedule_missed_is_not_caught_up_by_the_new_one() -> None:
    ticking = Ticking(entry("a", "every 10s", catch_up={"policy": "all"}))
    ticking.clock.move(3600)

    ticking.change(entry("a", "every 20s", catch_up={"policy": "all"}))
    ticking.pass_seconds(19)

    assert ticking.due("a") == [3620]


def test_many_new_schedules_are_planned_bit_by_bit_and_none_loses_an_instant() -> None:
    ticking = Ticking(entry("a", "every 1s"))
    ticking.pass_seconds(3)
    names = [f"new-{number}" for number in range(2 * MAX_CHANGES_PER_TICK + 1)]
    changed_at = ticking.clock.now()

    ticking.change(*(entry(name, "every 1s") for name in ("a", *names)))
    planned_at_once = {ticket.job for ticket in ticking.started} - {"a"}
    ticking.clock.move(0.5)
    assert (len(planned_at_once), ticking.ticker.last_tick) == (MAX_CHANGES_PER_TICK, changed_at)
    while ticking.ticker.has_unplanned_changes:
        ticking.ticker.tick()
    ticking.pass_seconds(2)

    assert {tuple(ticking.due(name)) for name in names} == {(4, 5, 6, 7)}
    assert ticking.due("a") == [1, 2, 3, 4, 5, 6, 7]
    assert ticking.ticker.last_tick == ticking.clock.now()


def test_of_many_new_schedules_one_that_is_removed_again_is_not_planned() -> None:
    ticking = Ticking()
    names = [f"new-{number:03}" for number in range(MAX_CHANGES_PER_TICK + 1)]
    ticking.change(*(entry(name, "every 1s") for name in names))

    ticking.change(*(entry(name, "every 1s") for name in names[:-1]))
    ticking.pass_seconds(1)

    assert (ticking.due(names[0]), ticking.due(names[-1])) == ([1, 2, 3], [])
