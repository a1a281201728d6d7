"""Severities of rules that no file defines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config.job_files.alerting.joining import AlertingContext
from jobs.alerting.rule import AlertRule
from jobs.problems import Problem, describe_wrong_choice


def find_unknown_severities(context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each rule of a job, of a selector and of a group whose severity is unknown."""
    if not context.is_complete:
        return
    known = tuple(context.definitions.severities)
    for job in context.jobs.values():
        for index, rule in _find_wrong(job.job.alerts or (), known):
            yield job.problem_at(("alerts", index, "severity"), *describe_wrong_choice(rule.severity, known))
    for part in ("rules", "groups"):
        for one in context.entries_of(part):
            for index, rule in _find_wrong(one.entry.value.alerts, known):
                message, hint = describe_wrong_choice(rule.severity, known)
                yield one.problem(message, hint, "alerts", index, "severity")


def _find_wrong(rules: Sequence[AlertRule], known: Sequence[str]) -> list[tuple[int, AlertRule]]:
    return [(index, rule) for index, rule in enumerate(rules) if rule.severity not in known]
