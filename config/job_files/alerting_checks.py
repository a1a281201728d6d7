"""What is wrong between the entries of the sections `alerting` and the jobs.

A new check is a function from the context to problems, and its line in the tuples below. Checks of one job apply to
stored jobs as well (config.stored_jobs). Warnings of what keeps messages from being sent:
jobs.definition.alerting_gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from config.job_files.alerting_section import AlertingContext, LocatedEntry
from config.job_files.channel_checks import (
    RulePlace,
    find_unknown_channels,
    find_unknown_channels_of_entries,
    find_unknown_selected_severities,
    find_unknown_severities,
    find_wrong_fallbacks,
    list_rule_places,
    rules_of_job,
)
from jobs.alerting.selectors import AlertSelector
from jobs.definition.job import find_parent_circle
from jobs.problems import KeyPath, Problem, dotted_path
from jobs.problems.findings import did_you_mean, suggest_sorted_name

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob
    from jobs.definition.alerting_gaps import UnroutedRule
    from jobs.definition.job import JobDefinition, JobObjective
    from jobs.incidents.suppression.windows import AlertSubject


def find_gaps(context: AlertingContext) -> Iterator[Problem]:
    has_own_rules = any(one.job.alerts or (one.job.slo and one.job.slo.alerts) for one in context.jobs.values())
    if not context.is_complete or context.broken or context.invalid or not (context.entries or has_own_rules):
        return
    from jobs.definition.alerting_gaps import describe_jobs_without_rules, find_alerting_gaps

    jobs = [one.job for one in context.jobs.values()]
    gaps = find_alerting_gaps(jobs, context.definitions, datetime.now(UTC))
    if gaps.jobs_without_rules:
        message = describe_jobs_without_rules(gaps.jobs_without_rules).removesuffix(".")
        hint = "add an entry to alerting.rules that selects them, or alerts: [] to a job that needs none"
        yield _at_job(gaps.jobs_without_rules[0], message, hint, context)
    yield from _unrouted(gaps.unrouted_rules, context)
    routes, windows = context.entries_of("routes"), context.entries_of("windows")
    for route in gaps.unmatched_routes:
        yield routes[route.position].problem(f"no message takes this route: {route.reason}", "change it, or remove it")
    names = set(gaps.unmatched_windows)
    for one in windows:
        if one.entry.value.name in names:
            yield one.problem("selects no job and no group of the files", "change it, or remove the window", "select")
    channels = {one.entry.name: one for one in context.entries_of("channels")}
    for name in gaps.unused_channels:
        yield channels[name].problem("is used by no rule, route, rota or fallback", "use it, or remove it")


def _unrouted(rules: Sequence[UnroutedRule], context: AlertingContext) -> Iterator[Problem]:
    """Yield one warning for the rules that are never routed, and one for those that are at some times."""
    from jobs.definition.alerting_gaps import describe_unrouted_rules

    groups = {one.entry.name: one for part in ("groups", "objectives") for one in context.entries_of(part)}
    for similar_rules in ([one for one in rules if one.since is None], [one for one in rules if one.since is not None]):
        if not similar_rules:
            continue
        message = describe_unrouted_rules(similar_rules).removesuffix(".")
        hint = "add a route that matches at any time, or notify to the rule"
        yield _at_subject(similar_rules[0].subject, message, hint, groups, context)


def _at_subject(
    name: str, message: str, hint: str, groups: Mapping[str, LocatedEntry], context: AlertingContext
) -> Problem:
    return groups[name].problem(message, hint) if name in groups else _at_job(name, message, hint, context)


def _at_job(name: str, message: str, hint: str, context: AlertingContext) -> Problem:
    one = context.jobs[name]
    return Problem(dotted_path(*one.path), message, hint, one.file, one.line)


def find_group_problems(context: AlertingContext) -> Iterator[Problem]:
    for one in context.entries_of("groups"):
        job = context.jobs.get(one.entry.name)
        if job is not None:
            message = f"a group cannot have the name of a job: {one.entry.name} is defined in {job.origin}"
            yield one.problem(message, "rename the group")


def find_job_with_name_of_group(located: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem if a group of files that are not checked now has the name of the job."""
    name = located.job.name
    if name not in context.group_names or name in context.located_groups:
        return
    group = next(entry for entry in context.definitions.entries_of("groups") if entry.name == name)
    message = f"a group of alerts has this name: {group.origin or 'in a job file'}"
    yield Problem(
        dotted_path(*located.path) or "name", message, "rename the job", located.file or None, located.line or None
    )


