"""Expressions on the wall clock of a time zone, above all when it is changed."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import tzdata  # type: ignore[import-untyped]

from jobs.errors import ScheduleError
from jobs.schedules import DstPolicy, Ncrontab, Schedule, ZonedSchedule, load_time_zone, parse_schedule, zone_of
from jobs.schedules.time_zones import REGIONS_BY_ABBREVIATION
from tests.jobs.schedules.schedule_cases import cases
from tests.parts.timing import computes_below


def zoned(cron: str, timezone: str, **dst: str) -> Schedule:
    return parse_schedule({"cron": cron, "timezone": timezone, "dst": dst})


def local(schedule: Schedule, after: str, count: int) -> list[str]:
    """The next due instants on the zone's own clock."""
    assert isinstance(schedule, ZonedSchedule)
    found, instant = [], datetime.fromisoformat(after)
    for _ in range(count):
        due = schedule.next_after(instant)
        assert due is not None
        assert due.tzinfo is UTC
        found.append(due.astimezone(schedule.zone.info).isoformat())
        instant = due
    return found


@pytest.mark.parametrize("case", cases("clock_changes"))
def test_due_instants_around_a_change_of_the_clock_are_those_of_others(case: dict[str, Any]) -> None:
    schedule, instant = parse_schedule(case["schedule"]), datetime.fromisoformat(case["after"])
    for due in map(datetime.fromisoformat, case["due"]):
        assert schedule.next_after(instant) == due
        instant = due


