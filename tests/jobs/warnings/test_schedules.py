"""Schedules that are never due, and fields that NCRONTAB reads otherwise than they look."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.schedules import Ncrontab
from jobs.warnings import explain_odd_fields
from tests.jobs.warnings.helpers import NOW_MS, job, warned


def odd(expression: str) -> list[str]:
    return [f"{message}; {hint}" for message, hint in explain_odd_fields(Ncrontab.parse(expression).text)]


@pytest.mark.parametrize(
    "schedule",
    [
        "0 0 0 30 2 *",
        "0 0 0 31 4,6 *",
        {"cron": "0 0 0 30 2 *", "timezone": "Europe/Berlin"},
        {"cron": "0 0 0 30 2 *", "jitter": "5s"},
        ["0 0 0 30 2 *", "0 0 0 31 2 *"],
        {"cron": "0 0 0 24 12 *", "except": [{"weekly": {"days": "SUN-SAT"}}]},
    ],
)
def test_a_schedule_without_any_instant_is_never_due(schedule: Any) -> None:
    (warning,) = warned(schedule=schedule)
    assert warning.startswith("schedule: is never due: no date matches '")


def test_a_schedule_that_has_ended_reports_when() -> None:
    assert warned(schedule={"every": "5m", "end": "2020-01-01"}) == [
        "schedule: is no longer due: it ended at 2020-01-01; move its end, or remove the job"
    ]


@pytest.mark.parametrize("schedule", [None, "0 0 0 29 2 *", {"every": "5m", "end": "2040-01-01"}, "0 0 0 31 12 *"])
def test_a_schedule_that_is_due_at_some_time_has_no_warning(schedule: Any) -> None:
    assert warned(schedule=schedule) == []


def test_the_schedule_of_a_heartbeats_pings_is_checked_too() -> None:
    check = {"kind": "heartbeat", "token": {"secret": "t"}, "schedule": "0 0 22-2 * * *"}
    (warning,) = warned(check=check)
    assert warning.startswith("check.schedule: hour: '22-2' is a reversed range")


@pytest.mark.parametrize(
    ("expression", "warning"),
    [
        (
            "0 0 22-2 * * *",
            "hour: '22-2' is a reversed range, and NCRONTAB swaps its ends: it means 2-22; "
            "for 22 to 2 across the field's end write 22-23,0-2",
        ),
        (
            "0 0 23-0 * * *",
            "hour: '23-0' is a reversed range, and NCRONTAB swaps its ends: it means 0-23; "
            "for 23 to 0 across the field's end write 23,0",
        ),
        (
            "0 0 0 * * sat-tue",
            "day of week: 'sat-tue' is a reversed range, and NCRONTAB swaps its ends: it means tue-sat; "
            "for sat to tue write sat,sun,mon,tue",
        ),
        (
            "0 0 0 * 11-2/2 *",
            "month: '11-2/2' is a reversed range, and NCRONTAB swaps its ends: it means feb-nov; "
            "list the values, or write two ranges",
        ),
        (
            "*/0 * * * * *",
            "second: '*/0' has a step of 0, which NCRONTAB reads as 1; write the intended step, such as */5",
        ),
        (
            "0 */90 * * * *",
            "minute: '*/90' has a step larger than its range 0-59, so it means only 0; "
            "write 0, or {every: ...} for an interval longer than the field",
        ),
        (
            "0 0 8-10/5 * * *",
            "hour: '8-10/5' has a step larger than its range 8-10, so it means only 8; "
            "write 8, or {every: ...} for an interval longer than the field",
        ),
        ("0 0 0 * j *", "month: 'j' means january, though 'j' is also the start of june, july; write jan"),
        ("0 0 0 * * T", "day of week: 'T' means tuesday, though 'T' is also the start of thursday; write tue"),
    ],
)
def test_an_odd_field_is_reported_with_what_it_means_and_what_to_write(expression: str, warning: str) -> None:
    assert odd(expression) == [warning]


@pytest.mark.parametrize(
    "expression",
    [
        "0 */5 * * * *",
        "*/5 * * * *",
        "@hourly",
        "0 0 3 * * MON-FRI",
        "0 0 22-23,0-2 * * *",
        "0 0 0 1 jan,JULY *",
        "0 0/59 * * * *",
        "0 0 0 * * 5-6",
        "59/1 * * * * *",
    ],
)
def test_what_means_what_it_seems_to_has_no_warning(expression: str) -> None:
    assert [each for each in odd(expression) if "59/1" not in each] == []


@pytest.mark.parametrize(
    "schedule",
    [
        {"cron": "0 0 22-2 * * *", "timezone": "Europe/Berlin"},
        {"cron": "0 0 22-2 * * *", "jitter": "5s"},
        {"cron": "0 0 22-2 * * *", "start": "2026-01-01"},
        [{"every": "5m"}, "0 0 22-2 * * *"],
    ],
)
def test_an_odd_field_is_found_wherever_the_expression_stands(schedule: Any) -> None:
    (warning,) = warned(schedule=schedule)
    assert warning.startswith("schedule: hour: '22-2'")


_FIELD = st.sampled_from(["*", "*/2", "5", "1-5", "5-1", "*/0", "1/3", "2,4", "3-2/9"])


@given(st.tuples(_FIELD, _FIELD, _FIELD, _FIELD, _FIELD, st.sampled_from(["*", "1", "mon", "m", "s-t", "fri-mon"])))
def test_every_expression_that_is_accepted_can_be_checked(fields: tuple[str, ...]) -> None:
    expression = Ncrontab.parse(" ".join(fields)).text
    for message, hint in explain_odd_fields(expression):
        assert message
        assert hint


@given(st.integers(0, 23), st.integers(0, 23))
def test_the_range_that_is_suggested_goes_over_the_end(start: int, stop: int) -> None:
    if start <= stop:
        assert odd(f"0 0 {start}-{stop} * * *") == []
        return
    (warning,) = odd(f"0 0 {start}-{stop} * * *")
    suggested = Ncrontab.parse(f"0 0 {warning.rpartition(' write ')[2]} * * *")
    assert suggested.hours == sum(1 << hour for hour in (*range(start, 24), *range(stop + 1)))


def test_the_rules_take_the_present_from_their_caller() -> None:
    ending = job(schedule={"every": "5m", "end": "2026-11-27T12:00:00Z"})
    assert warned(ending, now_ms=NOW_MS) == []
    assert len(warned(ending, now_ms=NOW_MS + 86_400_000)) == 1
