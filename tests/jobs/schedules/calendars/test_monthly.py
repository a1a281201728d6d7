"""Schedules by days of the month that NCRONTAB has no way to name."""

from __future__ import annotations

import pickle
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.definition import JobDefinition
from jobs.errors import ScheduleError
from jobs.schedules import MonthlySchedule, Schedule, ZonedSchedule, bind_to_job, parse_schedule, zone_of
from jobs.schedules.explanations import explain_schedule
from tests.parts.timing import computes_below

WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
ORDINALS = ["first", "second", "third", "fourth", "fifth"]


def monthly(day: object, at: object = "02:00", **keys: object) -> Schedule:
    return parse_schedule({"monthly": {"day": day, "at": at, **keys}})


def upcoming(schedule: Schedule, after: str, count: int) -> list[str]:
    found: list[str] = []
    instant: datetime | None = datetime.fromisoformat(after)
    while len(found) < count and (instant := schedule.next_after(instant)) is not None:  # type: ignore[arg-type]
        where = zone_of(schedule)
        found.append(instant.astimezone(UTC if where is None else where.info).isoformat().replace("+00:00", "Z"))
    return found


def days(day: object, year: int = 2026, **keys: object) -> list[str]:
    """The dates in a year on which it is due."""
    found = upcoming(monthly(day, "00:00", **keys), f"{year - 1}-12-31T23:59:59Z", 40)
    return [one[5:10] for one in found if one.startswith(str(year))]


@pytest.mark.parametrize(
    ("day", "due"),
    [
        ("last", "01-31 02-28 03-31 04-30 05-31 06-30 07-31 08-31 09-30 10-31 11-30 12-31"),
        ("last-weekday", "01-30 02-27 03-31 04-30 05-29 06-30 07-31 08-31 09-30 10-30 11-30 12-31"),
        ("first-weekday", "01-01 02-02 03-02 04-01 05-01 06-01 07-01 08-03 09-01 10-01 11-02 12-01"),
        ("last-friday", "01-30 02-27 03-27 04-24 05-29 06-26 07-31 08-28 09-25 10-30 11-27 12-25"),
        ("second-friday", "01-09 02-13 03-13 04-10 05-08 06-12 07-10 08-14 09-11 10-09 11-13 12-11"),
        ("nearest-weekday-15", "01-15 02-16 03-16 04-15 05-15 06-15 07-15 08-14 09-15 10-15 11-16 12-15"),
        ("nearest-weekday-1", "01-01 02-02 03-02 04-01 05-01 06-01 07-01 08-03 09-01 10-01 11-02 12-01"),
        ("last-3", "01-28 02-25 03-28 04-27 05-28 06-27 07-28 08-28 09-27 10-28 11-27 12-28"),
        ("fifth-friday", "01-30 05-29 07-31 10-30"),
        (31, "01-31 03-31 05-31 07-31 08-31 10-31 12-31"),
        ([1, "last"], "01-01 01-31 02-01 02-28 03-01 03-31 04-01 04-30 05-01 05-31 06-01 06-30 07-01 07-31 08-01 08-31 "
         "09-01 09-30 10-01 10-31 11-01 11-30 12-01 12-31"),
    ],
)  # fmt: skip
def test_a_day_of_the_month_is_found_by_its_place(day: object, due: str) -> None:
    assert days(day) == due.split()


def test_a_month_without_the_day_is_skipped_unless_its_last_day_is_to_be_accepted() -> None:
    assert days(30, months=[1, 2, 3]) == ["01-30", "03-30"]
    assert days(30, months=[1, 2, 3], missing_day="last") == ["01-30", "02-28", "03-30"]
    assert days(30, 2028, months="JAN-MAR", missing_day="last") == ["01-30", "02-29", "03-30"]
    assert days("fifth-friday", months="FEB", missing_day="last") == ["02-27"]
    assert days("nearest-weekday-31", months="FEB,MAY", missing_day="last") == ["02-27", "05-29"]


