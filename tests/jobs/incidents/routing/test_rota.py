"""Who is on call by an iCalendar text, also over changes of the clock and ends of months."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.incidents.rota_calendar import (
    MAX_CALENDAR_BYTES,
    MAX_CALENDAR_EVENTS,
    RotaError,
    evaluate_calendar,
    list_shifts,
    parse_calendar,
)
from jobs.incidents.rotas import Rota
from jobs.schedules import load_time_zone
from tests.jobs.incidents.routing.calendars import calendar_of

BERLIN = load_time_zone("Europe/Berlin")
PEOPLE = {"Anna": ("anna-phone",), "Ben": ("ben-phone", "ben-mail"), "Jo": ("jo-phone",)}
HOUR = timedelta(hours=1)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
SINCE, UNTIL = datetime(2025, 12, 1, tzinfo=UTC), datetime(2028, 5, 1, tzinfo=UTC)


def rota_of(content: bytes) -> Rota:
    return Rota(evaluate_calendar(content, BERLIN, PEOPLE, SINCE, UNTIL, now=NOW).table, PEOPLE, ("all",))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


WEEKS = calendar_of(
    ("Anna", ";TZID=Europe/Berlin:20260105T090000", "P7D"),
    ("on call: BEN (backend)", ";TZID=Europe/Berlin:20260112T090000", "P7D"),
    more=["RRULE:FREQ=WEEKLY;INTERVAL=2"],
)


@pytest.mark.parametrize(
    ("now", "people", "handover"),
    [
        ("2026-01-12T08:59:59+01:00", ("Anna",), "2026-01-12T09:00:00+01:00"),
        ("2026-01-12T09:00:00+01:00", ("Ben",), "2026-01-19T09:00:00+01:00"),
        ("2026-03-30T08:59:59+02:00", ("Ben",), "2026-03-30T09:00:00+02:00"),  # the clock has changed
        ("2026-10-26T08:30:00+01:00", ("Ben",), "2026-10-26T09:00:00+01:00"),
    ],
)
def test_people_take_turns_in_local_time(now: str, people: tuple[str, ...], handover: str) -> None:
    found = rota_of(WEEKS).on_call_at(at(now))

    assert found.people == people
    assert found.changes_at == at(handover)


def test_a_person_has_all_of_their_channels() -> None:
    assert rota_of(WEEKS).on_call_at(at("2026-01-13T00:00:00+01:00")).channels == ("ben-phone", "ben-mail")


def test_a_rota_of_months_ends_with_the_months() -> None:
    content = calendar_of(("Anna", ";VALUE=DATE:20260101", "P1D"), more=["RRULE:FREQ=MONTHLY;BYMONTHDAY=-1"])
    rota = rota_of(content)

    for year, month in [(2026, 1), (2026, 2), (2026, 4), (2028, 2)]:
        first = datetime(year, month + 1, 1, tzinfo=BERLIN.info).astimezone(UTC)
        assert rota.on_call_at(first - HOUR).people == ("Anna",)
        assert rota.on_call_at(first - 25 * HOUR).people == ()
        assert rota.on_call_at(first).people == ()


def test_whole_days_are_days_of_the_zone_of_the_rota() -> None:
    rota = rota_of(calendar_of(("Jo", ";VALUE=DATE:20261025", "P1D")))  # has 25 hours

    assert rota.on_call_at(at("2026-10-24T23:59:59+02:00")).people == ()
    assert rota.on_call_at(at("2026-10-25T00:00:00+02:00")).people == ("Jo",)
    assert rota.on_call_at(at("2026-10-25T23:59:59+01:00")).people == ("Jo",)
    assert rota.on_call_at(at("2026-10-26T00:00:00+01:00")).people == ()


def test_times_without_a_zone_are_local_times_of_the_rota() -> None:
    rota = rota_of(calendar_of(("Jo", "20260601T100000", "PT1H")))

    assert rota.on_call_at(at("2026-06-01T10:00:00+02:00")).people == ("Jo",)
    assert rota.on_call_at(at("2026-06-01T10:00:00+00:00")).people == ()


def test_shifts_that_overlap_put_all_on_call() -> None:
    rota = rota_of(calendar_of(("Anna", "20260601T100000Z", "PT4H"), ("Ben", "20260601T120000Z", "PT4H")))

    found = rota.on_call_at(at("2026-06-01T13:00:00+00:00"))
    assert found.people == ("Anna", "Ben")
    assert found.changes_at == at("2026-06-01T14:00:00+00:00")


def test_a_cancelled_or_changed_occurrence_counts_as_it_is_now() -> None:
    weekly = calendar_of(("Anna", "20260601T100000Z", "PT4H"), more=["RRULE:FREQ=WEEKLY", "EXDATE:20260608T100000Z"])
    changed = (
        b"BEGIN:VEVENT\r\nUID:0@example.com\r\nRECURRENCE-ID:20260615T100000Z\r\nDTSTAMP:20260101T000000Z\r\n"
        b"SUMMARY:Ben\r\nDTSTART:20260615T120000Z\r\nDURATION:PT1H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    rota = rota_of(weekly.replace(b"END:VCALENDAR\r\n", changed))

    assert rota.on_call_at(at("2026-06-08T11:00:00+00:00")).people == ()
    assert rota.on_call_at(at("2026-06-15T11:00:00+00:00")).people == ()
    assert rota.on_call_at(at("2026-06-15T12:30:00+00:00")).people == ("Ben",)
    assert rota_of(calendar_of(("Anna", "20260601T100000Z", "PT4H"), more=["STATUS:CANCELLED"])).on_call_at(
        at("2026-06-01T11:00:00+00:00")
    ).channels == ("all",)


def test_a_title_that_names_no_person_is_found_and_the_fallback_notified() -> None:
    content = calendar_of(("Joanna", "20260601T100000Z", "PT4H"))

    assert rota_of(content).on_call_at(at("2026-06-01T11:00:00+00:00")).channels == ("all",)
    assert evaluate_calendar(content, BERLIN, PEOPLE, SINCE, UNTIL, now=NOW).unknown_titles == ("Joanna",)


def test_a_shift_of_hours_across_a_change_of_local_time_lasts_so_many_hours() -> None:
    times = ";TZID=Europe/Berlin:20261024T012600"
    events = parse_calendar(calendar_of(("Anna", times, "PT5H"), more=["RRULE:FREQ=DAILY;COUNT=3"]), NOW)
    (shift,) = list_shifts(events, BERLIN, at("2026-10-24T23:00:00+00:00"), at("2026-10-25T12:00:00+00:00"))
    assert (shift.begin, shift.end) == (at("2026-10-24T23:26:00+00:00"), at("2026-10-25T04:26:00+00:00"))


@settings(max_examples=25, deadline=None)
@given(
    start=st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 30)).map(
        lambda each: each.replace(second=0, microsecond=0)
    ),
    hours=st.integers(1, 23),
    day=st.integers(0, 13),
    offset=st.integers(0, 23),
)
def test_a_daily_shift_begins_at_the_same_local_time(start: datetime, hours: int, day: int, offset: int) -> None:
    content = calendar_of(
        ("Anna", f";TZID=Europe/Berlin:{start:%Y%m%dT%H%M%S}", f"PT{hours}H"), more=["RRULE:FREQ=DAILY;COUNT=14"]
    )
    shifts = [
        (start + timedelta(days=number)).replace(tzinfo=BERLIN.info, fold=0).astimezone(UTC) for number in range(14)
    ]
    now = shifts[day] + offset * HOUR

    found = rota_of(content).on_call_at(now)
    assert (found.people == ("Anna",)) == any(begin <= now < begin + hours * HOUR for begin in shifts)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>sign in</html>", "is not an iCalendar calendar"),
        (b"", "is not an iCalendar calendar|has no events"),
        (calendar_of(), "has no events"),
        (b"x" * (MAX_CALENDAR_BYTES + 1), "the maximum is"),
        (b"BEGIN:VEVENT\r\nEND:VEVENT\r\n" * (MAX_CALENDAR_EVENTS + 1), "more than 2000 events"),
        (calendar_of(("Anna", "20260601T100000Z", "P500D")), "lasts 500 days"),
        (calendar_of(("Anna", "20260601T100000Z", "PT1S"), more=["RRULE:FREQ=SECONDLY"]), "recurs SECONDLY"),
        (calendar_of(("Anna", "20260601T100000Z", "PT1S"), more=["RRULE:FREQ=DAILY;BYHOUR=1,2"]), "BYHOUR"),
        (calendar_of(("Anna", "20260601T100000Z", "PT1S"), more=["RRULE:FREQ=DAILY;INTERVAL=0"]), "INTERVAL"),
        (calendar_of(("Anna", "20260101T100000Z", "PT1H"), more=["RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"]), "never"),
        (calendar_of(("Anna", "16010101T100000Z", "PT1H"), more=["RRULE:FREQ=DAILY"]), "more than 20000 occurrences"),
        (calendar_of(*[("Anna", "20160101T100000Z", "PT1H")] * 10, more=["RRULE:FREQ=DAILY"]), "let them start later"),
        (calendar_of(("Anna", "20260101T100000Z", "PT1H"), more=["RRULE:FREQ=MONTHLY;BYDAY=7MO"]), "write -1"),
        (calendar_of(("Anna", "20260101T100000Z", "PT1H"), more=["RRULE:FREQ=DAILY;INTERVAL=7;BYDAY=MO"]), "may never"),
    ],
)
def test_a_calendar_that_is_not_a_rota_is_refused_with_the_remedy(content: bytes, message: str) -> None:
    with pytest.raises(RotaError, match=message):
        rota_of(content)


def test_a_large_calendar_is_answered_in_a_moment() -> None:
    shifts = [
        ("Anna", f"20260{month}{day:02}T{hour:02}0000Z", "PT1H")
        for month in (6, 7)
        for day in range(1, 29)
        for hour in range(24)
    ]
    rota = rota_of(calendar_of(*shifts))
    now = at("2026-06-10T10:30:00+00:00")
    rota.on_call_at(now)

    start = perf_counter()
    for minute in range(20):
        rota.on_call_at(now + timedelta(minutes=minute))
    assert perf_counter() - start < 1
