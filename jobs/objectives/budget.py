"""The error budget of an objective: how much may be bad, how much of that is consumed, and how long the rest lasts.

Pure. Called by scheduler.queries.objectives. The terms are those of
https://sre.google/workbook/implementing-slos/ and https://sre.google/workbook/alerting-on-slos/
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from jobs.fast_frozen import fast_frozen
from jobs.objectives.counts import SliCounts


class BudgetStatus(StrEnum):
    NO_DATA = "no_data"
    """Nothing valid in the window."""
    OK = "ok"
    """The budget lasts at the present burn rate."""
    BURNING = "burning"
    """The present burn rate is above 1: continued, the objective will be missed."""
    EXHAUSTED = "exhausted"
    """The objective is missed now."""


def error_ratio_of(target: float) -> float:
    """Return the share that may be bad, 0 to 1, of a target in percent: exactly 0.001 for 99.9."""
    return float((100 - Decimal(str(target))) / 100)


def burn_rate_of(counts: SliCounts, error_ratio: float) -> float | None:
    """Return how fast a budget is consumed: at 1 it is consumed exactly at the end of its window; None without data.

    The operations and their order are those of the generated rules of Prometheus, so that both give equal numbers.
    """
    share = counts.bad_share
    return None if share is None else share / error_ratio


@fast_frozen(frozen=True, slots=True)
class ErrorBudget:
    """The budget of a window. `counts`: of the window until now.

    `scale`: the length of the window by its length until now; more than 1 in a month that has not ended. What is valid
    in the whole window is assumed to be that of now times `scale`.
    """

    target: float
    counts: SliCounts
    scale: float = 1.0

    @property
    def error_ratio(self) -> float:
        return error_ratio_of(self.target)

    @property
    def attained(self) -> float | None:
        """Return the share of good among valid, 0 to 1; None without data."""
        return self.counts.good / self.counts.valid if self.counts.valid > 0 else None

    @property
    def allowed(self) -> float:
        """Return how many bad runs or seconds the whole window may have."""
        return self.counts.valid * self.scale * self.error_ratio

    @property
    def remaining(self) -> float:
        """Return how many more may be bad; negative if the objective is missed."""
        return self.allowed - self.counts.bad

    @property
    def consumed_ratio(self) -> float | None:
        """Return the consumed share of the budget, above 1 if it is exhausted; None without data."""
        return self.counts.bad / self.allowed if self.allowed > 0 else None

    @property
    def remaining_ratio(self) -> float | None:
        """Return the share that is left, negative if it is exhausted; None without data."""
        consumed = self.consumed_ratio
        return None if consumed is None else 1.0 - consumed

    def find_status(self, burn_rate: float | None) -> BudgetStatus:
        """`burn_rate`: the present one."""
        remaining = self.remaining_ratio
        if remaining is None:
            return BudgetStatus.NO_DATA
        if remaining < 0:
            return BudgetStatus.EXHAUSTED
        return BudgetStatus.BURNING if burn_rate is not None and burn_rate > 1 else BudgetStatus.OK

    def find_time_left(self, burn_rate: float | None, window: timedelta) -> timedelta | None:
        """Return in which time the rest is consumed at this burn rate, zero if nothing is left; None if it never is.

        `window`: the length of the whole window, for which the budget lasts at a burn rate of 1.
        """
        remaining = self.remaining_ratio
        if remaining is None or burn_rate is None or burn_rate <= 0:
            return None
        return max(window * remaining / burn_rate, timedelta())