def test_several_times_on_a_day_are_each_due() -> None:
    due = upcoming(monthly("last", ["14:30:15", "02:00"]), "2026-02-01T00:00:00Z", 3)

    assert due == ["2026-02-28T02:00:00Z", "2026-02-28T14:30:15Z", "2026-03-31T02:00:00Z"]


@pytest.mark.parametrize(
    "written",
    ["last-friday", "last-fri", "last friday", "Last_Friday", "LAST FRI", ["last-friday"], ["last-fri", "last friday"]],
)
def test_a_day_may_be_written_in_several_ways(written: object) -> None:
    assert monthly(written) == monthly("last-friday")
    assert monthly(written).spec == {"monthly": {"day": ["last-friday"], "at": ["02:00"]}}


@pytest.mark.parametrize(
    "written",
    [
        {"day": "15, last", "at": "06:00,02:00:30", "months": "mar-may"},
        {"day": [15, "last"], "at": ["2:00:30", "06:00"], "months": [3, "apr", "5"], "missing_day": "last"},
    ],
)
def test_what_a_schedule_writes_out_is_read_back_and_has_lists_of_texts_always(written: dict[str, Any]) -> None:
    schedule = parse_schedule({"monthly": written})

    assert schedule.spec == {
        "monthly": {"day": ["15", "last"], "at": ["02:00:30", "06:00"], "months": ["MAR", "APR", "MAY"]}
    }
    assert parse_schedule(schedule.spec) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule


# --- Together with everything that a schedule has


def test_it_goes_by_the_clock_of_a_zone() -> None:
    schedule = parse_schedule({"monthly": {"day": "last", "at": "02:00"}, "timezone": "Europe/Berlin"})

    assert upcoming(schedule, "2026-03-31T00:00:00Z", 2) == ["2026-04-30T02:00:00+02:00", "2026-05-31T02:00:00+02:00"]
    assert parse_schedule(schedule.spec) == schedule


@pytest.mark.parametrize(
    ("dst", "due"),
    [
        ({}, ["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"]),
        ({"gap": "end"}, ["2026-03-29T03:00:00+02:00", "2026-04-26T02:00:00+02:00"]),
        ({"gap": "skip"}, ["2026-04-26T02:00:00+02:00", "2026-04-26T02:30:00+02:00"]),
    ],
)
def test_each_named_time_that_the_clock_skips_is_due_as_the_job_defines(dst: dict[str, str], due: list[str]) -> None:
    form = {"monthly": {"day": "last-sunday", "at": ["02:00", "02:30"]}, "timezone": "Europe/Berlin", "dst": dst}

    assert upcoming(parse_schedule(form), "2026-03-20T00:00:00Z", 2) == due


@pytest.mark.parametrize(("dst", "count"), [({}, 1), ({"repeat": "both"}, 2)])
def test_a_time_that_the_clock_shows_twice_is_due_once_unless_the_job_reports_otherwise(
    dst: dict[str, str], count: int
) -> None:
    form = {"monthly": {"day": "last-sunday", "at": "02:30"}, "timezone": "Europe/Berlin", "dst": dst}
    found = upcoming(parse_schedule(form), "2026-10-20T00:00:00Z", 3)

    assert len([one for one in found if one.startswith("2026-10-25T02:30")]) == count


def test_it_takes_a_jitter_a_start_an_end_and_exclusions() -> None:
    form = {
        "monthly": {"day": ["last-weekday", 24], "at": "08:00"},
        "jitter": "20s",
        "start": "2026-11-01",
        "end": "2027-01-31",
        "except": [{"dates": ["2026-12-24"]}, {"holidays": "DE"}],
    }
    schedule = bind_to_job(parse_schedule(form), "report")

    assert [one[:16] for one in upcoming(schedule, "2026-01-01T00:00:00Z", 9)] == [
        "2026-11-24T08:00",
        "2026-11-30T08:00",
        "2026-12-31T08:00",
        "2027-01-24T08:00",
        "2027-01-29T08:00",
    ]
    assert bind_to_job(parse_schedule(schedule.spec), "report") == schedule


