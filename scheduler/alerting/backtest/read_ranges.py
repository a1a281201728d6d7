"""Which runs a replay needs: those around the changes of the state of a job. Pure.

Between two changes all runs of a job are alike, so that they cannot change an alert, apart from as many at both ends as
its rules count. Conditions about times of runs, and shares of errors, need more: see `extra`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from jobs.alerting.conditions.error_share import ErrorShareCondition
from jobs.alerting.evaluation import CompiledRules
from jobs.fast_frozen import fast_frozen
from jobs.schedules import Schedule
from scheduler.alerting.backtest.state_phases import StatePhase

_UNKNOWN_INTERVAL = timedelta(hours=1)
"""Between the runs of a job without a schedule."""
_EXTRA_RUNS = 2
"""Runs, in addition to those that the rules count."""


@fast_frozen(frozen=True, slots=True)
class DueTimeRange:
    """Due instants, both ends inclusive."""

    begin: datetime
    end: datetime


def find_reach(rules: CompiledRules, schedule: Schedule | None, at: datetime) -> timedelta:
    """Return for how long after an instant the rules of a job can depend on a run that was due then."""
    return max(
        _time_of_runs(schedule, at, rules.needs.samples + _EXTRA_RUNS), rules.needs.window + timedelta(minutes=1)
    )


def list_ranges(
    phases: Sequence[StatePhase],
    rules: CompiledRules,
    schedule: Schedule | None,
    within: DueTimeRange,
    extra: Iterable[DueTimeRange] = (),
) -> list[DueTimeRange]:
    """Return the due instants of the runs of a job to read, without overlaps, the oldest first."""
    found = list(extra)
    needs_all_bad = any(isinstance(rule.when, ErrorShareCondition) for rule in rules.rules)
    for before, phase in zip((None, *phases), phases, strict=False):
        is_change = before is not None and (before.is_bad or phase.is_bad)
        if not is_change and not phase.is_bad:
            continue
        reach = find_reach(rules, schedule, phase.first_due)
        end = phase.end if needs_all_bad and phase.is_bad else phase.first_due
        found.append(DueTimeRange(phase.first_due - reach, end + reach))
    return merge_ranges(found, within)


def merge_ranges(ranges: Iterable[DueTimeRange], within: DueTimeRange) -> list[DueTimeRange]:
    merged: list[DueTimeRange] = []
    for each in sorted(ranges, key=lambda one: one.begin):
        begin, end = max(each.begin, within.begin), min(each.end, within.end)
        if begin > end:
            continue
        if merged and begin <= merged[-1].end:
            merged[-1] = DueTimeRange(merged[-1].begin, max(end, merged[-1].end))
        else:
            merged.append(DueTimeRange(begin, end))
    return merged


def _time_of_runs(schedule: Schedule | None, at: datetime, runs: int) -> timedelta:
    if schedule is None:
        return runs * _UNKNOWN_INTERVAL
    last = at
    for _ in range(runs):
        following = schedule.next_after(last)
        if following is None:
            break
        last = following
    return last - at
