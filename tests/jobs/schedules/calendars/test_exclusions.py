"""What a schedule leaves out."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.errors import ScheduleError
from jobs.schedules import Schedule, parse_schedule, zone_of
from tests.parts.timing import computes_below


def daily(*exclusions: dict[str, Any], timezone: str = "Europe/Berlin", cron: str = "0 0 12 * * *") -> Schedule:
    return parse_schedule({"cron": cron, "timezone": timezone, "except": list(exclusions)})


def days(schedule: Schedule, after: str, count: int) -> list[str]:
    found, instant = [], datetime.fromisoformat(after)
    for _ in range(count):
        due = schedule.next_after(instant)
        assert due is not None
        found.append(due.date().isoformat())
        instant = due
    return found


def test_a_date_is_skipped() -> None:
    schedule = daily({"dates": ["2026-12-24", "2026-12-25", "2026-12-27"]})

    assert days(schedule, "2026-12-23T00:00:00Z", 3) == ["2026-12-23", "2026-12-26", "2026-12-28"]


def test_a_date_is_a_day_on_the_schedules_clock() -> None:
    schedule = parse_schedule({"every": "1h", "timezone": "Asia/Tokyo", "except": [{"dates": ["2026-12-24"]}]})

    assert schedule.next_after(datetime(2026, 12, 23, 14, 30, tzinfo=UTC)) == datetime(2026, 12, 24, 15, tzinfo=UTC)
    assert schedule.next_after(datetime(2026, 12, 23, 13, 30, tzinfo=UTC)) == datetime(2026, 12, 23, 14, tzinfo=UTC)


def test_the_weekend_is_skipped() -> None:
    schedule = daily({"weekly": {"days": "SAT-SUN"}})

    assert days(schedule, "2026-11-26T00:00:00Z", 3) == ["2026-11-26", "2026-11-27", "2026-11-30"]


@pytest.mark.parametrize(
    ("after", "due"),
    [
        ("2026-11-28T20:30:00Z", "2026-11-28T20:40:00Z"),
        ("2026-11-28T20:50:00Z", "2026-11-29T05:00:00Z"),
        ("2026-11-29T02:00:00Z", "2026-11-29T05:00:00Z"),
        ("2026-11-29T21:10:00Z", "2026-11-30T05:00:00Z"),
        ("2026-11-30T21:10:00Z", "2026-11-30T21:20:00Z"),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(after: str, due: str) -> None:
    schedule = daily({"weekly": {"days": "SAT-SUN", "from": "22:00", "to": "06:00"}}, cron="0 */10 * * * *")

    assert schedule.next_after(datetime.fromisoformat(after)) == datetime.fromisoformat(due)


def test_a_window_without_days_is_each_day() -> None:
    schedule = daily({"weekly": {"from": "08:00", "to": "18:00"}}, timezone="UTC", cron="0 0 * * * *")

    assert schedule.next_after(datetime(2026, 1, 1, 7, 30, tzinfo=UTC)) == datetime(2026, 1, 1, 18, tzinfo=UTC)


def test_a_window_that_a_clock_change_lengthens_is_skipped_to_its_end() -> None:
    """From 1:30 to 2:30 on the wall: the second pass of the repeated hour brings 2:00 again, which is in the window."""
    schedule = daily({"weekly": {"from": "01:30", "to": "02:30"}}, cron="0 */15 * * * *")

    after = datetime(2026, 10, 24, 23, 20, tzinfo=UTC)
    due = []
    for _ in range(4):
        found = schedule.next_after(after)
        assert found is not None
        after = found
        due.append(f"{found:%H:%M}")
    assert due == ["00:30", "00:45", "01:30", "01:45"]


def test_holidays_of_a_country_and_of_a_part_of_it_are_skipped() -> None:
    berlin, bavaria = daily({"holidays": "DE", "subdivision": "BE"}), daily({"holidays": "de", "subdivision": "by"})

    assert days(berlin, "2026-03-07T00:00:00Z", 2) == ["2026-03-07", "2026-03-09"]
    assert days(bavaria, "2026-03-07T00:00:00Z", 2) == ["2026-03-07", "2026-03-08"]
    assert days(daily({"holidays": "DE"}), "2026-12-24T00:00:00Z", 2) == ["2026-12-24", "2026-12-27"]


def test_years_whose_holidays_is_unknown_have_none() -> None:
    schedule = daily({"holidays": "DE"}, timezone="Asia/Tokyo", cron="0 0 12 * * *")

    assert schedule.next_after(datetime(9999, 12, 29, 12, tzinfo=UTC)) == datetime(9999, 12, 30, 3, tzinfo=UTC)


def test_the_package_of_holidays_is_imported_only_where_it_is_needed() -> None:
    program = (
        "import sys; from jobs.schedules import parse_schedule as p; "
        "p({'every': '5m', 'except': [{'dates': ['2026-12-24']}]}); assert 'holidays' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_skipped_adds_up() -> None:
    schedule = daily({"dates": ["2026-12-28"]}, {"weekly": {"days": ["SAT", "SUN"]}}, {"holidays": "DE"})

    assert days(schedule, "2026-12-24T00:00:00Z", 2) == ["2026-12-24", "2026-12-29"]


@pytest.mark.parametrize("cron", ["* * * * * *", "0 0 12 * * *"])
def test_a_schedule_of_which_everything_is_skipped_is_never_due_and_reports_it_soon(cron: str) -> None:
    schedule = daily({"weekly": {"days": "MON-SUN"}}, cron=cron)

    with computes_below(0.5):
        assert schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC)) is None


windows = st.fixed_dictionaries(
    {
        "days": st.lists(st.sampled_from(["MON", "TUE-THU", "FRI-SAT", "SUN", "SAT-MON"]), min_size=1, max_size=2),
        "from": st.sampled_from(["00:00", "01:30", "02:30", "12:00", "22:00"]),
        "to": st.sampled_from(["02:00", "03:00", "06:00", "23:00", "24:00"]),
    }
)


def skipped(shown: datetime, window: dict[str, Any]) -> bool:
    """By looking at each window that may cover this time on the wall."""
    names = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]
    begins: set[int] = set()
    for item in window["days"]:
        first, _, last = item.partition("-")
        day = names.index(first)
        begins.add(day)
        while last and names[day % 7] != last:
            day += 1
            begins.add(day % 7)
    begin, end = (int(text[:2]) * 60 + int(text[3:]) for text in (window["from"], window["to"]))
    time_of_day = shown.hour * 60 + shown.minute
    if begin < end:
        return shown.weekday() in begins and begin <= time_of_day < end
    yesterday = (shown.weekday() - 1) % 7
    return (shown.weekday() in begins and time_of_day >= begin) or (yesterday in begins and time_of_day < end)


@settings(deadline=None, max_examples=60)
@example({"days": ["SUN"], "from": "02:30", "to": "02:00"}, 5 * 24 * 60 + 15, "2026-10-20")
@example({"days": ["SUN"], "from": "02:30", "to": "03:00"}, 5 * 24 * 60 + 15, "2026-10-20")
@given(windows, st.integers(0, 10 * 24 * 60), st.sampled_from(["2026-03-24", "2026-10-20"]))
def test_the_next_due_instant_is_the_one_found_by_checking_every_quarter_of_an_hour(
    window: dict[str, Any], minutes: int, start: str
) -> None:
    schedule = daily({"weekly": window}, cron="0 */15 * * * *")
    after = datetime.fromisoformat(start).replace(tzinfo=UTC) + timedelta(minutes=minutes)
    zone = zone_of(schedule)
    assert zone is not None

    instant = after.replace(minute=after.minute // 15 * 15) + timedelta(minutes=15)
    while skipped(instant.astimezone(zone.info), window):
        instant += timedelta(minutes=15)

    assert schedule.next_after(after) == instant


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"dates": []}, "except: a list is expected, like [{dates: ['2026-12-24']}]"),
        ([5], "except[0]: a mapping is expected"),
        ([{"dates": ["2026-12-24"]}, {}], "except[1]: one of dates, weekly, holidays is required, not none"),
        ([{"date": ["2026-12-24"]}], "except[0].date: unknown key, did you mean dates?"),
        ([{"dates": "2026-12-24"}], "except[0].dates: a list of dates is expected"),
        ([{"dates": ["24.12.2026"]}], "except[0].dates[0]: '24.12.2026' is not a date: write it like '2026-12-24'"),
        ([{"dates": ["2026-02-30"]}], "except[0].dates[0]: '2026-02-30' is not a date"),
        ([{"dates": ["2026-12-24"], "subdivision": "BE"}], "except[0].subdivision: is only valid with holidays"),
        ([{"dates": ["2026-12-24"], "holidays": "DE"}], "not dates and holidays"),
        ([{"weekly": "SAT"}], "except[0].weekly: a mapping is expected"),
        ([{"weekly": {"day": "SAT"}}], "except[0].weekly.day: unknown key, did you mean days?"),
        ([{"weekly": {"days": "SAT-SUB"}}], "except[0].weekly.days: 'SUB' is not a weekday"),
        ([{"weekly": {"days": 6}}], "except[0].weekly.days: weekdays are expected, like SAT-SUN or MON,WED, not 6"),
        ([{"weekly": {"days": []}}], "except[0].weekly.days: weekdays are expected"),
        ([{"weekly": {"from": "25:00"}}], "except[0].weekly.from: '25:00' is not a time of day"),
        ([{"weekly": {"from": 1320}}], "except[0].weekly.from: 1320 is not a time of day: write it in quotes"),
        ([{"weekly": {"from": "24:00"}}], "except[0].weekly.from: 24:00 is not valid, a day starts at 00:00"),
        ([{"weekly": {"from": "08:00", "to": "08:00"}}], "except[0].weekly.to: is equal to from"),
        ([{"holidays": "Germany"}], "except[0].holidays: a two-letter country code is expected"),
        ([{"holidays": "XX"}], "except[0].holidays: no holidays are available for XX"),
        ([{"holidays": "DE", "subdivision": "BF"}], "except[0].subdivision: 'BF' is not a part of DE"),
        ([{"dates": ["2026-12-24"]}] * 101, "except: 101 entries are too many, the maximum is 100"),
    ],
)
def test_a_wrong_exclusion_is_refused_naming_its_place(value: object, message: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule({"every": "5m", "except": value})
    assert message in str(refused.value)
