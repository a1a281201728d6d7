"""Monitors of jobs, of alert groups and of the scheduler; SLOs from the objectives of jobs, and burn rate monitors.
What all documents for Datadog have: their kinds, tags, the keys of items of their lists, and queries about metrics.
Pure.

A metric has the tags of its declaration, `env` and `service`; the tag `job` and the tags of a job only where
`telemetry.metrics` splits it by job. Datadog evaluates what it got. So one of the monitors, the dead-man monitor,
notifies if nothing arrives.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta

from jobs.objectives import BURN_PAIRS
from observability import names
from observability.exporters.measurements import is_split_by_job
from observability.generation.document import GeneratedDocument, ItemKey, Json, reference_id
from observability.generation.portfolio import ObjectiveOfJobs, Portfolio, PortfolioJob

BAD_OUTCOMES = ("failed", "timed_out", "rejected")
"""Outcomes of a run whose target is down."""
JUDGED_OUTCOMES = ("succeeded", *BAD_OUTCOMES)
"""Outcomes that count for the success rate: skipped and cancelled runs do not."""

WATCHDOG = "scheduler.watchdog"

_NOT_IN_TAGS = re.compile(r"[^\w./:-]")


def tag_value(text: str) -> str:
    """Return a value as Datadog stores it: in lower case, with `_` for characters that tags cannot have."""
    return _NOT_IN_TAGS.sub("_", text.lower())[:200]


def scope_tags(portfolio: Portfolio) -> tuple[str, str]:
    """Return the tags of everything that this deployment sends."""
    return (
        f"{names.TAG_ENV}:{tag_value(portfolio.datadog_env)}",
        f"{names.TAG_SERVICE}:{tag_value(portfolio.datadog_service)}",
    )


def make_scope(portfolio: Portfolio, *conditions: str) -> str:
    """Return the filter of a monitor's query, in braces: these conditions within the deployment."""
    return f"{{{' AND '.join((*scope_tags(portfolio), *conditions))}}}"


def is_in(tag: str, values: Iterable[str]) -> str:
    """Return the condition that a tag has one of the values."""
    found = sorted({tag_value(value) for value in values})
    return f"{tag}:{found[0]}" if len(found) == 1 else f"{tag} IN ({', '.join(found)})"


def is_split(metric: names.Metric, job: PortfolioJob) -> bool:
    """Whether the metric of a job has the tag `job`."""
    return is_split_by_job(metric, job.reporting.metrics)


def split_jobs(metric: names.Metric, jobs: Iterable[PortfolioJob]) -> tuple[PortfolioJob, ...]:
    """Return the jobs for which the metric has the tag `job`."""
    return tuple(job for job in jobs if is_split(metric, job))


DASHBOARD, MONITOR, OBJECTIVE = "dashboard", "monitor", "slo"
"""Kinds of documents."""

ITEM_KEYS: tuple[ItemKey, ...] = (("definition", "title"), ("name",), ("timeframe",), ("title",))
ID_TAG = "generated_id"
_NOT_IN_FILE_NAMES = re.compile(r"[^a-z0-9._-]+")


def make_document(kind: str, key: str, value: Json) -> GeneratedDocument:
    """Return the document with this key, which is the name of its file."""
    return GeneratedDocument(f"{kind}s/{key}.json", value, kind, ITEM_KEYS)


def make_key(*parts: str) -> str:
    """Return a text for file names and tags: another one for other parts, whatever characters they contain."""
    plain = _NOT_IN_FILE_NAMES.sub("-", "-".join(parts).lower())
    if plain == "-".join(parts):
        return plain[:100]
    return f"{plain[:80]}-{zlib.crc32('/'.join(parts).encode()):08x}"


def make_tags(key: str, portfolio: Portfolio, *more: str) -> list[str]:
    """Return the tags of a monitor or SLO, sorted. `generated_id` finds it again."""
    return sorted({*scope_tags(portfolio), f"{ID_TAG}:{make_id(key, portfolio)}", "generated:scheduler", *more})


def make_id(key: str, portfolio: Portfolio) -> str:
    """Return what identifies a document among those of all deployments of an organisation."""
    place = zlib.crc32(" ".join(scope_tags(portfolio)).encode())
    return f"{key}-{place:08x}"


_STOPPED_TICK_S = 180
_NO_DATA_MINUTES = 10
"""The gauges arrive each minute; Datadog needs at least twice the window of the query."""
_BAD_GROUP_PERCENT = 10
"""Share of bad runs of a group, above which people are notified."""
_MAX_LATENESS_MS = 60_000


def make_monitors(portfolio: Portfolio) -> Iterator[GeneratedDocument]:
    """Yield the monitors."""
    yield _make_dead_man(portfolio)
    if portfolio.active_jobs:
        yield _make_status(portfolio)
    yield from _make_program_monitors(portfolio)
    yield from _make_group_monitors(portfolio)


