"""NCRONTAB against what the NCrontab library and the timer host of Azure Functions do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from jobs.errors import ScheduleError
from jobs.schedules import Ncrontab, parse_schedule
from tests.jobs.schedules.schedule_cases import cases, utc
from tests.parts.timing import computes_below

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize("case", cases("due"))
def test_due_instants_follow_one_another_as_in_ncrontab(case: dict[str, Any]) -> None:
    schedule, instant = Ncrontab.parse(case["schedule"]), utc(case["after"])
    for due in case["due"]:
        next_due = schedule.next_after(instant)
        assert next_due == utc(due)
        assert next_due is not None
        instant = next_due


@pytest.mark.parametrize("case", cases("not_due_before"))
def test_a_schedule_is_not_due_within_a_span_that_has_no_occurrence(case: dict[str, Any]) -> None:
    due = Ncrontab.parse(case["schedule"]).next_after(utc(case["after"]))
    assert due is None or due >= utc(case["before"])


@pytest.mark.parametrize("case", cases("runs_per_day"))
def test_a_documented_expression_is_due_as_often_a_day_as_it_defines(case: dict[str, Any]) -> None:
    schedule, end = Ncrontab.parse(case["schedule"]), utc("2024-01-03T00:00:00")
    instant = schedule.next_after(utc("2024-01-02T00:00:00") - timedelta(seconds=1))
    runs = 0
    while instant is not None and instant < end:
        runs += 1
        instant = schedule.next_after(instant)
    assert runs == case["runs"]


@pytest.mark.parametrize("case", cases("equal"))
def test_two_ways_to_write_one_schedule_are_equal(case: dict[str, Any]) -> None:
    first, second = (Ncrontab.parse(text) for text in case["schedules"])
    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.parametrize("case", cases("different"))
def test_schedules_that_differ_in_one_field_are_not_equal(case: dict[str, Any]) -> None:
    first, second = (Ncrontab.parse(text) for text in case["schedules"])
    assert first != second


@pytest.mark.parametrize("case", cases("never"))
def test_a_day_that_no_month_has_is_never_due(case: dict[str, Any]) -> None:
    assert parse_schedule(case["schedule"]).next_after(datetime.fromisoformat(case["after"])) is None


@pytest.mark.parametrize("case", cases("kinds"))
def test_kinds_of_schedules_are_distinguished_as_by_the_timer_host(case: dict[str, Any]) -> None:
    schedule = parse_schedule(case["schedule"])
    for kind in ("is_interval_like", "monitor_disabled"):
        assert getattr(schedule, kind) == case.get(kind, getattr(schedule, kind))


@pytest.mark.parametrize("case", cases("invalid"))
def test_a_wrong_expression_is_refused_naming_its_field(case: dict[str, Any]) -> None:
    with pytest.raises(ScheduleError) as refused:
        Ncrontab.parse(case["schedule"])
    assert str(refused.value).startswith(f"{case['field']}: ")
    assert repr(case["schedule"]) in str(refused.value)


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "* * * 30-31 Feb Mon"])
def test_a_schedule_for_days_that_do_not_exist_is_never_due_and_reports_it_at_once(text: str) -> None:
    schedule = Ncrontab.parse(text)
    with computes_below(0.1):
        assert [schedule.next_after(NOON) for _ in range(100)] == [None] * 100


def test_a_leap_day_on_a_weekday_is_found_across_a_century_without_a_leap_day() -> None:
    assert Ncrontab.parse("0 0 29 2 1").next_after(utc("1880-03-01T00:00:00")) == utc("1892-02-29T00:00:00")
    assert Ncrontab.parse("0 0 29 2 3").next_after(utc("2192-03-01T00:00:00")) == utc("2204-02-29T00:00:00")


def test_nothing_is_due_after_the_last_occurrence_that_a_datetime_can_hold() -> None:
    assert Ncrontab.parse("0 0 29 Feb Mon").next_after(utc("9988-02-29T00:00:00")) is None
    assert Ncrontab.parse("* * * * * *").next_after(datetime.max.replace(tzinfo=UTC)) is None


def test_the_first_instant_of_all_has_a_next_one() -> None:
    assert Ncrontab.parse("* * * * * *").next_after(datetime.min.replace(tzinfo=UTC)) == utc("0001-01-01T00:00:01")


def test_a_fraction_of_a_second_does_not_hide_the_next_second() -> None:
    schedule = Ncrontab.parse("* * * * * *")
    assert schedule.next_after(NOON + timedelta(microseconds=999_999)) == NOON + timedelta(seconds=1)
    assert schedule.next_after(NOON) == NOON + timedelta(seconds=1)


def test_an_instant_in_another_zone_is_the_same_instant() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    due = Ncrontab.parse("0 18 * * *").next_after(elsewhere)
    assert due == utc("2024-02-29T18:00:00")
    assert due is not None
    assert due.tzinfo is UTC


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        Ncrontab.parse("* * * * *").next_after(datetime(2024, 1, 1))


def test_the_text_is_stored_as_written_with_single_spaces() -> None:
    schedule = Ncrontab.parse("  0  */5 *   * * mon \n")
    assert schedule.text == schedule.spec == "0 */5 * * * mon"
    assert repr(schedule) == "Ncrontab(text='0 */5 * * * mon')"


def test_the_same_expression_is_one_value_however_many_jobs_write_it() -> None:
    assert Ncrontab.parse("*/10 * * * * *") is Ncrontab.parse("*/10 * * * * *")


def test_a_huge_expression_is_refused_without_quoting_it() -> None:
    with pytest.raises(ScheduleError, match="2007 characters is too long") as refused:
        Ncrontab.parse("1," * 1000 + " * * * ")
    assert len(str(refused.value)) < 100


def test_a_long_wrong_expression_is_quoted_in_part() -> None:
    with pytest.raises(ScheduleError) as refused:
        Ncrontab.parse("x" * 400 + " * * * *")
    assert len(str(refused.value)) < 250
