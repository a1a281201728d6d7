"""scheduler.features.forecast.counting, and what estimates and 5,000 jobs cost."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from jobs.schedules import from_milliseconds, to_milliseconds
from scheduler.features.forecast.counting import IdleReason, UpcomingRuns, list_cell_jobs
from scheduler.features.forecast.grid import ForecastRange
from scheduler.stores.gates import Pause
from scheduler.turns import finish_at_once
from tests.parts.timing import computes_below
from tests.scheduler.queries.forecast.forecast_parts import NOW, count, define


def test_equal_schedules_share_one_counter() -> None:
    jobs = [define(f"job-{number}", {"cron": "*/5 * * * *", "jitter": "30s"}) for number in range(3)]
    found = count([*jobs, define("other", "*/5 * * * *"), define("same", "*/5 * * * *")])

    assert found.due[3].counter is found.due[4].counter
    assert len({id(due.counter.instants) for due in found.due}) == 1  # type: ignore[attr-defined]  # all are lists


def test_what_is_too_much_to_list_is_estimated_within_a_few_percent() -> None:
    jobs = [define("bursts", "*/2 */3 * * * *"), define("all-day", "*/3 * 8-20 * * *")]
    exact, estimated = count(jobs), count(jobs, max_listed=2000)

    assert not exact.is_estimated
    assert estimated.is_estimated
    assert abs(estimated.runs - exact.runs) < 0.05 * exact.runs
    assert estimated.every.runs[0] == exact.every.runs[0]


def test_a_schedule_with_bounds_is_counted_by_arithmetic() -> None:
    job = define("bounded", {"every": "1s", "start": "2026-03-01T18:00:00", "end": "2026-03-01T18:59:59"})
    found = count([job], max_listed=10)

    assert (found.runs, found.is_estimated) == (3600, False)


def test_the_reasons_for_jobs_that_are_not_due() -> None:
    jobs = [
        define("off", "every 1m", enabled=False),
        define("paused", "every 1m"),
        define("resumed-later", "every 1m"),
        define("ended", {"every": "1m", "end": "2026-01-01"}),
        define("next-week", "0 0 3 * * SAT"),
        define("requested", None),
        define("after", None, depends_on=["off"]),
    ]
    later = NOW + timedelta(days=3)
    pauses = {"paused": Pause("paused", NOW), "resumed-later": Pause("resumed-later", NOW, later, "moving")}
    found = count(jobs, pauses=pauses)

    assert found.runs == 0
    assert found.suspended == 2 * 1440
    assert [(idle.job.name, idle.reason, idle.note, idle.next_at) for idle in found.idle] == [
        ("ended", IdleReason.ENDED, "", None),
        ("paused", IdleReason.PAUSED, "paused", None),
        ("off", IdleReason.DISABLED, "", None),
        ("next-week", IdleReason.LATER, "", NOW.replace(day=7, hour=3)),
        ("resumed-later", IdleReason.LATER, "paused: moving", later),
        ("after", IdleReason.DEPENDENT, "off", None),
        ("requested", IdleReason.ON_DEMAND, "", None),
    ]


def test_the_next_runs_follow_the_clock_in_both_directions() -> None:
    jobs = [define("often", "every 7m"), define("hourly", "0 5 * * * *"), define("paused", "every 1m")]
    found = count(jobs, pauses={"paused": Pause("paused", NOW, NOW + timedelta(hours=2))})
    runs = UpcomingRuns(found.due, found.grid.edges[-1])
    schedules = {job.name: job.schedule for job in jobs}

    for minutes in (0, 1, 119, 300, 20, 23 * 60, 30 * 60):
        after = to_milliseconds(NOW + timedelta(minutes=minutes))
        listed = [(run.due_at, run.job.name) for run in finish_at_once(runs.list_next(after, 10))]

        expected: list[tuple[datetime, str]] = []
        for name, schedule in schedules.items():
            at = after if name != "paused" else max(after, to_milliseconds(NOW + timedelta(hours=2)) - 1)
            for _ in range(10):
                at = schedule.next_after_ms(at) or 0  # type: ignore[union-attr]  # all have one
                expected += [(from_milliseconds(at), name)] if at < found.grid.edges[-1] else []
        assert listed == sorted(expected)[:10]


def test_5000_jobs_are_counted_within_two_seconds_and_in_short_steps() -> None:
    jobs = [define(f"job-{number:04}", _mix(number)) for number in range(5000)]
    with computes_below(2.0):
        found = count(jobs, chosen=ForecastRange.WEEK, zone="Europe/Berlin")
    with computes_below(0.2):
        cell = finish_at_once(list_cell_jobs(found, 30, only_rare=False))
    with computes_below(0.2):
        upcoming = finish_at_once(UpcomingRuns(found.due, found.grid.edges[-1]).list_next(found.grid.edges[0], 50))

    assert not found.is_estimated
    assert sum(each.runs for each in cell) == found.every.runs[30]
    assert len(upcoming) == 50


def _mix(number: int) -> object:
    """A schedule of a usual portfolio: frequent checks, hourly and nightly jobs, several zones, holidays."""
    draw = random.Random(number)
    minute, hour = draw.randrange(60), draw.randrange(24)
    return (
        {"every": draw.choice(("10s", "30s", "1m", "5m")), "jitter": "10s"},
        {"every": f"{draw.randrange(20, 300)}s", "offset": f"{draw.randrange(1, 19)}s"},
        f"*/{draw.choice((5, 10, 15))} * * * *",
        {"cron": f"{minute} {hour} * * *", "timezone": draw.choice(("Europe/Berlin", "America/New_York"))},
        {"cron": f"{minute} * * * *", "jitter": "5m"},
        {"cron": f"{minute} {hour} * * MON-FRI", "timezone": "Europe/Berlin", "except": [{"holidays": "DE"}]},
        {"every": "1m", "except": [{"weekly": {"days": "SAT-SUN"}}]},
        "*/10 * * * * *",
    )[number % 8]
