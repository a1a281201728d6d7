"""The alert rules of a set of jobs, by subject: jobs, groups, objectives over several jobs, and the scheduler itself.

Read by evaluations, by passes of the engine and by replays. A set of jobs has one book.

    book = RuleBook(snapshot)          # costs nothing: each subject is prepared when it is first used
    book.rules_of("checkout")          # CompiledRules, None without rules
    book.policy_of(AlertKey("checkout", "failed"))

Pure, apart from the caches. A disabled job has no rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from jobs.alerting.rule import AlertRule, CompiledRules
from jobs.definition import JobDefinition
from jobs.definition.job_alerts import list_burn_rules, rules_of
from jobs.incidents.engine.facts import (
    BLIND,
    IDENTITY,
    SCHEDULER,
    STARVED,
    AlertPolicy,
    EscalationStep,
    FlappingLimit,
)
from jobs.incidents.suppression.windows import AlertSubject
from jobs.incidents.values import AlertKey
from scheduler.alerting.causes import CauseIndex
from scheduler.catalog.catalog import JobSnapshot

if TYPE_CHECKING:  # loads pydantic models
    from jobs.alerting.groups import AlertGroup
    from jobs.alerting.selectors import AlertSelector
    from jobs.definition.job import SelectedObjective

BLIND_KEY = AlertKey(SCHEDULER, BLIND)
"""The alert that fires while the scheduler itself cannot reach anything, or its clock is wrong."""
IDENTITY_KEY = AlertKey(SCHEDULER, IDENTITY)
"""The alert that fires while the scheduler obtains no tokens or no secrets. Only jobs that use them are affected."""
STARVED_KEY = AlertKey(SCHEDULER, STARVED)
"""The alert that fires while a process of the scheduler lacks CPU."""
SCHEDULER_KEYS = (BLIND_KEY, IDENTITY_KEY, STARVED_KEY)
"""Alerts without a rule in a job file."""
_STARVED_SEVERITY = "degraded"
GROUP_KIND = "group"
OBJECTIVE_KIND = "objective"
NO_RULES = CompiledRules(())
_UNKNOWN_SEVERITY = "down"
"""Whose rank a severity has that no file defines any more, so that its alerts are not overlooked."""


@dataclass(frozen=True, slots=True)
class GroupRules:
    """`members`: names of enabled jobs."""

    group: AlertGroup
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObjectiveRules:
    """An objective over several jobs, with burn alerts. `members`: also disabled jobs, whose runs of before count."""

    objective: SelectedObjective
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunWatch:
    """What judges the runs of a job: its rules, and whether it belongs to groups or to objectives over several jobs."""

    rules: CompiledRules
    in_group: bool
    in_objective: bool


class RuleBook:
    """The alert rules in force for one set of jobs, compiled when they are first needed."""

    def __init__(self, snapshot: JobSnapshot) -> None:
        self.snapshot = snapshot
        self._alerting = snapshot.alerting
        self._compiled: dict[str, CompiledRules] = {}
        self._shared: dict[int, tuple[tuple[AlertRule, ...], CompiledRules]] = {}
        """By the identity of the rules: jobs with rules by selector share them."""
        self._policies: dict[AlertKey, AlertPolicy | None] = {}
        self._watches: dict[str, RunWatch | None] = {}

    def rules_of(self, subject: str) -> CompiledRules:
        """Return the rules of a job, a group or an objective; NO_RULES without any."""
        found = self._compiled.get(subject)
        if found is None:
            found = self._compiled[subject] = self._compile(self._find_rules(subject))
        return found

    def watch_of(self, job: str) -> RunWatch | None:
        """Return what judges the runs of a job; None if nothing does."""
        if job not in self._watches:
            watch = RunWatch(self.rules_of(job), job in self.groups_by_job, job in self.objectives_by_job)
            is_watched = watch.rules.rules or watch.in_group or watch.in_objective
            self._watches[job] = watch if is_watched else None
        return self._watches[job]

    def rule_of(self, key: AlertKey) -> AlertRule | None:
        """Return the rule of an alert; None if the rule or its subject does not exist, or the job is disabled."""
        return next((rule for rule in self.rules_of(key.subject).rules if rule.name == key.rule), None)

    def policy_of(self, key: AlertKey) -> AlertPolicy | None:
        """Return what the engine reads of a rule."""
        if key not in self._policies:
            self._policies[key] = self._make_policy(key)
        return self._policies[key]

    def describe(self, name: str, severity: str = "") -> AlertSubject:
        """Return the subject as windows, silences and routes select it. One that does not exist has no tags."""
        entry = self.snapshot.find_job(name)
        if entry is not None:
            return AlertSubject(name, str(entry.job.check.kind), severity, entry.job.tags)
        rules = self.groups.get(name)
        if rules is not None:
            return AlertSubject(name, GROUP_KIND, severity, rules.group.tags)
        objective = self.objectives.get(name)
        if objective is not None:
            return AlertSubject(name, OBJECTIVE_KIND, severity, objective.objective.tags)
        return AlertSubject(name, SCHEDULER if name == SCHEDULER else "", severity)

    def parents_of(self, subject: str) -> Sequence[str]:
        """Return the jobs and groups whose failure explains that of a job. Other subjects have none."""
        entry = self.snapshot.find_job(subject)
        return () if entry is None else entry.job.parents

    @cached_property
    def groups(self) -> Mapping[str, GroupRules]:
        """The groups by name."""
        if not self._alerting.groups:
            return {}
        jobs = [entry.job for entry in self.snapshot if entry.job.enabled]
        return {name: GroupRules(group, _members(group.jobs, jobs)) for name, group in self._alerting.groups.items()}

    def jobs_of(self, subject: str) -> tuple[str, ...]:
        """Return the members of a group, or the subject itself."""
        rules = self.groups.get(subject)
        return (subject,) if rules is None else rules.members

    @cached_property
    def groups_by_job(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the groups of each job that has one."""
        return _names_by_job(self.groups)

    @cached_property
    def objectives(self) -> Mapping[str, ObjectiveRules]:
        """The objectives over several jobs that have burn alerts, by name."""
        found = self._alerting.alerted_objectives
        jobs = [entry.job for entry in self.snapshot] if found else []
        return {name: ObjectiveRules(each, _members(each.select, jobs)) for name, each in found.items()}

    @cached_property
    def objectives_by_job(self) -> Mapping[str, tuple[str, ...]]:
        """The names of these objectives of each job that has one."""
        return _names_by_job(self.objectives)

    @cached_property
    def causes(self) -> CauseIndex:
        """What jobs share by their definitions. With thousands of jobs, call it first in a thread."""
        return CauseIndex(entry.job for entry in self.snapshot)

    def groups_of(self, jobs: Iterable[str]) -> set[str]:
        """Return the names of the groups to which these jobs belong."""
        return {group for job in jobs for group in self.groups_by_job.get(job, ())}

    def jobs_with_rules(self) -> Iterator[tuple[JobDefinition, CompiledRules]]:
        """Yield the enabled jobs that have rules. With thousands of jobs, call it in a thread or in parts."""
        for entry in self.snapshot:
            rules = self.rules_of(entry.job.name)
            if rules.rules:
                yield entry.job, rules

    @cached_property
    def all_channels(self) -> tuple[str, ...]:
        """The channels that rules of jobs, groups and objectives notify directly, in the order of their definition."""
        rules = [rule for selected in self._alerting.rules for rule in selected.alerts]
        rules += [rule for group in self._alerting.groups.values() for rule in group.alerts]
        rules += [rule for name in self.objectives for rule in self.rules_of(name).rules]
        rules += [rule for entry in self.snapshot for rule in entry.job.alerts or ()]
        named = {channel for rule in rules for channel in rule.notify}
        return tuple(channel for channel in self._alerting.channels if channel in named)

    def _find_rules(self, subject: str) -> tuple[AlertRule, ...]:
        entry = self.snapshot.find_job(subject)
        if entry is not None:
            return rules_of(entry.job, self._alerting) if entry.job.enabled else ()
        group = self._alerting.groups.get(subject) if self._alerting.parts else None
        if group is not None:
            return group.alerts
        objective = self.objectives.get(subject)
        return () if objective is None else list_burn_rules(objective.objective)

    def _compile(self, rules: tuple[AlertRule, ...]) -> CompiledRules:
        if not rules:
            return NO_RULES
        known = self._shared.get(id(rules))
        if known is None:
            known = self._shared[id(rules)] = rules, CompiledRules(rules)
        return known[1]

    def _make_policy(self, key: AlertKey) -> AlertPolicy | None:
        severities = self._alerting.severities
        if key in (BLIND_KEY, IDENTITY_KEY):
            return AlertPolicy(severity=BLIND, rank=severities[BLIND].rank)
        if key == STARVED_KEY:
            return AlertPolicy(severity=_STARVED_SEVERITY, rank=severities[_STARVED_SEVERITY].rank)
        rule = self.rule_of(key)
        if rule is None:
            return None
        severity = severities.get(rule.severity)
        flapping = rule.flapping
        return AlertPolicy(
            severity=rule.severity,
            rank=severities[_UNKNOWN_SEVERITY].rank if severity is None else severity.rank,
            channels=rule.notify,
            remind_every=None if rule.remind_every is None else timedelta(seconds=rule.remind_every),
            escalation=tuple(EscalationStep(timedelta(seconds=step.after), step.notify) for step in rule.escalate),
            reopen_within=timedelta(seconds=rule.reopen_within),
            flapping=None if flapping is None else FlappingLimit(flapping.changes, timedelta(seconds=flapping.within)),
        )


def _members(select: AlertSelector, jobs: Sequence[JobDefinition]) -> tuple[str, ...]:
    return tuple(job.name for job in jobs if select.selects(job.name, job.tags, str(job.check.kind)))


def _names_by_job(sets: Mapping[str, GroupRules | ObjectiveRules]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, rules in sets.items():
        for job in rules.members:
            found.setdefault(job, []).append(name)
    return {job: tuple(names) for job, names in found.items()}
