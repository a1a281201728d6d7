"""Severities that no file defines: of rules, and of what routes and windows select."""

from __future__ import annotations

from collections.abc import Iterator

from config.job_files.alerting.checks.places import RulePlace
from config.job_files.alerting.context import AlertingContext
from jobs.problems import Problem, describe_wrong_choice


def find_unknown_severities(rules: RulePlace, context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each rule whose severity is unknown."""
    for index, name in context.find_missing("severities", (rule.severity for rule in rules.alerts)):
        yield rules.problem_at(("alerts", index, "severity"), *_describe(name, context))


def find_unknown_selected_severities(context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each severity of a selector that is unknown."""
    for part, key in (("routes", "match"), ("windows", "select")):
        for one in context.entries_of(part):
            for _, name in context.find_missing("severities", getattr(one.entry.value, key).severities):
                yield one.problem_at((key, "severities"), *_describe(name, context))


def _describe(name: str, context: AlertingContext) -> tuple[str, str]:
    return describe_wrong_choice(name, tuple(context.definitions.severities))
