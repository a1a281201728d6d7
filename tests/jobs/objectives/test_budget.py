"""Error budgets: what is allowed, consumed and left, and how long it lasts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.objectives import (
    BudgetStatus,
    ErrorBudget,
    SliCounts,
    burn_rate_of,
    describe_budget,
    error_ratio_of,
    format_amount,
    format_percent,
)

DAYS_30 = timedelta(days=30)
COUNTS = st.tuples(st.integers(1, 100_000), st.integers(0, 100_000)).map(lambda two: SliCounts(sum(two), two[1]))
TARGETS = st.sampled_from([50.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.999])


@pytest.mark.parametrize(
    ("target", "ratio"), [(99.9, 0.001), (99.95, 0.0005), (99.99, 0.0001), (99.999, 0.00001), (95.0, 0.05)]
)
def test_the_share_that_may_be_bad_has_no_rounding_error(target: float, ratio: float) -> None:
    assert error_ratio_of(target) == ratio


@pytest.mark.parametrize(
    ("valid", "bad", "status", "left"),
    [
        (0, 0, BudgetStatus.NO_DATA, None),
        (10_000, 0, BudgetStatus.OK, 1.0),
        (10_000, 5, BudgetStatus.OK, 0.5),
        (10_000, 10, BudgetStatus.OK, 0.0),
        (10_000, 11, BudgetStatus.EXHAUSTED, -0.1),
    ],
)
def test_a_budget_is_exhausted_when_more_is_bad_than_allowed(
    valid: int, bad: int, status: BudgetStatus, left: float | None
) -> None:
    budget = ErrorBudget(99.9, SliCounts(valid, bad))
    assert (budget.find_status(None), budget.remaining_ratio) == (status, pytest.approx(left))


def test_a_month_that_has_not_ended_has_the_budget_of_the_whole_month() -> None:
    budget = ErrorBudget(99.9, SliCounts(10_000, 15), scale=3.0)
    assert (budget.allowed, budget.remaining_ratio) == (pytest.approx(30), pytest.approx(0.5))


@given(COUNTS, TARGETS)
@settings(max_examples=50)
def test_what_is_consumed_and_what_is_left_are_the_whole_budget(counts: SliCounts, target: float) -> None:
    budget = ErrorBudget(target, counts)
    assert budget.consumed_ratio is not None
    assert budget.remaining_ratio == pytest.approx(1 - budget.consumed_ratio)
    assert budget.remaining + counts.bad == pytest.approx(budget.allowed)
    assert (budget.find_status(None) is BudgetStatus.EXHAUSTED) == (budget.remaining_ratio < 0)


@given(COUNTS, TARGETS)
@settings(max_examples=50)
def test_a_burn_rate_above_one_over_the_whole_window_exhausts_the_budget(counts: SliCounts, target: float) -> None:
    burn_rate = burn_rate_of(counts, error_ratio_of(target))
    assert burn_rate == pytest.approx(ErrorBudget(target, counts).consumed_ratio)


@given(COUNTS, TARGETS, st.floats(0.01, 1000))
@settings(max_examples=50)
def test_the_rest_is_consumed_when_its_time_is_over(counts: SliCounts, target: float, burn_rate: float) -> None:
    budget = ErrorBudget(target, counts)
    left = budget.find_time_left(burn_rate, DAYS_30)
    assert left is not None
    consumed = burn_rate * (left / DAYS_30)
    assert consumed == pytest.approx(max(budget.remaining_ratio or 0.0, 0.0), abs=1e-6)


def test_without_a_burn_rate_the_budget_lasts() -> None:
    budget = ErrorBudget(99.9, SliCounts(1000, 0))
    assert budget.find_time_left(None, DAYS_30) is None
    assert budget.find_time_left(0.0, DAYS_30) is None
    assert budget.find_time_left(2.0, DAYS_30) == timedelta(days=15)


@pytest.mark.parametrize(
    ("counts", "burn_rate", "text"),
    [
        (SliCounts(), None, "Nothing counts in the window yet: no run was measured."),
        (
            SliCounts(10_000, 12),
            None,
            "99.88% was good, target 99.9%: the error budget is exhausted (bad: 12 runs, allowed: 10 runs).",
        ),
        (
            SliCounts(10_000, 5),
            None,
            "99.95% was good, target 99.9%: 50% of the error budget is left (5 of 10 runs are used). "
            "No run counted in the last hour, so there is no present burn rate.",
        ),
        (
            SliCounts(10_000, 5),
            0.0,
            "99.95% was good, target 99.9%: 50% of the error budget is left (5 of 10 runs are used). "
            "Nothing was bad in the last hour.",
        ),
        (
            SliCounts(10_000, 5),
            7.5,
            "99.95% was good, target 99.9%: 50% of the error budget is left (5 of 10 runs are used). "
            "At the burn rate of the last hour, 7.5, the rest lasts 2 d.",
        ),
        (
            SliCounts(10_000, 5),
            0.5,
            "99.95% was good, target 99.9%: 50% of the error budget is left (5 of 10 runs are used). "
            "At the burn rate of the last hour, 0.50, it lasts for the whole window.",
        ),
    ],
)
def test_the_state_in_words(counts: SliCounts, burn_rate: float | None, text: str) -> None:
    budget = ErrorBudget(99.9, counts)
    assert describe_budget(budget, burn_rate, budget.find_time_left(burn_rate, DAYS_30), "runs") == text


def test_a_share_is_not_rounded_up_to_all() -> None:
    assert (format_percent(0.99999999), format_percent(1.0), format_percent(0.9995)) == ("99.9999%", "100%", "99.95%")


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [(1, "runs", "1 run"), (43.2, "runs", "43.2 runs"), (12_000, "runs", "12,000 runs"), (2592, "seconds", "43 min")],
)
def test_amounts_have_their_unit(amount: float, unit: str, text: str) -> None:
    assert format_amount(amount, unit).startswith(text)