def _make_dead_man(portfolio: Portfolio) -> GeneratedDocument:
    """Ticks have stopped, or no gauge arrives: the process is gone, or its telemetry."""
    query = f"max(last_5m):max:{WATCHDOG}.tick_gap{make_scope(portfolio)} > {_STOPPED_TICK_S}"
    message = (
        "{{#is_no_data}}The scheduler sends nothing: it does not run, or cannot reach Datadog. No other monitor of it "
        "can alert.{{/is_no_data}}{{#is_alert}}The scheduler has planned no runs for {{value}} s.{{/is_alert}}"
    )
    more = {"notify_no_data": True, "no_data_timeframe": _NO_DATA_MINUTES, "renotify_interval": 60}
    name = f"Scheduler is silent ({portfolio.datadog_env})"
    return _metric_monitor(portfolio, "scheduler-silent", name, query, _STOPPED_TICK_S, message, 1, more)


def _make_status(portfolio: Portfolio) -> GeneratedDocument:
    """Three consecutive runs of a job are bad; each job alerts for itself, new ones included."""
    key = "job-status"
    over = ",".join(f'"{tag}"' for tag in scope_tags(portfolio))
    value = {
        "name": f"{{{{job.name}}}} is down ({portfolio.datadog_env})",
        "type": "service check",
        "query": f'"{names.SERVICE_CHECK.name}".over({over}).by("{names.TAG_JOB}").last(4).count_by_status()',
        "message": "{{#is_alert}}{{job.name}} is down: {{check_message}}{{/is_alert}}"
        "{{#is_recovery}}{{job.name}} is up again.{{/is_recovery}}",
        "options": {
            "thresholds": {"critical": 3, "warning": 3, "ok": 1},
            "notify_no_data": False,
            "include_tags": True,
        },
        "priority": 2,
        "tags": make_tags(key, portfolio),
    }
    return make_document(MONITOR, key, value)


def _make_program_monitors(portfolio: Portfolio) -> Iterator[GeneratedDocument]:
    scope, env = make_scope(portfolio), portfolio.datadog_env
    yield _metric_monitor(
        portfolio,
        "silent-jobs",
        f"Jobs are silent ({env})",
        f"max(last_10m):max:{WATCHDOG}.silent_jobs{scope} > 0",
        0,
        "{{value}} jobs have not run for twice their interval. GET /api/watchdog names them.",
        2,
    )
    yield _metric_monitor(
        portfolio,
        "dead-letters",
        f"Runs were given up ({env})",
        f"sum(last_1h):sum:{names.DEAD_LETTERS.name}{scope} by {{{names.TAG_JOB}}}.as_count() > 0",
        0,
        "{{job.name}} has {{value}} new dead letters: `dead-letters list` shows them; replay or discard them.",
        3,
    )
    yield _metric_monitor(
        portfolio,
        "undelivered-notifications",
        f"Notifications are undelivered ({env})",
        f"sum(last_15m):sum:{names.UNDELIVERED_NOTIFICATIONS.name}{scope} by {{{names.TAG_CHANNEL_KIND}}}"
        ".as_count() > 0",
        0,
        "{{value}} notifications were given up: `channels undelivered` lists them with the reason.",
        2,
    )
    yield _metric_monitor(
        portfolio,
        "lateness",
        f"Runs start late ({env})",
        f"avg(last_15m):avg:{names.LATENESSES.name}{scope} > {_MAX_LATENESS_MS}",
        _MAX_LATENESS_MS,
        "Runs start {{value}} ms late on average: there are more jobs than `concurrency` allows, or the store is slow.",
        3,
    )


def _make_group_monitors(portfolio: Portfolio) -> Iterator[GeneratedDocument]:
    for name, members in portfolio.groups.items():
        jobs = split_jobs(names.RUNS, members)
        if not jobs:
            continue
        own = is_in(names.TAG_JOB, [job.name for job in jobs])
        bad = f"sum:{names.RUNS.name}{make_scope(portfolio, own, is_in(names.TAG_OUTCOME, BAD_OUTCOMES))}.as_count()"
        all_runs = (
            f"sum:{names.RUNS.name}{make_scope(portfolio, own, is_in(names.TAG_OUTCOME, JUDGED_OUTCOMES))}.as_count()"
        )
        yield _metric_monitor(
            portfolio,
            make_key("group", name),
            f"Group {name} is failing ({portfolio.datadog_env})",
            f"sum(last_15m):100 * default_zero({bad}) / {all_runs} > {_BAD_GROUP_PERCENT}",
            _BAD_GROUP_PERCENT,
            f"{{{{value}}}} % of the runs of the group {name} are bad.",
            2,
        )


def _metric_monitor(
    portfolio: Portfolio,
    key: str,
    name: str,
    query: str,
    critical: float,
    message: str,
    priority: int,
    options: Json = None,
) -> GeneratedDocument:
    value = {
        "name": name,
        "type": "query alert",
        "query": query,
        "message": message,
        "options": {
            "thresholds": {"critical": critical},
            "notify_no_data": False,
            "include_tags": True,
            **(options or {}),
        },
        "priority": priority,
        "tags": make_tags(key, portfolio),
    }
    return make_document(MONITOR, key, value)