@pytest.mark.parametrize(
    ("gap", "due"),
    [
        ("shift", ["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:00:00+02:00"]),
        ("end", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
        ("skip", ["2026-03-30T02:00:00+02:00", "2026-03-30T02:30:00+02:00", "2026-03-31T02:00:00+02:00"]),
    ],
)
def test_a_time_that_the_clock_skips_is_due_as_the_job_defines(gap: str, due: list[str]) -> None:
    assert local(zoned("0 0,30 2 * * *", "Europe/Berlin", gap=gap), "2026-03-28T12:00:00Z", 3) == due


def test_a_shifted_time_falls_together_with_one_that_is_due_anyway() -> None:
    schedule = zoned("0 30 2,3 * * *", "Europe/Berlin", gap="shift")

    due = local(schedule, "2026-03-28T12:00:00Z", 2)

    assert due == ["2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"]


@pytest.mark.parametrize(
    ("repeat", "due"),
    [
        ("first", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
        ("both", ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]),
    ],
)
def test_a_time_that_the_clock_shows_twice_is_due_as_the_job_defines(repeat: str, due: list[str]) -> None:
    assert local(zoned("0 30 2 * * *", "Europe/Berlin", repeat=repeat), "2026-10-24T12:00:00Z", 2) == due


def test_what_the_job_reports_for_a_change_holds_for_an_interval_like_expression_too() -> None:
    schedule = zoned("0 */30 * * * *", "Europe/Berlin", repeat="first")

    due = local(schedule, "2026-10-25T00:10:00Z", 3)

    assert due == ["2026-10-25T02:30:00+02:00", "2026-10-25T03:00:00+01:00", "2026-10-25T03:30:00+01:00"]


def test_an_interval_like_expression_is_due_in_both_passes_and_once_for_all_times_of_a_gap() -> None:
    schedule = zoned("0 0-30/15 1-2 * * *", "Europe/Berlin")

    assert local(schedule, "2026-03-29T00:20:00Z", 3) == [
        "2026-03-29T01:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T01:00:00+02:00",
    ]
    assert local(schedule, "2026-10-25T00:20:00Z", 2) == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00"]


def test_half_an_hour_of_daylight_saving_time_is_repeated_and_skipped_as_such() -> None:
    schedule = zoned("0 45 1 * * *", "Australia/Lord_Howe", repeat="both")

    due = local(schedule, "2026-04-04T12:00:00Z", 2)

    assert due == ["2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30"]


@pytest.mark.parametrize(
    ("gap", "due"),
    [
        ("shift", ["2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00", "2012-01-01T12:00:00+14:00"]),
        ("end", ["2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"]),
    ],
)
def test_a_day_that_a_zone_skipped_is_a_gap_like_any_other(gap: str, due: list[str]) -> None:
    assert local(zoned("0 0 12 * * *", "Pacific/Apia", gap=gap), "2011-12-29T12:00:00Z", 3) == due


def test_dublin_whose_winter_is_the_daylight_saving_time_is_as_london() -> None:
    for after in ("2026-03-28T12:00:00Z", "2026-10-24T12:00:00Z"):
        there, here = (local(zoned("0 30 1 * * *", name), after, 3) for name in ("Europe/Dublin", "Europe/London"))
        assert there == here


def test_an_offset_with_odd_seconds_is_stored() -> None:
    schedule = zoned("0 0 12 * * *", "Europe/Berlin")

    assert local(schedule, "1880-01-01T00:00:00Z", 1) == ["1880-01-01T12:00:00+00:53:28"]


def test_the_ends_of_the_calendar_are_no_errors() -> None:
    west, east = zoned("0 0 * * * *", "America/New_York"), zoned("0 0 * * * *", "Asia/Tokyo")

    for schedule in (west, east):
        assert schedule.next_after(datetime.max.replace(tzinfo=UTC)) is None
        assert schedule.next_after(datetime.min.replace(tzinfo=UTC)) is not None
    assert west.next_after(datetime(9999, 12, 31, 22, 30, tzinfo=UTC)) == datetime(9999, 12, 31, 23, tzinfo=UTC)


def test_a_schedule_whose_only_times_are_skipped_is_never_due_and_reports_it_soon() -> None:
    schedule = zoned("0 30 2 25-31 3 0", "Europe/Berlin", gap="skip")

    with computes_below(1):
        assert schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_a_leap_day_decades_ahead_is_found() -> None:
    schedule = zoned("0 0 0 29 2 6", "Europe/Berlin")

    assert local(schedule, "2026-01-01T00:00:00Z", 2) == ["2048-02-29T00:00:00+01:00", "2076-02-29T00:00:00+01:00"]


def test_every_zone_is_known_and_retains_its_offsets() -> None:
    """Every few days over three years, against what zoneinfo makes of the same data."""
    days = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=5 * number) for number in range(220)]
    names = (Path(tzdata.__file__).parent / "zones").read_text().split()
    for name in names[::7]:
        ours = load_time_zone(name)
        for day in days:
            second = int(day.timestamp())
            assert timedelta(seconds=ours.wall_second(second) - second) == day.astimezone(ours.info).utcoffset(), name


