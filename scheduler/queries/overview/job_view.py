"""A job with its state, its newest run and its next one. Read by scheduler.features.jobs.queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs.definition.dependencies import describe_wait
from jobs.runs import Outcome
from jobs.runs.states import JobStatus, StateChange, state_of_run
from scheduler.catalog.catalog import CatalogJob
from scheduler.stores.pauses import Pause
from scheduler.stores.runs.repository import RunRecord

_WITH_REASON = frozenset({JobStatus.DOWN, JobStatus.SILENT, JobStatus.DEGRADED, JobStatus.WAITING})


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its next due instant, its newest finished run (`latest`) and its current pause.

    `dependents`: the jobs that depend on it. `state`: its current one, None if none is recorded.
    """

    entry: CatalogJob
    next_at: datetime | None
    latest: RunRecord | None
    pause: Pause | None = None
    dependents: tuple[str, ...] = ()
    state: StateChange | None = None

    @property
    def status(self) -> JobStatus:
        """The recorded state."""
        return JobStatus.UNKNOWN if self.state is None else self.state.state

    @property
    def wait(self) -> str:
        """For which job it waits, such as `waiting for database`; empty if it does not wait."""
        if self.status is not JobStatus.WAITING or self.state is None or self.pause or not self.entry.job.enabled:
            return ""
        return describe_wait(self.entry.job.depends_on, self.state.cause.message)

    @property
    def reason(self) -> str:
        """Why the job is down, degraded or waits: the message of its newest run that shows it, or of the run that began
        this state if the circuit rejected the newest one; empty otherwise.
        """
        if self.state is None or self.status not in _WITH_REASON:
            return ""
        run = None if self.latest is None else self.latest.run
        is_known = run is not None and run.outcome is not Outcome.REJECTED and state_of_run(run) is self.status
        if run is not None and is_known and run.message:
            return run.message
        return self.state.cause.message or self.state.cause.code.replace("_", " ")
