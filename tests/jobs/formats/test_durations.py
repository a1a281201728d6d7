from __future__ import annotations

import pytest

from jobs.formats import (
    MAX_DURATION,
    describe_distance,
    describe_milliseconds,
    describe_span,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("500ms", 0.5),
        (" 10S ", 10),
        ("1.5m", 90),
        ("1h30m", 5400),
        ("1d", 86400),
        ("2s500ms", 2.5),
        ("999999999d", MAX_DURATION),
    ],
)
def test_a_duration_is_read_into_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-5s", "'-5s' is negative: write it like 500ms, 10s, 2m or 1h30m"),
        (" -1h30m", "' -1h30m' is negative"),
        ("--5s", "'--5s' is not a duration"),
        ("-5", "'-5' is not a duration"),
        ("1m-5s", "'1m-5s' is not a duration"),
        ("", "'' is not a duration"),
        ("9" * 400 + "s", "'9{20}' is too long"),
        ("1000000000d", "'1000000000d' is too long"),
        ("5 parsecs", "'5 parsecs' is not a duration"),
        (5, "5 has no unit"),
        (-5, "-5 has no unit"),
        (True, "a duration must be a text"),
        (None, "a duration must be a text"),
    ],
)
def test_what_is_no_duration_is_refused_with_the_reason(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (5, "5 s"),
        (59.6, "1 min"),
        (90, "1 min 30 s"),
        (3605, "1 h"),
        (7380, "2 h 3 min"),
        (90_061, "1 d 1 h"),
    ],
)
def test_a_length_of_time_has_two_units_at_most(seconds: float, text: str) -> None:
    assert describe_span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.4, "in 12 s"), (-200, "3 min 20 s ago"), (0.3, "now"), (-0.3, "now")]
)
def test_a_distance_in_time_has_its_direction(seconds: float, text: str) -> None:
    assert describe_distance(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 ms"),
        (0.42, "0.4 ms"),
        (8.0, "8 ms"),
        (431.2, "431 ms"),
        (2312.0, "2.31 s"),
        (12_340.0, "12.3 s"),
        (123_456.0, "123 s"),
    ],
)
def test_a_measured_time_has_the_digits_that_matter(value: float, text: str) -> None:
    assert describe_milliseconds(value) == text
