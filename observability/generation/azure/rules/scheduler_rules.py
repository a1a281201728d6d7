"""The rules about the scheduler itself: it sends nothing, it does not start, a part is unhealthy, ticks or tickets are
late. Pure. Called by observability.generation.azure.documents.
"""

from __future__ import annotations

from collections.abc import Iterator

from observability import names
from observability.generation.azure.resource_names import make_rule_name, make_tags
from observability.generation.azure.rules.alert_rule import (
    CRITICAL,
    DAY,
    ERROR,
    HOUR,
    QUARTER,
    WARNING,
    AlertWindow,
    LogAlertRule,
)
from observability.generation.core.portfolio import Portfolio
from observability.generation.kql import scheduler
from observability.generation.kql.program import find_counted
from observability.generation.kql.scope import QueryScope, scope_of_rule

MAX_TICK_GAP_S = 180.0
MAX_QUEUE_AGE_S = 300.0


def make_scheduler_rules(portfolio: Portfolio, role: str) -> Iterator[LogAlertRule]:
    """Yield the rules. `role`: as in scope_of_rule."""
    recent, day = scope_of_rule(QUARTER.kql, role), scope_of_rule(DAY.kql, role)
    rule = _RuleFactory(portfolio)
    yield rule.make(
        "no-ticks",
        "no ticks",
        "Nothing has arrived from the scheduler for 15 minutes: it does not run, or its telemetry is blocked.",
        CRITICAL,
        QUARTER,
        scheduler.find_missing_gauges(recent),
    )
    yield rule.make(
        "start-failed",
        "the start failed",
        "The scheduler cannot start, so no job runs. The message has every problem.",
        CRITICAL,
        QUARTER,
        scheduler.find_log_event(recent, names.SERVICE_FAILED),
    )
    yield rule.make(
        "unhealthy",
        "a part is unhealthy",
        "The watchdog reports a part of the scheduler as unhealthy: jobs, queue or secrets.",
        ERROR,
        AlertWindow(DAY.kql, DAY.iso, DAY.seconds, "PT15M"),
        scheduler.find_unhealthy_parts(day),
        names.PART,
    )
    yield from _make_gauge_rules(rule, recent)
    hour = scope_of_rule(HOUR.kql, role)
    for key, metric, title in (
        ("undelivered", names.UNDELIVERED_NOTIFICATIONS, "notifications were given up"),
        ("lost-telemetry", names.DROPPED_TELEMETRY, "telemetry was lost"),
    ):
        yield rule.make(
            key, title, f"{metric.description} In the last hour.", WARNING, HOUR, find_counted(hour, metric)
        )


def _make_gauge_rules(rule: _RuleFactory, scope: QueryScope) -> Iterator[LogAlertRule]:
    for gauge, limit, severity, title, description in (
        (
            scheduler.TICK_GAP,
            MAX_TICK_GAP_S,
            ERROR,
            "ticks are late",
            f"The last tick is older than {MAX_TICK_GAP_S:g} s.",
        ),
        (
            scheduler.QUEUE_AGE,
            MAX_QUEUE_AGE_S,
            ERROR,
            "tickets wait",
            f"A ticket that could run has been waiting for {MAX_QUEUE_AGE_S:g} s.",
        ),
        (
            scheduler.SILENT_JOBS,
            0.0,
            WARNING,
            "silent jobs",
            "Jobs have not run for twice their interval, as the scheduler counts them: also those with long intervals.",
        ),
        (
            scheduler.POISON_DEPTH,
            0.0,
            WARNING,
            "poison messages",
            "Messages are in the poison queue and not dead letters yet.",
        ),
    ):
        query = scheduler.find_high_gauge(scope, gauge, limit)
        yield rule.make(gauge.replace("_", "-"), title, description, severity, QUARTER, query)


class _RuleFactory:
    def __init__(self, portfolio: Portfolio) -> None:
        self._portfolio = portfolio

    def make(
        self,
        key: str,
        title: str,
        description: str,
        severity: int,
        window: AlertWindow,
        query: str,
        dimension: str = "",
    ) -> LogAlertRule:
        named = f"{self._portfolio.service} {self._portfolio.environment}: {title}"
        name = make_rule_name(self._portfolio, f"scheduler-{key}")
        return LogAlertRule(name, named, description, severity, window, query, dimension, make_tags(self._portfolio))
