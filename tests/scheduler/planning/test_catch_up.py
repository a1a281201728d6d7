"""Catch-up: what of the missed due instants is run, against a plain walk over all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.policies import CatchUp
from jobs.schedules import Schedule, parse_schedule
from scheduler.planning.plan import MAX_CAUGHT_UP_RUNS, CatchUpDecision, decide_catch_up

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTELY = parse_schedule("0 * * * * *")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def policy(name: str, within: float = 3600.0) -> CatchUp:
    return CatchUp.model_validate({"policy": name, "within": within})


def instants(schedule: Schedule, first: datetime, before: datetime) -> list[datetime]:
    found = [first]
    while (following := schedule.next_after(found[-1])) is not None and following < before:
        found.append(following)
    return found


def test_none_runs_nothing_and_names_the_last_missed_instant() -> None:
    assert decide_catch_up(MINUTELY, policy("none"), at(60), at(590), at(600)) == CatchUpDecision((), at(540))


def test_last_runs_the_latest_and_skips_those_before_it() -> None:
    assert decide_catch_up(MINUTELY, policy("last"), at(60), at(590), at(600)) == CatchUpDecision((at(540),), at(480))


def test_a_missed_month_end_is_caught_up() -> None:
    schedule = parse_schedule({"monthly": {"day": "last", "at": "02:00"}, "timezone": "Europe/Berlin"})
    missed = [datetime(2026, 3, 31, 0, tzinfo=UTC), datetime(2026, 4, 30, 0, tzinfo=UTC)]
    now = datetime(2026, 4, 30, 0, 30, tzinfo=UTC)

    assert decide_catch_up(schedule, policy("last"), missed[0], now, now) == CatchUpDecision((missed[1],), missed[0])


def test_with_last_the_run_that_is_on_time_makes_up_for_the_missed_ones() -> None:
    caught_up = decide_catch_up(MINUTELY, policy("last"), at(60), at(590), at(601), on_time=at(600))

    assert caught_up == CatchUpDecision((), at(540))


def test_with_last_an_on_time_run_skips_what_is_on_time_before_it() -> None:
    secondly = parse_schedule("* * * * * *")

    caught_up = decide_catch_up(secondly, policy("last"), at(1), at(590), at(600.5), on_time=at(600))

    assert caught_up == CatchUpDecision((), at(599))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("none", CatchUpDecision((), at(540))), ("all", CatchUpDecision((at(480), at(540)), at(420)))],
)
def test_an_on_time_run_changes_nothing_for_other_policies(name: str, expected: CatchUpDecision) -> None:
    caught_up = decide_catch_up(MINUTELY, policy(name, within=150.0), at(60), at(590), at(601), on_time=at(600))

    assert caught_up == expected


def test_all_runs_each_of_them_in_order() -> None:
    expected = tuple(at(60 * minute) for minute in range(1, 10))

    assert decide_catch_up(MINUTELY, policy("all"), at(60), at(590), at(600)) == CatchUpDecision(expected, None)


def test_what_is_older_than_the_window_is_skipped() -> None:
    caught_up = decide_catch_up(MINUTELY, policy("all", within=150.0), at(60), at(590), at(600))

    assert caught_up == CatchUpDecision((at(480), at(540)), at(420))


def test_a_single_missed_instant_outside_of_the_window_is_skipped() -> None:
    daily = parse_schedule("0 0 3 * * *")

    assert decide_catch_up(daily, policy("last", within=60.0), at(-32400), at(0), at(10)) == CatchUpDecision(
        (), at(-32400)
    )


def test_all_runs_only_the_newest_of_very_many() -> None:
    secondly = parse_schedule("* * * * * *")

    caught_up = decide_catch_up(secondly, policy("all"), at(1), at(3500), at(3510))

    assert len(caught_up.run) == MAX_CAUGHT_UP_RUNS
    assert caught_up.run[-1] == at(3499)
    assert caught_up.last_missed == at(3499 - MAX_CAUGHT_UP_RUNS)


class Counting:
    """A schedule that counts how often it is asked."""

    def __init__(self, inner: Schedule) -> None:
        self._inner, self.asked = inner, 0

    def next_after(self, instant: datetime) -> datetime | None:
        self.asked += 1
        return self._inner.next_after(instant)


def test_a_year_of_downtime_of_a_job_of_each_second_costs_no_walk_over_all_of_it() -> None:
    schedule = Counting(parse_schedule("* * * * * *"))
    year = 365 * 86400

    caught_up = decide_catch_up(schedule, policy("last"), at(1), at(year), at(year + 10))  # type: ignore[arg-type]  # the part that is used

    assert caught_up.run == (at(year - 1),)
    assert schedule.asked < 300


@given(
    every=st.integers(1, 400),
    first=st.integers(0, 50),
    down=st.integers(1, 4000),
    within=st.floats(1.0, 5000.0),
    name=st.sampled_from(["none", "last", "all"]),
)
def test_what_is_run_and_skipped_agrees_with_a_walk_over_every_instant(
    every: int, first: int, down: int, within: float, name: str
) -> None:
    schedule = parse_schedule(f"every {every}s")
    begin = schedule.next_after(at(first))
    assert begin is not None
    before, now = begin + timedelta(seconds=down), begin + timedelta(seconds=down + 10)
    missed = instants(schedule, begin, before)
    inside = [instant for instant in missed if instant >= now - timedelta(seconds=within)]
    expected = {"none": [], "last": inside[-1:], "all": inside[-MAX_CAUGHT_UP_RUNS:]}[name]

    caught_up = decide_catch_up(schedule, policy(name, within), begin, before, now)

    older = [instant for instant in missed if not expected or instant < expected[0]]
    assert list(caught_up.run) == expected
    assert caught_up.last_missed == (older[-1] if older else None)
