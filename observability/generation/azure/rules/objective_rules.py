"""The rules about objectives: a job spends its error budget too fast. Pure. Called by
observability.generation.azure.documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from observability import names
from observability.generation.azure.resource_names import make_rule_name, make_tags
from observability.generation.azure.rules.alert_rule import (
    DAY,
    ERROR,
    HOUR,
    SIX_HOURS,
    TWO_DAYS,
    WARNING,
    AlertWindow,
    LogAlertRule,
)
from observability.generation.azure.rules.job_rules import MAX_RULE_JOBS
from observability.generation.core.portfolio import Portfolio
from observability.generation.kql.objectives import BurnWindows, list_burning_jobs
from observability.generation.kql.scope import scope_of_rule


@dataclass(frozen=True, slots=True)
class BurnRule:
    """`key`: part of the rule's name."""

    key: str
    severity: int
    window: AlertWindow
    windows: BurnWindows


BURN_RULES: Final = (
    BurnRule("1h", ERROR, HOUR, BurnWindows(14.4, 3600.0, 300.0)),
    BurnRule("6h", ERROR, SIX_HOURS, BurnWindows(6.0, 21600.0, 1800.0)),
    BurnRule("1d", WARNING, DAY, BurnWindows(3.0, 86400.0, 7200.0)),
    # Instead of factor 1 in three days, which Azure cannot evaluate: in two days it is the same share of the budget.
    BurnRule("2d", WARNING, TWO_DAYS, BurnWindows(1.5, 172800.0, 21600.0)),
)


def make_objective_rules(portfolio: Portfolio, role: str) -> Iterator[LogAlertRule]:
    """Yield the rules of the jobs with an objective; none without such a job. `role`: as in scope_of_rule."""
    jobs = [job for job in portfolio.active_jobs if job.objective is not None]
    for start in range(0, len(jobs), MAX_RULE_JOBS):
        chunk = jobs[start : start + MAX_RULE_JOBS]
        part = f"-{start // MAX_RULE_JOBS + 1}" if start else ""
        for rule in BURN_RULES:
            scope = scope_of_rule(rule.window.kql, role, [job.name for job in chunk])
            yield LogAlertRule(
                make_rule_name(portfolio, f"budget-{rule.key}{part}"),
                f"{portfolio.service} {portfolio.environment}: error budget ({rule.key}{part})",
                f"A job spends its error budget more than {rule.windows.factor:g} times too fast, in the last "
                f"{rule.window.kql} and still in the last {rule.windows.short_s / 60:g} minutes.",
                rule.severity,
                rule.window,
                list_burning_jobs(scope, chunk, rule.windows),
                names.JOB_NAME,
                make_tags(portfolio, chunk),
            )
