"""What runs in the configured store, with the configured job files. Implements SchedulerReader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from scheduler.catalog.catalog import CatalogJob, JobSnapshot, UnknownJob
from scheduler.features.audit.queries import AuditFilter
from scheduler.features.delivery.port import (
    AlertMessage,
    AlertReplay,
    AlertRequest,
    RecordedChange,
    RunningJob,
    list_review_documents,
    read_change,
)
from scheduler.features.forecast.load import MEASURED_PERIOD, RunDuration
from scheduler.features.statistics.periods import Period
from scheduler.features.stored_jobs.sets import SetReview
from scheduler.identity.principal import command_caller

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from scheduler.app import Program
    from scheduler.features.backtest.service import BacktestReport
    from scheduler.features.stored_jobs.sets import SetPlan

_QUANTILE: Final = 0.95
_PAGE: Final = 50
_MAX_PAGES: Final = 10
"""Pages of the audit trail that are read for the change of a job."""


class StoreScheduler:
    """See SchedulerReader. Every method raises StoreError."""

    def __init__(self, program: Program) -> None:
        self._program = program

    async def read_jobs(self) -> Sequence[RunningJob]:
        """See SchedulerReader.read_jobs."""
        caller, stored = command_caller(), self._program.stored_jobs
        found: list[RunningJob] = []
        for entry in self._program.catalog.snapshot:
            declared = stored.find_declared(entry.job.name, caller)
            is_stored = declared is not None and declared.version is not None
            found.append(RunningJob(entry.job, entry.origin, declared.owner if declared and is_stored else None))
        return sorted(found, key=lambda each: each.job.name)

    async def plan_set(
        self, owner: str, document: Mapping[str, Any], *, adopt: bool, allow_literal: bool = False
    ) -> SetPlan:
        """See SchedulerReader.plan_set."""
        sets = self._program.operations.job_sets
        return await sets.plan(owner, document, command_caller(), adopt=adopt, allow_literal=allow_literal)

    async def review(self, jobs: Sequence[JobDefinition]) -> SetReview:
        """See SchedulerReader.review."""
        found = SetReview()
        for document in list_review_documents(jobs):
            one = await self._program.definitions.review(document, is_json=True, catalog=self._program.catalog)
            secrets = (replace(problem, file=None, line=None) for problem in one.unavailable_secrets)
            found = SetReview({**found.denied, **one.denied_targets}, (*found.secrets, *secrets))
        return found

    async def read_durations(self, names: Sequence[str]) -> Mapping[str, RunDuration]:
        """See SchedulerReader.read_durations."""
        now = self._program.clock.now()
        found = await self._program.stats.read_durations(names, Period.covering(now - MEASURED_PERIOD, now))
        measured = {name: each.quantile(_QUANTILE) for name, each in found.items()}
        return {name: RunDuration(value, True) for name, value in measured.items() if value is not None}

    async def find_change(self, job: str) -> RecordedChange | None:
        """See SchedulerReader.find_change."""
        continuation: str | None = None
        for _ in range(_MAX_PAGES):
            try:
                page = await self._program.audit_queries.list_views(
                    command_caller().principal, AuditFilter(job=job), limit=_PAGE, continuation=continuation
                )
            except UnknownJob:
                return None
            for view in page.entries:
                if (change := read_change(view.fields)) is not None:
                    return change
            continuation = page.continuation
            if continuation is None:
                break
        return None

    async def replay_alerts(self, request: AlertRequest) -> AlertReplay:
        """See SchedulerReader.replay_alerts."""
        from scheduler.features.backtest.service import BacktestRequest

        in_force, now = self._program.catalog.snapshot, self._program.clock.now()
        entries = [CatalogJob(job, "planned") for job in request.definitions.values()]
        edited = JobSnapshot(entries, now, alerting=request.alerting or in_force.alerting)
        subjects = request.jobs | find_changed_groups(request.jobs, in_force, edited)
        backtester = self._program.backtester
        return _to_replay(await backtester.run(BacktestRequest(request.since, now, subjects), in_force, edited))


def find_changed_groups(changed: frozenset[str], before: JobSnapshot, after: JobSnapshot) -> frozenset[str]:
    """Return the groups of which one of these jobs is a member before or after the plan alone."""
    from scheduler.alerting.rule_book import RuleBook

    sides: list[Mapping[str, tuple[str, ...]]] = [RuleBook(each).groups_by_job for each in (before, after)]
    return frozenset(group for name in changed for group in set(sides[0].get(name, ())) ^ set(sides[1].get(name, ())))


def _to_replay(report: BacktestReport) -> AlertReplay:
    messages = [
        AlertMessage(each.at, each.subject, each.rule, each.channel, each.kind, str(each.difference))
        for each in report.comparison.messages
    ]
    sent = sum(each.was is not None for each in report.comparison.messages)
    would_be = sum(each.would_be is not None for each in report.comparison.messages)
    subjects = report.request.jobs or frozenset()
    return AlertReplay(subjects, report.request.since, sent, would_be, messages, tuple(report.notes), report)
