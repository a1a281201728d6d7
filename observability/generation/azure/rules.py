"""The scheduled query rules: about jobs, about objectives, about the scheduler itself. Pure.

Jobs fail, are silent, were given up: one rule for each group, kind and window, split by job: Azure bills rules, and a
rule whose window fits its jobs reads few rows. A job that is in several groups belongs to the first one here, so that
it has one alert. The rules about objectives have the windows and factors of the scheduler's own burn alerts, as far as
Azure can evaluate them. The scheduler sends nothing, does not start, has an unhealthy part, or is late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from observability.generation.kql.runs import list_dead_letters, list_jobs_that_are_down, scope_of_rule
from observability.generation.kql.scheduler import find_counted
from observability.generation.portfolio import ObjectiveOfJobs, Portfolio, PortfolioJob

MAX_RULE_JOBS = 300
"""Jobs of one rule, unless an objective alone has more: their names are part of its query."""

WINDOWS = (HOUR, SIX_HOURS, TWO_DAYS)
_RUNS_IN_WINDOW = 3
"""A job belongs to the first window that contains so many of its intervals."""


class _RuleFactory:
    """Makes the rules of a portfolio."""

    def __init__(self, portfolio: Portfolio) -> None:
        self._portfolio = portfolio
        self._deployment = f"{portfolio.service} {portfolio.environment}"

    def make(
        self,
        key: str,
        title: str,
        description: str,
        severity: int,
        window: AlertWindow,
        query: str,
        dimension: str = "",
        jobs: Sequence[PortfolioJob] = (),
    ) -> LogAlertRule:
        """Return a rule. `key`: see make_rule_name. `jobs`: whose common tags it has."""
        name, tags = make_rule_name(self._portfolio, key), make_tags(self._portfolio, jobs)
        title = f"{self._deployment}: {title}"
        return LogAlertRule(name, title, description.strip(), severity, window, query, dimension, tags)


def make_job_rules(portfolio: Portfolio, role: str) -> Iterator[LogAlertRule]:
    """Yield the rules about jobs, sorted. `role`: as in scope_of_rule."""
    rule = _RuleFactory(portfolio)
    for group, jobs in _divide_by_group(portfolio):
        noun = f"jobs of {group}" if group else "jobs"
        slug = make_slug(group) if group else "no-group"
        for window, part, chunk in _divide_by_window(jobs, _find_window):
            failures = 1 if window is TWO_DAYS else 2
            scope = scope_of_rule(window.kql, role, [job.name for job in chunk])
            yield rule.make(
                f"down-{slug}-{window.kql}{part}",
                f"{noun} down ({window.kql}{part})",
                f"The latest run of a job is down, and at least {failures} in {window.kql}. {_describe_owner(chunk)}",
                ERROR,
                window,
                list_jobs_that_are_down(scope, failures),
                names.JOB_NAME,
                chunk,
            )
        for window, part, chunk in _divide_by_window(jobs, _find_silence_window):
            limits = [(job.name, min(find_silence_limit(job) or 0.0, window.seconds)) for job in chunk]
            yield rule.make(
                f"silent-{slug}-{window.kql}{part}",
                f"{noun} silent ({window.kql}{part})",
                f"The latest run of a job is older than twice its interval, or it never ran. {_describe_owner(chunk)}",
                WARNING,
                window,
                list_silent_jobs(scope_of_rule(window.kql, role), limits),
                names.JOB_NAME,
                chunk,
            )
    yield rule.make(
        "dead-letters",
        "runs given up",
        "A run was given up and stored as a dead letter. Inspect and replay it: `dead-letters list`.",
        WARNING,
        HOUR,
        list_dead_letters(scope_of_rule(HOUR.kql, role)),
        names.JOB_NAME,
    )


def _divide_by_group(portfolio: Portfolio) -> Iterator[tuple[str, Sequence[PortfolioJob]]]:
    """Yield the jobs without a group (empty name), then those of each group."""
    by_group: dict[str, list[PortfolioJob]] = {}
    for job in portfolio.active_jobs:
        by_group.setdefault(job.groups[0] if job.groups else "", []).append(job)
    yield from sorted(by_group.items())


def _divide_by_window(
    jobs: Sequence[PortfolioJob], find_window: Callable[[PortfolioJob], AlertWindow | None]
) -> Iterator[tuple[AlertWindow, str, Sequence[PortfolioJob]]]:
    """Yield the jobs of each window in parts that fit into a rule, with their suffix: the first one has none."""
    for window in WINDOWS:
        members = [job for job in jobs if find_window(job) is window]
        for start in range(0, len(members), MAX_RULE_JOBS):
            suffix = f"-{start // MAX_RULE_JOBS + 1}" if start else ""
            yield window, suffix, members[start : start + MAX_RULE_JOBS]


def _find_window(job: PortfolioJob) -> AlertWindow:
    if job.interval_s is None:
        return TWO_DAYS
    needed = job.interval_s * _RUNS_IN_WINDOW
    return next((window for window in WINDOWS if needed <= window.seconds), TWO_DAYS)


def _find_silence_window(job: PortfolioJob) -> AlertWindow | None:
    """Return the window that contains the job's limit; that of two days also if it contains one interval and delays."""
    limit = find_silence_limit(job)
    if limit is None or job.interval_s is None:
        return None
    fitting = next((window for window in WINDOWS if limit <= window.seconds), None)
    return fitting or (TWO_DAYS if limit - job.interval_s <= TWO_DAYS.seconds else None)