def test_it_is_one_of_several_schedules() -> None:
    schedule = parse_schedule([{"monthly": {"day": "last", "at": "02:00"}}, "0 0 2 1 * *"])

    assert upcoming(schedule, "2026-11-29T00:00:00Z", 3) == [
        "2026-11-30T02:00:00Z",
        "2026-12-01T02:00:00Z",
        "2026-12-31T02:00:00Z",
    ]


def test_a_job_has_it_and_writes_it_into_json_and_the_schema_knows_it() -> None:
    job = JobDefinition.model_validate(
        {"name": "a", "schedule": {"monthly": {"day": "last"}}, "check": {"url": "https://a.example/"}}
    )

    assert job.model_dump(mode="json")["schedule"] == {"monthly": {"day": ["last"], "at": ["00:00"]}}
    assert JobDefinition.model_validate_json(job.model_dump_json(by_alias=True)) == job
    assert "missing_day" in str(JobDefinition.model_json_schema())
    assert job.runs_when == "monthly last at 00:00"


def test_days_that_no_month_has_are_never_due_and_report_it_at_once() -> None:
    schedule = monthly(30, months=2)

    with computes_below(0.1):
        assert schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC)) is None
    assert explain_schedule(schedule) == "At 02:00 on the 30th of February (never: there is no such day)"


def test_the_ends_of_the_calendar_are_no_errors() -> None:
    for schedule in (monthly("last"), parse_schedule({"monthly": {"day": "last"}, "timezone": "Asia/Tokyo"})):
        assert schedule.next_after(datetime.max.replace(tzinfo=UTC)) is None
        assert schedule.next_after(datetime.min.replace(tzinfo=UTC)) is not None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"day": "lsat"}, "monthly.day: 'lsat' is not a day of a month, did you mean last?"),
        ({"day": "last-fryday"}, "did you mean last-friday?"),
        ({"day": 32}, "monthly.day: 32 is out of range: a month has the days 1 to 31"),
        ({"day": "nearest-weekday-40"}, "40 is out of range"),
        ({"day": "last-30"}, "last-1 to last-27"),
        ({"day": [1, True]}, "monthly.day[1]: True is not a day"),
        ({"day": []}, "1 to 100 entries"),
        ({"day": "L"}, "'L' is not a day of a month, did you mean last?"),
        ({"day": "LW"}, "did you mean last-weekday?"),
        ({"day": "15W"}, "did you mean nearest-weekday-15?"),
        ({"day": "FRI#2"}, "did you mean second-friday?"),
        ({"day": "FRIL"}, "did you mean last-friday?"),
        ({"day": "last", "at": "25:00"}, "monthly.at: '25:00' is not a time of day: write it in quotes"),
        ({"day": "last", "at": 2}, "monthly.at: 2 is not a time of day"),
        ({"day": "last", "months": "foo"}, "monthly.months: 'foo' is not a value: use 1-12 or a name"),
        ({"day": "last", "months": 13}, "monthly.months: 13 is out of range 1-12"),
        ({"day": "last", "missing_day": "clip"}, "neither skip"),
        ({"at": "02:00"}, "monthly.day: is missing: write {day: last, at: '02:00'}"),
        ({"days": "last"}, "monthly.days: unknown key, did you mean day?"),
        ("last", "monthly: a mapping is expected, like {day: last, at: '02:00'}"),
    ],
)
def test_a_wrong_form_is_refused_with_what_to_write(value: object, message: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule({"monthly": value})
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"day": "last", "at": "02:00"}, "day: is a key of monthly: write {monthly: {day: last, at: '02:00'}}"),
        (
            {"cron": "0 0 * * *", "monthly": {"day": 1}},
            "one of cron, every and monthly is required, not cron and monthly",
        ),
        ({"monthly": {"day": 1}, "offset": "1s"}, "offset: is only valid with every"),
    ],
)
def test_keys_that_do_not_go_with_it_are_refused(form: dict[str, Any], message: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule(form)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"day": "last", "at": "02:00"}, "At 02:00 on the last day of every month"),
        ({"day": "last-friday", "at": ["02:00", "14:30"]}, "At 02:00 and 14:30 on the last Friday of every month"),
        ({"day": "last-weekday"}, "At 00:00 on the last weekday (Monday to Friday) of every month"),
        ({"day": "first-weekday"}, "At 00:00 on the first weekday (Monday to Friday) of every month"),
        (
            {"day": "nearest-weekday-15", "months": "MAR,JUN"},
            "At 00:00 on the weekday (Monday to Friday) nearest to the 15th of March and June",
        ),
        ({"day": [1, "second-fri"]}, "At 00:00 on the first and the second Friday of every month"),
        ({"day": "last-3"}, "At 00:00 on the third day before the last one of every month"),
        ({"day": 31}, "At 00:00 on the 31st of every month (months without such a day are skipped)"),
        ({"day": 31, "missing_day": "last"}, "At 00:00 on the 31st of every month (in a shorter month, the last day)"),
    ],
)
def test_it_is_explained_in_plain_english(form: dict[str, Any], text: str) -> None:
    assert explain_schedule(parse_schedule({"monthly": form})) == text


