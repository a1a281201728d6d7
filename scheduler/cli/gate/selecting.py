"""Which jobs a gate runs, and which it only observes. Pure. Called by `gate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.targets import HeartbeatTarget

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from jobs.schedules import Schedule
    from scheduler.cli.delivery.port import RunningJob
    from scheduler.features.jobs.selection import JobSelection


@dataclass(frozen=True, slots=True)
class GateJob:
    """`observed_only`: why the gate does not start runs of it; empty: it does."""

    name: str
    schedule: Schedule | None
    observed_only: str = ""

    @property
    def is_started(self) -> bool:
        return not self.observed_only


def select_gate_jobs(running: Sequence[RunningJob], selection: JobSelection) -> Sequence[GateJob]:
    """Return the enabled jobs that match. Heartbeats are not part of a gate: they wait for pings."""
    jobs = {each.job.name: each.job for each in running}
    dependents: dict[str, list[str]] = {}
    for job in jobs.values():
        for dependency in job.depends_on:
            dependents.setdefault(dependency.job, []).append(job.name)
    return [
        GateJob(job.name, job.schedule, _explain(job, jobs, dependents))
        for job in jobs.values()
        if job.enabled and selection.matches_definition(job) and not isinstance(job.check, HeartbeatTarget)
    ]


def _explain(job: JobDefinition, jobs: dict[str, JobDefinition], dependents: dict[str, list[str]]) -> str:
    """A run starts its dependents: none of them may have an effect that must not be repeated."""
    if job.effect == "once":
        return "its effect is once"
    left, known = [*dependents.get(job.name, ())], set[str]()
    while left:
        name = left.pop()
        if name in known:
            continue
        known.add(name)
        if jobs[name].effect == "once":
            return f"{name} depends on it, and its effect is once"
        left += dependents.get(name, ())
    return ""
