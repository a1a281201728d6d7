"""What an on-call engineer reads about a budget. Pure. Called by scheduler.queries.objectives."""

from __future__ import annotations

from datetime import timedelta

from jobs.formats.durations import describe_span
from jobs.objectives.budget import BudgetStatus, ErrorBudget


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
