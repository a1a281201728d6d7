"""scheduler.features.forecast.schedule_changes names what the schedules do at a change, and the excluded days."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from jobs.schedules import load_time_zone, to_milliseconds
from scheduler.features.forecast.schedule_changes import ClockChange, find_clock_changes, find_excluded_days
from scheduler.turns import finish_at_once
from tests.scheduler.queries.forecast.forecast_parts import define

SPRING, AUTUMN = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
DAY_S = 86_400


def find(now: datetime, zone: str, *schedules: object) -> list[ClockChange]:
    since = to_milliseconds(now) // 1000
    jobs = [define(f"job-{number}", schedule) for number, schedule in enumerate(schedules)]
    return finish_at_once(find_clock_changes(jobs, load_time_zone(zone), since, since + DAY_S))


def berlin(cron: str, **dst: str) -> dict[str, object]:
    return {"cron": cron, "timezone": "Europe/Berlin", **({"dst": dst} if dst else {})}


@pytest.mark.parametrize(
    ("schedule", "effect"),
    [
        (berlin("30 2 * * *"), "runs later by the skipped time"),
        (berlin("0,30 2 * * *"), "the first skipped time runs later, the others do not"),
        (berlin("0,30 2 * * *", gap="shift"), "runs later by the skipped time"),
        (berlin("30 2 * * *", gap="end"), "runs once the skipped time has ended"),
        (berlin("30 2 * * *", gap="skip"), "skipped times are not run"),
    ],
)
def test_skipped_times(schedule: object, effect: str) -> None:
    (change,) = find(SPRING, "Europe/Berlin", schedule)

    assert (change.at, change.shift_s, change.is_gap) == (datetime(2026, 3, 29, 1, tzinfo=UTC), 3600, True)
    assert [(each.job, each.effect) for each in change.jobs] == [("job-0", effect)]


@pytest.mark.parametrize(
    ("schedule", "effect"),
    [
        (berlin("30 2 * * *"), "runs in the first pass only"),
        (berlin("*/10 * * * *"), "runs in both passes"),
        (berlin("30 2,3 * * *"), "runs in both passes"),
        (berlin("30 2 * * *", repeat="both"), "runs in both passes"),
    ],
)
def test_repeated_times(schedule: object, effect: str) -> None:
    (change,) = find(AUTUMN, "Europe/Berlin", schedule)

    assert (change.shift_s, change.is_gap) == (-3600, False)
    assert [(each.job, each.effect) for each in change.jobs] == [("job-0", effect)]


def test_jobs_at_other_times_are_not_named_and_other_zones_only_with_a_job() -> None:
    unaffected = berlin("30 4 * * *"), {"every": "5m"}, "30 2 * * *"
    assert [(each.zone.name, each.jobs) for each in find(SPRING, "Europe/Berlin", *unaffected)] == [
        ("Europe/Berlin", [])
    ]
    assert find(SPRING, "Asia/Tokyo", *unaffected) == []
    assert [each.zone.name for each in find(SPRING, "Asia/Tokyo", [berlin("30 2 * * *"), {"every": "1h"}])] == [
        "Europe/Berlin"
    ]
    assert find(datetime(2026, 6, 1, tzinfo=UTC), "Europe/Berlin", berlin("30 2 * * *")) == []


def test_a_shift_of_half_an_hour() -> None:
    (change,) = find(datetime(2026, 4, 4, 12, tzinfo=UTC), "Australia/Lord_Howe")
    assert change.shift_s == -1800


def test_excluded_days() -> None:
    holidays, dates = [{"holidays": "DE", "subdivision": "BE"}], [{"dates": ["2026-12-24"]}]
    jobs = [
        define("one", {"cron": "0 3 * * *", "except": holidays}),
        define("two", {"cron": "0 4 * * *", "except": [*holidays, *dates]}),
        define("off", {"cron": "0 4 * * *", "except": dates}, enabled=False),
        define("other", "0 4 * * *"),
    ]
    found = finish_at_once(find_excluded_days(jobs, date(2026, 12, 20), date(2026, 12, 25)))

    assert [(each.day, each.calendar, each.is_holiday, each.jobs) for each in found] == [
        (date(2026, 12, 24), "dates of a schedule", False, ["two"]),
        (date(2026, 12, 25), "holidays of DE-BE", True, ["one", "two"]),
    ]
