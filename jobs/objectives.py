"""The arithmetic of objectives: which runs count, the error budget, burn rates and what they mean in words. Pure.

Targets are floats of percent. The terms are those of
https://sre.google/workbook/implementing-slos/ and https://sre.google/workbook/alerting-on-slos/; the pairs of windows
of burn alerts are those of section 6 of the latter.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from jobs.fast_frozen import fast_frozen
from jobs.formats import describe_span
from jobs.runs.outcomes import Outcome, Trigger


@fast_frozen(frozen=True, slots=True)
class SliCounts:
    """Runs, or seconds of an objective by time. `bad` is a part of `valid`."""

    valid: float = 0
    bad: float = 0

    def __add__(self, other: SliCounts) -> SliCounts:
        return SliCounts(self.valid + other.valid, self.bad + other.bad)

    def __sub__(self, other: SliCounts) -> SliCounts:
        return SliCounts(self.valid - other.valid, self.bad - other.bad)

    @property
    def good(self) -> float:
        return self.valid - self.bad

    @property
    def bad_share(self) -> float | None:
        """Return the share of `valid` that is bad, 0 to 1; None if nothing is valid."""
        return self.bad / self.valid if self.valid > 0 else None


NO_COUNTS = SliCounts()


def count_run(outcome: Outcome, trigger: Trigger, *, is_degraded: bool, is_degraded_bad: bool) -> SliCounts:
    """Return what one finished run counts as.

    Skipped and cancelled runs and backfills are not valid, as they say nothing about the target at their instant. A
    rejected run is bad: an open circuit must not hide an outage.
    """
    if trigger is Trigger.BACKFILL or not (outcome is Outcome.SUCCEEDED or outcome.down):
        return NO_COUNTS
    return SliCounts(1, int(outcome.down or (is_degraded and is_degraded_bad)))


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


@fast_frozen(frozen=True, slots=True)
class BurnPair:
    """Both burn rates must be above `factor`: the short window ends an alert soon after the trouble has ended."""

    factor: float
    long: timedelta
    short: timedelta
    is_page: bool
    """Whether it is urgent: else a ticket is enough."""


BURN_PAIRS = (
    BurnPair(14.4, timedelta(hours=1), timedelta(minutes=5), True),
    BurnPair(6, timedelta(hours=6), timedelta(minutes=30), True),
    BurnPair(3, timedelta(days=1), timedelta(hours=2), False),
    BurnPair(1, timedelta(days=3), timedelta(hours=6), False),
)
BURN_WINDOWS = tuple(sorted({window for pair in BURN_PAIRS for window in (pair.long, pair.short)}))
"""The shortest first."""
PRESENT_WINDOW = timedelta(hours=1)
"""The window of the present burn rate, by which the time to exhaustion is computed."""


def list_possible_pairs(target: float) -> tuple[BurnPair, ...]:
    """Return the pairs whose factor is below the burn rate at which every run is bad."""
    return tuple(pair for pair in BURN_PAIRS if pair.factor < 1 / error_ratio_of(target))


ObjectiveWindow = Literal["7d", "28d", "30d", "90d", "month"]
MONTH_WINDOW = "month"


def find_window_begin(window: str, now: datetime) -> datetime:
    """Return the instant at which the window that contains `now` began."""
    if window == MONTH_WINDOW:
        return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return now - _length_of(window)


def find_window_end(window: str, now: datetime) -> datetime:
    """Return when the budget ends: `now` for a rolling window, the end of the month for `month`."""
    if window != MONTH_WINDOW:
        return now
    return (find_window_begin(window, now) + timedelta(days=32)).replace(day=1)


def describe_window(window: str) -> str:
    """Return for example `the last 30 days`."""
    return "this month" if window == MONTH_WINDOW else f"the last {window.removesuffix('d')} days"


def _length_of(window: str) -> timedelta:
    return timedelta(days=int(window.removesuffix("d")))


def format_percent(ratio: float) -> str:
    """Format a share of 0 to 1 with up to four decimals, never rounded up to 100: `99.95%`."""
    text = f"{ratio * 100:.4f}".rstrip("0").rstrip(".")
    return "99.9999%" if text == "100" and ratio < 1 else f"{text}%"


def format_target(target: float) -> str:
    """Format a target in percent: `99.9%`."""
    return f"{target:.10g}%"


def format_amount(amount: float, unit: str) -> str:
    """Format runs (`21 runs`, `0.9 runs`) or seconds (`43 min`). `unit`: `runs` or `seconds`.

    A budget of few runs is less than one: it has two significant digits, as `0.0 runs` would read as none.
    """
    if unit == "seconds":
        return describe_span(round(amount)) if amount >= 1 else f"{_format_small(amount)} s"
    number = _format_small(amount) if abs(amount) < 1 else f"{amount:,.1f}".removesuffix(".0")
    return f"{number} run" if number == "1" else f"{number} runs"


def _format_small(amount: float) -> str:
    return f"{amount:.2g}" if abs(amount) >= 0.0001 else "0"


def format_part(part: float, whole: float, unit: str) -> str:
    """Format `5 of 43.2 runs`, or `5 min of 43 min`."""
    amount = format_amount(part, unit)
    return f"{amount.removesuffix(' runs').removesuffix(' run')} of {format_amount(whole, unit)}"


def describe_budget(budget: ErrorBudget, burn_rate: float | None, time_left: timedelta | None, unit: str) -> str:
    """Return the state in one or two sentences."""
    attained, status = budget.attained, budget.find_status(burn_rate)
    if attained is None:
        return f"Nothing counts in the window yet: no {'run' if unit == 'runs' else 'time'} was measured."
    first = f"{format_percent(attained)} was good, target {format_target(budget.target)}"
    if status is BudgetStatus.EXHAUSTED:
        bad, allowed = format_amount(budget.counts.bad, unit), format_amount(budget.allowed, unit)
        return f"{first}: the error budget is exhausted (bad: {bad}, allowed: {allowed})."
    left, of = budget.remaining_ratio or 0.0, format_part(budget.counts.bad, budget.allowed, unit)
    first = f"{first}: {left:.0%} of the error budget is left ({of} are used)."
    if burn_rate is None:
        return f"{first} No run counted in the last hour, so there is no present burn rate."
    if not burn_rate:
        return f"{first} Nothing was bad in the last hour."
    lasts = "" if time_left is None else f" the rest lasts {describe_span(round(time_left.total_seconds()))}"
    if status is BudgetStatus.BURNING:
        return f"{first} At the burn rate of the last hour, {burn_rate:.1f},{lasts}."
    return f"{first} At the burn rate of the last hour, {burn_rate:.2f}, it lasts for the whole window."
