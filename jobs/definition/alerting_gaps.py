"""What keeps messages from being sent, found in the definitions before anything fails. Pure.

    gaps = find_alerting_gaps([entry.job for entry in snapshot], snapshot.alerting, now)
    gaps.sentences()               # for people, without any gap empty

The result depends on the definitions, and on `now` only for windows that are over and times of routes: compute it once
for a set of jobs, in a thread (10,000 jobs take some 100 ms). What channels deliver is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import translate
from typing import TYPE_CHECKING, Protocol

from jobs.alerting.rule import AlertRule
from jobs.definition.alerting_section import AlertingDefinitions
from jobs.definition.job_alerts import OBJECTIVES_PART, add_implied_rules, list_burn_rules
from jobs.formats import format_count, format_instant
from jobs.incidents.engine.facts import BLIND, SCHEDULER
from jobs.incidents.routes import RoutingTable, UnmatchedRoute, find_uncovered_since, find_unmatched_routes
from jobs.incidents.suppression.finding import SuppressionSet, find_unmatched
from jobs.incidents.suppression.windows import AlertSubject

if TYPE_CHECKING:
    from jobs.definition.job import JobDefinition


class Selector(Protocol):
    """What jobs.alerting.selectors and jobs.incidents.suppression.windows share."""

    @property
    def jobs(self) -> Collection[str]: ...

    @property
    def tags(self) -> Mapping[str, object]: ...


def subject_of_job(job: JobDefinition) -> AlertSubject:
    return AlertSubject(job.name, str(job.check.kind), "", job.tags)


class SubjectClasses:
    """`key_of` returns equal keys for subjects that each of the selectors selects alike."""

    def __init__(self, selectors: Iterable[Selector]) -> None:
        selector_list = list(selectors)
        names = {name for each in selector_list for name in each.jobs}
        patterns = sorted(name for name in names if "*" in name or "?" in name)
        self._names = names.difference(patterns)
        self._pattern = re.compile("|".join(map(translate, patterns))) if patterns else None
        self._tags = tuple(sorted({key for each in selector_list for key in each.tags}))

    def key_of(self, subject: AlertSubject) -> Hashable:
        tags = subject.tags
        return (
            subject.name if self._is_named(subject.name) else "",
            subject.kind,
            subject.severity,
            tuple([tags.get(key) for key in self._tags]),
        )

    def one_of_each(self, subjects: Iterable[AlertSubject]) -> list[AlertSubject]:
        """Return the first subject of each class."""
        found: dict[Hashable, AlertSubject] = {}
        for subject in subjects:
            found.setdefault(self.key_of(subject), subject)
        return list(found.values())

    def _is_named(self, name: str) -> bool:
        return name in self._names or (self._pattern is not None and self._pattern.match(name) is not None)


MAX_NAMED = 5
"""Jobs and rules that a sentence names."""
MISSING_LINKS = "messages contain no link to their incident, because the setting http.public_url is missing"
MISSING_LINKS_FIX = (
    "set the variable SCHEDULER_HTTP__PUBLIC_URL to the address at which users reach the dashboard, "
    "such as https://scheduler.example.com"
)


@dataclass(frozen=True, slots=True)
class UnroutedRule:
    """A rule without `notify` whose incidents no route matches, from `since` on: at other times routes match."""

    subject: str
    rule: str
    since: datetime | None = None

    @property
    def name(self) -> str:
        return f"{self.subject}/{self.rule}"


@dataclass(frozen=True, slots=True)
class AlertingGaps:
    """`jobs_without_rules`: enabled, without `alerts`, selected by no entry of `rules` and a member of no group and of
    no objective with burn alerts.

    It is empty while no channel is defined. `unmatched_windows`: names. `unknown_names`: of rules and parents, in
    sentences; only stored jobs can have them, once a file does not define the name any more.
    """

    jobs_without_rules: tuple[str, ...] = ()
    unrouted_rules: tuple[UnroutedRule, ...] = ()
    unmatched_routes: tuple[UnmatchedRoute, ...] = ()
    unmatched_windows: tuple[str, ...] = ()
    unused_channels: tuple[str, ...] = ()
    unknown_names: tuple[str, ...] = ()

    def sentences(self) -> Sequence[str]:
        """Return one sentence for each kind of gap that exists."""
        sentences = list(self.unknown_names[:MAX_NAMED])
        if len(self.unknown_names) > MAX_NAMED:
            sentences.append(f"{len(self.unknown_names) - MAX_NAMED} more names of alerts do not exist.")
        if self.jobs_without_rules:
            sentences.append(describe_jobs_without_rules(self.jobs_without_rules))
        always = [rule for rule in self.unrouted_rules if rule.since is None]
        sometimes = [rule for rule in self.unrouted_rules if rule.since is not None]
        sentences += [describe_unrouted_rules(rules) for rules in (always, sometimes) if rules]
        sentences += [f"{route}." for route in self.unmatched_routes]
        sentences += [f"the window {name} selects no job and no group." for name in self.unmatched_windows]
        sentences += [
            f"the channel {name} is used by no rule, route, rota or fallback." for name in self.unused_channels
        ]
        return sentences


def find_alerting_gaps(jobs: Iterable[JobDefinition], alerting: AlertingDefinitions, now: datetime) -> AlertingGaps:
    """Return what is missing; nothing if neither jobs nor files define any alerting."""
    return _GapFinder(tuple(jobs), alerting, now).find()


def describe_jobs_without_rules(names: Sequence[str]) -> str:
    """`2 enabled jobs have no alert rule, so that their failures are not reported: a, b.`"""
    what = format_count(len(names), "enabled job has", "enabled jobs have")
    which = "its failures are" if len(names) == 1 else "their failures are"
    return f"{what} no alert rule, so that {which} not reported: {_name_some(names)}."


def describe_unrouted_rules(rules: Sequence[UnroutedRule]) -> str:
    """`2 rules notify no channel: a/failed, b/failed.`"""
    what = format_count(len(rules), "rule notifies", "rules notify")
    since = min((rule.since for rule in rules if rule.since is not None), default=None)
    when = "" if since is None else f" at some times, first from {format_instant(since)} on"
    return f"{what} no channel{when}: {_name_some([rule.name for rule in rules])}."


def _name_some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


@dataclass
class _GapFinder:
    jobs: Sequence[JobDefinition]
    alerting: AlertingDefinitions
    now: datetime
    _rules: list[tuple[AlertSubject, AlertRule]] = field(default_factory=list)
    """Each rule in force with its subject, whose severity is that of the rule."""
    _without_rules: list[str] = field(default_factory=list)

    def find(self) -> AlertingGaps:
        if (
            not self.alerting.parts.keys() - {OBJECTIVES_PART}
            and not any(job.alerts or list_burn_rules(job.slo) for job in self.jobs)
            and not self.alerting.alerted_objectives
        ):
            return AlertingGaps()
        self._collect_rules()
        table = RoutingTable(self.alerting.routes)
        routes = SubjectClasses(route.match for route in table.routes)
        incidents = [*(subject for subject, _ in self._rules), AlertSubject(SCHEDULER, SCHEDULER, BLIND)]
        has_channels = bool(self.alerting.entries_of("channels"))
        return AlertingGaps(
            tuple(self._without_rules) if has_channels else (),
            tuple(self._find_unrouted(table, routes)),
            tuple(find_unmatched_routes(table, routes.one_of_each(incidents))) if table.routes else (),
            tuple(self._find_unmatched_windows()),
            tuple(self._find_unused_channels()),
            tuple(self._find_unknown_names()),
        )

    def _collect_rules(self) -> None:
        select = self._make_rule_finder()
        is_member = self._make_member_test()
        for job in self.jobs:
            if not job.enabled:
                continue
            subject = subject_of_job(job)
            rules = job.alerts if job.alerts is not None else select(subject)
            burn_rules = list_burn_rules(job.slo)
            if rules is None and not burn_rules and not is_member(subject):
                self._without_rules.append(job.name)
            self._add(subject, add_implied_rules(rules or (), job))
        for name, group in self.alerting.groups.items():
            self._add(AlertSubject(name, "group", "", group.tags), group.alerts)
        for name, objective in self.alerting.alerted_objectives.items():
            self._add(AlertSubject(name, "objective", "", objective.tags), list_burn_rules(objective))

    def _add(self, subject: AlertSubject, rules: Iterable[AlertRule]) -> None:
        for rule in rules:
            named = AlertSubject(subject.name, subject.kind, rule.severity, subject.tags)
            self._rules.append((named, rule))

    def _make_rule_finder(self) -> Callable[[AlertSubject], tuple[AlertRule, ...] | None]:
        """Return what finds the rules by selector; None if no entry selects the job."""
        entries = self.alerting.rules
        classes = SubjectClasses(entry.select for entry in entries)
        rules_by_class: dict[object, tuple[AlertRule, ...] | None] = {}

        def find(subject: AlertSubject) -> tuple[AlertRule, ...] | None:
            key = classes.key_of(subject)
            if key not in rules_by_class:
                selecting = (one for one in entries if one.select.selects(subject.name, subject.tags, subject.kind))
                rules_by_class[key] = next((one.alerts for one in selecting), None)
            return rules_by_class[key]

        return find

    def _make_member_test(self) -> Callable[[AlertSubject], bool]:
        groups = [group.jobs for group in self.alerting.groups.values() if group.alerts]
        groups += [objective.select for objective in self.alerting.alerted_objectives.values()]
        classes = SubjectClasses(groups)
        is_member_by_class: dict[object, bool] = {}

        def is_member(subject: AlertSubject) -> bool:
            key = classes.key_of(subject)
            if key not in is_member_by_class:
                is_member_by_class[key] = any(
                    group.selects(subject.name, subject.tags, subject.kind) for group in groups
                )
            return is_member_by_class[key]

        return is_member

    def _find_unrouted(self, table: RoutingTable, classes: SubjectClasses) -> Iterator[UnroutedRule]:
        gaps_by_class: dict[object, tuple[bool, datetime | None]] = {}
        for subject, rule in self._rules:
            if rule.notify:
                continue
            key = classes.key_of(subject)
            if key not in gaps_by_class:
                gaps_by_class[key] = find_uncovered_since(table, subject, self.now)
            is_uncovered, since = gaps_by_class[key]
            if is_uncovered:
                yield UnroutedRule(subject.name, rule.name, since)

    def _find_unmatched_windows(self) -> Iterator[str]:
        windows = self.alerting.windows
        if not windows:
            return
        classes = SubjectClasses(window.select for window in windows)
        jobs = (subject_of_job(job) for job in self.jobs)
        groups = (AlertSubject(name, "group", "", group.tags) for name, group in self.alerting.groups.items())
        alerted = self.alerting.alerted_objectives.items()
        objectives = (AlertSubject(name, "objective", "", each.tags) for name, each in alerted)
        subjects = classes.one_of_each((*jobs, *groups, *objectives, AlertSubject(SCHEDULER, SCHEDULER)))
        yield from (
            each.removeprefix("window ") for each in find_unmatched(SuppressionSet(windows), subjects, self.now)
        )

    def _find_unused_channels(self) -> Iterator[str]:
        alerting = self.alerting
        used = {channel for job in self.jobs for rule in job.alerts or () for channel in rule.channels}
        used.update(*(rule.channels for entry in alerting.rules for rule in entry.alerts))
        used.update(*(rule.channels for group in alerting.groups.values() for rule in group.alerts))
        burning = (*(job.slo for job in self.jobs), *alerting.alerted_objectives.values())
        used.update(*(rule.channels for objective in burning for rule in list_burn_rules(objective)))
        used.update(*(route.notify for route in alerting.routes))
        for rota in alerting.rotas.values():
            used.update(rota.otherwise, *rota.people.values())
        used.update(each.fallback for each in alerting.channels.values() if each.fallback is not None)
        yield from (name for name in alerting.channels if name not in used)

    def _find_unknown_names(self) -> Iterator[str]:
        channels, severities = self.alerting.channels, self.alerting.severities
        for subject, rule in self._rules:
            name = f"the rule {subject.name}/{rule.name}"
            missing = sorted(rule.channels.difference(channels))
            yield from (f"{name} names the channel {channel}, which does not exist." for channel in missing)
            if rule.severity not in severities:
                yield f"{name} has the severity {rule.severity}, which does not exist: it ranks as down."
        jobs, groups = {job.name for job in self.jobs}, self.alerting.groups
        for job in self.jobs:
            for parent in job.alert_parent:
                if parent not in jobs and parent not in groups:
                    yield f"the job {job.name} has the parent {parent}, which does not exist."
