"""Reads the runs of a job for a replay. Used by scheduler.alerting.backtest.history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.alerting.facts import sample_of_run
from jobs.definition import JobDefinition
from jobs.runs import Run, Trigger
from scheduler.alerting.backtest.estimated_runs import estimate_runs
from scheduler.alerting.backtest.read_ranges import DueTimeRange
from scheduler.alerting.backtest.state_phases import StatePhase
from scheduler.alerting.causes import find_causes
from scheduler.alerting.replay.history import ReplayRun
from scheduler.stores.runs.reading import RunReads

_PAGE = 500


@dataclass(slots=True)
class ReadRuns:
    """`runs`: by due instant. `estimated`: how many of them are not stored any more."""

    runs: list[ReplayRun]
    estimated: int = 0


async def read_runs(
    reads: RunReads, job: JobDefinition, ranges: Sequence[DueTimeRange], phases: Sequence[StatePhase], budget: int
) -> ReadRuns:
    """Return at most about `budget` runs of these ranges. Raises StoreError."""
    found = ReadRuns([])
    for each in reversed(ranges):
        if budget <= len(found.runs):
            break
        stored = await _read_range(reads, job, each, budget - len(found.runs))
        oldest = stored[0].due_at if stored else each.end
        estimated = []
        if _is_incomplete(phases, each, stored):
            estimated = [
                run for run in estimate_runs(job.name, phases, job.schedule, each) if not stored or run.due_at < oldest
            ]
        found.estimated += len(estimated)
        found.runs = [*estimated, *stored, *found.runs]
    return found


def to_replay_run(job: JobDefinition, run: Run) -> ReplayRun | None:
    """Return None for a replay of a dead letter, which changes nothing."""
    if run.trigger is Trigger.REPLAY:
        return None
    sample = sample_of_run(run)
    is_bad = sample is not None and not sample.is_good
    return ReplayRun(run.due_at, run.finished_at, sample, find_causes(job, sample) if is_bad else ())


async def _read_range(reads: RunReads, job: JobDefinition, range_: DueTimeRange, budget: int) -> list[ReplayRun]:
    found: list[ReplayRun] = []
    continuation: str | None = None
    while True:
        page = await reads.list_page(
            job.name, limit=_PAGE, continuation=continuation, since=range_.begin, until=range_.end
        )
        for record in page.records:
            run = None if record.run is None else to_replay_run(job, record.run)
            if run is not None:
                found.append(run)
        continuation = page.continuation
        if continuation is None or len(found) >= budget:
            return found[::-1]


def _is_incomplete(phases: Sequence[StatePhase], range_: DueTimeRange, stored: Sequence[ReplayRun]) -> bool:
    """Return whether a run that changed the state is not stored any more."""
    known = {run.sample.run for run in stored if run.sample is not None}
    return any(
        phase.run and phase.run not in known for phase in phases if range_.begin <= phase.first_due <= range_.end
    )
