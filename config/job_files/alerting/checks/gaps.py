"""Warnings of what keeps messages from being sent: see jobs.definition.alerting_gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from config.job_files.alerting.context import AlertingContext, LocatedEntry
from jobs.problems import Problem, dotted_path

if TYPE_CHECKING:
    from jobs.definition.alerting_gaps import UnroutedRule


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
    for found in ([one for one in rules if one.since is None], [one for one in rules if one.since is not None]):
        if not found:
            continue
        message = describe_unrouted_rules(found).removesuffix(".")
        hint = "add a route that matches at any time, or notify to the rule"
        yield _at_subject(found[0].subject, message, hint, groups, context)


def _at_subject(
    name: str, message: str, hint: str, groups: Mapping[str, LocatedEntry], context: AlertingContext
) -> Problem:
    return groups[name].problem(message, hint) if name in groups else _at_job(name, message, hint, context)


def _at_job(name: str, message: str, hint: str, context: AlertingContext) -> Problem:
    one = context.jobs[name]
    return Problem(dotted_path(*one.path), message, hint, one.file, one.line)
