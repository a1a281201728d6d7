"""Which runs a replay needs: those around the changes of the state of a job. Pure.

Between two changes all runs of a job are alike, so that they cannot change an alert, apart from as many at both ends as
its rules count. Conditions about times of runs, and shares of errors, need more: see `extra`.

Runs that are not stored any more are estimated from the changes of states and the schedule: the instants at which a job
became bad and good are exact; the number of runs between them follows from the schedule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from jobs.alerting.conditions.error_share import ErrorShareCondition
from jobs.alerting.facts import Sample
from jobs.alerting.rule import CompiledRules
from jobs.fast_frozen import fast_frozen
from jobs.runs.outcomes import ErrorClass, ReasonCode
from jobs.runs.states import JobStatus, StateChange
from jobs.schedules import Schedule
from scheduler.alerting.replay.history import ReplayRun

BAD_STATES = frozenset({JobStatus.DOWN, JobStatus.SILENT, JobStatus.DEGRADED, JobStatus.UNKNOWN})


@fast_frozen(frozen=True, slots=True)
class StatePhase:
    """`begin`: when the first run of this state finished; `first_due`: when it was due. `end`: of the next phase, or
    the end of the time that was read.
    """

    state: JobStatus
    begin: datetime
    end: datetime
    first_due: datetime
    run: str = ""
    code: str = ""
    message: str = ""

    @property
    def is_bad(self) -> bool:
        return self.state in BAD_STATES

    @property
    def has_runs(self) -> bool:
        """Whether its runs are samples."""
        return self.state in _WITH_RUNS or self.is_unknown

    @property
    def is_unknown(self) -> bool:
        """Whether its runs are unknown: a job without runs has this state as well."""
        return self.state is JobStatus.UNKNOWN and self.code == ReasonCode.UNKNOWN


def list_phases(changes: Sequence[StateChange], current: StateChange | None, end: datetime) -> list[StatePhase]:
    """Return the phases of a job, the oldest first.

    `changes`: those since an instant, the oldest first, up to the newest one. `current`: its state now. The first phase
    began before the instant, unless the job has none from before.
    """
    if not changes:
        return [] if current is None or current.at >= end else [_phase(current, end)]
    phases = []
    first = changes[0]
    if first.previous is not None and first.previous_since is not None:
        begin = first.previous_since
        phases.append(StatePhase(first.previous, begin, min(first.at, end), begin))
    ends = [*(change.at for change in changes[1:]), end]
    phases += [_phase(change, min(until, end)) for change, until in zip(changes, ends, strict=True) if change.at < end]
    return phases


def _phase(change: StateChange, end: datetime) -> StatePhase:
    due = change.latest_due or change.at
    return StatePhase(change.state, change.at, end, due, change.run, change.cause.code, change.cause.message)


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
    ranges = list(extra)
    needs_all_bad = any(isinstance(rule.when, ErrorShareCondition) for rule in rules.rules)
    for before, phase in zip((None, *phases), phases, strict=False):
        is_change = before is not None and (before.is_bad or phase.is_bad)
        if not is_change and not phase.is_bad:
            continue
        reach = find_reach(rules, schedule, phase.first_due)
        end = phase.end if needs_all_bad and phase.is_bad else phase.first_due
        ranges.append(DueTimeRange(phase.first_due - reach, end + reach))
    return merge_ranges(ranges, within)


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


_WITH_RUNS = frozenset({JobStatus.UP, JobStatus.DEGRADED, JobStatus.DOWN, JobStatus.SILENT})
_MAX_ESTIMATE = timedelta(minutes=1)
"""Of the time between the due instant and the end of a run."""
MAX_ESTIMATED = 20_000
"""Runs of one range."""


def estimate_runs(
    job: str, phases: Sequence[StatePhase], schedule: Schedule | None, within: DueTimeRange
) -> Iterator[ReplayRun]:
    """Yield the runs of a range, the oldest first. Without a schedule, only those that changed the state."""
    for phase, following in zip(phases, (*phases[1:], None), strict=True):
        if not phase.has_runs:
            continue
        end = within.end if following is None else min(within.end, following.first_due - timedelta(milliseconds=1))
        for due in _list_due(phase, schedule, max(within.begin, phase.first_due), end):
            yield _estimate(job, phase, due)


def _list_due(phase: StatePhase, schedule: Schedule | None, begin: datetime, end: datetime) -> Iterator[datetime]:
    if begin == phase.first_due <= end:
        yield begin
    if schedule is None:
        return
    due = schedule.next_after(begin - timedelta(milliseconds=0 if begin == phase.first_due else 1))
    for _ in range(MAX_ESTIMATED):
        if due is None or due > end:
            return
        yield due
        due = schedule.next_after(due)


def _estimate(job: str, phase: StatePhase, due: datetime) -> ReplayRun:
    took = min(max(phase.begin - phase.first_due, timedelta()), _MAX_ESTIMATE)
    is_first = due == phase.first_due
    finished_at = phase.begin if is_first else due + took
    is_failed = phase.state in (JobStatus.DOWN, JobStatus.SILENT)
    sample = Sample(
        due_at=due,
        run=phase.run if is_first and phase.run else job,
        finished_at=finished_at,
        is_failed=is_failed,
        is_degraded=phase.state is JobStatus.DEGRADED,
        error=_read_error(phase.code) if is_failed else None,
        message=phase.message,
        is_unknown=phase.is_unknown,
    )
    return ReplayRun(due, finished_at, sample)


def _read_error(code: str) -> ErrorClass | None:
    try:
        return ErrorClass(code)
    except ValueError:
        return None
