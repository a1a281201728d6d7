"""One planning pass: what it hands on, misses and leaves out, however ticks and clocks come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.catalog.catalog import Catalog, CatalogJob
from scheduler.planning.due_heap import DueHeap
from scheduler.planning.plan import Plan, plan_due
from scheduler.stores.gates import Pause
from tests.scheduler.fakes import entry

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STILL_ON_TIME = timedelta(seconds=10)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Planning:
    """Jobs and their heap, which stands at the start."""

    def __init__(self, *jobs: CatalogJob, since: Mapping[str, datetime] | None = None) -> None:
        self.jobs = Catalog(jobs)
        self.heap = DueHeap(self.jobs.schedules(), START, since)

    def tick(self, now: float, horizon: float = 0.0, paused: Mapping[str, Pause] | None = None) -> Plan:
        return plan_due(
            self.jobs, self.heap, at(now), timedelta(seconds=horizon), still_on_time=STILL_ON_TIME, pauses=paused
        )


def on_time(made: Plan) -> list[tuple[str, float]]:
    return [(ticket.job, (ticket.due_at - START).total_seconds()) for ticket in made.on_time]


def test_a_pass_plans_what_falls_due_until_its_horizon_and_the_next_one_continues_there() -> None:
    planning = Planning(entry("a", "every 10s"), entry("b", {"every": "15s", "offset": "500ms"}))

    first = planning.tick(0, horizon=20)

    assert on_time(first) == [("b", 0.5), ("a", 10), ("b", 15.5), ("a", 20)]
    assert first.until == planning.heap.position == at(20)
    assert on_time(planning.tick(5, horizon=30)) == [("a", 30), ("b", 30.5)]


def test_a_ticket_is_the_one_that_any_caller_would_make_for_the_instant() -> None:
    job = entry("a", {"every": "10s", "offset": "1234ms"})

    (ticket,) = Planning(job).tick(5).on_time

    assert ticket.id == ticket.correlation_id == "a@20260301T120001.234Z"
    assert (ticket.due_at, ticket.generation) == (at(1.234), job.generation)


def test_a_pass_that_returns_a_little_plans_nothing_as_all_of_it_was_planned() -> None:
    planning = Planning(entry("a", "every 1s"))
    planning.tick(60)

    made = planning.tick(51)

    assert (made.on_time, made.caught_up, made.missed) == ([], [], [])
    assert made.until == at(60)
    assert on_time(planning.tick(61)) == [("a", 61)]


def test_what_only_a_clock_missed_that_was_far_ahead_is_planned_once_it_is_put_back() -> None:
    planning = Planning(entry("a", "every 10s"))
    planning.tick(30)
    (skipped,) = planning.tick(86_400).missed
    assert skipped.first == at(40)

    made = planning.tick(55, horizon=5)

    assert on_time(made) == [("a", 50), ("a", 60)]
    assert made.until == at(60)


def test_a_clock_that_is_put_back_does_not_let_a_new_schedule_fire_for_the_past() -> None:
    planning = Planning(entry("a", "every 10s"), since={"a": at(35)})
    planning.tick(3600)

    assert on_time(planning.tick(42, horizon=10)) == [("a", 40), ("a", 50)]


def test_a_schedule_that_a_clock_far_ahead_saw_first_is_in_force_once_it_is_put_back() -> None:
    jobs = Catalog([entry("a", "every 10s")])
    heap = DueHeap(jobs.schedules(), at(3600), {"a": at(3600)})

    made = plan_due(jobs, heap, at(42), timedelta(seconds=10), still_on_time=STILL_ON_TIME)

    assert on_time(made) == [("a", 50)]


@pytest.mark.parametrize(("down_since", "expected"), [(530, "running"), (50, "since 2026-03-01 12:01:00Z")])
def test_the_reason_of_what_is_skipped_reports_since_when_and_which_policy(down_since: float, expected: str) -> None:
    jobs = Catalog([entry(schedule="0 * * * * *")])

    made = plan_due(jobs, DueHeap(jobs.schedules(), at(down_since)), at(599), still_on_time=STILL_ON_TIME)

    (skipped,) = made.missed
    assert skipped.ticket.due_at == at(540)
    assert expected in skipped.reason.message
    assert skipped.reason.message.endswith("(catch_up: none)")
    assert (made.on_time, made.caught_up) == ([], [])


def test_jobs_of_one_schedule_are_caught_up_each_by_its_own_policy() -> None:
    minutely = "0 * * * * *"
    planning = Planning(
        entry("none", minutely),
        entry("last", minutely, catch_up={"policy": "last"}),
        entry("short", minutely, catch_up={"policy": "all", "within": "2m"}),
        entry("long", minutely, catch_up={"policy": "all", "within": "4m"}),
    )

    made = planning.tick(305)

    late = {tickets[0].job: [ticket.due_at for ticket in tickets] for tickets in made.caught_up}
    assert late == {"short": [at(240)], "long": [at(120), at(180), at(240)]}
    skipped = {one.entry.job.name: one.last for one in made.missed}
    assert skipped == {"none": at(240), "last": at(240), "short": at(180), "long": at(60)}
    assert sorted(on_time(made)) == [("last", 300), ("long", 300), ("none", 300), ("short", 300)]


@pytest.mark.parametrize(
    ("schedule", "now", "horizon", "runs"),
    [
        pytest.param("0 * * * * *", 605, 0, [600], id="the instant that is on time"),
        pytest.param("0 * * * * *", 611, 0, [600], id="the latest missed one where none is on time"),
        pytest.param("* * * * * *", 600, 0, [600], id="the latest of several that are on time"),
        pytest.param("0 * * * * *", 605, 75, [600, 660], id="what falls due later runs as well"),
        pytest.param("0 */5 * * * *", 590, 75, [300, 600], id="what falls due later replaces no missed one"),
        pytest.param("* * * * * *", 9, 2, [*range(1, 12)], id="without a missed one everything runs"),
    ],
)
def test_last_makes_one_run_for_everything_that_fell_due_until_now(
    schedule: str, now: float, horizon: float, runs: list[float]
) -> None:
    made = Planning(entry("a", schedule, catch_up={"policy": "last"})).tick(now, horizon)

    late = [(ticket.due_at - START).total_seconds() for tickets in made.caught_up for ticket in tickets]
    assert [*late, *(due for _, due in on_time(made))] == runs


def test_what_last_skips_ends_right_before_its_run() -> None:
    planning = Planning(entry("a", "* * * * * *", catch_up={"policy": "last"}), entry("b", "* * * * * *"))

    made = planning.tick(30)

    skipped = {one.entry.job.name: (one.first, one.last) for one in made.missed}
    assert skipped == {"a": (at(1), at(29)), "b": (at(1), at(19))}
    assert on_time(made) == [*(("b", due) for due in range(20, 30)), ("a", 30), ("b", 30)]
    assert all(one.reason.message.endswith(f"(catch_up: {one.entry.job.catch_up.policy})") for one in made.missed)


def test_an_on_time_instant_that_a_pause_skips_replaces_no_missed_one() -> None:
    planning = Planning(entry("a", "0 * * * * *", catch_up={"policy": "last"}))

    made = planning.tick(605, paused={"a": Pause("a", at(500))})  # of the pause, 540 is planned, and 600 is not

    assert on_time(made) == []
    assert [[ticket.due_at for ticket in tickets] for tickets in made.caught_up] == [[at(540)]]


def test_of_a_paused_job_only_the_first_instant_is_planned_and_the_others_continue() -> None:
    planning = Planning(entry("a", "every 10s"), entry("b", "every 10s"))

    made = planning.tick(0, horizon=30, paused={"a": Pause("a", START)})

    assert sorted(on_time(made)) == [("a", 10), ("b", 10), ("b", 20), ("b", 30)]