@pytest.mark.parametrize(
    "name", ["America/Boa_Vista", "Asia/Gaza", "Africa/Casablanca", "America/Recife", "Africa/Cairo"]
)
def test_changes_that_follow_each_other_closely_are_all_found(name: str) -> None:
    """Against a look at each hour, for the zones with the shortest times between changes."""
    info, ours = load_time_zone(name).info, load_time_zone(name)
    instant = datetime(2000, 1, 1, tzinfo=UTC)
    for hour in range(3 * 366 * 24):
        second = 946_684_800 + 3600 * hour
        assert (
            ours.span_at(second).offset
            == (instant + timedelta(hours=hour)).astimezone(info).utcoffset().total_seconds()
        )  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("Europe/Berln", "timezone: 'Europe/Berln' is not an IANA time zone, did you mean Europe/Berlin"),
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("W. Europe Standard Time", "but a Windows zone name: write the IANA name, like Europe/Berlin"),
        ("berlin", "did you mean Europe/Berlin?"),
        ("New York", "did you mean America/New_York?"),
        (
            "CEST",
            "timezone: 'CEST' is not an IANA time zone, but an abbreviation of an offset: write a region, "
            "like Europe/Berlin",
        ),
        ("pst", "write a region, like America/Los_Angeles"),
        ("IST", "write a region, like Asia/Kolkata or Europe/Dublin or Asia/Jerusalem"),
        ("../../etc/passwd", "timezone: '../../etc/passwd' is not an IANA time zone"),
        ("", "write one like Europe/Berlin"),
        ("+02:00", "write one like Europe/Berlin"),
        (5, "timezone: an IANA time zone name is expected, like Europe/Berlin, not 5"),
        (None, "timezone: an IANA time zone name"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_ones(written: object, message: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule({"cron": "0 0 3 * * *", "timezone": written})
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("dst", "message"),
    [
        ({"gap": "shft"}, "dst.gap: 'shft' is not one of shift, end, skip, did you mean shift?"),
        ({"repeat": "twice"}, "dst.repeat: 'twice' is not one of first, both"),
        ({"repeat": ["both"]}, "dst.repeat: ['both'] is not one of first, both"),
        ({"gaps": "skip"}, "dst.gaps: unknown key, did you mean gap?"),
        ("skip", "dst: a mapping is expected, like {gap: shift, repeat: first}, not 'skip'"),
    ],
)
def test_a_wrong_rule_for_changes_is_refused_naming_its_key(dst: object, message: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule({"cron": "0 0 3 * * *", "timezone": "Europe/Berlin", "dst": dst})
    assert message in str(refused.value)


@pytest.mark.parametrize("key", ["timezone", "dst"])
def test_an_interval_has_no_zone(key: str) -> None:
    with pytest.raises(ScheduleError, match=f"{key}: an interval does not depend on local time"):
        parse_schedule({"every": "10s", key: "Europe/Berlin"})


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", "Zulu"])
def test_the_zone_utc_is_no_zone(name: str) -> None:
    assert parse_schedule({"cron": "0 0 3 * * *", "timezone": name}) == Ncrontab.parse("0 0 3 * * *")


def test_a_list_is_on_the_clock_that_all_its_schedules_have() -> None:
    berlin = {"cron": "0 0 3 * * *", "timezone": "Europe/Berlin"}

    assert zone_of(parse_schedule([berlin, {**berlin, "jitter": "20s"}])) is load_time_zone("Europe/Berlin")
    assert zone_of(parse_schedule([berlin, "0 0 3 * * *"])) is None


def test_text_and_spec_name_the_zone_and_only_what_was_reported_of_changes() -> None:
    plain, strict = zoned("0 0 3 * * *", "Europe/Berlin"), zoned("0 0 3 * * *", "Europe/Berlin", gap="skip")

    assert plain.text == "0 0 3 * * * Europe/Berlin"
    assert strict.text == "0 0 3 * * * Europe/Berlin, gap skip"
    assert plain.spec == {"cron": "0 0 3 * * *", "timezone": "Europe/Berlin"}
    assert strict.spec == {"cron": "0 0 3 * * *", "timezone": "Europe/Berlin", "dst": {"gap": "skip"}}


def test_a_zoned_schedule_can_be_copied_and_pickled() -> None:
    schedule = zoned("0 0 3 * * *", "Europe/Berlin")

    assert copy.deepcopy(schedule) == pickle.loads(pickle.dumps(schedule)) == schedule
    assert hash(schedule) == hash(zoned("0 0 03 * * *", "Europe/Berlin"))


def test_kinds_are_those_of_the_expression() -> None:
    schedule = ZonedSchedule(Ncrontab.parse("*/5 * * * * *"), load_time_zone("Europe/Berlin"), DstPolicy())

    assert (schedule.is_interval_like, schedule.monitor_disabled) == (True, True)


@pytest.mark.parametrize("abbreviation", REGIONS_BY_ABBREVIATION)
def test_each_abbreviation_is_unknown_and_its_regions_exist(abbreviation: str) -> None:
    with pytest.raises(ScheduleError):
        load_time_zone(abbreviation)
    assert all(load_time_zone(region).name == region for region in REGIONS_BY_ABBREVIATION[abbreviation])


@pytest.mark.parametrize("name", ["CET", "EET", "WET", "EST", "MST", "HST", "GMT", "UTC"])
def test_abbreviations_that_are_names_load(name: str) -> None:
    assert load_time_zone(name).name == name
