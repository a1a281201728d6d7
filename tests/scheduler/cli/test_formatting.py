"""Instants and lengths of time as people and programs read them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from jobs.formats import format_iso_instant
from scheduler.cli.times import format_instant, format_milliseconds

NOW = datetime(2026, 11, 25, 1, 50, 30, tzinfo=UTC)


def test_an_instant_is_written_in_utc() -> None:
    assert format_iso_instant(NOW) == "2026-11-25T01:50:30Z"
    assert format_iso_instant(NOW + timedelta(milliseconds=7), precise=True) == "2026-11-25T01:50:30.007Z"


@pytest.mark.parametrize(
    ("zone", "text"),
    [("UTC", "in 1 min, 01:51:30 UTC"), ("Europe/Berlin", "in 1 min, 02:51:30 CET, 01:51:30Z")],
)
def test_utc_is_told_beside_a_zone_that_differs(zone: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()

    assert format_instant(NOW + timedelta(minutes=1), NOW) == text


def test_another_day_is_told_with_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()

    assert format_instant(NOW + timedelta(days=1), NOW) == "in 1 d, 2026-11-26 10:50:30 JST, 2026-11-26T01:50:30Z"


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (2312.0, "2.31 s")])
def test_a_measured_time_is_as_exact_as_it_matters(value: float | None, text: str) -> None:
    assert format_milliseconds(value) == text
