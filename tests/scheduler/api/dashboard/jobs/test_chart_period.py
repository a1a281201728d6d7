"""The period of the address of a job's page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jobs.incidents.values import AlertKey, Incident, IncidentStatus, Member
from scheduler.api.dashboard.job_frame import (
    ChartPeriod,
    InvalidPeriod,
    find_default_window,
    list_months,
    parse_chart_period,
    period_around,
)

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def parse(period: str | None = None, begin: str | None = None, end: str | None = None) -> ChartPeriod:
    return parse_chart_period(period, begin, end, BERLIN, NOW)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "since", "until", "text"),
    [
        ((), "2026-11-24T12:00", "2026-11-25T13:00", "In the last 24 hours"),
        (("7d",), "2026-11-18T12:00", "2026-11-25T13:00", "In the last 7 days"),
        (("2026-10",), "2026-09-30T22:00", "2026-10-31T23:00", "In October 2026"),
        (("2026-11",), "2026-10-31T23:00", "2026-11-25T13:00", "In November 2026"),
        ((None, "2026-11-25T10:15", "2026-11-25T11:00"), "2026-11-25T09:15", "2026-11-25T10:00", None),
        ((None, "2026-11-25T10:00Z", None), "2026-11-25T10:00", "2026-11-25T12:30", None),
        ((None, None, "2026-11-20T01:00"), "2026-11-19T00:00", "2026-11-20T00:00", None),
        ((None, "2026-11-25T10:00", "2027-01-01T00:00"), "2026-11-25T09:00", "2026-11-25T13:00", None),
    ],
)
def test_a_period_is_parsed_in_the_zone(
    given: tuple[str | None, ...], since: str, until: str, text: str | None
) -> None:
    found = parse(*given)
    assert (found.since, found.until) == (instant(since), instant(until))
    assert text in (None, found.text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("5d",), "enter 1h, 24h, 7d, 30d, 90d, or a month"),
        (("2027-01",), "has not started"),
        ((None, "yesterday", None), "the value of 'from' is not a time"),
        ((None, "2026-11-25T10:00", "2026-11-25T09:00"), "must begin before it ends"),
        ((None, "2026-12-25T10:00", None), "must begin before it ends"),
        ((None, "2020-01-01T00:00", None), "longer than 400 days"),
        ((None, "0001-01-01T00:00", None), "is not a time"),
    ],
)
def test_what_is_not_a_period_is_explained(given: tuple[str | None, ...], message: str) -> None:
    with pytest.raises(InvalidPeriod, match=message):
        parse(*given)


def incident(opened: datetime, resolved: datetime | None) -> Incident:
    key = AlertKey("checkout", "failed")
    member = Member(key, 1, "critical", 3, opened, opened - timedelta(minutes=2))
    status = IncidentStatus.OPEN if resolved is None else IncidentStatus.RESOLVED
    return Incident("1-a", 1, status, opened, (member,), key, resolved_at=resolved)


def test_the_time_around_an_incident_is_as_much_before_and_after() -> None:
    opened = NOW - timedelta(days=2)
    found = period_around(incident(opened, opened + timedelta(minutes=28)), NOW)
    assert found.since == opened - timedelta(minutes=32)
    assert found.until == opened + timedelta(minutes=58)
    assert found.query == {"incident": "1-a"}


def test_the_time_around_an_open_incident_ends_now() -> None:
    found = period_around(incident(NOW - timedelta(minutes=1), None), NOW)
    assert found.since == NOW - timedelta(minutes=8)
    assert found.until == NOW + timedelta(minutes=5)


def test_months_are_those_of_the_zone() -> None:
    months = list_months(BERLIN, datetime(2026, 12, 31, 23, 30, tzinfo=UTC))
    assert months[:2] == [("2027-01", "January 2027"), ("2026-12", "December 2026")]
    assert len(months) == 12


@pytest.mark.parametrize(
    ("age", "window"),
    [(None, "24h"), (timedelta(0), "1h"), (timedelta(minutes=60), "1h"), (timedelta(minutes=61), "24h")],
)
def test_the_first_hour_of_a_job_shows_an_hour(age: timedelta | None, window: str) -> None:
    assert find_default_window(None if age is None else NOW - age, NOW) == window


def test_a_window_that_is_not_the_default_has_a_parameter() -> None:
    hour = parse_chart_period(None, None, None, BERLIN, NOW, "1h")
    day = parse_chart_period("24h", None, None, BERLIN, NOW, "1h")
    assert (hour.window, hour.text, hour.is_default) == ("1h", "In the last hour", True)
    assert (day.window, day.query) == ("24h", {"period": "24h"})
