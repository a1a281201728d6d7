"""Explains the alerts of a job at an instant, from what is stored and by a replay.

explainer = AlertExplainer(catalog, parts...)
explanation = await explainer.explain("checkout", at)

A rule is shown as text: what it requires, where it is from, and what is missing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.alerting.alert import Alert, AlertStatus, Verdict, fires_at
from jobs.alerting.facts import SampleHistory, SubjectFacts, history_of, sample_of_run
from jobs.alerting.rule import AlertRule, judge_rule
from jobs.definition.job_alerts import find_selecting_entry
from jobs.formats import format_duration
from jobs.incidents.engine.facts import SCHEDULER
from jobs.incidents.routes import channels_of
from jobs.incidents.values import AlertKey, Suppression
from jobs.ports import Clock
from jobs.runs import Run
from scheduler.alerting.facts import DefinedFacts, describe_pause
from scheduler.alerting.replay.history import ReplayDefinitions
from scheduler.alerting.replay.replaying import replay
from scheduler.alerting.rule_book import BLIND_KEY
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot, Query
from scheduler.features.alerts.models import AlertExplanationModel, ExplainedRuleModel, HeldBackModel
from scheduler.features.alerts.reasons import (
    Circumstances,
    RuleExplanation,
    describe_counterfactuals,
    explain_incident,
    find_reasons,
    summarize,
)
from scheduler.features.backtest.messages import IncidentHistory, read_history
from scheduler.features.backtest.service import Backtester, BacktestRequest, PreparedBacktest
from scheduler.stores.alerting.engine import AlertRows
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.alerting.outbox import OutboxRows
from scheduler.stores.gates import Pauses
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.reading import RunReads


def describe_rule(rule: AlertRule) -> str:
    """`failed: 3 of 5, for 2m, severity down`."""
    condition = rule.when.model_dump(mode="json")
    parts = [
        condition if isinstance(condition, str) else ", ".join(f"{key} {_value(condition[key])}" for key in condition)
    ]
    if rule.when.COUNTS_SAMPLES:
        parts.append(f"open_after {rule.opening}")
        if rule.close_after is not None:
            parts.append(f"close_after {rule.close_after}")
    if rule.for_:
        parts.append(f"for {format_duration(rule.for_)}")
    return f"{rule.name}: {', '.join(parts)}, severity {rule.severity}"


def _value(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def describe_origin(entry: CatalogJob, snapshot: JobSnapshot) -> str:
    """Return from where the rules of a job are, or why it has none."""
    job, alerting = entry.job, snapshot.alerting
    if not job.enabled:
        return f"none, because the job is disabled ({entry.origin})"
    if job.alerts is not None:
        return f"alerts of the job ({entry.origin})" if job.alerts else f"none: alerts is empty ({entry.origin})"
    index = find_selecting_entry(job, alerting)
    entries = alerting.entries_of("rules")
    if index is not None:
        selected = entries[index]
        what = "alerting.rules" if selected.value.alerts else "none: an empty entry of alerting.rules"
        return f"{what}, selected by {selected.value.select} ({selected.origin})"
    if not entries:
        return f"none: the job has no alerts ({entry.origin}), and no file has alerting.rules"
    return f"none: the job has no alerts ({entry.origin}), and none of {len(entries)} alerting.rules selects it"


def describe_missing(rule: AlertRule, alert: Alert, verdict: Verdict, history: SampleHistory) -> str:
    """Return what was missing for the alert to fire; empty if it fires, or if that cannot be determined."""
    if alert.status is AlertStatus.FIRING:
        return ""
    if alert.status is AlertStatus.PENDING:
        moment = fires_at(alert, rule.minimum_duration)
        return f"it fires at {moment:%H:%M:%S} UTC if the condition stays met until then" if moment else ""
    if not rule.when.COUNTS_SAMPLES or verdict.is_met:
        return ""
    threshold = rule.opening
    counted = rule.select_counted(history).samples[-threshold.window :]
    bad = sum(map(rule.when.is_bad, counted))
    if threshold.is_consecutive:
        bad = next((at for at, one in enumerate(reversed(counted)) if not rule.when.is_bad(one)), len(counted))
        return f"{bad} in a row {_verb(bad)} bad, {threshold.count} are needed"
    return f"{bad} of the last {len(counted)} {_verb(bad)} bad, {threshold} are needed"


def _verb(count: int) -> str:
    return "is" if count == 1 else "are"


_RUNS = 100
_INCIDENTS = 20
LOOK_BACK = timedelta(hours=24)
"""Before the instant. An incident that ended earlier is not shown."""
_NOW = timedelta(minutes=1)
"""An instant that is not older counts as now: stored alerts and pauses are those of the instant."""


@dataclass(frozen=True, slots=True)
class ExplainerParts:
    """What is read. `backtester`: for the counterfactuals."""

    runs: RunReads
    pauses: Pauses
    alerts: AlertRows
    incidents: IncidentLog
    outbox: OutboxRows
    backtester: Backtester


class AlertExplainer(Query):
    """All methods raise StoreError."""

    def __init__(self, catalog: Catalog, parts: ExplainerParts, clock: Clock) -> None:
        self._catalog = catalog
        self._parts = parts
        self._clock = clock

    async def explain(self, job: str, at: datetime | None = None, rule: str | None = None) -> AlertExplanationModel:
        """Return the explanation. `rule`: of this rule alone.

        Raises:
            UnknownJob: there is no such job.
        """
        entry, snapshot = self._catalog.get_job(job), self._catalog.snapshot
        now = self._clock.now()
        at = now if at is None else min(at, now)
        request = BacktestRequest(at - LOOK_BACK, at, frozenset({job}))
        prepared = await self._parts.backtester.prepare(request, snapshot)
        circumstances = await self._find_circumstances(prepared, job, at, is_now=now - at <= _NOW)
        if rule is not None:
            chosen = tuple(each for each in circumstances.rules if each.name == rule)
            circumstances = replace(circumstances, rules=chosen)
        return AlertExplanationModel(
            job=job,
            at=_cut(at),
            summary=summarize(circumstances),
            origin=describe_origin(entry, snapshot),
            rules=[_show_rule(each) for each in circumstances.rules],
            reasons=list(find_reasons(circumstances)),
            counterfactuals=await asyncio.to_thread(lambda: list(describe_counterfactuals(prepared, circumstances))),
            incidents=[explain_incident(each, job) for each in circumstances.incidents],
            notes=list(prepared.history.notes),
        )

    async def _find_circumstances(
        self, prepared: PreparedBacktest, job: str, at: datetime, *, is_now: bool
    ) -> Circumstances:
        definitions = prepared.definitions
        runs = await self._read_runs(job, at)
        pause = await self._find_pause(prepared, job, at, is_now)
        facts = DefinedFacts(
            definitions.book,
            at,
            suppressions=definitions.suppressions_at(at),
            routing=definitions.routing,
            pauses={} if pause is None else {job: pause},
        )
        alerts = await self._find_alerts(prepared, job, is_now)
        history = history_of(sample for run in runs if (sample := sample_of_run(run)) is not None)
        rules = tuple(
            _explain_rule(rule, alerts.get(rule.name) or Alert(job, rule.name), history, facts, definitions)
            for rule in definitions.book.rules_of(job).rules
        )
        return Circumstances(
            job,
            at,
            self._catalog.get_job(job).job.enabled,
            rules,
            tuple(runs[:10]),
            pause,
            await self._read_incidents(job, at),
            await self._find_blindness(at),
            await self._find_failing_channels() if is_now else {},
        )

    async def _read_runs(self, job: str, at: datetime) -> list[Run]:
        """Return the newest finished runs at the instant, the newest first."""
        page = await self._parts.runs.list_page(job, limit=_RUNS, until=at)
        return [record.run for record in page.records if record.run is not None and record.run.finished_at <= at]

    async def _find_pause(self, prepared: PreparedBacktest, job: str, at: datetime, is_now: bool) -> Suppression | None:
        if is_now:
            active = (await self._parts.pauses.list_active(at)).get(job)
            return None if active is None else describe_pause("", active.reason, active.until)
        spans = [span for each in prepared.history.histories if each.job == job for span in each.pauses]
        return next(
            (each.suppression for each in spans if each.begin <= at and (each.end is None or at < each.end)), None
        )

    async def _find_alerts(self, prepared: PreparedBacktest, job: str, is_now: bool) -> dict[str, Alert]:
        """Return the stored alerts, or those of a replay up to the instant."""
        if is_now:
            return {each.alert.rule: each.alert for each in await self._parts.alerts.list_of(job)}
        result = await asyncio.to_thread(replay, prepared.definitions, prepared.given(prepared.definitions))
        return {alert.rule: alert for alert in result.alerts if alert.subject == job}

    async def _read_incidents(self, job: str, at: datetime) -> tuple[IncidentHistory, ...]:
        """Return those that were open at the instant or ended within LOOK_BACK before, the newest first."""
        page = await self._parts.incidents.list_page(subject=job, until=at, limit=_INCIDENTS)
        begin = at - LOOK_BACK
        near = [each for each in page.incidents if each.resolved_at is None or each.resolved_at >= begin]
        return tuple([await read_history(self._parts.incidents, each) for each in near])

    async def _find_blindness(self, at: datetime) -> IncidentHistory | None:
        page = await self._parts.incidents.list_page(subject=SCHEDULER, until=at, limit=1)
        for incident in page.incidents:
            if incident.lead == BLIND_KEY and (incident.resolved_at is None or incident.resolved_at > at):
                return await read_history(self._parts.incidents, incident)
        return None

    async def _find_failing_channels(self) -> dict[str, str]:
        states = await self._parts.outbox.list_channel_states()
        return {each.channel: each.error for each in states if each.failing_since is not None}


def build_alert_explainer(
    catalog: Catalog,
    runs: RunReads,
    pauses: Pauses,
    stored: Repositories,
    clock: Clock,
    backtester: Backtester,
) -> AlertExplainer:
    """`backtester`: of the same runs and rows."""
    parts = ExplainerParts(runs, pauses, stored.alert_rows, stored.incident_log, stored.outbox_rows, backtester)
    return AlertExplainer(catalog, parts, clock)


def _show_rule(rule: RuleExplanation) -> ExplainedRuleModel:
    cause = rule.held_back_by
    return ExplainedRuleModel.from_object(
        rule,
        since=None if rule.since is None else _cut(rule.since),
        channels=list(rule.channels),
        held_back_by=None
        if cause is None
        else HeldBackModel.from_object(cause, until=None if cause.until is None else _cut(cause.until)),
    )


def _cut(instant: datetime) -> datetime:
    """Return the instant in whole seconds, which explanations show."""
    return instant.astimezone(UTC).replace(microsecond=0)


def _explain_rule(
    rule: AlertRule, alert: Alert, history: SampleHistory, facts: DefinedFacts, definitions: ReplayDefinitions
) -> RuleExplanation:
    verdict = judge_rule(rule, alert, history, SubjectFacts(), facts.now)
    key = AlertKey(alert.subject, rule.name)
    channels, routing = _find_channels(rule, alert.subject, facts, definitions)
    return RuleExplanation(
        rule.name,
        describe_rule(rule),
        str(alert.status),
        alert.evidence if alert.is_active and alert.evidence else verdict.evidence,
        alert.failing_since if alert.is_active else None,
        describe_missing(rule, alert, verdict, history),
        channels,
        routing,
        facts.suppression_of(key),
    )


def _find_channels(
    rule: AlertRule, job: str, facts: DefinedFacts, definitions: ReplayDefinitions
) -> tuple[tuple[str, ...], str]:
    """Return the channels at the instant, and from where they are."""
    if rule.notify:
        return rule.notify, f"notifies {', '.join(rule.notify)}, which the rule names"
    if not definitions.routing.routes:
        return (), "the rule names no channel, and there are no routes"
    routed = channels_of(definitions.book.describe(job, rule.severity), definitions.routing, facts.now)
    channels = tuple(each.channel for each in routed.channels)
    if not channels:
        return (), f"no route gives a channel: {routed.reason}"
    routes = ", ".join(dict.fromkeys(each.route for each in routed.channels))
    return channels, f"notifies {', '.join(channels)} by {routes} ({routed.reason})"
