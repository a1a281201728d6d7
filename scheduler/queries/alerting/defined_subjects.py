"""What the definitions in force contain about the subject of an alert. Pure.

Used by scheduler.alerting.message_source and scheduler.queries.alerting.incident_reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jobs.alerting.rule import AlertRule
from jobs.definition.job_alerts import list_burn_rules, rules_of
from jobs.incidents.values import AlertKey
from jobs.problems import make_printable
from jobs.targets import describe_target
from scheduler.catalog.catalog import CatalogJob, JobSnapshot

_LONGEST_DESCRIPTION = 300


@dataclass(frozen=True, slots=True)
class DefinedSubject:
    """`entry`: None for a group or an objective. `rule`: None if it is not defined any more."""

    entry: CatalogJob | None = None
    rule: AlertRule | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def runbook(self) -> str:
        return self.rule.runbook if self.rule is not None else ""

    def describe_target(self, step: str = "", redact: Callable[[str], str] = str) -> str:
        """Return the name of the job's target, see jobs.targets.describe_target; empty for a group or an objective."""
        return "" if self.entry is None else describe_target(self.entry.job.check, step, redact)

    def describe_job(self, redact: Callable[[str], str] = str) -> str:
        """Return the description of the job as one line."""
        text = "" if self.entry is None else self.entry.job.description
        return make_printable(" ".join(redact(text).split()), _LONGEST_DESCRIPTION)

    @property
    def is_about_degraded_runs(self) -> bool:
        """Return whether a degraded run counts as failed for the alert."""
        return self.rule is not None and self.rule.when.condition_key() == "degraded"


def find_subject(snapshot: JobSnapshot, key: AlertKey) -> DefinedSubject:
    """Return what is known; nothing about a subject that does not exist any more."""
    alerting = snapshot.alerting
    entry = snapshot.find_job(key.subject)
    if entry is not None:
        return DefinedSubject(entry, _find_rule(rules_of(entry.job, alerting), key.rule), entry.job.tags)
    group = alerting.groups.get(key.subject)
    if group is not None:
        return DefinedSubject(None, _find_rule(group.alerts, key.rule), group.tags)
    objective = alerting.alerted_objectives.get(key.subject)
    if objective is None:
        return DefinedSubject()
    return DefinedSubject(None, _find_rule(list_burn_rules(objective), key.rule), objective.tags)


def _find_rule(rules: tuple[AlertRule, ...], name: str) -> AlertRule | None:
    return next((rule for rule in rules if rule.name == name), None)
