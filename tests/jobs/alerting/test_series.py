"""The last samples of a job against a list of the same samples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from jobs.alerting.facts import Sample, Series, Threshold, series_of

START = datetime(2026, 3, 1, 3, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def sample(number: int, is_failed: bool = False) -> Sample:
    at = START + number * MINUTE
    return Sample(at, f"job@{number}", at, is_failed)


def series(*bad: bool, window: int = 5) -> Series:
    return series_of([(sample(number, each), each) for number, each in enumerate(bad)], window)


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 10), st.integers(0, 10))
def test_it_agrees_with_the_list_of_its_samples(bad: list[bool], count: int, more: int) -> None:
    threshold = Threshold(count, count + more)
    made = series(*bad, window=threshold.window)

    assert made.count == len(bad)
    assert made.is_last_bad == (bad[-1:] == [True])
    assert made.good_in_a_row == len(bad) - 1 - max((at for at, each in enumerate(bad) if each), default=-1)
    held = [START + at * MINUTE for at, each in enumerate(bad) if each and at >= len(bad) - threshold.window]
    assert list(made.bad_times) == held


def test_a_sample_that_is_not_newer_changes_nothing() -> None:
    made = series(True, False)
    assert made.add(sample(1, True), True, 5) is made
    assert made.add(sample(0, True), True, 5) is made


def test_consecutive_failures_began_after_the_last_success() -> None:
    made = series(True, False, True, True)
    assert made.failing_since(Threshold(2, 2)) == START + 2 * MINUTE


def test_failures_among_others_began_with_the_first_in_the_window() -> None:
    made = series(True, False, True, True)
    assert made.failing_since(Threshold(3, 5)) == START


def test_without_a_failure_nothing_fails() -> None:
    assert series(False, False).failing_since(Threshold(1, 1)) is None
