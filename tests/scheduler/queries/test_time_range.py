"""Intervals as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.formats import format_duration
from scheduler.features.statistics.periods import InvalidTimeRange, TimeRange, parse_time_range

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ONE = datetime(2026, 11, 25, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-25T01:00:00Z", ONE),
        ("2026-11-25T02:00:00+01:00", ONE),
        ("2026-11-25T02:00:00 01:00", ONE),
        ("2026-11-25T01:00", ONE),
        ("2026-11-25 01:00:00", ONE),
        (" 2026-11-25T01:00:00.000Z ", ONE),
        ("2026-11-25", datetime(2026, 11, 25, tzinfo=UTC)),
        ("11h", ONE),
        ("10h60m", ONE),
        ("11H", ONE),
        ("0s", NOW),
    ],
)
def test_an_end_is_an_instant_or_a_time_ago(text: str, instant: datetime) -> None:
    assert parse_time_range(text, None, NOW) == TimeRange(since=instant)
    assert parse_time_range(None, text, NOW) == TimeRange(until=instant)


@pytest.mark.parametrize(
    "text",
    ["", " ", "yesterday", "24", "-1h", "24x", "2026-13-01", "2026-11-25T25:00Z", "9999999999d", "999999d", "\n"],
)
def test_what_is_neither_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(InvalidTimeRange) as caught:
        parse_time_range(None, text, NOW)
    assert caught.value.end == "to"
    assert str(caught.value).endswith(
        "is neither an instant nor a duration: use an instant such as 2026-11-25T01:50:30Z, or a "
        "duration before now such as 24h"
    )


@pytest.mark.parametrize(
    ("since", "until"), [("1h", "2h"), ("1h", "1h"), ("2026-11-25T02:00:00Z", "2026-11-25T01:00:00Z")]
)
def test_the_begin_is_before_the_end(since: str, until: str) -> None:
    with pytest.raises(InvalidTimeRange, match="is not before the end of the range") as caught:
        parse_time_range(since, until, NOW)
    assert caught.value.end == "from"


def test_an_interval_is_shown_as_it_was_written() -> None:
    assert str(parse_time_range("11h", None, NOW)) == "from 2026-11-25T01:00:00Z"
    assert str(parse_time_range("11h", "2026-11-25T03:00:00.5Z", NOW)) == (
        "from 2026-11-25T01:00:00Z to 2026-11-25T03:00:00.500Z"
    )
    assert str(TimeRange(until=ONE)) == "up to 2026-11-25T01:00:00Z"
    assert (str(TimeRange()), TimeRange().is_bounded, TimeRange(until=NOW).is_bounded) == ("", False, True)


@given(st.integers(1, 10**9))
def test_every_duration_is_a_time_ago(milliseconds: int) -> None:
    ago = timedelta(milliseconds=milliseconds)
    assert parse_time_range(format_duration(milliseconds / 1000), None, NOW).since == NOW - ago


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        interval = parse_time_range(text, None, NOW)
    except InvalidTimeRange:
        return
    assert interval.since is not None
    assert interval.since.utcoffset() == timedelta()
