"""The rules about jobs: they fail, they are silent, they were given up. Pure. Called by
observability.generation.azure.documents.

One rule for each group, kind and window, split by job: Azure bills rules, and a rule whose window fits its jobs reads
few rows. A job that is in several groups belongs to the first one here, so that it has one alert.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from observability import names
from observability.generation.azure.resource_names import make_rule_name, make_slug, make_tags
from observability.generation.azure.rules.alert_rule import (
    ERROR,
    HOUR,
    SIX_HOURS,
    TWO_DAYS,
    WARNING,
    AlertWindow,
    LogAlertRule,
)
from observability.generation.core.portfolio import Portfolio, PortfolioJob
from observability.generation.kql.availability import find_silence_limit, list_silent_jobs
from observability.generation.kql.runs import list_dead_letters, list_jobs_that_are_down
from observability.generation.kql.scope import scope_of_rule

MAX_RULE_JOBS = 300
"""Jobs of one rule: their names are part of its query."""

WINDOWS = (HOUR, SIX_HOURS, TWO_DAYS)
_RUNS_IN_WINDOW = 3
"""A job belongs to the first window that contains so many of its intervals."""


def make_job_rules(portfolio: Portfolio, role: str) -> Iterator[LogAlertRule]:
    """Yield the rules about jobs, sorted. `role`: as in scope_of_rule."""
    for group, jobs in _divide_by_group(portfolio):
        for window, members in _divide_by_window(jobs):
            for part, chunk in _divide(members):
                yield _make_failure_rule(portfolio, role, group, window, part, chunk)
        for window, members in _divide_by_silence(jobs):
            for part, chunk in _divide(members):
                yield _make_silence_rule(portfolio, role, group, window, part, chunk)
    yield LogAlertRule(
        make_rule_name(portfolio, "dead-letters"),
        f"{_title(portfolio)}: runs given up",
        "A run was given up and stored as a dead letter. Inspect and replay it: `dead-letters list`.",
        WARNING,
        HOUR,
        list_dead_letters(scope_of_rule(HOUR.kql, role)),
        names.JOB_NAME,
        make_tags(portfolio),
    )


def find_unjudged_jobs(portfolio: Portfolio) -> tuple[str, ...]:
    """Return the jobs whose silence no rule can see: their interval is too long, unknown, or they have no rows."""
    judged = {job.name for _, members in _divide_by_silence(portfolio.active_jobs) for job in members}
    return tuple(job.name for job in portfolio.active_jobs if job.name not in judged)


def _make_failure_rule(
    portfolio: Portfolio, role: str, group: str, window: AlertWindow, part: str, jobs: Sequence[PortfolioJob]
) -> LogAlertRule:
    failures = 1 if window is TWO_DAYS else 2
    scope = scope_of_rule(window.kql, role, [job.name for job in jobs])
    return LogAlertRule(
        make_rule_name(portfolio, f"down-{_slug(group)}-{window.kql}{part}"),
        f"{_title(portfolio)}: {_noun(group)} down ({window.kql}{part})",
        f"The latest run of a job is down, and at least {failures} in {window.kql}. {_describe_owner(jobs)}".strip(),
        ERROR,
        window,
        list_jobs_that_are_down(scope, failures),
        names.JOB_NAME,
        make_tags(portfolio, jobs),
    )


def _make_silence_rule(
    portfolio: Portfolio, role: str, group: str, window: AlertWindow, part: str, jobs: Sequence[PortfolioJob]
) -> LogAlertRule:
    limits = [(job.name, min(find_silence_limit(job) or 0.0, window.seconds)) for job in jobs]
    return LogAlertRule(
        make_rule_name(portfolio, f"silent-{_slug(group)}-{window.kql}{part}"),
        f"{_title(portfolio)}: {_noun(group)} silent ({window.kql}{part})",
        f"The latest run of a job is older than twice its interval, or it never ran. {_describe_owner(jobs)}".strip(),
        WARNING,
        window,
        list_silent_jobs(scope_of_rule(window.kql, role), limits),
        names.JOB_NAME,
        make_tags(portfolio, jobs),
    )


def _divide_by_group(portfolio: Portfolio) -> Iterator[tuple[str, Sequence[PortfolioJob]]]:
    """Yield the jobs without a group (empty name), then those of each group."""
    by_group: dict[str, list[PortfolioJob]] = {}
    for job in portfolio.active_jobs:
        by_group.setdefault(job.groups[0] if job.groups else "", []).append(job)
    yield from sorted(by_group.items())


def _divide_by_window(jobs: Sequence[PortfolioJob]) -> Iterator[tuple[AlertWindow, Sequence[PortfolioJob]]]:
    for window in WINDOWS:
        members = [job for job in jobs if _find_window(job) is window]
        if members:
            yield window, members


def _find_window(job: PortfolioJob) -> AlertWindow:
    if job.interval_s is None:
        return TWO_DAYS
    needed = job.interval_s * _RUNS_IN_WINDOW
    return next((window for window in WINDOWS if needed <= window.seconds), TWO_DAYS)


def _divide_by_silence(jobs: Sequence[PortfolioJob]) -> Iterator[tuple[AlertWindow, Sequence[PortfolioJob]]]:
    for window in WINDOWS:
        members = [job for job in jobs if _find_silence_window(job) is window]
        if members:
            yield window, members


def _find_silence_window(job: PortfolioJob) -> AlertWindow | None:
    """Return the window that contains the job's limit; that of two days also if it contains one interval and delays."""
    limit = find_silence_limit(job)
    if limit is None or job.interval_s is None:
        return None
    fitting = next((window for window in WINDOWS if limit <= window.seconds), None)
    return fitting or (TWO_DAYS if limit - job.interval_s <= TWO_DAYS.seconds else None)


def _divide(jobs: Sequence[PortfolioJob]) -> Iterator[tuple[str, Sequence[PortfolioJob]]]:
    """Yield parts that fit into a rule, with their suffix: the first one has none."""
    for start in range(0, len(jobs), MAX_RULE_JOBS):
        yield (f"-{start // MAX_RULE_JOBS + 1}" if start else ""), jobs[start : start + MAX_RULE_JOBS]


def _title(portfolio: Portfolio) -> str:
    return f"{portfolio.service} {portfolio.environment}"


def _slug(group: str) -> str:
    return make_slug(group) if group else "no-group"


def _noun(group: str) -> str:
    return f"jobs of {group}" if group else "jobs"


def _describe_owner(jobs: Sequence[PortfolioJob]) -> str:
    owners = {job.owner for job in jobs}
    return f"Owner: {owners.pop()}." if len(owners) == 1 and "" not in owners else ""
