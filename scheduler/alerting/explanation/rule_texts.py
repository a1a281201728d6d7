"""Rules as text: what they require, where they are from, and what is missing. Pure."""

from __future__ import annotations

from typing import Any

from jobs.alerting.alert import Alert, AlertStatus, Verdict, fires_at
from jobs.alerting.facts import SampleHistory
from jobs.alerting.rule import AlertRule
from jobs.definition.job_alerts import find_selecting_entry
from jobs.formats.durations import format_duration
from scheduler.catalog.catalog import CatalogJob, JobSnapshot


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
    counted = history.select_counted(rule.triggers).samples[-threshold.window :]  # type: ignore[arg-type]
    bad = sum(map(rule.when.is_bad, counted))
    if threshold.is_consecutive:
        bad = next((at for at, one in enumerate(reversed(counted)) if not rule.when.is_bad(one)), len(counted))
        return f"{bad} in a row {_verb(bad)} bad, {threshold.count} are needed"
    return f"{bad} of the last {len(counted)} {_verb(bad)} bad, {threshold} are needed"


def _verb(count: int) -> str:
    return "is" if count == 1 else "are"
