"""The scheduler that a gate uses: it marks a deployment, starts runs, and reads their results.

Implemented by scheduler.cli.gate.api_scheduler and scheduler.cli.gate.store_scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from scheduler.cli.gate.judgement import RunSample

if TYPE_CHECKING:
    from scheduler.features.delivery.port import RunningJob

EXCLUDED_TRIGGERS = frozenset({"backfill", "replay"})
"""Runs of past instants are not about what is deployed."""
COUNTED_OUTCOMES = {"succeeded": True, "failed": False, "timed_out": False, "rejected": False}
"""Whether a run succeeded. Skipped and cancelled runs are not counted."""
OPEN_STATES = frozenset({"queued", "running"})


class GateUnavailable(Exception):
    """The scheduler or its store does not answer, or refuses a request."""


@dataclass(frozen=True, slots=True)
class ObservedRun:
    """A run. `sample` None: it is not counted. `is_open`: it has not finished."""

    job: str
    sample: RunSample | None
    is_open: bool = False


def observe_run(job: str, trigger: str, outcome: str, duration_ms: float | None) -> ObservedRun | None:
    """Return what a gate counts of a run. `outcome`: or its state. None: a run of a past instant."""
    if trigger in EXCLUDED_TRIGGERS:
        return None
    succeeded = COUNTED_OUTCOMES.get(outcome)
    sample = None if succeeded is None else RunSample(succeeded, duration_ms or 0.0)
    return ObservedRun(job, sample, outcome in OPEN_STATES)


class GateScheduler(Protocol):
    """Every method raises GateUnavailable."""

    async def read_now(self) -> datetime:
        """Return the current instant by the clock of the scheduler."""
        ...

    async def read_jobs(self) -> Sequence[RunningJob]:
        """Return the jobs in force, by name."""
        ...

    async def mark(self, text: str, tags: Mapping[str, str], at: datetime) -> None:
        """Mark a deployment in the charts of the jobs that have all of these tags."""
        ...

    async def start_runs(self, names: Sequence[str]) -> Sequence[str]:
        """Start a run of each job. Return why others did not start, a sentence each."""
        ...

    async def read_runs(self, names: Sequence[str], since: datetime, until: datetime | None) -> Sequence[ObservedRun]:
        """Return the runs of these jobs that are due from `since` on, before `until`."""
        ...
