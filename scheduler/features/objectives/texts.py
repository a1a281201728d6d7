"""The texts of `slo`: rows of lists, the state of an objective, and a statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from jobs.formats.durations import describe_span, format_duration
from jobs.formats.instants import format_iso_instant
from jobs.objectives import (
    BURN_PAIRS,
    BudgetStatus,
    describe_window,
    format_amount,
    format_part,
    format_percent,
    format_target,
)

if TYPE_CHECKING:
    from jobs.incidents.downtime import ExcludedTime
    from scheduler.features.objectives.queries import MeasuredJob, ObjectiveState, ObjectiveStatement

LIST_COLUMNS = ("objective", "status", "attained", "target", "window", "budget left", "burn rate", "exhausted in")
LIST_FIELDS = (
    *("objective", "status", "attained", "target", "window", "remaining_ratio", "burn_rate"),
    *("exhausted_in_seconds", "scope"),
)
_NEED = (BudgetStatus.EXHAUSTED, BudgetStatus.BURNING, BudgetStatus.NO_DATA, BudgetStatus.OK)
_MAX_SHOWN = 20


def order_by_need(states: Iterable[ObjectiveState]) -> Sequence[ObjectiveState]:
    """Return exhausted ones first, then those that burn, each with the smallest rest first."""

    def need(state: ObjectiveState) -> tuple[int, float, str]:
        left = state.budget.remaining_ratio
        return _NEED.index(state.status), 1.0 if left is None else left, state.objective.name

    return sorted(states, key=need)


def list_cells(state: ObjectiveState) -> tuple[str, ...]:
    budget, time_left = state.budget, state.time_left
    return (
        state.objective.name,
        state.status.replace("_", " "),
        "-" if budget.attained is None else format_percent(budget.attained),
        format_target(budget.target),
        state.objective.definition.window,
        "-" if budget.remaining_ratio is None else f"{budget.remaining_ratio:.0%}",
        "-" if state.present_burn_rate is None else f"{state.present_burn_rate:.2f}",
        "-" if time_left is None else describe_span(round(time_left.total_seconds())),
    )


def list_values(state: ObjectiveState) -> tuple[str, ...]:
    budget, time_left = state.budget, state.time_left
    return (
        state.objective.name,
        state.status,
        _number(budget.attained),
        f"{budget.target:g}",
        state.objective.definition.window,
        _number(budget.remaining_ratio),
        _number(state.present_burn_rate),
        _number(None if time_left is None else time_left.total_seconds()),
        state.objective.scope,
    )


def describe_state(state: ObjectiveState) -> Iterator[str]:
    objective, budget = state.objective, state.budget
    defined, unit = objective.definition, objective.definition.unit
    yield f"objective: {objective.name} ({objective.scope})"
    yield from _describe_people(objective.definition.description, objective.definition.owner)
    measure = "runs" if defined.counts == "runs" else "time without downtime"
    yield f"target: {format_target(defined.target)} of {measure} in {describe_window(defined.window)}"
    yield f"status: {state.status.replace('_', ' ')}"
    yield f"what: {state.text}"
    yield (
        f"budget: {format_amount(budget.allowed, unit)} may be bad, "
        f"{format_part(budget.counts.bad, budget.counts.valid, unit)} are"
    )
    yield f"measured: from {format_iso_instant(state.since)} to {format_iso_instant(state.until)}"
    yield f"excluded: {_describe_excluded(state.jobs, unit)}"
    yield "burn rates:"
    for window, rate in state.burn_rates.items():
        counts = state.windows[window]
        of = format_part(counts.bad, counts.valid, unit)
        yield f"  {format_duration(window.total_seconds()):>4}  {'-' if rate is None else f'{rate:.2f}':>8}  {of}"
    yield from _describe_pairs(state)
    if not state.is_complete:
        yield "incomplete: not everything of the window is stored or was read; see docs/objectives.md"


def describe_statement(statement: ObjectiveStatement) -> Iterator[str]:
    objective, budget = statement.objective, statement.budget
    unit = objective.definition.unit
    yield f"objective: {objective.name} ({objective.scope})"
    yield from _describe_people(objective.definition.description, objective.definition.owner)
    end = "" if statement.has_ended else ", which has not ended"
    yield (
        f"month: {statement.month} in UTC{end}: from {format_iso_instant(statement.since)} "
        f"to {format_iso_instant(statement.until)}"
    )
    met = {None: "nothing counts", True: "met", False: "missed"}[statement.is_met]
    attained = "-" if budget.attained is None else format_percent(budget.attained)
    yield f"result: {met}: {attained} was good, target {format_target(budget.target)}"
    yield (
        f"budget: {format_amount(budget.allowed, unit)} may be bad, "
        f"{format_part(budget.counts.bad, budget.counts.valid, unit)} were"
    )
    yield f"excluded: {_describe_excluded(statement.jobs, unit)}"
    times = sorted(
        {(time.begin, time.end, time.reason, time.name) for job in statement.jobs for time in job.exclusions}
    )
    for begin, end_at, reason, name in islice(times, _MAX_SHOWN):
        what = f"{reason.replace('_', ' ')} {name}".strip()
        yield f"  {format_iso_instant(begin)} to {format_iso_instant(end_at)}: {what}"
    if len(times) > _MAX_SHOWN:
        yield f"  and {len(times) - _MAX_SHOWN} more: --json lists all"
    if len(statement.jobs) > 1:
        yield "jobs:"
        for measured in statement.jobs:
            share = "-" if not measured.counts.valid else format_percent(measured.counts.good / measured.counts.valid)
            yield f"  {measured.job}: {share}, {format_part(measured.counts.bad, measured.counts.valid, unit)} bad"
    if not statement.is_complete:
        yield "incomplete: not everything of the month is stored or was read; see docs/objectives.md"


def _describe_people(description: str, owner: str) -> Iterator[str]:
    if description:
        yield f"description: {description}"
    if owner:
        yield f"owner: {owner}"


def _describe_excluded(jobs: Sequence[MeasuredJob], unit: str) -> str:
    """Return for example `180 runs in 3 h (maintenance windows 3 h)`."""
    seconds = sum(job.excluded_seconds for job in jobs)
    if not seconds:
        return "nothing"
    by_reason: dict[str, timedelta] = {}
    for each in (each for job in jobs for each in job.exclusions):
        by_reason[each.reason] = by_reason.get(each.reason, timedelta()) + _length_of(each)
    reasons = ", ".join(
        f"{reason.replace('_', ' ')} {describe_span(round(length.total_seconds()))}"
        for reason, length in sorted(by_reason.items())
    )
    runs = sum(job.excluded.valid for job in jobs)
    amount = f"{format_amount(runs, unit)} in " if unit == "runs" else ""
    return f"{amount}{describe_span(round(seconds))} ({reasons})"


def _length_of(excluded: ExcludedTime) -> timedelta:
    return excluded.end - excluded.begin


def _describe_pairs(state: ObjectiveState) -> Iterator[str]:
    """Yield which pairs of windows of burn alerts are above their factor now."""
    rates = state.burn_rates
    for pair in BURN_PAIRS:
        values = rates.get(pair.long), rates.get(pair.short)
        if all(value is not None and value > pair.factor for value in values):
            names = " and ".join(format_duration(each.total_seconds()) for each in (pair.long, pair.short))
            urgency = "act now" if pair.is_page else "act within days"
            yield f"above {pair.factor:g} over {names}: {urgency}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{round(value, 6):.10g}"