WINDOWS_DAYS = (7, 30, 90)
"""Windows that Datadog's SLOs have."""
_SLICE_S = 300
"""Seconds of a slice of an objective that counts time."""
_PAGE_PRIORITY, _TICKET_PRIORITY = 1, 3


def find_objectives(portfolio: Portfolio) -> Iterator[ObjectiveOfJobs]:
    """Yield the objectives, with those jobs whose runs are counted by job; none without such a job."""
    for found in portfolio.objectives:
        if jobs := split_jobs(names.RUNS, found.jobs):
            yield replace(found, jobs=jobs)


def make_objectives(portfolio: Portfolio) -> Iterator[GeneratedDocument]:
    """Yield an SLO for each objective."""
    for goal in find_objectives(portfolio):
        objective, key = goal.objective, make_objective_key(goal)
        window = fit_window(objective.window_days)
        value = {
            "name": f"{goal.name}: {objective.target:g} % of {objective.counts} ({portfolio.datadog_env})",
            "description": f"The objective {goal.name}. Generated from its job file.",
            "tags": make_tags(key, portfolio),
            "thresholds": [{"target": objective.target, "timeframe": window}],
            "target_threshold": objective.target,
            "timeframe": window,
            **(_count_time if objective.counts == "time" else _count_runs)(portfolio, goal),
        }
        yield make_document(OBJECTIVE, key, value)


def make_burn_rate_monitors(portfolio: Portfolio) -> Iterator[GeneratedDocument]:
    """Yield the monitors of each SLO. They reference it by its id, which is known once it has been applied."""
    for goal in find_objectives(portfolio):
        slo = reference_id(f"{OBJECTIVE}s/{make_objective_key(goal)}.json")
        over = fit_window(goal.objective.window_days)
        for pair in BURN_PAIRS:
            long, short = _format_window(pair.long), _format_window(pair.short)
            key = make_key("burn-rate", long, goal.name)
            query = f'burn_rate("{slo}").over("{over}").long_window("{long}").short_window("{short}") > {pair.factor:g}'
            value = {
                "name": f"{goal.name} spends its error budget {pair.factor:g} times too fast ({long})",
                "type": "slo alert",
                "query": query,
                "message": f"At this rate the error budget of {goal.name} for {over} is spent early.",
                "options": {"thresholds": {"critical": pair.factor}, "include_tags": True},
                "priority": _PAGE_PRIORITY if pair.is_page else _TICKET_PRIORITY,
                "tags": make_tags(key, portfolio),
            }
            yield make_document(MONITOR, key, value)


def make_objective_key(goal: ObjectiveOfJobs) -> str:
    """Return the key of the SLO's document."""
    return make_key("objective", goal.name)


def _format_window(span: timedelta) -> str:
    """Datadog knows minutes and hours."""
    minutes = int(span.total_seconds() // 60)
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


def fit_window(days: int) -> str:
    """Return the shortest window of Datadog that is not shorter, otherwise its longest."""
    return f"{next((window for window in WINDOWS_DAYS if window >= days), WINDOWS_DAYS[-1])}d"


def _run_queries(portfolio: Portfolio, goal: ObjectiveOfJobs) -> tuple[str, str]:
    """The number of good runs, and of judged ones."""
    own = is_in(names.TAG_JOB, [job.name for job in goal.jobs])
    strict = [f"{names.TAG_DEGRADED}:false"] if goal.objective.is_degraded_bad else []
    good = make_scope(portfolio, own, is_in(names.TAG_OUTCOME, ["succeeded"]), *strict)
    judged = make_scope(portfolio, own, is_in(names.TAG_OUTCOME, JUDGED_OUTCOMES))
    return f"sum:{names.RUNS.name}{good}.as_count()", f"sum:{names.RUNS.name}{judged}.as_count()"


def _count_runs(portfolio: Portfolio, goal: ObjectiveOfJobs) -> Json:
    good, judged = _run_queries(portfolio, goal)
    return {"type": "metric", "query": {"numerator": good, "denominator": judged}}


def _count_time(portfolio: Portfolio, goal: ObjectiveOfJobs) -> Json:
    """A slice of time is good if most of its runs are."""
    good, judged = _run_queries(portfolio, goal)
    queries = [
        {"data_source": "metrics", "name": "good", "query": good},
        {"data_source": "metrics", "name": "judged", "query": judged},
    ]
    query = {"formulas": [{"formula": "good / judged"}], "queries": queries}
    time_slice = {"comparator": ">", "threshold": 0.5, "query": query, "query_interval_seconds": _SLICE_S}
    return {"type": "time_slice", "sli_specification": {"time_slice": time_slice}}
