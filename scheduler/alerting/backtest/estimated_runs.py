"""Runs that are not stored any more, estimated from the changes of states and the schedule. Pure.

The instants at which a job became bad and good are exact; the number of runs between them follows from the schedule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from jobs.alerting.facts import Sample
from jobs.runs.outcomes import ErrorClass
from jobs.runs.states import JobStatus
from jobs.schedules import Schedule
from scheduler.alerting.backtest.read_ranges import DueTimeRange
from scheduler.alerting.backtest.state_phases import StatePhase
from scheduler.alerting.replay.history import ReplayRun

_WITH_RUNS = frozenset({JobStatus.UP, JobStatus.DEGRADED, JobStatus.DOWN, JobStatus.SILENT})
_LONGEST_ESTIMATE = timedelta(minutes=1)
"""Of the time between the due instant and the end of a run."""
MAX_ESTIMATED = 20_000
"""Runs of one range."""


def estimate_runs(
    job: str, phases: Sequence[StatePhase], schedule: Schedule | None, within: DueTimeRange
) -> Iterator[ReplayRun]:
    """Yield the runs of a range, the oldest first. Without a schedule, only those that changed the state."""
    for phase, following in zip(phases, (*phases[1:], None), strict=True):
        if phase.state not in _WITH_RUNS:
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
    took = min(max(phase.begin - phase.first_due, timedelta()), _LONGEST_ESTIMATE)
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
    )
    return ReplayRun(due, finished_at, sample)


def _read_error(code: str) -> ErrorClass | None:
    try:
        return ErrorClass(code)
    except ValueError:
        return None