# --- Against a look at each day


def matches(day: str, on: date, *, or_last: bool) -> bool:
    """Whether a day named so is this date, worked out from the calendar alone."""
    length = monthrange(on.year, on.month)[1]
    month = [on.replace(day=number) for number in range(1, length + 1)]
    workdays = [one for one in month if one.weekday() < 5]
    first, _, rest = day.partition("-")
    if day in ("last-weekday", "first-weekday"):
        return on == workdays[-1 if first == "last" else 0]
    if day.startswith("nearest-weekday-") or day.isdigit():
        number = int(day.rpartition("-")[2])
        if number > length and not or_last:
            return False
        expected = month[min(number, length) - 1]
        return on == (expected if day.isdigit() else min(workdays, key=lambda one: abs((one - expected).days)))
    if rest in WEEKDAYS:
        named = [one for one in month if one.weekday() == WEEKDAYS.index(rest)]
        if first == "last":
            return on == named[-1]
        place = ORDINALS.index(first)
        return on == named[place] if place < len(named) else or_last and on == named[-1]
    return on == month[-1 - int(rest or 0)]


names = st.one_of(
    st.integers(1, 31).map(str),
    st.integers(1, 31).map(lambda number: f"nearest-weekday-{number}"),
    st.integers(1, 27).map(lambda number: f"last-{number}"),
    st.sampled_from(["last", "last-weekday", "first-weekday"]),
    st.builds(lambda place, name: f"{place}-{name}", st.sampled_from(["last", *ORDINALS]), st.sampled_from(WEEKDAYS)),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(names, min_size=1, max_size=3), st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), st.booleans())
def test_the_next_due_instant_is_the_one_found_by_checking_each_day(
    named: list[str], after: datetime, or_last: bool
) -> None:
    missing = "last" if or_last else "skip"
    schedule = parse_schedule({"monthly": {"day": named, "at": "12:00", "missing_day": missing}})
    assert isinstance(schedule, MonthlySchedule)
    noon = datetime.combine(after.date(), time(12))
    day = noon if noon > after else noon + timedelta(days=1)
    for _ in range(800):
        if any(matches(one, day.date(), or_last=or_last) for one in named):
            break
        day += timedelta(days=1)
    else:
        return  # a fifth weekday of February can be far

    assert schedule.next_after(after.replace(tzinfo=UTC)) == day.replace(tzinfo=UTC)


@given(names, st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]), st.integers(0, 10**9))
def test_on_the_clock_of_a_zone_next_is_strictly_later_and_excludes_nothing(name: str, where: str, at: int) -> None:
    schedule = parse_schedule({"monthly": {"day": name, "at": ["01:30", "02:30"]}, "timezone": where})
    assert isinstance(schedule, ZonedSchedule)
    instant = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=at % 10**8)

    due = schedule.next_after(instant)

    assert due is not None
    assert due > instant
    assert schedule.next_after(due - timedelta(milliseconds=1)) == due
    assert parse_schedule(schedule.spec) == schedule
