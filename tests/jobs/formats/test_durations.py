from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.formats.durations import LONGEST_DURATION, parse_duration, round_to_microsecond


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
        ("999999999d", LONGEST_DURATION),
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


@given(st.floats(min_value=-1e9, max_value=1e9, allow_nan=False))
def test_milliseconds_are_rounded_to_the_microsecond_as_by_three_digits(milliseconds: float) -> None:
    assert round_to_microsecond(milliseconds) == pytest.approx(round(milliseconds, 3), abs=0.0011)
    assert round_to_microsecond(round(milliseconds, 3)) == round(milliseconds, 3)
