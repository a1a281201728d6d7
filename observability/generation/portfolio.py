"""What generators know of the jobs: one frozen value, made of a job set and the settings. Pure.

Built by the commands of `generate`; read by the generators of each tool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jobs.definition.job_alerts import list_objectives, members_of
from jobs.objectives import MONTH_WINDOW
from jobs.policies.execution import Reporting, resolve_reporting
from jobs.schedules import IntervalSchedule
from observability.service_name import DEFAULT_SERVICE_NAME, find_cloud_role, find_datadog_service

if TYPE_CHECKING:
    from config.job_files.job_set import JobSet
    from config.settings.model import Settings
    from jobs.definition import JobDefinition
    from jobs.definition.job import JobObjective
    from jobs.schedules import Schedule

OWNER_TAGS = ("owner", "team")
"""Tags that name the people who are responsible for a job; the first one that a job has."""

_REFERENCE_INSTANT = datetime(2024, 1, 5, 12, tzinfo=UTC)
"""Gaps of schedules are measured from here, so that each run of a generator has the same result. A Friday: the weekend
is soon reached."""
_GAP_RANGE = timedelta(days=8)
"""A week with its weekend."""
_MAX_GAPS = 2000
"""Instants of one schedule that are compared."""


@dataclass(frozen=True, slots=True)
class PortfolioObjective:
    """At least `target` percent of the runs, or of the time, within `window_days` are good.

    A calendar month has 30 days. `counts`: runs or time. `is_degraded_bad`: what a degraded run counts as.
    """

    target: float
    window_days: int
    counts: str = "runs"
    is_degraded_bad: bool = False


@dataclass(frozen=True, slots=True)
class PortfolioJob:
    """One job. `interval_s`: the longest time between two due instants of a week; None: not by schedule, or once.

    `groups`: the alert groups that it belongs to. `owner`: the value of the first of OWNER_TAGS, or empty.
    """

    name: str
    kind: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    interval_s: float | None = None
    owner: str = ""
    objective: PortfolioObjective | None = None
    reporting: Reporting = field(default_factory=Reporting)
    has_circuit: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class ObjectiveOfJobs:
    """An objective by its name, and the jobs that it is about: one, or those of a selector."""

    name: str
    objective: PortfolioObjective
    jobs: tuple[PortfolioJob, ...]


@dataclass(frozen=True, slots=True)
class Portfolio:
    """All jobs, sorted by name, and where they run.

    `environment`, `service`: the name of the environment, and the service's name for Application Insights (cloud role).
    `datadog_env`, `datadog_service`: the tags `env` and `service` of Datadog. `exported_tags`: the keys of tags
    that are labels of `/api/metrics`, sorted. `selected_objectives`: those of the section `objectives`, by name, with
    the names of their jobs.
    """

    jobs: tuple[PortfolioJob, ...] = ()
    environment: str = "dev"
    service: str = DEFAULT_SERVICE_NAME
    datadog_env: str = "dev"
    datadog_service: str = DEFAULT_SERVICE_NAME
    exported_tags: tuple[str, ...] = ()
    selected_objectives: Mapping[str, tuple[PortfolioObjective, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def active_jobs(self) -> tuple[PortfolioJob, ...]:
        """Without the disabled ones."""
        return tuple(job for job in self.jobs if job.enabled)

    @property
    def groups(self) -> Mapping[str, tuple[PortfolioJob, ...]]:
        """The active jobs of each alert group, sorted by its name; no empty ones."""
        names = sorted({group for job in self.active_jobs for group in job.groups})
        return {name: tuple(job for job in self.active_jobs if name in job.groups) for name in names}

    @property
    def objectives(self) -> tuple[ObjectiveOfJobs, ...]:
        """All objectives of active jobs, sorted by name. One of the section precedes one of a job with its name."""
        found = {job.name: (job.objective, (job.name,)) for job in self.active_jobs if job.objective is not None}
        by_name = {job.name: job for job in self.active_jobs}
        return tuple(
            ObjectiveOfJobs(name, objective, jobs)
            for name, (objective, names) in sorted({**found, **self.selected_objectives}.items())
            if (jobs := tuple(by_name[job] for job in names if job in by_name))
        )

    @property
    def tag_keys(self) -> tuple[str, ...]:
        """The keys of the tags of all jobs, sorted."""
        return tuple(sorted({key for job in self.jobs for key in job.tags}))

    def tag_values(self, key: str) -> tuple[str, ...]:
        """Return the values of a tag, sorted."""
        return tuple(sorted({job.tags[key] for job in self.jobs if key in job.tags}))


def build_portfolio(job_set: JobSet, settings: Settings, environ: Mapping[str, str]) -> Portfolio:
    """Return the portfolio of a job set. `environ`: for the service's name, see observability.service_name."""
    memberships = _find_memberships(job_set)
    gaps: dict[Schedule, float | None] = {}
    jobs = (_describe_job(job, memberships.get(job.name, ()), settings, gaps) for job in job_set)
    return Portfolio(
        jobs=tuple(sorted(jobs, key=lambda job: job.name)),
        environment=settings.environment,
        service=find_cloud_role(settings, environ),
        datadog_env=settings.datadog_env,
        datadog_service=find_datadog_service(settings, environ),
        exported_tags=tuple(sorted(settings.prometheus.tags)),
        selected_objectives={
            one.name: (_describe_objective(one.definition), one.jobs)
            for one in list_objectives(job_set, job_set.alerting)
            if not one.job
        },
    )


def _find_memberships(job_set: JobSet) -> dict[str, tuple[str, ...]]:
    """The alert groups of each job, sorted."""
    jobs = tuple(job_set)
    memberships: dict[str, tuple[str, ...]] = {}
    for group in sorted(job_set.alerting.groups):
        for name in members_of(group, jobs, job_set.alerting):
            memberships[name] = (*memberships.get(name, ()), group)
    return memberships


def _describe_job(
    job: JobDefinition, groups: Iterable[str], settings: Settings, gaps: dict[Schedule, float | None]
) -> PortfolioJob:
    if job.schedule is not None and job.schedule not in gaps:
        gaps[job.schedule] = find_longest_gap(job.schedule)
    return PortfolioJob(
        name=job.name,
        kind=str(job.check.kind),
        description=job.description,
        tags=dict(sorted(job.tags.items())),
        groups=tuple(groups),
        interval_s=gaps[job.schedule] if job.schedule is not None else None,
        owner=next((job.tags[key] for key in OWNER_TAGS if key in job.tags), ""),
        objective=None if job.slo is None else _describe_objective(job.slo),
        reporting=resolve_reporting(job.telemetry, settings.telemetry),
        has_circuit=job.circuit is not None,
        enabled=job.enabled,
    )


def _describe_objective(written: JobObjective) -> PortfolioObjective:
    days = 30 if written.window == MONTH_WINDOW else int(written.window.removesuffix("d"))
    return PortfolioObjective(written.target, days, written.counts, written.is_degraded_bad)


def find_longest_gap(schedule: Schedule) -> float | None:
    """Return the longest time between two due instants of a week, in seconds; None if it has less than two instants.

    Of office hours, that is the weekend.
    """
    previous = schedule.next_after(_REFERENCE_INSTANT)
    if previous is None:
        return None
    end, longest = previous + _GAP_RANGE, timedelta()
    for _ in range(1 if isinstance(schedule, IntervalSchedule) else _MAX_GAPS):
        following = schedule.next_after(previous)
        if following is None:
            break
        longest = max(longest, following - previous)
        if following >= end:
            break
        previous = following
    return longest.total_seconds() or None
