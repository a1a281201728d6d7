"""Expressions in a zone against the timer of Azure Functions, around each change of the clock.

One difference is meant, and left out below: an expression that repeats within the hour that is shown twice, and not
beyond it (`0 0-10 2 * * *` in Berlin), makes the timer run an hour early on the following day, at a time that the
expression does not name. Here it is due in both passes, as CronSchedule.cs says of intervals.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jobs.schedules import Ncrontab, ZonedSchedule, load_time_zone
from tests.jobs.schedules.functions_timer import FunctionsTimer, formatted

EXPRESSIONS = [
    "0 0 1,2 * * *",
    "0 0 2 * * *",
    "0 30 2 * * *",
    "0 0,30 2 * * *",
    "0 0 1-3 * * *",
    "0 30 1,2,3 * * *",
    "0 0 */2 * * *",
    "0 0 1,3 * * *",
    "0 15,45 1-2 * * *",
    "0 */10 1-2 * * *",
    "0 */15 0-4 * * *",
    "0 0 0 * * *",
    "0 30 0,1 * * *",
    "0 0 * * * *",
    "0 7 * * * *",
    "0 */5 * * * *",
    "30 */20 * * * *",
    "0 0 2 * * SUN",
    "0 0 1,2 * * MON-FRI",
    "0 30 2 25-31 3 *",
    "15,45 59 1,2 * * *",
]
ZONES = [
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Beirut",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Antarctica/Troll",
]
OF_AN_HOUR = [name for name in ZONES if name not in ("Australia/Lord_Howe", "Antarctica/Troll")]
"""Where a repeat is no hour, the timer can also pass over times in it, by the same mistake as above."""
quick = settings(deadline=None, max_examples=100)


@cache
def changes(name: str) -> list[datetime]:
    """When the clock of this zone is changed in 2026: twice in each of ZONES."""
    info, found = load_time_zone(name).info, []
    hour = datetime(2026, 1, 1, tzinfo=UTC)
    while hour.year == 2026:
        following = hour + timedelta(minutes=30)
        if hour.astimezone(info).utcoffset() != following.astimezone(info).utcoffset():
            found.append(following)
        hour = following
    return found


def due(expression: str, name: str, since: datetime, count: int) -> list[datetime]:
    schedule, found, instant = ZonedSchedule(Ncrontab.parse(expression), load_time_zone(name)), [], since
    for _ in range(count):
        following = schedule.next_after(instant)
        assert following is not None
        found.append(following)
        instant = following
    return found


def runs_early(timer: FunctionsTimer, occurrences: list[datetime]) -> bool:
    """Whether the timer runs at a time that neither the expression names nor a gap moves: see above."""
    return any(
        timer.cron.next_after(shown - timedelta(seconds=1)) != shown and not _follows_gap(timer, one)
        for one in occurrences
        if (shown := one.astimezone(timer.zone).replace(tzinfo=UTC))
    )


def _follows_gap(timer: FunctionsTimer, instant: datetime) -> bool:
    earlier, now = ((instant - delta).astimezone(timer.zone).utcoffset() for delta in (timedelta(hours=3), timedelta()))
    assert earlier is not None
    assert now is not None
    return now > earlier


@pytest.mark.parametrize(("expression", "name"), list(product(EXPRESSIONS, ZONES)))
def test_an_expression_is_due_when_the_functions_timer_runs_it(expression: str, name: str) -> None:
    for change in changes(name):
        since = change - timedelta(hours=5)
        timer = FunctionsTimer(expression, name)
        expected = list(timer.occurrences(since, 20))
        if not runs_early(timer, expected):
            assert due(expression, name, since, 20) == expected


def test_a_list_of_neighbouring_hours_is_moved_out_of_the_gap_as_a_single_hour_is() -> None:
    for expression, hours in (("0 0 1,2 * * *", [1, 3, 1]), ("0 0 2 * * *", [3, 2, 2])):
        found = due(expression, "Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), 3)
        assert [one.astimezone(load_time_zone("Europe/Berlin").info).hour for one in found] == hours


values = st.sets(st.integers(0, 59), min_size=1, max_size=4).map(lambda found: ",".join(map(str, sorted(found))))
hours = st.one_of(
    st.sampled_from(["*", "*/2", "*/3", "1-2", "0-3", "2-4", "2", "1,3"]),
    st.sets(st.integers(0, 5), min_size=1, max_size=4).map(lambda found: ",".join(map(str, sorted(found)))),
)
minutes = st.one_of(values, st.sampled_from(["*", "*/5", "*/7", "*/20", "0", "30", "10-20"]))


@quick
@given(st.sampled_from(["0", "30", "15,45"]), minutes, hours, st.sampled_from(OF_AN_HOUR), st.integers(0, 1), st.data())
def test_any_expression_is_due_when_the_functions_timer_runs_it(
    second: str, minute: str, hour: str, name: str, which: int, data: st.DataObject
) -> None:
    expression = f"{second} {minute} {hour} * * *"
    change = changes(name)[which]
    since = change - timedelta(minutes=data.draw(st.integers(30, 4 * 60)))
    timer = FunctionsTimer(expression, name)
    count = 60
    expected = list(timer.occurrences(since, count))
    assume(not runs_early(timer, expected))

    assert due(expression, name, since, count) == expected


@given(minutes, hours)
def test_an_expression_is_interval_like_when_the_timer_finds_a_sign_of_it_in_its_own_writing(
    minute: str, hour: str
) -> None:
    """The timer looks at what NCrontab makes of the expression, where `1,2` is written `1-2` and `*/5` as a list."""
    cron = Ncrontab.parse(f"0 {minute} {hour} * * *")

    assert cron.is_interval_like == any(sign in field for field in formatted(cron) for sign in "*-/")