def _describe_owner(jobs: Sequence[PortfolioJob]) -> str:
    owners = {job.owner for job in jobs}
    return f"Owner: {owners.pop()}." if len(owners) == 1 and "" not in owners else ""


MAX_OBJECTIVE_JOBS = 2000
"""Jobs of an objective that has a rule: their names are part of its query."""


def make_objective_rules(portfolio: Portfolio, role: str) -> Iterator[LogAlertRule]:
    """Yield the rules of all objectives; none without an objective. `role`: as in scope_of_rule."""
    rule = _RuleFactory(portfolio)
    for number, chunk in enumerate(_divide_objectives(find_objectives(portfolio)), 1):
        part = "" if number == 1 else f"-{number}"
        jobs = {job.name: job for objective in chunk for job in objective.jobs}
        for pair in map(fit_pair, BURN_PAIRS):
            window = _find_burn_window(pair)
            scope = scope_of_rule(window.kql, role, sorted(jobs))
            yield rule.make(
                f"budget-{window.kql}{part}",
                f"error budget ({window.kql}{part})",
                f"An error budget is spent more than {pair.factor:g} times too fast, in the last {window.kql} and "
                f"still in the last {pair.short.total_seconds() / 60:g} minutes.",
                ERROR if pair.is_page else WARNING,
                window,
                list_burning_objectives(scope, chunk, pair.factor, pair.long, pair.short),
                OBJECTIVE,
                list(jobs.values()),
            )


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


def _find_burn_window(pair: BurnPair) -> AlertWindow:
    return next(window for window in (HOUR, SIX_HOURS, DAY, TWO_DAYS) if pair.long.total_seconds() <= window.seconds)


def _divide_objectives(objectives: Sequence[ObjectiveOfJobs]) -> Iterator[Sequence[ObjectiveOfJobs]]:
    """Yield parts whose jobs fit into one rule."""
    chunk: list[ObjectiveOfJobs] = []
    for objective in objectives:
        if chunk and sum(len(each.jobs) for each in (*chunk, objective)) > MAX_RULE_JOBS:
            yield chunk
            chunk = []
        chunk.append(objective)
    if chunk:
        yield chunk


MAX_TICK_GAP_S = 180.0
MAX_QUEUE_AGE_S = 300.0


def make_scheduler_rules(portfolio: Portfolio, role: str) -> Iterator[LogAlertRule]:
    """Yield the rules. `role`: as in scope_of_rule."""
    recent, day, hour = (scope_of_rule(window.kql, role) for window in (QUARTER, DAY, HOUR))
    rule = _RuleFactory(portfolio)
    slow_day = AlertWindow(DAY.kql, DAY.iso, DAY.seconds, "PT15M")
    silence = "Nothing has arrived from the scheduler for 15 minutes: it does not run, or its telemetry is blocked."
    failure = "The scheduler cannot start, so no job runs. The message has every problem."
    part = "The watchdog reports a part of the scheduler as unhealthy: jobs, queue or secrets."
    failed, parts = scheduler.find_log_event(recent, names.SERVICE_FAILED), scheduler.find_unhealthy_parts(day)
    yield rule.make("scheduler-no-ticks", "no ticks", silence, CRITICAL, QUARTER, scheduler.find_missing_gauges(recent))
    yield rule.make("scheduler-start-failed", "the start failed", failure, CRITICAL, QUARTER, failed)
    yield rule.make("scheduler-unhealthy", "a part is unhealthy", part, ERROR, slow_day, parts, names.PART)
    for gauge, limit, severity, title, description in _GAUGE_RULES:
        query = scheduler.find_high_gauge(recent, gauge, limit)
        yield rule.make(f"scheduler-{gauge.replace('_', '-')}", title, description, severity, QUARTER, query)
    for key, metric, title in (
        ("undelivered", names.UNDELIVERED_NOTIFICATIONS, "notifications were given up"),
        ("lost-telemetry", names.DROPPED_TELEMETRY, "telemetry was lost"),
    ):
        description = f"{metric.description} In the last hour."
        yield rule.make(f"scheduler-{key}", title, description, WARNING, HOUR, find_counted(hour, metric))


_GAUGE_RULES = (
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
)
