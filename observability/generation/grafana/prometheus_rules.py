"""Recording and alerting rules of Prometheus. Called by observability.generation.grafana.target.

They are for teams that alert by Prometheus and its Alertmanager. The scheduler's own alerts need none of them, except
that its absence has to be noticed from outside.
"""

from __future__ import annotations

from typing import Any

from jobs.policies.telemetry import label_of_tag
from observability.generation.core.document import GeneratedDocument
from observability.generation.core.portfolio import OWNER_TAGS, Portfolio
from observability.generation.grafana.promql import (
    names_selector,
    per_job,
    quantile,
    silent_jobs,
    success_ratio,
)
from observability.generation.prometheus.burn_rules import BurnObjective, make_burn_group

Rule = dict[str, Any]

_STOPPED_TICK_S = 180
_CERTIFICATE_S = 14 * 86_400
_BAD_GROUP_RATIO = 0.9
"""Share of good runs of a group, below which people are notified."""


def make_prometheus_rules(portfolio: Portfolio) -> GeneratedDocument:
    """Return the file of rules, which `promtool check rules` accepts."""
    groups = [
        {"name": "scheduler-records", "rules": _recording_rules()},
        {"name": "scheduler-program", "rules": _program_alerts()},
        {"name": "scheduler-jobs", "rules": _job_alerts(portfolio)},
    ]
    objectives = [
        BurnObjective(each.name, each.objective.target)
        for each in portfolio.objectives
        if each.objective.counts == "runs"
    ]
    if objectives:
        groups.append(make_burn_group(objectives))
    if portfolio.groups:
        groups.append({"name": "scheduler-groups", "rules": _group_alerts(portfolio)})
    return GeneratedDocument("prometheus/rules.yaml", {"groups": groups})


def _recording_rules() -> list[Rule]:
    p95 = quantile(0.95, "scheduler_job_duration_seconds", "1h", "", "job_name")
    return [
        {"record": "scheduler:job_success:ratio_rate1h", "expr": success_ratio("1h")},
        {"record": "job_name:scheduler_job_success:ratio_rate1h", "expr": success_ratio("1h", "", "job_name")},
        {"record": "job_name:scheduler_job_duration_seconds:p95_1h", "expr": p95},
    ]


def _alert(name: str, expression: str, severity: str, pending: str, summary: str, description: str = "") -> Rule:
    annotations = {"summary": summary, **({"description": description} if description else {})}
    labels = {"severity": severity}
    return {"alert": name, "expr": expression, "for": pending, "labels": labels, "annotations": annotations}


def _program_alerts() -> list[Rule]:
    return [
        _alert(
            "SchedulerAbsent",
            "absent(scheduler_build_info)",
            "critical",
            "5m",
            "No instance of the scheduler is scraped",
            "Jobs do not run, or Prometheus cannot read /api/metrics: no other alert about jobs can fire.",
        ),
        _alert(
            "SchedulerTicksStopped",
            f"max(scheduler_watchdog_tick_gap_seconds) > {_STOPPED_TICK_S}",
            "critical",
            "2m",
            "The scheduler plans no runs since {{ $value | humanizeDuration }}",
        ),
        _alert(
            "SchedulerNotificationsUndelivered",
            "max(scheduler_notifications_undelivered) > 0",
            "critical",
            "1m",
            "{{ $value }} notifications could not be delivered",
            "`channels undelivered` lists them with the reason.",
        ),
    ]


def _job_alerts(portfolio: Portfolio) -> list[Rule]:
    def with_owner(expression: str) -> str:
        return _add_owner(expression, portfolio)

    return [
        _alert(
            "SchedulerJobDown",
            with_owner(f"{per_job('scheduler_job_up')} == 0"),
            "critical",
            "5m",
            "{{ $labels.job_name }} is down",
        ),
        _alert(
            "SchedulerJobDegraded",
            with_owner(f"{per_job('scheduler_job_degraded')} == 1"),
            "warning",
            "15m",
            "{{ $labels.job_name }} is degraded",
        ),
        _alert(
            "SchedulerJobSilent",
            with_owner(silent_jobs()),
            "critical",
            "5m",
            "{{ $labels.job_name }} has not run since {{ $value | humanizeDuration }}",
            "That is longer than twice its interval.",
        ),
        *(_alert(name, with_owner(expression), *texts) for name, expression, *texts in _TICKETS),
    ]


_TICKETS = (
    (
        "SchedulerCircuitOpen",
        f"{per_job('scheduler_job_circuit_open')} == 1",
        "warning",
        "15m",
        "The circuit of {{ $labels.job_name }} is open",
    ),
    (
        "SchedulerDeadLetters",
        f"{per_job('scheduler_job_dead_letters')} > 0",
        "warning",
        "5m",
        "{{ $labels.job_name }} has {{ $value }} dead letters",
        "`dead-letters list` shows them; replay or discard them.",
    ),
    (
        "SchedulerCertificateExpires",
        f"{per_job('scheduler_job_certificate_expiry_timestamp_seconds')} - time() < {_CERTIFICATE_S}",
        "warning",
        "1h",
        "The certificate of {{ $labels.job_name }} expires in {{ $value | humanizeDuration }}",
    ),
)
"""Alerts about jobs that need no one at night: name, expression, severity, duration, summary, description."""


def _add_owner(expression: str, portfolio: Portfolio) -> str:
    """Add the tags that name an owner as labels, for routes of Alertmanager."""
    labels = [label_of_tag(key) for key in OWNER_TAGS if key in portfolio.exported_tags]
    if not labels:
        return expression
    info = f"max by ({', '.join(('job_name', *labels))}) (scheduler_job_info)"
    return f"({expression}) * on (job_name) group_left ({', '.join(labels)}) {info}"


def _group_alerts(portfolio: Portfolio) -> list[Rule]:
    rules = []
    for name, jobs in portfolio.groups.items():
        ratio = success_ratio("15m", names_selector(job.name for job in jobs))
        summary = f"Of the runs of the group {name}, {{{{ $value | humanizePercentage }}}} are good"
        rule = _alert("SchedulerGroupFailing", f"{ratio} < {_BAD_GROUP_RATIO}", "critical", "5m", summary)
        rules.append({**rule, "labels": {**rule["labels"], "group": name}})
    return rules
