"""What is wrong between the entries of the sections `alerting` and the jobs: one module a subject.

A new check is a module with a function from the context to problems, and its line here. Checks of one job apply to
stored jobs as well (config.stored_jobs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from config.job_files.alerting.checks.channels import (
    find_unknown_channels,
    find_unknown_channels_of_entries,
    find_wrong_fallbacks,
)
from config.job_files.alerting.checks.gaps import find_gaps
from config.job_files.alerting.checks.groups import find_group_problems, find_job_with_name_of_group
from config.job_files.alerting.checks.names import find_repeated_windows, find_unknown_rotas
from config.job_files.alerting.checks.objectives import (
    find_idle_objectives,
    find_job_with_name_of_objective,
    find_objective_problems,
    find_unknown_names_of_objective,
    find_unmeasured_times,
)
from config.job_files.alerting.checks.parents import find_parent_circles, find_unknown_parents
from config.job_files.alerting.checks.places import RulePlace, list_rule_places, rules_of_job
from config.job_files.alerting.checks.selectors import find_idle_selectors
from config.job_files.alerting.checks.severities import find_unknown_selected_severities, find_unknown_severities
from config.job_files.alerting.context import AlertingContext
from jobs.problems import Problem

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob

MAX_ALERTING_PROBLEMS = 500
"""Problems of alerts after which the others are not searched: 10,000 jobs can share a wrong default."""

_RULE_CHECKS: tuple[Callable[[RulePlace, AlertingContext], Iterator[Problem]], ...] = (
    find_unknown_severities,
    find_unknown_channels,
)
_JOB_CHECKS: tuple[Callable[[LocatedJob, AlertingContext], Iterator[Problem]], ...] = (
    find_parent_circles,
    find_job_with_name_of_group,
    find_job_with_name_of_objective,
)
_CHECKS: tuple[Callable[[AlertingContext], Iterator[Problem]], ...] = (
    find_group_problems,
    find_unknown_channels_of_entries,
    find_wrong_fallbacks,
    find_unknown_rotas,
    find_unknown_selected_severities,
    find_repeated_windows,
    find_objective_problems,
)
_WARNINGS: tuple[Callable[[AlertingContext], Iterator[Problem]], ...] = (
    find_idle_selectors,
    find_gaps,
    find_idle_objectives,
    find_unmeasured_times,
)


def find_alerting_problems(context: AlertingContext) -> tuple[Problem, ...]:
    found = list(islice(_find_all(context), MAX_ALERTING_PROBLEMS + 1))
    if len(found) > MAX_ALERTING_PROBLEMS:
        last = found.pop()
        found.append(Problem("alerting", "has more problems, which are checked once these are fixed", "", last.file))
    return tuple(found)


def find_unknown_names_of_job(one: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield the channels, severities and parents that the alerts of a job name and that do not exist."""
    rules = rules_of_job(one)
    if rules is not None:
        for check_rules in _RULE_CHECKS:
            yield from check_rules(rules, context)
    yield from find_unknown_parents(one, context)
    yield from find_unknown_names_of_objective(one, context)


def find_conflicts_of_job(one: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield what prevents that the alerts of a job are evaluated together with those of the context."""
    for check_job in _JOB_CHECKS:
        yield from check_job(one, context)


def find_alerting_warnings(context: AlertingContext) -> tuple[Problem, ...]:
    if context.is_partial:
        return ()
    return tuple(warning for check in _WARNINGS for warning in check(context))


def _find_all(context: AlertingContext) -> Iterator[Problem]:
    for one in context.jobs.values():
        yield from find_unknown_names_of_job(one, context)
        yield from find_conflicts_of_job(one, context)
    for place in list_rule_places(context):
        for check_rules in _RULE_CHECKS:
            yield from check_rules(place, context)
    for check in _CHECKS:
        yield from check(context)
