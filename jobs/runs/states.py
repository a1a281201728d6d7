"""The state of a job and its changes, derived from runs, pauses and definitions. Pure.

Called by scheduler.changes; stored by scheduler.stores.changes.

    change = change_by_run(current, run)      # None: the state is the same
    change = enter_state(current, job, JobStatus.PAUSED, now, Cause("job_paused", "deployment"))

The current state of a job is its latest change. Runs are ordered by due instant and id: a run that precedes the newest
considered one changes nothing, so a repetition is harmless.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from jobs.fast_frozen import fast_frozen
from jobs.runs.outcomes import ErrorClass, Outcome, ReasonCode, Trigger
from jobs.runs.run import Run

SUSPENSION_KNOWN_AFTER = timedelta(seconds=10)
"""A scheduled run that is due later than this after a pause shows that the pause has ended."""
MAX_CAUSE = 1000
"""Characters of a stored message."""


class JobStatus(StrEnum):
    """The values are stored: add, never rename."""

    UNKNOWN = "unknown"
    """Resumed, enabled or added again, and no run has finished since; or its newest run is unknown."""
    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    SILENT = "silent"
    """A heartbeat without pings."""
    WAITING = "waiting"
    """Its newest run was skipped because a job that it depends on has not run as required."""
    PAUSED = "paused"
    DISABLED = "disabled"
    REMOVED = "removed"

    @property
    def is_suspended(self) -> bool:
        """Whether the schedule does not run. Requested runs do not change the state then."""
        return self in _SUSPENDED


_BAD = frozenset({JobStatus.DEGRADED, JobStatus.DOWN, JobStatus.SILENT})
_SUSPENDED = frozenset({JobStatus.PAUSED, JobStatus.DISABLED, JobStatus.REMOVED})


@fast_frozen(frozen=True, slots=True)
class Cause:
    """`code`: a reason, an error class, `succeeded`, or of an operation such as `job_paused`. `message`: a sentence."""

    code: str
    message: str = ""


@fast_frozen(frozen=True, slots=True)
class StateChange:
    """`number`: 1 for the first change of the job. `run`: id of the run that caused it, or empty."""

    job: str
    number: int
    state: JobStatus
    at: datetime
    cause: Cause
    run: str = ""
    previous: JobStatus | None = None
    previous_since: datetime | None = None
    latest_due: datetime | None = None
    latest_run: str = ""
    """Due instant and id of the newest considered run; the instant of an operation."""

    @property
    def is_unknown(self) -> bool:
        """Whether a run could not tell the state. `previous` is what was known before."""
        return self.state is JobStatus.UNKNOWN and self.cause.code == ReasonCode.UNKNOWN

    def shows(self, state: JobStatus) -> bool:
        """Return whether a run that shows this state changes nothing."""
        return self.state is state and (state is not JobStatus.UNKNOWN or self.is_unknown)

    def precedes(self, run: Run) -> bool:
        """Return whether the run is newer than all considered runs."""
        return self.latest_due is None or (self.latest_due, self.latest_run) < (run.due_at, run.id)

    def considering(self, run: Run) -> StateChange:
        """Return the same state after a newer run that has not changed it.

        A skipped run is considered only while the job waits: before, a run in progress may still show a state.
        """
        if not self.precedes(run):
            return self
        is_skipped = run.outcome is Outcome.SKIPPED  # perf: most runs are not
        if is_skipped and self.state is not JobStatus.WAITING and state_of_run(run) is JobStatus.WAITING:
            return self
        # perf: called after each run, and `replace` takes three times as long.
        return StateChange(
            self.job,
            self.number,
            self.state,
            self.at,
            self.cause,
            self.run,
            self.previous,
            self.previous_since,
            run.due_at,
            run.id,
        )


def state_of_run(run: Run) -> JobStatus | None:
    """Return the state that a run shows; None for cancelled runs, backfills, and runs that were skipped for another
    reason than a dependency, or than that they are unknown.
    """
    if run.outcome is Outcome.SKIPPED and run.reason is ReasonCode.DEPENDENCY:
        return JobStatus.WAITING
    if run.is_unknown and run.trigger is not Trigger.BACKFILL:
        return JobStatus.UNKNOWN
    if not run.counts_for_availability:
        return None
    if run.outcome is Outcome.SUCCEEDED:
        return JobStatus.DEGRADED if run.degraded else JobStatus.UP
    return JobStatus.SILENT if run.error is ErrorClass.HEARTBEAT_MISSING else JobStatus.DOWN


def change_by_run(current: StateChange | None, run: Run) -> StateChange | None:
    """Return the change that a run causes. A job that is known to be bad does not wait: only a run shows that it is
    well again.
    """
    state = state_of_run(run)
    if state is None or (current is not None and not _affects(current, run)):
        return None
    if state is JobStatus.WAITING and current is not None and current.state in _BAD:
        return None
    change = enter_state(current, run.job, state, run.finished_at, _cause_of_run(run, state))
    return None if change is None else replace(change, run=run.id, latest_due=run.due_at, latest_run=run.id)


def enter_state(
    current: StateChange | None, job: str, state: JobStatus, at: datetime, cause: Cause
) -> StateChange | None:
    """Return the change to a state at an instant, in whole milliseconds; None if the job is in this state."""
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    if current is None:
        return StateChange(job, 1, state, at, cause, latest_due=at)
    if current.state is state and (current.is_unknown or cause.code != ReasonCode.UNKNOWN):
        return None
    # Changes of a job are in order, also of one that finished late or was recorded by a clock that is behind.
    at = max(at, current.at)
    return StateChange(
        job,
        current.number + 1,
        state,
        at,
        cause,
        previous=current.state,
        previous_since=current.at,
        latest_due=at,
    )


def _affects(current: StateChange, run: Run) -> bool:
    if not current.precedes(run):
        return False
    if not current.state.is_suspended:
        return True
    is_planned = run.trigger in (Trigger.SCHEDULE, Trigger.DEPENDENCY)
    return is_planned and run.due_at > current.at + SUSPENSION_KNOWN_AFTER


def _cause_of_run(run: Run, state: JobStatus) -> Cause:
    code = run.reason or run.error or (ErrorClass.EXPECTATION_FAILED if state is JobStatus.DEGRADED else run.outcome)
    return Cause(str(code), run.message[:MAX_CAUSE])
