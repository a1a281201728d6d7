"""The rules about objectives: an error budget is spent too fast. Pure. Called by
observability.generation.azure.documents.

They have the windows and factors of the scheduler's own burn alerts, as far as Azure can evaluate them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from jobs.objectives import BURN_PAIRS, BurnPair
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
from observability.generation.core.portfolio import ObjectiveOfJobs, Portfolio
from observability.generation.kql.objectives import OBJECTIVE, list_burning_objectives
from observability.generation.kql.scope import scope_of_rule

MAX_OBJECTIVE_JOBS = 2000
"""Jobs of an objective that has a rule: their names are part of its query."""
_MAX_RULE_JOBS = 300
"""Jobs of one rule, unless an objective alone has more."""


def make_objective_rules(portfolio: Portfolio, role: str) -> Iterator[LogAlertRule]:
    """Yield the rules of all objectives; none without an objective. `role`: as in scope_of_rule."""
    for number, chunk in enumerate(_divide(find_objectives(portfolio)), 1):
        part = "" if number == 1 else f"-{number}"
        for pair in BURN_PAIRS:
            yield _make_burn_rule(portfolio, role, chunk, fit_pair(pair), part)


def find_objectives(portfolio: Portfolio) -> Sequence[ObjectiveOfJobs]:
    """Return the objectives that can have a rule: not over too many jobs."""
    return [objective for objective in portfolio.objectives if len(objective.jobs) <= MAX_OBJECTIVE_JOBS]


def fit_pair(pair: BurnPair) -> BurnPair:
    """Return the pair with windows that Azure can evaluate. The shorter window gets a higher factor, so that the rule
    fires at the same share of the budget."""
    longest = timedelta(seconds=TWO_DAYS.seconds)
    if pair.long <= longest:
        return pair
    return BurnPair(pair.factor * (pair.long / longest), longest, pair.short, pair.is_page)


def _make_burn_rule(
    portfolio: Portfolio, role: str, objectives: Sequence[ObjectiveOfJobs], pair: BurnPair, part: str
) -> LogAlertRule:
    window = _find_window(pair)
    jobs = {job.name: job for objective in objectives for job in objective.jobs}
    scope = scope_of_rule(window.kql, role, sorted(jobs))
    return LogAlertRule(
        make_rule_name(portfolio, f"budget-{window.kql}{part}"),
        f"{portfolio.service} {portfolio.environment}: error budget ({window.kql}{part})",
        f"An error budget is spent more than {pair.factor:g} times too fast, in the last {window.kql} and still in the "
        f"last {pair.short.total_seconds() / 60:g} minutes.",
        ERROR if pair.is_page else WARNING,
        window,
        list_burning_objectives(scope, objectives, pair.factor, pair.long, pair.short),
        OBJECTIVE,
        make_tags(portfolio, list(jobs.values())),
    )


def _find_window(pair: BurnPair) -> AlertWindow:
    return next(window for window in (HOUR, SIX_HOURS, DAY, TWO_DAYS) if pair.long.total_seconds() <= window.seconds)


def _divide(objectives: Sequence[ObjectiveOfJobs]) -> Iterator[Sequence[ObjectiveOfJobs]]:
    """Yield parts whose jobs fit into one rule."""
    chunk: list[ObjectiveOfJobs] = []
    for objective in objectives:
        if chunk and sum(len(each.jobs) for each in (*chunk, objective)) > _MAX_RULE_JOBS:
            yield chunk
            chunk = []
        chunk.append(objective)
    if chunk:
        yield chunk
