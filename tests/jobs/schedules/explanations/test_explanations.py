"""Schedules in plain English."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from jobs.schedules import Ncrontab, Schedule, bind_to_job, parse_schedule
from jobs.schedules.explanations import explain_schedule
from tests.jobs.schedules.schedule_cases import cases
from tests.jobs.schedules.test_schedule_properties import schedules


@pytest.mark.parametrize("case", cases("explained"))
def test_an_expression_is_explained_as_others_word_it(case: dict[str, Any]) -> None:
    assert explain_schedule(Ncrontab.parse(case["schedule"])) == case["text"]


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        ("0 0 1 1 1", "At 00:00 on the first day of month if it's on Monday in January"),
        (
            "0 0 1-2 1 1-5",
            "At 00:00 on the first and the second day of month if it's on Monday through Friday in January",
        ),
        ("@daily", "At 00:00 every day"),
        ("@Weekly", "At 00:00 on Sunday"),
        ("0 9 21 * *", "At 09:00 on the 21st day of every month"),
        ("0 9 11,12,13 * *", "At 09:00 on the 11th, the 12th, and the 13th day of month"),
        ("0 0 8-18/2 * * 1-5", "At minute 0 past every second hour from 8 through 18 on Monday through Friday"),
        ("*/10 * * * * *", "Every 10th second of every minute"),
        ("30 * * * * *", "At second 30 of every minute"),
        ("*/10 */5 * * * *", "Every 10th second of every fifth minute of every hour"),
        ("15 0 9-17 * * *", "At second 15 of minute 0 past every hour from 9 through 17"),
        ("0 5-10 9 * * *", "Every minute from 09:05 through 09:10"),
        ("0 5-10 9-11 * * *", "Every minute from 5 through 10 past every hour from 9 through 11"),
        ("0 0 * * 5-1", "At 00:00 on Monday through Friday"),
        ("0 0 30 2 *", "At 00:00 on February 30 (never: there is no such day)"),
        ("every 1h", "Every hour"),
        ("00:01:30", "Every 1 minute and 30 seconds"),
        ("every 1500ms", "Every 1 second and 500 milliseconds"),
        ({"every": "5m", "offset": "30s"}, "Every 5 minutes, 30 seconds after the full 5 minutes"),
        ({"every": "5m", "jitter": "20s"}, "Every 5 minutes, up to 20 seconds later, always the same for a job"),
        ({"cron": "0 3 * * *", "timezone": "Europe/Berlin"}, "At 03:00 every day, Europe/Berlin time"),
        (
            {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "dst": {"gap": "skip", "repeat": "both"}},
            "At 03:00 every day, Europe/Berlin time (a time that DST skips is not due; a time that DST "
            "repeats is due both times)",
        ),
        (
            {"cron": "0 3 * * *", "start": "2026-12-01", "end": "2027-01-31T12:00"},
            "At 03:00 every day, from 2026-12-01 on, until 2027-01-31T12:00",
        ),
        (
            {
                "every": "1h",
                "timezone": "Asia/Tokyo",
                "except": [
                    {"dates": ["2026-12-24", "2026-12-31"]},
                    {"weekly": {"days": "SAT-SUN", "from": "22:00", "to": "06:00"}},
                    {"weekly": {"from": "08:00", "to": "09:00:30"}},
                    {"holidays": "DE", "subdivision": "BE"},
                ],
            },
            "Every hour, except on 2026-12-24 and 2026-12-31, on Saturday and Sunday from 22:00 to 06:00 of the "
            "following day, daily from 08:00 to 09:00:30, and on public holidays in DE (BE) (Asia/Tokyo time)",
        ),
        ({"every": "1h", "except": [{"weekly": {"days": "SAT"}}]}, "Every hour, except on Saturday"),
        (["0 0 3 * * *", "every 5m"], "At 03:00 every day; every 5 minutes"),
    ],
)
def test_every_kind_of_schedule_is_explained(schedule: object, text: str) -> None:
    assert explain_schedule(parse_schedule(schedule)) == text


def test_the_jitter_of_a_job_is_reported() -> None:
    schedule = bind_to_job(parse_schedule({"every": "5m", "jitter": "20s"}), "checkout")

    assert explain_schedule(schedule).startswith("Every 5 minutes, ")
    assert explain_schedule(schedule).endswith(" later (jitter of up to 20 seconds)")


@settings(deadline=None, max_examples=200)
@given(schedules)
def test_whatever_can_be_read_can_be_explained(schedule: Schedule) -> None:
    text = explain_schedule(schedule)

    assert text[0].isupper()
    assert "  " not in text
