"""How the dashboard writes spans, instants and counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scheduler.api.dashboard.rendering import formatting

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "now"), (-0.4, "now"), (5, "in 5 s"), (-5, "5 s ago"), (-7300, "2 h 1 min ago")]
)
def test_an_instant_is_written_from_now(seconds: float, text: str) -> None:
    assert formatting.when(NOW + timedelta(seconds=seconds), NOW) == text


def test_another_day_is_told_with_its_date() -> None:
    assert formatting.clock_time(NOW - timedelta(hours=1), NOW) == "02:00:00"
    assert formatting.clock_time(NOW - timedelta(hours=4), NOW) == "2026-02-28 23:00:00"


@pytest.mark.parametrize(("value", "text"), [(None, formatting.NOTHING), (12_340, "12.3 s")])
def test_durations_are_short(value: float | None, text: str) -> None:
    assert formatting.milliseconds(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.0, "100 %"),
        (0.0, "0 %"),
        (0.9999999, "99.999 %"),
        (0.29, "29 %"),
        (0.987654321, "98.765 %"),
        (2 / 3, "66.666 %"),
    ],
)
def test_a_share_is_rounded_down_so_that_only_all_is_written_as_100(ratio: float, text: str) -> None:
    assert formatting.percent(ratio) == text


def test_an_exact_instant_has_milliseconds_and_its_zone() -> None:
    assert formatting.exact(NOW.replace(microsecond=250_999), NOW) == f"{NOW:%Y-%m-%d %H:%M:%S}.250 UTC"


def test_names_may_break_where_words_end() -> None:
    assert formatting.parts("containerAppHealth.v2_eu-west") == ["container", "App", "Health.", "v2_", "eu-", "west"]
    assert "".join(formatting.parts("a..b--C9d")) == "a..b--C9d"


@given(
    at=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
@example(at=datetime(2026, 3, 28, 12), zone="Europe/Berlin")  # the clocks go forward in the night
@example(at=datetime(2026, 10, 25, 0, 30), zone="Europe/Berlin")  # and back
@example(at=datetime(2026, 3, 1, 9), zone="UTC")
def test_the_next_morning_is_nine_by_the_clock_of_the_zone_within_a_day(at: datetime, zone: str) -> None:
    now = at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    morning = formatting.next_morning(now)

    assert f"{morning.astimezone(UTC).astimezone(ZoneInfo(zone)):%H:%M:%S}" == "09:00:00"
    assert timedelta(0) < morning.astimezone(UTC) - at.replace(tzinfo=UTC) <= timedelta(hours=25)


NGINX = (
    "<html><head><title>503 Service Unavailable</title></head><body><h1>503 Service Unavailable</h1><hr>nginx</body>"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Answered 503, expected 2xx", "Answered 503, expected 2xx"),
        ("took 3 ms < 5 ms and 7 > 6", "took 3 ms < 5 ms and 7 > 6"),
        (f"status 503: {NGINX}", "status 503: 503 Service Unavailable nginx"),
        ("<!DOCTYPE html><p>Fish &amp; chips</p><script>alert(1)</script>", "Fish & chips"),
        ("got <b>" + "x" * 500, "got " + "x" * 120 + "…"),
        ("got <div class='unfinished", "got"),
    ],
)
def test_the_html_of_a_target_is_its_text(text: str, shown: str) -> None:
    assert formatting.without_html(text) == shown


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        (
            "There is no job named 'x'. Did you mean y? GET /api/jobs lists the jobs.",
            "There is no job named 'x'. Did you mean y?",
        ),
        ("The API key has expired.", "The API key has expired."),
        ("This request needs a credential. Send `Authorization: Bearer KEY`.", "This request needs a credential."),
        ("The bearer token is not an API key, and the setting http.entra does not accept other tokens.", ""),
    ],
)
def test_people_read_no_sentence_for_programs(detail: str, shown: str) -> None:
    assert formatting.for_people(detail) == shown
