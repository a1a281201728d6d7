from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.responses import parse_retry_after

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
YEAR = 365 * 86400.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("Wed, 25 Nov 2026 12:00:30 GMT", 30),
        ("Wed, 25 Nov 2026 11:00:00 GMT", 0),
        ("Wed, 25 Nov 2026 13:00:30 +0100", 30),
        ("Wednesday, 25-Nov-26 12:00:30 GMT", 30),
        ("99999999999999999999", YEAR),
        ("Wed, 25 Nov 2099 12:00:30 GMT", YEAR),
    ],
)
def test_seconds_and_dates_are_understood(text: str, seconds: float) -> None:
    assert parse_retry_after(503, {"retry-after": text}, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "\u0661",
        "Wed, 99 Nov 2026 12:00:30 GMT",
        f"Wed, 25 Nov {'9' * 20} 12:00:30 GMT",
        f"Wed, 25 Nov 2026 12:00:30 +{'9' * 20}",
    ],
)
def test_nonsense_is_ignored(text: str) -> None:
    assert parse_retry_after(503, {"retry-after": text}, NOW) is None


@given(st.text())
def test_no_text_is_a_surprise(text: str) -> None:
    seconds = parse_retry_after(429, {"retry-after": text, "date": text}, NOW)
    assert seconds is None or 0 <= seconds <= YEAR


def test_a_date_is_compared_with_the_clock_of_the_answer() -> None:
    headers = {"retry-after": "Wed, 25 Nov 2026 10:00:30 GMT", "date": "Wed, 25 Nov 2026 10:00:00 GMT"}
    assert parse_retry_after(503, headers, NOW) == 30


@pytest.mark.parametrize(("status", "counts"), [(200, False), (202, False), (301, True), (429, True), (503, True)])
def test_only_an_answer_that_turns_away_requests_to_wait(status: int, counts: bool) -> None:
    assert (parse_retry_after(status, {"retry-after": "5"}, NOW) == 5) is counts
