"""Which runs count for an objective, and its windows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobs.objectives import BURN_PAIRS, BURN_WINDOWS, SliCounts, count_run, find_window_begin, find_window_end
from jobs.runs.outcomes import Outcome, Trigger

NOW = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcome", "trigger", "is_degraded", "expected"),
    [
        (Outcome.SUCCEEDED, Trigger.SCHEDULE, False, (1, 0)),
        (Outcome.SUCCEEDED, Trigger.MANUAL, False, (1, 0)),
        (Outcome.SUCCEEDED, Trigger.SCHEDULE, True, (1, 0)),
        (Outcome.FAILED, Trigger.DEPENDENCY, False, (1, 1)),
        (Outcome.TIMED_OUT, Trigger.SCHEDULE, False, (1, 1)),
        (Outcome.REJECTED, Trigger.SCHEDULE, False, (1, 1)),
        (Outcome.SKIPPED, Trigger.SCHEDULE, False, (0, 0)),
        (Outcome.CANCELLED, Trigger.SCHEDULE, False, (0, 0)),
        (Outcome.FAILED, Trigger.BACKFILL, False, (0, 0)),
    ],
)
def test_what_a_run_counts_as(outcome: Outcome, trigger: Trigger, is_degraded: bool, expected: tuple[int, int]) -> None:
    assert count_run(outcome, trigger, is_degraded=is_degraded, is_degraded_bad=False) == SliCounts(*expected)


def test_a_degraded_run_is_bad_if_the_objective_says_so() -> None:
    assert count_run(Outcome.SUCCEEDED, Trigger.SCHEDULE, is_degraded=True, is_degraded_bad=True) == SliCounts(1, 1)


def test_a_window_of_days_ends_now_and_a_month_with_its_last_day() -> None:
    assert find_window_begin("28d", NOW) == datetime(2026, 12, 3, 23, 59, tzinfo=UTC)
    assert find_window_end("28d", NOW) == NOW
    assert find_window_begin("month", NOW) == datetime(2026, 12, 1, tzinfo=UTC)
    assert find_window_end("month", NOW) == datetime(2027, 1, 1, tzinfo=UTC)


def test_each_long_window_has_a_twelfth_as_its_short_one() -> None:
    assert all(pair.long == 12 * pair.short for pair in BURN_PAIRS)
    assert list(BURN_WINDOWS) == sorted(BURN_WINDOWS)
    assert len(BURN_WINDOWS) == 7
