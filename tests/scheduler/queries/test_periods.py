"""Windows, ranges and calendar months."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.features.statistics.periods import (
    ANY_TIME,
    HOUR,
    InvalidTimeRange,
    Period,
    TimeRange,
    parse_month,
    parse_period,
    parse_range,
    parse_zone,
)

NOW = datetime(2026, 11, 28, 12, 34, 56, tzinfo=UTC)
OLDEST = NOW - timedelta(days=400)
INSTANTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))


@pytest.mark.parametrize(("window", "days"), [("24h", 1), (None, 1), ("7d", 7), ("365d", 365)])
def test_a_window_consists_of_the_full_hours_around_it(window: str | None, days: int) -> None:
    period = parse_period(window, ANY_TIME, NOW, OLDEST)
    end = datetime(2026, 11, 28, 13, tzinfo=UTC)
    assert period == Period(end - timedelta(days=days) - HOUR, end)


@pytest.mark.parametrize(
    ("month", "zone", "since", "until"),
    [
        ("2026-11", "Europe/Berlin", datetime(2026, 10, 31, 23), datetime(2026, 11, 30, 23)),
        ("2026-03", "Europe/Berlin", datetime(2026, 2, 28, 23), datetime(2026, 3, 31, 22)),
        ("2026-12", None, datetime(2026, 12, 1), datetime(2027, 1, 1)),
        ("2026-02", "America/New_York", datetime(2026, 2, 1, 5), datetime(2026, 3, 1, 5)),
    ],
)
def test_a_month_begins_and_ends_at_midnight_in_its_time_zone(
    month: str, zone: str | None, since: datetime, until: datetime
) -> None:
    found = parse_month(month, parse_zone(zone))
    assert found == TimeRange(since.replace(tzinfo=UTC), until.replace(tzinfo=UTC) - timedelta(milliseconds=1))
    assert parse_period(None, found, NOW, OLDEST) == Period(since.replace(tzinfo=UTC), until.replace(tzinfo=UTC))


@given(INSTANTS, INSTANTS)
def test_a_period_has_full_hours_around_its_ends_within_the_years_of_stored_runs(one: datetime, two: datetime) -> None:
    since, until = min(one, two), max(one, two)
    period = Period.covering(since, until)
    assert period.since < period.until
    assert all((end.minute, end.second, end.microsecond) == (0, 0, 0) for end in (period.since, period.until))
    assert 1970 <= period.since.year <= period.until.year <= 2286
    if 1971 <= since.year <= until.year < 2285:
        assert period.since <= since < period.since + HOUR
        assert until <= period.until <= until + HOUR or until == since


@pytest.mark.parametrize(
    ("values", "end"),
    [
        ((None, None, "2026-13", None), "month"),
        ((None, None, "1969-12", None), "month"),
        (("24h", None, "2026-11", None), "month"),
        ((None, None, None, "Europe/Berln"), "timezone"),
        (("nonsense", None, None, None), "from"),
    ],
)
def test_what_is_wrong_is_named(values: tuple[str | None, ...], end: str) -> None:
    since, until, month, zone = values
    with pytest.raises(InvalidTimeRange) as caught:
        parse_range(since, until, month, parse_zone(zone), NOW)
    assert caught.value.end == end
    assert caught.value.hint


def test_a_window_and_a_range_exclude_each_other() -> None:
    with pytest.raises(InvalidTimeRange, match="cannot be combined"):
        parse_period("7d", TimeRange(NOW - HOUR), NOW, OLDEST)
