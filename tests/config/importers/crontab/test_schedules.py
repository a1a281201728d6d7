"""Schedules of crontabs are due when cron would start their commands."""

from __future__ import annotations

import importlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from importers.cron import InvalidSchedule, parse_schedule_fields
from jobs.schedules import Schedule, parse_schedule

LINES = 1000
INSTANTS = 20
BERLIN = "Europe/Berlin"


def _field(values: random.Random, low: int, high: int, names: tuple[str, ...] = ()) -> str:
    form = values.random()
    if form < 0.3:
        return "*"
    if form < 0.4:
        return f"*/{values.choice([2, 3, 5, 7, 15, 30] if high > 12 else [2, 3, 4])}"
    return ",".join(_term(values, low, high, names) for _ in range(values.choice([1, 1, 1, 2, 3])))


def _term(values: random.Random, low: int, high: int, names: tuple[str, ...]) -> str:
    # No range from a value to itself: croniter reads `6-6` as every value, cron as 6.
    first = values.randint(low, high - 1)
    last = values.randint(first + 1, high)
    return values.choice(
        [str(first), f"{first}-{last}", f"{first}-{last}/{values.randint(1, 5)}", values.choice(names or (str(last),))]
    )


def _line(values: random.Random) -> str:
    fields = (
        _field(values, 0, 59),
        _field(values, 0, 23),
        _field(values, 1, 31),
        _field(values, 1, 12, ("jan", "Feb", "OCT")),
        _field(values, 0, 7, ("mon", "Sun", "FRI")),
    )
    return " ".join(fields)


def _schedule(line: str, timezone: str | None = None) -> Schedule:
    return parse_schedule(parse_schedule_fields(line).to_value(timezone))


def _following(schedule: Schedule, start: datetime, count: int = INSTANTS) -> list[datetime]:
    found: list[datetime] = []
    at: datetime | None = start
    while at is not None and len(found) < count:
        at = schedule.next_after(at)
        if at is not None:
            found.append(at)
    return found


def _of_croniter(line: str, start: datetime) -> list[datetime]:
    # `implement_cron_bug`: a day field that begins with * does not make an OR, as in Vixie cron.
    croniter: Any = importlib.import_module("croniter")
    reference = croniter.croniter(line, start, implement_cron_bug=True, max_years_between_matches=12)
    found: list[datetime] = []
    try:
        while len(found) < INSTANTS:
            found.append(reference.get_next(datetime))
    except croniter.CroniterBadDateError:
        pass
    return found


def test_a_thousand_lines_are_due_at_the_instants_of_croniter() -> None:
    values = random.Random(16)
    both = 0
    for _ in range(LINES):
        line = _line(values)
        both += len(parse_schedule_fields(line).expressions) == 2
        start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=values.randint(0, 700 * 86400))
        assert _following(_schedule(line), start) == _of_croniter(line, start), line
    assert both > LINES / 10, "the OR of the day fields must be among them"


@pytest.mark.parametrize(
    ("line", "expressions"),
    [
        ("0 3 1,15 * 1", ("0 3 1,15 * *", "0 3 * * 1")),
        ("0 3 */2 * 1", ("0 3 */2 * 1",)),
        ("0 3 1-7 * *", ("0 3 1-7 * *",)),
        ("0 3 1-31 * 1", ("0 3 * * *",)),
        ("0 3 1 * 0-7", ("0 3 * * *",)),
        ("0 22 * * 5-7", ("0 22 * * 0,5-6",)),
        ("0 22 * * fri-sat", ("0 22 * * 5-6",)),
        ("6-6 * * * *", ("6-6 * * * *",)),
        ("5/15 * * * *", ("5,20,35,50 * * * *",)),
        ("@weekly", ("0 0 * * 0",)),
        ("@Daily", ("0 0 * * *",)),
        ("0~59 3 * * *", ("29 3 * * *",)),
        ("~ 3 * * *", ("29 3 * * *",)),
        ("00 08 * 09 *", ("00 08 * 09 *",)),
    ],
)
def test_how_a_line_is_written(line: str, expressions: tuple[str, ...]) -> None:
    assert parse_schedule_fields(line).expressions == expressions
    _schedule(line)


@pytest.mark.parametrize(
    "line",
    ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "* * * *", "a * * * *", "*/0 * * * *",
     "5-1 * * * *", "* * * * mon-", "*-5 * * * *", "@never", "1,,2 * * * *"],
)  # fmt: skip
def test_a_line_that_cron_refuses(line: str) -> None:
    with pytest.raises(InvalidSchedule):
        parse_schedule_fields(line)


def _local(line: str, day: datetime) -> list[str]:
    zone = ZoneInfo(BERLIN)
    start = day.replace(tzinfo=zone).astimezone(UTC) - timedelta(seconds=1)
    end = start + timedelta(hours=26)
    instants = [at for at in _following(_schedule(line, BERLIN), start, 200) if at < end]
    return [f"{at.astimezone(zone):%d %H:%M}" for at in instants if at.astimezone(zone).day == day.day]


SPRING = datetime(2026, 3, 29)
"""02:00 to 03:00 does not exist in Berlin."""
AUTUMN = datetime(2026, 10, 25)
"""02:00 to 03:00 exists twice."""


def test_when_the_clock_goes_forward_a_skipped_time_runs_right_after_as_in_vixie_cron() -> None:
    assert _local("30 2 * * *", SPRING) == ["29 03:00"]


def test_when_the_clock_goes_forward_a_repeating_line_follows_the_clock() -> None:
    assert _local("30 * * * *", SPRING)[1:3] == ["29 01:30", "29 03:30"]


def test_when_the_clock_goes_back_a_fixed_time_runs_once() -> None:
    assert _local("30 2 * * *", AUTUMN) == ["25 02:30"]


def test_when_the_clock_goes_back_a_repeating_line_runs_in_both_hours() -> None:
    assert _local("30 * * * *", AUTUMN)[1:5] == ["25 01:30", "25 02:30", "25 02:30", "25 03:30"]
