"""Which alert rules and which objectives a job has: the only place that decides it. Pure.

An objective with `alerts` means one rule for each pair of windows. A job with rules whose check can be unknown has a
rule about that, so that users do not rely on alerts that cannot fire. The objectives of a section have names; they are
joined with the entries of the section `alerting`, under the key OBJECTIVES_PART.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from jobs.alerting.conditions.burn_rate import BurnRateCondition
from jobs.alerting.conditions.unknown import UnknownCondition
from jobs.alerting.rule import MAX_CHANNELS, AlertRule
from jobs.definition.alerting_section import AlertingDefinitions, SectionPart
from jobs.definition.job import BurnAlerts, JobDefinition, JobObjective, SelectedObjective
from jobs.formats import format_duration
from jobs.objectives import BurnPair, list_possible_pairs
from jobs.targets import can_be_unknown

_PAGE_SEVERITY, _TICKET_SEVERITY = "down", "degraded"


def list_burn_rules(objective: JobObjective | None) -> tuple[AlertRule, ...]:
    """Return the rules; empty without an objective, or without `alerts`."""
    if objective is None or objective.alerts is None:
        return ()
    return _create_rules(objective.target, objective.is_degraded_bad, objective.alerts)


def name_burn_rule(pair: BurnPair) -> str:
    """Return for example `slo-burn-1h`."""
    return f"slo-burn-{format_duration(pair.long.total_seconds())}"


@lru_cache(maxsize=1000)
def _create_rules(target: float, is_degraded_bad: bool, alerts: BurnAlerts) -> tuple[AlertRule, ...]:
    """Cached, as most jobs have equal objectives."""
    rules: list[AlertRule] = []
    for pair in list_possible_pairs(target):
        options = alerts.page if pair.is_page else alerts.ticket
        if options is None:
            continue
        rules.append(
            AlertRule(
                name=name_burn_rule(pair),
                when=BurnRateCondition(
                    burn_rate=pair.factor,
                    target=target,
                    window=pair.long.total_seconds(),
                    short_window=pair.short.total_seconds(),
                    minimum_bad_runs=alerts.minimum_bad_runs,
                    degraded_runs="bad" if is_degraded_bad else "good",
                ),
                severity=options.severity or (_PAGE_SEVERITY if pair.is_page else _TICKET_SEVERITY),
                notify=options.notify,
                remind_every=options.remind_every,
                escalate=options.escalate,
                runbook=options.runbook,
                counts_as_downtime=False,
            )
        )
    return tuple(rules)


def rules_of(job: JobDefinition, alerting: AlertingDefinitions) -> tuple[AlertRule, ...]:
    """Return the job's own `alerts`; without them, those of the first entry of `alerting.rules` that selects it.

    Those of its objective, and one about unknown runs, are added. A rule with the name of one of them replaces it.
    """
    return add_implied_rules(_find_defined(job, alerting), job)


def add_implied_rules(rules: tuple[AlertRule, ...], job: JobDefinition) -> tuple[AlertRule, ...]:
    """Return rules with those that follow from the job's objective and its target; the same value without any."""
    implied = list_burn_rules(job.slo)
    if (rules or implied) and can_be_unknown(job.check) and not any(rule.when.COUNTS_UNKNOWN for rule in rules):
        named = dict.fromkeys(channel for rule in (*rules, *implied) for channel in rule.notify)
        implied = (*implied, _create_unknown_rule(tuple(named)[:MAX_CHANNELS]))
    if not implied:
        return rules
    names = {rule.name for rule in rules}
    return (*rules, *(rule for rule in implied if rule.name not in names))


@lru_cache(maxsize=1000)
def _create_unknown_rule(channels: tuple[str, ...]) -> AlertRule:
    return AlertRule(when=UnknownCondition(unknown=True), notify=channels)


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


OBJECTIVES_PART = "objectives"
OBJECTIVES_SECTION = SectionPart(OBJECTIVES_PART, SelectedObjective, True, "Objectives of several jobs, by name")


@dataclass(frozen=True, slots=True)
class NamedObjective:
    """`name`: of its job, or its key in `objectives`. `job`: empty for one over a selector. `jobs`: sorted names."""

    name: str
    definition: JobObjective
    job: str
    jobs: tuple[str, ...]

    @property
    def scope(self) -> str:
        """Return for people what it is about."""
        if self.job:
            return f"job {self.job}"
        select = self.definition.select if isinstance(self.definition, SelectedObjective) else ""
        return f"{len(self.jobs)} {'job' if len(self.jobs) == 1 else 'jobs'} ({select})"


def list_objectives(jobs: Iterable[JobDefinition], alerting: AlertingDefinitions) -> tuple[NamedObjective, ...]:
    """Return all objectives by name. One of the section precedes one of a job with the same name."""
    jobs = tuple(jobs)
    found = {job.name: NamedObjective(job.name, job.slo, job.name, (job.name,)) for job in jobs if job.slo is not None}
    found.update((each.name, each) for each in _list_selected(jobs, alerting))
    return tuple(found[name] for name in sorted(found))


def _list_selected(jobs: tuple[JobDefinition, ...], alerting: AlertingDefinitions) -> Iterator[NamedObjective]:
    for entry in alerting.entries_of(OBJECTIVES_PART):
        objective: SelectedObjective = entry.value
        selected = (job.name for job in jobs if objective.select.selects(job.name, job.tags, str(job.check.kind)))
        yield NamedObjective(entry.name, objective, "", tuple(sorted(selected)))
