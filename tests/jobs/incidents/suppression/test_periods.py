"""Periods of local time, against an oracle that looks at the clock minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.incidents.suppression.periods import PeriodDefinition
from jobs.incidents.suppression.spans import MAX_JOINED_SPANS, AnyOf, Outside, Periods, state_at
from jobs.schedules import load_time_zone

MINUTE = timedelta(minutes=1)
DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
CLOCK_CHANGES = (
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),  # by half an hour
    ("Africa/Cairo", "2026-04-24"),  # at midnight
    ("Africa/Cairo", "2026-10-29"),
    ("Africa/Casablanca", "2026-02-15"),
    ("UTC", "2026-03-29"),
)


def periods_of(**keys: Any) -> Periods:
    return PeriodDefinition.model_validate({key.rstrip("_"): value for key, value in keys.items()}).periods


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def instants_of(day: str) -> list[datetime]:
    """Every minute from a day before a day to a day after it, and those before by which a period is known."""
    start = datetime.fromisoformat(f"{day}T00:00:00+00:00") - timedelta(days=4)
    return [start + number * MINUTE for number in range(6 * 24 * 60)]


class ClockOracle:
    """Walks the minutes: a period begins when the clock first shows its begin, and ends when it then shows its end."""

    def __init__(self, zone: str, day: str) -> None:
        self.minutes = instants_of(day)
        self.shown = [each.astimezone(load_time_zone(zone).info).replace(tzinfo=None) for each in self.minutes]

    def inside(self, weekdays: set[int], begin: timedelta, length: timedelta) -> set[datetime]:
        found: set[datetime] = set()
        first = self.shown[0].date()
        for number in range(-1, 8):
            midnight = datetime.combine(first + timedelta(days=number), datetime.min.time())
            starts, ends = midnight + begin, midnight + begin + length
            if midnight.weekday() not in weekdays or starts < self.shown[0]:
                continue
            start = next((i for i, shown in enumerate(self.shown) if shown >= starts), len(self.shown))
            end = next((i for i in range(start, len(self.shown)) if self.shown[i] >= ends), len(self.shown))
            found.update(self.minutes[start:end])
        return found


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@settings(max_examples=25, deadline=None)
@given(
    change=st.sampled_from(CLOCK_CHANGES),
    weekdays=st.sets(st.integers(0, 6), min_size=1),
    begin=st.integers(0, 24 * 60 - 1) | st.integers(0, 4 * 60),
    end=st.integers(0, 24 * 60 - 1) | st.integers(0, 4 * 60),
)
def test_a_daily_period_is_what_the_clock_shows(
    change: tuple[str, str], weekdays: set[int], begin: int, end: int
) -> None:
    zone, day = change
    if begin == end:
        end = (end + 1) % (24 * 60)
    days = ",".join(DAYS[number] for number in weekdays)
    periods = periods_of(weekly={"days": days, "from": clock(begin), "to": clock(end)}, timezone=zone)
    oracle = ClockOracle(zone, day)
    inside = oracle.inside(weekdays, timedelta(minutes=begin), timedelta(minutes=(end - begin) % (24 * 60)))

    for minute in oracle.minutes[2 * 24 * 60 :: 7]:
        assert state_at(periods, minute).is_inside == (minute in inside), minute


@settings(max_examples=12, deadline=None)
@given(
    change=st.sampled_from(CLOCK_CHANGES),
    begin=st.tuples(st.integers(0, 6), st.integers(0, 24 * 60 - 1)),
    length=st.integers(1, 2 * 24 * 60 - 1),
)
def test_a_period_over_days_is_what_the_clock_shows(
    change: tuple[str, str], begin: tuple[int, int], length: int
) -> None:
    zone, day = change
    weekday, minute_of_day = begin
    end_day, end = divmod(minute_of_day + length, 24 * 60)
    point = f"{DAYS[(weekday + end_day) % 7]} {clock(end)}"
    periods = periods_of(weekly={"from": f"{DAYS[weekday]} {clock(minute_of_day)}", "to": point}, timezone=zone)
    oracle = ClockOracle(zone, day)
    inside = oracle.inside({weekday}, timedelta(minutes=minute_of_day), timedelta(minutes=length))

    for minute in oracle.minutes[3 * 24 * 60 :: 7]:
        assert state_at(periods, minute).is_inside == (minute in inside), minute


SPECS = st.sampled_from(
    [
        {"weekly": {"from": "FRIDAY 22:00", "to": "SUNDAY 17:00"}, "timezone": "Europe/Berlin"},
        {"weekly": {"days": "MON-FRI", "from": "22:00", "to": "06:00"}, "timezone": "America/New_York"},
        {"weekly": {"from": "01:30"}, "for": "3h", "timezone": "Europe/Berlin"},
        {"schedule": {"cron": "0 0 2 * * SUN", "timezone": "Europe/Berlin"}, "for": "3h"},
        {"schedule": {"every": "1h"}, "for": "15m"},
        {"schedule": [{"cron": "0 0 2 * * *"}, {"cron": "0 30 3 * * *"}], "for": "90m"},
        {"calendar": [{"holidays": "DE", "subdivision": "BE"}, {"dates": ["2026-10-25"]}], "timezone": "Europe/Berlin"},
        {"from": "2026-10-24T20:00", "until": "2026-10-25T02:30", "timezone": "Europe/Berlin"},
    ]
)


@settings(max_examples=60, deadline=None)
@given(
    specs=st.lists(SPECS, min_size=1, max_size=3),
    minute=st.integers(0, 20 * 24 * 60),
    is_outside=st.booleans(),
)
def test_nothing_changes_before_the_announced_change_and_then_it_does(
    specs: list[dict[str, Any]], minute: int, is_outside: bool
) -> None:
    periods: Periods = AnyOf(tuple(PeriodDefinition.model_validate(spec).periods for spec in specs))
    periods = Outside(periods) if is_outside else periods
    now = at("2026-10-17T00:00:30+00:00") + minute * MINUTE
    state = state_at(periods, now)
    if state.changes_at is None:
        return

    assert state.changes_at > now
    assert state_at(periods, state.changes_at).is_inside != state.is_inside
    assert state_at(periods, state.changes_at - timedelta(microseconds=1)).is_inside == state.is_inside
    for number in range(1, 20):
        assert state_at(periods, now + (state.changes_at - now) * number / 20).is_inside == state.is_inside


@settings(max_examples=40, deadline=None)
@given(every=st.integers(2, 300), length=st.integers(1, 299), minute=st.integers(0, 2000))
def test_a_recurring_period_covers_the_time_after_each_due_instant(every: int, length: int, minute: int) -> None:
    periods = periods_of(schedule={"every": f"{every}m"}, for_=f"{length}m")
    now = datetime(1970, 1, 5, tzinfo=UTC) + minute * MINUTE
    since = (now - datetime(1970, 1, 1, tzinfo=UTC)) // MINUTE % every

    assert state_at(periods, now).is_inside == (since < length)


@pytest.mark.parametrize(
    ("begin", "end", "inside", "outside"),
    [
        ("02:15", "02:45", [], ["2026-03-29T00:59:00+00:00", "2026-03-29T01:00:00+00:00"]),
        ("02:30", "04:00", ["2026-03-29T01:00:00+00:00"], ["2026-03-29T00:59:59+00:00", "2026-03-29T02:00:00+00:00"]),
        ("01:00", "02:30", ["2026-03-29T00:59:59+00:00"], ["2026-03-29T01:00:00+00:00"]),
    ],
)
def test_a_begin_or_end_in_a_gap_is_the_end_of_the_gap(
    begin: str, end: str, inside: list[str], outside: list[str]
) -> None:
    periods = periods_of(weekly={"from": begin, "to": end}, timezone="Europe/Berlin")

    assert all(state_at(periods, at(each)).is_inside for each in inside)
    assert not any(state_at(periods, at(each)).is_inside for each in outside)


@pytest.mark.parametrize(
    ("begin", "end", "first", "last"),
    [
        ("02:15", "02:45", "2026-10-25T00:15:00+00:00", "2026-10-25T00:45:00+00:00"),
        ("02:45", "03:30", "2026-10-25T00:45:00+00:00", "2026-10-25T02:30:00+00:00"),
        ("22:00", "02:30", "2026-10-24T20:00:00+00:00", "2026-10-25T00:30:00+00:00"),
    ],
)
def test_a_begin_or_end_in_a_fold_is_the_first_of_the_two(begin: str, end: str, first: str, last: str) -> None:
    periods = periods_of(weekly={"from": begin, "to": end}, timezone="Europe/Berlin")

    assert state_at(periods, at(first)).changes_at == at(last)
    assert not state_at(periods, at(first) - MINUTE).is_inside


def test_a_length_is_elapsed_time_also_over_a_change_of_the_clock() -> None:
    periods = periods_of(weekly={"from": "01:00"}, for_="3h", timezone="Europe/Berlin")

    assert state_at(periods, at("2026-03-29T00:00:00+00:00")).changes_at == at("2026-03-29T03:00:00+00:00")


def test_periods_that_adjoin_are_one() -> None:
    shift = {"timezone": "Europe/Berlin", "weekly": {"from": "22:00", "to": "06:00"}}
    next_shift = {"timezone": "Europe/Berlin", "weekly": {"from": "06:00", "to": "08:00"}}
    periods = AnyOf(tuple(PeriodDefinition.model_validate(each).periods for each in (shift, next_shift)))

    assert state_at(periods, at("2026-06-01T23:00:00+02:00")).changes_at == at("2026-06-02T08:00:00+02:00")


def test_the_end_of_a_period_that_never_ends_is_not_searched_for_ever() -> None:
    always = periods_of(weekly={"from": "00:00"}, for_="24h")

    state = state_at(always, at("2026-06-01T00:00:00+00:00"))
    assert (state.is_inside, state.changes_at) == (True, None)
    assert state_at(Outside(always), at("2026-06-01T00:00:00+00:00")).is_inside is False
    assert MAX_JOINED_SPANS < 1000


def test_weekly_periods_leave_out_holidays() -> None:
    periods = periods_of(
        weekly={"days": "MON-FRI", "from": "08:00", "to": "18:00"},
        timezone="Europe/Berlin",
        except_=[{"holidays": "DE", "subdivision": "BE"}],
    )

    assert not state_at(periods, at("2026-12-25T12:00:00+01:00")).is_inside  # a Friday
    assert state_at(periods, at("2026-12-24T12:00:00+01:00")).is_inside
    assert state_at(periods, at("2026-12-24T19:00:00+01:00")).changes_at == at("2026-12-28T08:00:00+01:00")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "one of from, schedule, weekly and calendar is required, not none: write"),
        ({"from": "2026-12-01T22:00", "weekly": {"from": "22:00"}, "for": "1h"}, "not from and weekly"),
        ({"from": "2026-12-01T22:00"}, "from requires one of until and for"),
        ({"from": "2026-12-01T22:00", "until": "2026-12-01T22:00"}, "is not after from"),
        ({"from": "tomorrow", "for": "1h"}, "is not an instant in ISO 8601"),
        ({"from": "9999-12-31T23:00", "for": "2d"}, "write a shorter one"),
        ({"schedule": "0 0 2 * * *"}, "for: is required with schedule"),
        ({"schedule": {"every": "1h", "jitter": "5m"}, "for": "1m"}, "remove jitter"),
        ({"schedule": "0 0 2 * * *", "for": "1h", "timezone": "Europe/Berlin"}, "write it into the schedule"),
        ({"schedule": "0 0 2 * * *", "for": "0s"}, "greater than 0"),
        ({"weekly": {"from": "22:00"}}, "weekly requires one of to and for"),
        ({"weekly": {"from": "22:00", "to": "23:00"}, "for": "1h"}, "weekly requires one of to and for"),
        ({"weekly": {"from": "22:00"}, "for": "8d"}, "a weekly period lasts 1s to 7d"),
        ({"weekly": {"from": "FRIDAY 22:00", "to": "17:00"}}, "both or none have a weekday"),
        ({"weekly": {"from": "FRIDAY 22:00", "to": "FRIDAY 21:00"}}, "to: is not after from"),
        ({"weekly": {"days": "MON", "from": "FRIDAY 22:00", "to": "SUNDAY 21:00"}}, "remove days"),
        ({"weekly": {"from": "22:00", "to": "22:00"}}, "remove both for whole days"),
        ({"weekly": {"from": "22:00", "till": "22:00"}}, "till"),
        ({"weekly": "FRIDAY"}, "a mapping is expected"),
        ({"calendar": [{"holidays": "DE"}], "for": "1h"}, "for: calendar has whole days"),
        ({"calendar": [{"holidays": "XX"}]}, "no holidays are available for XX"),
        (
            {"weekly": {"from": "FRI 22:00", "to": "SUN 17:00"}, "timezone": "Europe/Berln"},
            "did you mean Europe/Berlin",
        ),
    ],
)
def test_an_invalid_range_is_refused_with_the_remedy(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PeriodDefinition.model_validate(spec)


def test_a_range_is_read_back_from_its_own_form() -> None:
    spec = {"weekly": {"days": "MON-FRI", "from": "22:00", "to": "06:00"}, "timezone": "Europe/Berlin"}
    written = PeriodDefinition.model_validate(spec).model_dump(mode="json", by_alias=True, exclude_defaults=True)

    assert written == spec
    assert PeriodDefinition.model_validate(written).periods == PeriodDefinition.model_validate(spec).periods
