"""Which objectives a set of jobs has: the only place that decides it.

Called by scheduler.queries.objectives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jobs.definition.alerting.definitions import AlertingDefinitions
from jobs.definition.job import JobDefinition
from jobs.definition.objectives.objective import JobObjective, SelectedObjective
from jobs.definition.objectives.section import OBJECTIVES_PART


@dataclass(frozen=True, slots=True)
class NamedObjective:
    """`name`: of its job, or its key in `objectives`. `job`: empty for one over a selector. `jobs`: sorted names."""

    name: str
    definition: JobObjective
    job: str
    jobs: tuple[str, ...]

    @property
    def scope(self) -> str:
        """Return for people what it is about."""
        if self.job:
            return f"job {self.job}"
        select = self.definition.select if isinstance(self.definition, SelectedObjective) else ""
        return f"{len(self.jobs)} {'job' if len(self.jobs) == 1 else 'jobs'} ({select})"


def list_objectives(jobs: Iterable[JobDefinition], alerting: AlertingDefinitions) -> tuple[NamedObjective, ...]:
    """Return all objectives by name. One of the section precedes one of a job with the same name."""
    jobs = tuple(jobs)
    found = {job.name: NamedObjective(job.name, job.slo, job.name, (job.name,)) for job in jobs if job.slo is not None}
    found.update((each.name, each) for each in _list_selected(jobs, alerting))
    return tuple(found[name] for name in sorted(found))


def _list_selected(jobs: tuple[JobDefinition, ...], alerting: AlertingDefinitions) -> Iterator[NamedObjective]:
    for entry in alerting.entries_of(OBJECTIVES_PART):
        objective: SelectedObjective = entry.value
        selected = (job.name for job in jobs if objective.select.selects(job.name, job.tags, str(job.check.kind)))
        yield NamedObjective(entry.name, objective, "", tuple(sorted(selected)))
