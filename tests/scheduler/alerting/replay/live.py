"""Alerting as the program does it, in virtual time over a memory store: all rules are judged each second and after each
run over the whole history, and the real runner runs passes. What a replay must equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.alerting.alert import Alert, advance
from jobs.alerting.facts import Sample, SubjectFacts, history_of
from jobs.alerting.groups import AlertGroup, judge_group
from jobs.alerting.rule import evaluate
from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.engine.facts import AlertFacts
from jobs.incidents.routes import Route, RoutingTable
from jobs.incidents.suppression.finding import SuppressionSet
from jobs.incidents.values import AlertKey, Notification
from scheduler.alerting.causes import find_causes
from scheduler.alerting.engine_runner import EngineRunner
from scheduler.alerting.facts import DefinedFacts
from scheduler.alerting.replay.history import JobHistory, ReplayDefinitions, ReplayRun
from scheduler.alerting.rule_book import RuleBook
from scheduler.catalog.catalog import JobSnapshot
from scheduler.stores.alerting.engine import AlertRows, EngineRows
from scheduler.stores.alerting.rows import ALERTING_PARTITION, ALERTING_TABLE, NOTIFICATIONS, OUTBOX_PREFIX
from scheduler.stores.rows import end_of
from tests.scheduler.fakes import VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore

START = datetime(2026, 3, 1, 3, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def definitions_of(
    jobs: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Any] | None = None,
    suppressions: SuppressionSet | None = None,
    routes: Sequence[Mapping[str, Any]] = ({"notify": ["mail"]},),
) -> ReplayDefinitions:
    """`jobs`: further fields by name."""
    entries = [entry(name, "every 1m", **fields) for name, fields in jobs.items()]
    parts = {
        "groups": tuple(DefinedEntry(name, AlertGroup(**group)) for name, group in (groups or {}).items()),
        "routes": tuple(DefinedEntry("", Route.model_validate(route), "jobs.yaml:9") for route in routes),
    }
    book = RuleBook(JobSnapshot(entries, START, alerting=define_alerting(parts)))
    table = RoutingTable(book.snapshot.alerting.routes)
    return ReplayDefinitions(book, suppressions or SuppressionSet(), table)


def run_of(job: str, minute: int, letter: str, second: int = 3) -> ReplayRun:
    """`F` failed, `D` degraded, `S` succeeded, `U` unknown, `-` skipped."""
    due = START + minute * MINUTE
    end = due + second * SECOND
    if letter == "-":
        return ReplayRun(due, end)
    sample = Sample(due, f"{job}@{minute}", end, letter == "F", is_degraded=letter == "D", response_ms=100.0)
    if letter == "U":
        return ReplayRun(due, end, replace(sample, is_unknown=True, response_ms=None, message="forbidden"))
    return ReplayRun(due, end, replace(sample, message="connection refused" if letter == "F" else ""))


def history_of_letters(job: str, letters: str, second: int = 3) -> JobHistory:
    """A run a minute."""
    return JobHistory(job, tuple(run_of(job, minute, letter, second) for minute, letter in enumerate(letters)))


class LiveAlerting:
    """`sent`: the notifications in order, with their instants."""

    def __init__(self, definitions: ReplayDefinitions, histories: Sequence[JobHistory]) -> None:
        self._definitions = definitions
        self._book = definitions.book
        self._runs = [(history.job, run) for history in histories for run in history.runs]
        self.store = MemoryStore()
        self._alerts = AlertRows(self.store)
        self._finished: dict[str, list[ReplayRun]] = {history.job: [] for history in histories}
        self._is_timed = any(rules.needs.is_timed for _, rules in self._book.jobs_with_rules())
        self.clock = VirtualClock(START)
        self._runner = EngineRunner(EngineRows(self.store), self, self.clock)
        self.sent: dict[str, tuple[datetime, Notification]] = {}

    async def run(self, until: datetime) -> None:
        self._runs.sort(key=lambda each: each[1].finished_at)
        while self.clock.now() < until:
            now = self.clock.now()
            is_idle = not self._runs or self._runs[0][1].finished_at > now
            while self._runs and self._runs[0][1].finished_at <= now:
                job, run = self._runs.pop(0)
                self._finished[job].append(run)
            if not is_idle or self._is_timed or await self._alerts.list_all():
                await self._evaluate(now)
            await self._runner.tick()
            await self._collect(now)
            self.clock.move(1.0)

    async def read_facts(self, now: datetime, state: object = None) -> AlertFacts:
        alerts = [each.alert for each in await self._alerts.list_all()]
        return DefinedFacts(
            self._book,
            now,
            alerts=alerts,
            suppressions=self._definitions.suppressions_at(now),
            routing=self._definitions.routing,
            last_due=lambda job: max((run.due_at for run in self._finished.get(job, ())), default=None),
            group_wait=self._definitions.group_wait,
            siblings=self,
        )

    def list_seen(self, cause: str) -> Sequence[str]:
        return ()

    def is_good_since(self, job: str, since: datetime) -> bool:
        newest = max(self._finished.get(job, ()), key=lambda run: run.due_at, default=None)
        return newest is not None and newest.due_at >= since and newest.sample is not None and newest.sample.is_good

    async def _evaluate(self, now: datetime) -> None:
        for job, rules in self._book.jobs_with_rules():
            history = history_of(run.sample for run in self._finished[job.name] if run.sample is not None)
            for rule in rules.rules:
                stored = await self._alerts.read(AlertKey(job.name, rule.name))
                after = evaluate(rule, stored.alert, history, SubjectFacts(), now)
                if after is not stored.alert:
                    await self._write(replace(after, causes=find_causes(job, None)), stored.etag)
        for name, group in self._book.groups.items():
            for rule in group.group.alerts:
                latest = {job: self._latest(job, rule.triggers) for job in group.members}
                members = {job: None if one is None else rule.when.is_bad(one) for job, one in latest.items()}
                stored = await self._alerts.read(AlertKey(name, rule.name))
                after = advance(stored.alert, judge_group(group.group, members), now, rule.minimum_duration)
                if after is not stored.alert:
                    await self._write(after, stored.etag)

    def _latest(self, job: str, triggers: Sequence[str]) -> Sample | None:
        samples = [run.sample for run in self._finished[job] if run.sample is not None and not run.sample.is_unknown]
        return max((each for each in samples if each.trigger in triggers), key=lambda each: each.position, default=None)

    async def _write(self, alert: Alert, etag: str) -> None:
        await self._alerts.write(alert, etag)
        self._runner.request_pass()

    async def _collect(self, now: datetime) -> None:
        place = (ALERTING_TABLE, ALERTING_PARTITION)
        rows = await self.store.list_rows(*place, after=OUTBOX_PREFIX, until=end_of(OUTBOX_PREFIX), limit=1000)
        for row in rows:
            if row.key not in self.sent:
                self.sent[row.key] = now, NOTIFICATIONS.decode(row.body)
