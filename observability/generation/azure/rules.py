"""The scheduled query rules: about jobs, about objectives, about the scheduler itself. Pure.

Jobs fail, are silent, were given up: one rule for each group, kind and window, split by job: Azure bills rules, and a
rule whose window fits its jobs reads few rows. A job that is in several groups belongs to the first one here, so that
it has one alert. The rules about objectives have the windows and factors of the scheduler's own burn alerts, as far as
Azure can evaluate them. The scheduler sends nothing, does not start, has an unhealthy part, or is late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from jobs.objectives import BURN_PAIRS, BurnPair
from observability import names
from observability.generation.azure.resources import (
    CRITICAL,
    DAY,
    ERROR,
    HOUR,
    QUARTER,
    SIX_HOURS,
    TWO_DAYS,
    WARNING,
    AlertWindow,
    LogAlertRule,
    make_rule_name,
    make_slug,
    make_tags,
)
from observability.generation.kql import scheduler
from observability.generation.kql.objectives import (
    OBJECTIVE,
    find_silence_limit,
    list_burning_objectives,
    list_silent_jobs,
)
from observability.generation.kql.runs import QueryScope, list_dead_letters, list_jobs_that_are_down, scope_of_rule
from observability.generation.kql.scheduler import find_counted
from observability.generation.portfolio import ObjectiveOfJobs, Portfolio, PortfolioJob

MAX_RULE_JOBS = 300
"""Jobs of one rule: their names are part of its query."""

WINDOWS = (HOUR, SIX_HOURS, TWO_DAYS)
_RUNS_IN_WINDOW = 3
"""A job belongs to the first window that contains so many of its intervals."""


def make_job_rules(portfolio: Portfolio, role: str) -> Iterator[LogAlertRule]:
    """Yield the rules about jobs, sorted. `role`: as in scope_of_rule."""
    for group, jobs in _divide_by_group(portfolio):
        for window, members in _divide_by_window(jobs):
            for part, chunk in _divide_jobs(members):
                yield _make_failure_rule(portfolio, role, group, window, part, chunk)
        for window, members in _divide_by_silence(jobs):
            for part, chunk in _divide_jobs(members):
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


def _divide_jobs(jobs: Sequence[PortfolioJob]) -> Iterator[tuple[str, Sequence[PortfolioJob]]]:
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


MAX_OBJECTIVE_JOBS = 2000
"""Jobs of an objective that has a rule: their names are part of its query."""
_MAX_RULE_JOBS = 300
"""Jobs of one rule, unless an objective alone has more."""


def make_objective_rules(portfolio: Portfolio, role: str) -> Iterator[LogAlertRule]:
    """Yield the rules of all objectives; none without an objective. `role`: as in scope_of_rule."""
    for number, chunk in enumerate(_divide_objectives(find_objectives(portfolio)), 1):
        part = "" if number == 1 else f"-{number}"
        for pair in BURN_PAIRS:
            yield _make_burn_rule(portfolio, role, chunk, fit_pair(pair), part)


def find_objectives(portfolio: Portfolio) -> Sequence[ObjectiveOfJobs]:
    """Return the objectives that can have a rule: not over too many jobs."""
    return [objective for objective in portfolio.objectives if len(objective.jobs) <= MAX_OBJECTIVE_JOBS]


def fit_pair(pair: BurnPair) -> BurnPair:
    """Return the pair with windows that Azure can evaluate. The shorter window gets a higher factor, so that the rule
    fires at the same share of the budget."""
    longest = timedelta(seconds=TWO_DAYS.seconds)
    if pair.long <= longest:
        return pair
    return BurnPair(pair.factor * (pair.long / longest), longest, pair.short, pair.is_page)


def _make_burn_rule(
    portfolio: Portfolio, role: str, objectives: Sequence[ObjectiveOfJobs], pair: BurnPair, part: str
) -> LogAlertRule:
    window = _find_burn_window(pair)
    jobs = {job.name: job for objective in objectives for job in objective.jobs}
    scope = scope_of_rule(window.kql, role, sorted(jobs))
    return LogAlertRule(
        make_rule_name(portfolio, f"budget-{window.kql}{part}"),
        f"{portfolio.service} {portfolio.environment}: error budget ({window.kql}{part})",
        f"An error budget is spent more than {pair.factor:g} times too fast, in the last {window.kql} and still in the "
        f"last {pair.short.total_seconds() / 60:g} minutes.",
        ERROR if pair.is_page else WARNING,
        window,
        list_burning_objectives(scope, objectives, pair.factor, pair.long, pair.short),
        OBJECTIVE,
        make_tags(portfolio, list(jobs.values())),
    )


def _find_burn_window(pair: BurnPair) -> AlertWindow:
    return next(window for window in (HOUR, SIX_HOURS, DAY, TWO_DAYS) if pair.long.total_seconds() <= window.seconds)


def _divide_objectives(objectives: Sequence[ObjectiveOfJobs]) -> Iterator[Sequence[ObjectiveOfJobs]]:
    """Yield parts whose jobs fit into one rule."""
    chunk: list[ObjectiveOfJobs] = []
    for objective in objectives:
        if chunk and sum(len(each.jobs) for each in (*chunk, objective)) > _MAX_RULE_JOBS:
            yield chunk
            chunk = []
        chunk.append(objective)
    if chunk:
        yield chunk


MAX_TICK_GAP_S = 180.0
MAX_QUEUE_AGE_S = 300.0


def make_scheduler_rules(portfolio: Portfolio, role: str) -> Iterator[LogAlertRule]:
    """Yield the rules. `role`: as in scope_of_rule."""
    recent, day = scope_of_rule(QUARTER.kql, role), scope_of_rule(DAY.kql, role)
    rule = _RuleFactory(portfolio)
    yield rule.make(
        "no-ticks",
        "no ticks",
        "Nothing has arrived from the scheduler for 15 minutes: it does not run, or its telemetry is blocked.",
        CRITICAL,
        QUARTER,
        scheduler.find_missing_gauges(recent),
    )
    yield rule.make(
        "start-failed",
        "the start failed",
        "The scheduler cannot start, so no job runs. The message has every problem.",
        CRITICAL,
        QUARTER,
        scheduler.find_log_event(recent, names.SERVICE_FAILED),
    )
    yield rule.make(
        "unhealthy",
        "a part is unhealthy",
        "The watchdog reports a part of the scheduler as unhealthy: jobs, queue or secrets.",
        ERROR,
        AlertWindow(DAY.kql, DAY.iso, DAY.seconds, "PT15M"),
        scheduler.find_unhealthy_parts(day),
        names.PART,
    )
    yield from _make_gauge_rules(rule, recent)
    hour = scope_of_rule(HOUR.kql, role)
    for key, metric, title in (
        ("undelivered", names.UNDELIVERED_NOTIFICATIONS, "notifications were given up"),
        ("lost-telemetry", names.DROPPED_TELEMETRY, "telemetry was lost"),
    ):
        yield rule.make(
            key, title, f"{metric.description} In the last hour.", WARNING, HOUR, find_counted(hour, metric)
        )


def _make_gauge_rules(rule: _RuleFactory, scope: QueryScope) -> Iterator[LogAlertRule]:
    for gauge, limit, severity, title, description in (
        (
            scheduler.TICK_GAP,
            MAX_TICK_GAP_S,
            ERROR,
            "ticks are late",
            f"The last tick is older than {MAX_TICK_GAP_S:g} s.",
        ),
        (
            scheduler.QUEUE_AGE,
            MAX_QUEUE_AGE_S,
            ERROR,
            "tickets wait",
            f"A ticket that could run has been waiting for {MAX_QUEUE_AGE_S:g} s.",
        ),
        (
            scheduler.SILENT_JOBS,
            0.0,
            WARNING,
            "silent jobs",
            "Jobs have not run for twice their interval, as the scheduler counts them: also those with long intervals.",
        ),
        (
            scheduler.POISON_DEPTH,
            0.0,
            WARNING,
            "poison messages",
            "Messages are in the poison queue and not dead letters yet.",
        ),
    ):
        query = scheduler.find_high_gauge(scope, gauge, limit)
        yield rule.make(gauge.replace("_", "-"), title, description, severity, QUARTER, query)


class _RuleFactory:
    def __init__(self, portfolio: Portfolio) -> None:
        self._portfolio = portfolio

    def make(
        self,
        key: str,
        title: str,
        description: str,
        severity: int,
        window: AlertWindow,
        query: str,
        dimension: str = "",
    ) -> LogAlertRule:
        named = f"{self._portfolio.service} {self._portfolio.environment}: {title}"
        name = make_rule_name(self._portfolio, f"scheduler-{key}")
        return LogAlertRule(name, named, description, severity, window, query, dimension, make_tags(self._portfolio))
