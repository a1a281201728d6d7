"""Which alert rules a job has: the only place that decides it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.alerting.rule import AlertRule
from jobs.definition.alerting.definitions import AlertingDefinitions
from jobs.definition.objectives.burn_rules import list_burn_rules

if TYPE_CHECKING:
    from jobs.definition.job import JobDefinition


def rules_of(job: JobDefinition, alerting: AlertingDefinitions) -> tuple[AlertRule, ...]:
    """Return the job's own `alerts`; without them, those of the first entry of `alerting.rules` that selects it.

    Those of its objective are added. A rule with the name of one of them replaces it.
    """
    return add_burn_rules(_find_defined(job, alerting), job)


def add_burn_rules(rules: tuple[AlertRule, ...], job: JobDefinition) -> tuple[AlertRule, ...]:
    """Return rules with those of the job's objective; the same value without any."""
    burn_rules = list_burn_rules(job.slo)
    if not burn_rules:
        return rules
    names = {rule.name for rule in rules}
    return (*rules, *(rule for rule in burn_rules if rule.name not in names))


def _find_defined(job: JobDefinition, alerting: AlertingDefinitions) -> tuple[AlertRule, ...]:
    if job.alerts is not None:
        return job.alerts
    index = find_selecting_entry(job, alerting)
    return () if index is None else alerting.rules[index].alerts


def find_selecting_entry(job: JobDefinition, alerting: AlertingDefinitions) -> int | None:
    """Return the index of the first entry of `alerting.rules` that selects a job, whether or not it has `alerts`."""
    kind = str(job.check.kind)
    for index, entry in enumerate(alerting.entries_of("rules")):
        if entry.value.select.selects(job.name, job.tags, kind):
            return index
    return None


def members_of(group: str, jobs: tuple[JobDefinition, ...], alerting: AlertingDefinitions) -> tuple[str, ...]:
    """Return the names of the jobs of a group. Raises KeyError: an unknown group."""
    select = alerting.groups[group].jobs
    return tuple(job.name for job in jobs if select.selects(job.name, job.tags, str(job.check.kind)))
