"""What is wrong between the entries of the sections `alerting` and the jobs: one module a subject.

A new check is a module with a function from the context to problems, and its line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from config.job_files.alerting.checks.groups import find_group_problems
from config.job_files.alerting.checks.parents import find_parent_problems
from config.job_files.alerting.checks.selectors import find_idle_selectors
from config.job_files.alerting.checks.severities import find_unknown_severities
from config.job_files.alerting.joining import AlertingContext
from jobs.problems import Problem

_CHECKS: tuple[Callable[[AlertingContext], Iterator[Problem]], ...] = (
    find_unknown_severities,
    find_group_problems,
    find_parent_problems,
)
_WARNINGS: tuple[Callable[[AlertingContext], Iterator[Problem]], ...] = (find_idle_selectors,)


def find_alerting_problems(context: AlertingContext) -> tuple[Problem, ...]:
    return tuple(problem for check in _CHECKS for problem in check(context))


def find_alerting_warnings(context: AlertingContext) -> tuple[Problem, ...]:
    return tuple(warning for check in _WARNINGS for warning in check(context))