def find_unknown_rotas(context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each route whose `on_call` is not a rota."""
    for one in context.entries_of("routes"):
        rota = one.entry.value.on_call
        for _, name in context.find_missing("on_call", () if rota is None else (rota,)):
            yield one.problem_at(("on_call",), *context.describe_missing("rota", "on_call", name))


def find_repeated_windows(context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each window with the name of an earlier one: decisions and silences name windows."""
    first: dict[str, LocatedEntry] = {}
    for one in context.entries_of("windows"):
        name = one.entry.value.name
        if (other := first.setdefault(name, one)) is not one:
            yield one.problem(f"the window {name} is defined twice: first in {other.origin}", "rename one", "name")


_PART = "objectives"


def find_objective_problems(context: AlertingContext) -> Iterator[Problem]:
    for located in context.entries_of(_PART):
        name, has_alerts = located.entry.name, located.entry.value.alerts is not None
        job = context.jobs.get(name)
        if job is not None and job.job.slo is not None:
            message = f"the job {name} ({job.origin}) has slo, which is an objective of the same name"
            yield located.problem(message, "rename the objective")
        elif job is not None and has_alerts:
            message = f"an objective with alerts cannot have the name of a job: {name} is defined in {job.origin}"
            yield located.problem(message, "rename the objective")
        if has_alerts and name in context.group_names:
            yield located.problem(
                f"an objective with alerts cannot have the name of a group: {name}", "rename one of them"
            )
        if has_alerts:
            yield from _find_unknown_names(located, (), located.entry.value, context)


def find_job_with_name_of_objective(located: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem if an objective of files that are not checked now has the name of the job.

    Only if both are objectives, or both are subjects of alerts.
    """
    name, has_slo = located.job.name, located.job.slo is not None
    if any(each.entry.name == name for each in context.entries_of(_PART)):
        return
    for other in context.definitions.entries_of(_PART):
        if other.name == name and (has_slo or other.value.alerts is not None):
            message = f"an objective of the section objectives has this name: {other.origin or 'in a job file'}"
            path = dotted_path(*located.path, "slo" if has_slo else "name")
            hint = "rename the job, or remove slo" if other.value.alerts is None else "rename the job"
            yield Problem(path, message, hint, located.file or None, located.line or None)


def find_unknown_names_of_objective(located: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield the channels and severities that burn alerts of a job name and that do not exist."""
    if located.job.slo is not None:
        yield from _find_unknown_names(located, ("slo",), located.job.slo, context)


def _find_unknown_names(
    located: LocatedJob | LocatedEntry, keys: KeyPath, objective: JobObjective, context: AlertingContext
) -> Iterator[Problem]:
    alerts = objective.alerts
    if alerts is None:
        return
    for key, options in (("page", alerts.page), ("ticket", alerts.ticket)):
        if options is None:
            continue
        path = (*keys, "alerts", key)
        severities = (options.severity,) if options.severity else ()
        for _, name in context.find_missing("severities", severities):
            yield located.problem_at((*path, "severity"), *context.describe_missing("severity", "severities", name))
        for position, name in context.find_missing("channels", options.notify):
            yield located.problem_at(
                (*path, "notify", position), *context.describe_missing("channel", "channels", name)
            )
        for step, escalation in enumerate(options.escalate):
            for position, name in context.find_missing("channels", escalation.notify):
                place = (*path, "escalate", step, "notify", position)
                yield located.problem_at(place, *context.describe_missing("channel", "channels", name))


def find_idle_objectives(context: AlertingContext) -> Iterator[Problem]:
    if not context.is_complete or context.broken:
        return
    jobs = [one.job for one in context.jobs.values()]
    for one in context.entries_of(_PART):
        select = one.entry.value.select
        if not any(select.selects(job.name, job.tags, str(job.check.kind)) for job in jobs):
            yield one.problem(f"selects no job of the files ({select}), so it measures nothing", "", "select")


def find_unmeasured_times(context: AlertingContext) -> Iterator[Problem]:
    """Yield objectives by time of which no job has a rule whose alerts are downtime. One for all jobs with `slo`."""
    if not context.is_complete or context.broken or context.invalid:
        return
    message = "counts time, but no alert rule of its jobs counts as downtime, so it measures nothing"
    hint = "add a rule to alerts, or count runs"
    idle = [
        located
        for located in context.jobs.values()
        if _counts_time(located.job) and not _has_downtime(located.job, context)
    ]
    if idle:
        more = f" (and that of {len(idle) - 1} more)" if len(idle) > 1 else ""
        path = dotted_path(*idle[0].path, "slo")
        yield Problem(path, f"the objective{more} {message}", hint, idle[0].file, idle[0].line)
    for located in context.entries_of(_PART):
        objective = located.entry.value
        if objective.counts == "time":
            jobs = [each.job for each in context.jobs.values()]
            chosen = [job for job in jobs if objective.select.selects(job.name, job.tags, str(job.check.kind))]
            if chosen and not any(_has_downtime(job, context) for job in chosen):
                yield located.problem(message, hint, "counts")


def _counts_time(job: JobDefinition) -> bool:
    return job.slo is not None and job.slo.counts == "time"


def _has_downtime(job: JobDefinition, context: AlertingContext) -> bool:
    from jobs.definition.job_alerts import rules_of
    from jobs.incidents.downtime import counts_as_downtime

    severities = context.definitions.severities
    return any(counts_as_downtime(rule, severities) for rule in rules_of(job, context.definitions))


def find_unknown_parents(located: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each `alert_parent` of a job that is an unknown subject."""
    for parent in located.job.alert_parent:
        is_known = parent in context.jobs or parent in context.group_names or parent in context.broken
        if is_known or not context.is_complete or context.is_invalid("groups", parent):
            continue
        near = suggest_sorted_name(parent, context.subject_names)
        yield located.problem(
            "alert_parent", f"the parent {parent} is neither a job nor a group{did_you_mean(near)}", ""
        )


def find_parent_circles(located: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem if a parent of a job closes a circle."""
    # Of stored jobs, one that has only depends_on can close the circle of a file's alert_parent.
    if not located.job.alert_parent and not (
        context.is_partial and context.has_alert_parents and located.job.depends_on
    ):
        return
    circle = find_parent_circle(located.job.name, context.parents)
    if circle and any(name not in context.jobs or context.jobs[name].job.alert_parent for name in circle):
        key = "alert_parent" if located.job.alert_parent else "depends_on"
        message = f"closes a circle of parents, so that no alert would be sent: {' -> '.join((*circle, circle[0]))}"
        yield located.problem(key, message, "remove one of these parents")


def find_idle_selectors(context: AlertingContext) -> Iterator[Problem]:
    if not context.is_complete or context.broken:
        return
    rules, groups = context.entries_of("rules"), context.entries_of("groups")
    if not rules and not groups:
        return
    from jobs.definition.alerting_gaps import SubjectClasses, subject_of_job

    selectors: list[AlertSelector] = [rule.entry.value.select for rule in rules]
    selectors += [rule.entry.value.jobs for rule in groups]
    classes = SubjectClasses(selectors)
    subjects = classes.one_of_each(subject_of_job(rule.job) for rule in context.jobs.values())
    unmatched = subjects
    for rule in rules:
        select = rule.entry.value.select
        rest = [each for each in unmatched if not select.selects(each.name, each.tags, each.kind)]
        if not _selects_any(select, subjects):
            yield rule.problem(f"selects no job of the files ({select}), so its rules apply to none", "", "select")
        elif len(rest) == len(unmatched):
            yield rule.problem("applies to no job: earlier entries select its jobs first", "move it up, or remove it")
        unmatched = rest
    for rule in groups:
        if not _selects_any(rule.entry.value.jobs, subjects):
            yield rule.problem(
                f"selects no job of the files ({rule.entry.value.jobs}), so it is never down", "", "jobs"
            )


def _selects_any(select: AlertSelector, subjects: Sequence[AlertSubject]) -> bool:
    return any(select.selects(each.name, each.tags, each.kind) for each in subjects)


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


def find_unknown_names_of_job(located: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield the channels, severities and parents that the alerts of a job name and that do not exist."""
    rules = rules_of_job(located)
    if rules is not None:
        for check_rules in _RULE_CHECKS:
            yield from check_rules(rules, context)
    yield from find_unknown_parents(located, context)
    yield from find_unknown_names_of_objective(located, context)


def find_conflicts_of_job(located: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield what prevents that the alerts of a job are evaluated together with those of the context."""
    for check_job in _JOB_CHECKS:
        yield from check_job(located, context)


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
