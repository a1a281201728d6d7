"""Durations of entries, in the forms that writers use."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.expectations.health.document import parse_duration_ms, read_duration_ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("00:00:23.1", 23_100),
        ("1.02:03:04.5", 93_784_500),
        ("PT1M2.5S", 62_500),
        ("250 ms", 250),
        ("1.5s", 1500),
        ("0.25", None),
        ("PT", None),
        ("-00:00:01", None),
        ("9" * 41, None),
        ("soon", None),
    ],
)
def test_a_text_is_a_duration_only_with_its_unit(text: str, ms: float | None) -> None:
    assert parse_duration_ms(text) == ms


@pytest.mark.parametrize(
    ("entry", "ms"),
    [
        ({"durationms": 12, "duration": "00:00:01"}, 12),
        ({"duration": 23.5}, 23.5),
        ({"duration": True}, None),
        ({"duration": -1}, None),
        ({"duration": float("inf")}, None),
        ({"duration": 10**400}, None),
        ({}, None),
    ],
)
def test_a_number_is_milliseconds(entry: dict[str, Any], ms: float | None) -> None:
    assert read_duration_ms(entry) == ms
