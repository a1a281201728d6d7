"""The times in which a job was in one state, from its stored changes. Pure. Used by the modules of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobs.fast_frozen import fast_frozen
from jobs.runs.states import JobStatus, StateChange

BAD_STATES = frozenset({JobStatus.DOWN, JobStatus.SILENT, JobStatus.DEGRADED})


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
