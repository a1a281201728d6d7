"""What holds for windows of runs and of time, however runs come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.running.circuit_state import EMPTY_WINDOW, CircuitWindow, add_run, count_window, merge_successes

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUNS = st.lists(st.tuples(st.floats(0, 20), st.booleans(), st.booleans()), max_size=60)
"""Seconds since the run before, whether it failed, whether it was slow."""


def played(length: int | float, runs: list[tuple[float, bool, bool]]) -> tuple[CircuitWindow, datetime]:
    window, now = EMPTY_WINDOW, NOON
    for waited, failed, slow in runs:
        now += timedelta(seconds=waited)
        window = add_run(window, length, now, failed=failed, slow=slow)
    return window, now


@given(st.integers(1, 30), RUNS)
def test_a_window_of_runs_holds_exactly_the_last_ones(length: int, runs: list[tuple[float, bool, bool]]) -> None:
    window, now = played(length, runs)
    observed, last = count_window(window, length, now), runs[-length:]
    assert (observed.calls, observed.failures, observed.slow) == (
        len(last),
        sum(r[1] for r in last),
        sum(r[2] for r in last),
    )


@given(st.floats(1, 300), RUNS)
def test_a_window_of_time_holds_what_is_younger_than_nine_tenths_and_nothing_older_than_itself(
    length: float, runs: list[tuple[float, bool, bool]]
) -> None:
    window, now = played(length, runs)
    ages, age = [], 0.0
    for waited, _, _ in reversed(runs):
        ages.append(age)
        age += waited
    calls = count_window(window, length, now).calls
    assert sum(age < length * 0.9 - 1e-3 for age in ages) <= calls <= sum(age < length + 1e-3 for age in ages)


@given(st.floats(1, 300), RUNS)
def test_a_window_of_time_has_ten_buckets_at_most(length: float, runs: list[tuple[float, bool, bool]]) -> None:
    window, _ = played(length, runs)
    assert len(window.buckets) <= 10


@given(st.floats(1, 300), st.lists(RUNS, max_size=6))
def test_windows_of_several_processes_together_stay_small_and_lose_no_run_that_is_young(
    length: float, processes: list[list[tuple[float, bool, bool]]]
) -> None:
    end = NOON + timedelta(seconds=60 * 20)
    together, calls = EMPTY_WINDOW, 0
    for runs in processes:
        window, now = played(length, [(waited, False, False) for waited, _, _ in runs])
        shifted = EMPTY_WINDOW
        for bucket in window.buckets:
            for _ in range(bucket.calls):
                shifted = add_run(shifted, length, bucket.started + (end - now))
        calls += count_window(shifted, length, end).calls
        together = merge_successes(together, length, end, shifted)
    assert len(together.buckets) <= 10
    assert count_window(together, length, end).calls == calls


@pytest.mark.parametrize(("length", "calls"), [(0.199, 1), (0.2, 4)])
def test_a_window_below_200_ms_is_not_divided(length: float, calls: int) -> None:
    window, at = EMPTY_WINDOW, 0.0
    for at in (0.0, length - 1e-6, length - 1e-6, length - 1e-6, length):
        window = add_run(window, length, NOON + timedelta(seconds=at))
    assert count_window(window, length, NOON + timedelta(seconds=at)).calls == calls


def test_a_clock_that_returns_counts_its_runs_all_the_same() -> None:
    window = add_run(EMPTY_WINDOW, 60.0, NOON, failed=True)
    window = add_run(window, 60.0, NOON - timedelta(seconds=30), failed=True)
    assert count_window(window, 60.0, NOON).failures == 2
