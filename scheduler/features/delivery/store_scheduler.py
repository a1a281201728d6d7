"""The configured store with the configured job files, whose runs this process executes.

Implements SchedulerReader and GateScheduler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from scheduler.catalog.catalog import CatalogJob, JobSnapshot, UnknownJob
from scheduler.features.audit.queries import AuditFilter
from scheduler.features.delivery.port import (
    AlertMessage,
    AlertReplay,
    AlertRequest,
    ListedRun,
    RecordedChange,
    RunningJob,
    list_review_documents,
    read_change,
)
from scheduler.features.forecast.load import MEASURED_PERIOD, RunDuration
from scheduler.features.statistics.periods import Period, TimeRange
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
_RUNS_AT_ONCE: Final = 500


class StoreScheduler:
    """Every method raises StoreError; mark and start_runs also DispatchError and OperationError.

    The docstrings of the protocols say what each returns.
    """

    def __init__(self, program: Program) -> None:
        self._program = program

    async def read_jobs(self) -> Sequence[RunningJob]:
        caller, stored = command_caller(), self._program.stored_jobs
        running: list[RunningJob] = []
        for entry in self._program.catalog.snapshot:
            declared = stored.find_declared(entry.job.name, caller)
            is_stored = declared is not None and declared.version is not None
            running.append(RunningJob(entry.job, entry.origin, declared.owner if declared and is_stored else None))
        return sorted(running, key=lambda each: each.job.name)

    async def plan_set(
        self, owner: str, document: Mapping[str, Any], *, adopt: bool, allow_literal: bool = False
    ) -> SetPlan:
        sets = self._program.operations.job_sets
        return await sets.plan(owner, document, command_caller(), adopt=adopt, allow_literal=allow_literal)

    async def review(self, jobs: Sequence[JobDefinition]) -> SetReview:
        reviewed = SetReview()
        for document in list_review_documents(jobs):
            answer = await self._program.definitions.review(document, is_json=True, catalog=self._program.catalog)
            secrets = (replace(problem, file=None, line=None) for problem in answer.unavailable_secrets)
            reviewed = SetReview({**reviewed.denied, **answer.denied_targets}, (*reviewed.secrets, *secrets))
        return reviewed

    async def read_durations(self, names: Sequence[str]) -> Mapping[str, RunDuration]:
        now = self._program.clock.now()
        measured_jobs = await self._program.stats.read_durations(names, Period.covering(now - MEASURED_PERIOD, now))
        measured = {name: each.quantile(_QUANTILE) for name, each in measured_jobs.items()}
        return {name: RunDuration(value, True) for name, value in measured.items() if value is not None}

    async def find_change(self, job: str) -> RecordedChange | None:
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
        from scheduler.features.backtest.service import BacktestRequest

        in_force, now = self._program.catalog.snapshot, self._program.clock.now()
        entries = [CatalogJob(job, "planned") for job in request.definitions.values()]
        edited = JobSnapshot(entries, now, alerting=request.alerting or in_force.alerting)
        subjects = request.jobs | find_changed_groups(request.jobs, in_force, edited)
        backtester = self._program.backtester
        return _to_replay(await backtester.run(BacktestRequest(request.since, now, subjects), in_force, edited))

    async def read_now(self) -> datetime:
        return self._program.clock.now()

    async def mark(self, text: str, tags: Mapping[str, str], at: datetime) -> None:
        await self._program.operations.markers.create(text, tags=tags, at=at, caller=command_caller())

    async def start_runs(self, names: Sequence[str]) -> Sequence[str]:
        reasons: list[str] = []
        for name in names:
            try:
                await self._program.operations.runs.run_now(name, caller=command_caller())
            except LookupError as error:  # the job was removed meanwhile
                reasons.append(f"{name}: {error}")
        return reasons

    async def read_runs(self, names: Sequence[str], since: datetime, until: datetime | None) -> Sequence[ListedRun]:
        due = TimeRange(since, None if until is None else until - timedelta(milliseconds=1))
        runs: list[ListedRun] = []
        for name in names:
            continuation: str | None = None
            while True:
                page = await self._program.queries.list_runs(
                    job=name, due=due, limit=_RUNS_AT_ONCE, continuation=continuation
                )
                for record in page.records:
                    run = record.run
                    outcome, duration_ms = (record.state, None) if run is None else (run.outcome, run.duration_ms)
                    reason = "" if run is None else str(run.reason or "")
                    runs.append(ListedRun(name, str(record.ticket.trigger), str(outcome), duration_ms, reason))
                continuation = page.continuation
                if continuation is None:
                    break
        return runs


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
