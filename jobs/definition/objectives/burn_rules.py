"""The alert rules that an objective with `alerts` means: one for each pair of windows.

Called by jobs.definition.alerting.job_alerts and jobs.definition.alerting.gaps.
"""

from __future__ import annotations

from functools import lru_cache

from jobs.alerting.conditions.burn_rate import BurnRateCondition
from jobs.alerting.rule import AlertRule
from jobs.definition.objectives.burn_alerts import BurnAlerts
from jobs.definition.objectives.objective import JobObjective
from jobs.formats.durations import format_duration
from jobs.objectives.burn import BurnPair, list_possible_pairs

_PAGE_SEVERITY, _TICKET_SEVERITY = "down", "degraded"


def list_burn_rules(objective: JobObjective | None) -> tuple[AlertRule, ...]:
    """Return the rules; empty without an objective, or without `alerts`."""
    if objective is None or objective.alerts is None:
        return ()
    return _create_rules(objective.target, objective.is_degraded_bad, objective.alerts)


def name_burn_rule(pair: BurnPair) -> str:
    """Return for example `slo-burn-1h`."""
    return f"slo-burn-{format_duration(pair.long.total_seconds())}"


@lru_cache(maxsize=1000)
def _create_rules(target: float, is_degraded_bad: bool, alerts: BurnAlerts) -> tuple[AlertRule, ...]:
    """Cached, as most jobs have equal objectives."""
    rules: list[AlertRule] = []
    for pair in list_possible_pairs(target):
        options = alerts.page if pair.is_page else alerts.ticket
        if options is None:
            continue
        rules.append(
            AlertRule(
                name=name_burn_rule(pair),
                when=BurnRateCondition(
                    burn_rate=pair.factor,
                    target=target,
                    window=pair.long.total_seconds(),
                    short_window=pair.short.total_seconds(),
                    minimum_bad_runs=alerts.minimum_bad_runs,
                    degraded_runs="bad" if is_degraded_bad else "good",
                ),
                severity=options.severity or (_PAGE_SEVERITY if pair.is_page else _TICKET_SEVERITY),
                notify=options.notify,
                remind_every=options.remind_every,
                escalate=options.escalate,
                runbook=options.runbook,
                counts_as_downtime=False,
            )
        )
    return tuple(rules)
