"""Intervals, and the forms in which a schedule is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.errors import ScheduleError
from jobs.schedules import IntervalSchedule, Ncrontab, Schedule, from_milliseconds, parse_schedule, to_milliseconds
from tests.jobs.schedules.schedule_cases import cases, utc


@pytest.mark.parametrize("case", cases("timespans"))
def test_a_timespan_is_an_interval(case: dict[str, Any]) -> None:
    assert parse_schedule(case["timespan"]) == IntervalSchedule(case["seconds"])


@pytest.mark.parametrize("case", cases("remedies"))
def test_a_wrong_schedule_is_refused_with_a_remedy(case: dict[str, Any]) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule(case["schedule"])
    assert case["says"] in str(refused.value)


def test_an_interval_is_due_at_whole_multiples_since_the_epoch() -> None:
    schedule = IntervalSchedule(10)
    assert schedule.next_after(utc("2024-01-01T00:00:00")) == utc("2024-01-01T00:00:10")
    assert schedule.next_after(utc("2024-01-01T00:00:03.250")) == utc("2024-01-01T00:00:10")
    assert schedule.next_after(utc("1969-12-31T23:59:55")) == utc("1970-01-01T00:00:00")


def test_a_daily_interval_is_due_at_midnight_utc() -> None:
    assert IntervalSchedule(86_400).next_after(utc("2024-02-28T15:00:00")) == utc("2024-02-29T00:00:00")


def test_an_interval_below_a_second_keeps_to_the_millisecond() -> None:
    schedule, instant = IntervalSchedule(0.3), utc("1970-01-01T00:00:00.599999")
    assert schedule.next_after(instant) == utc("1970-01-01T00:00:00.600")


def test_no_interval_is_due_after_the_year_9999() -> None:
    assert IntervalSchedule(86_400).next_after(datetime.max.replace(tzinfo=UTC)) is None


def test_an_interval_reads_and_writes_its_distance_as_people_do() -> None:
    schedule = IntervalSchedule(90)
    assert schedule.text == "every 1m30s"
    assert schedule.spec == {"every": "1m30s"}


@pytest.mark.parametrize("seconds", [0, -1, 0.05, float("inf"), float("nan"), 1e12])
def test_an_interval_out_of_range_is_refused(seconds: float) -> None:
    with pytest.raises(ScheduleError, match="out of range: 100ms to 3650d"):
        IntervalSchedule(seconds)


@pytest.mark.parametrize("value", ["every 10s", {"every": "10s"}, "00:00:10", IntervalSchedule(10)])
def test_each_form_of_an_interval_is_read(value: object) -> None:
    assert parse_schedule(value) == IntervalSchedule(10)


@pytest.mark.parametrize("value", ["*/5 * * * *", {"cron": "0 */5 * * * *"}, Ncrontab.parse("0 */5 * * * *")])
def test_each_form_of_an_expression_is_read(value: object) -> None:
    schedule = parse_schedule(value)
    assert schedule == Ncrontab.parse("*/5 * * * *")
    assert isinstance(schedule, Schedule)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"evry": "10s"}, "evry: unknown key, did you mean every?"),
        ({"Cron": "* * * * *"}, "Cron: unknown key, did you mean cron?"),
        ({"colour": "red"}, "colour: unknown key, a schedule has cron, every,"),
        ({1: 2}, "1: unknown key"),
        ({}, "one of cron, every and monthly is required, not none"),
        ({"every": "10s", "cron": "* * * * *"}, "not cron and every"),
        ({"every": 10}, "every: 10 has no unit"),
        ({"every": "1ms"}, "every: an interval of 1ms is out of range"),
        ({"every": "9" * 400 + "d"}, "every: '99999999999999999999' is too long"),
        ({"cron": 5}, "cron: an NCRONTAB text is expected"),
        ({"cron": "00:00:10"}, "expected 5 or 6 fields, got 1"),
        (43_200, "43200 has no unit: write {every: 43200s} if seconds are meant"),
        (None, "not NoneType: write"),
        (True, "not bool: write"),
        ([], "a list of schedules must have 1 to 50 entries, not 0"),
        (["* * * * *"] * 51, "1 to 50 entries, not 51"),
        (["* * * * *", ["* * * * *"]], "[1]: a schedule must be a text or a mapping, not list"),
        (["* * * * *", {"evry": "5m"}], "[1]: evry: unknown key, did you mean every?"),
        ({"every": "3h", "offset": "4h"}, "offset: an offset of 4h is not shorter than the interval of 3h"),
        ({"every": "3h", "offset": "3h"}, "offset: an offset of 3h is not shorter than the interval of 3h"),
        ({"every": "3h", "offset": 5}, "offset: 5 has no unit"),
        ({"every": "-43h"}, "every: '-43h' is negative: write it like 500ms, 10s, 2m or 1h30m"),
        ({"cron": "* * * * *", "offset": "5s"}, "offset: is only valid with every"),
        ({"every": "5m", "jitter": "0s"}, "jitter: '0s' is out of range: 1ms to 3650d"),
        ({"every": "5m", "jitter": "5"}, "jitter: '5' is not a duration"),
        ({"every": "5m", "start": "soon"}, "start: 'soon' is not an instant in ISO 8601: write it like '2026-11-25'"),
        ({"every": "5m", "end": 5}, "end: 5 is not an instant"),
        ({"every": "5m", "start": "2026-02-01", "end": "2026-01-01"}, "end: 2026-01-01 is before start, 2026-02-01"),
    ],
)
def test_a_value_that_is_no_schedule_is_refused(value: object, message: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule(value)
    assert message in str(refused.value)


@pytest.mark.parametrize("case", cases("macros"))
def test_a_macro_is_due_as_in_other_schedulers(case: dict[str, Any]) -> None:
    schedule, after = parse_schedule({"cron": case["macro"], "timezone": case["timezone"]}), case["not_before"]
    moment = datetime.fromisoformat(after) - timedelta(milliseconds=1)
    assert schedule.next_after(moment) == datetime.fromisoformat(case["due"])


def test_a_macro_stands_for_an_expression_and_is_stored_as_written() -> None:
    schedule = parse_schedule("@Daily")
    assert schedule == Ncrontab.parse("0 0 0 * * *")
    assert schedule.spec == schedule.text == "@daily"


def test_every_with_a_distance_is_an_interval() -> None:
    assert parse_schedule("@every 1m30s") == IntervalSchedule(90)


def test_cron_takes_no_interval() -> None:
    with pytest.raises(ScheduleError, match=r"write \{every: 10s\} for an interval"):
        parse_schedule({"cron": "@every 10s"})


def test_milliseconds_and_instants_convert_both_ways() -> None:
    instant = utc("2024-02-29T12:34:56.789")
    assert from_milliseconds(to_milliseconds(instant)) == instant
    assert to_milliseconds(instant + timedelta(microseconds=999)) == to_milliseconds(instant)
    assert to_milliseconds(utc("1969-12-31T23:59:59.999")) == -1
