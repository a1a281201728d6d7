"""Queries about availability, jobs that do not run any more, and how fast the error budgets of objectives are spent.

Bad runs always have their own rows. Good runs are sampled: in a window that is shorter than an hour, their number
follows from the intervals of the jobs. Backfills show the target of another instant and do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from observability import names
from observability.exporters.measurements import METRIC_WINDOW_S
from observability.generation.kql.runs import (
    HAS_CHECKED,
    IS_CURRENT,
    IS_DOWN,
    QueryScope,
    format_seconds,
    make_table,
    pipe,
    quote,
    read_property,
    select_runs,
    where,
)
from observability.generation.portfolio import ObjectiveOfJobs, PortfolioJob
from observability.sampling import SAMPLE_INTERVAL

INGESTION_S = 300.0
"""Seconds until a row can be found: its way through the exporter and the intake."""

JOB = names.JOB_NAME


def select_availability(scope: QueryScope) -> str:
    """Return the rows of availability, with a column for the job."""
    return pipe(
        "availabilityResults",
        where(scope.time),
        where(scope.roles),
        f"extend {JOB} = name",
        where(scope.jobs),
    )


def chart_availability(scope: QueryScope) -> str:
    """The availability of all selected jobs together over time."""
    return pipe(
        select_availability(scope),
        f"summarize Availability = {_SHARE} by bin(timestamp, {scope.step})",
        "order by timestamp asc",
    )


_SHARE = "100.0 * sumif(itemCount, tobool(success)) / sum(itemCount)"


def find_silence_limit(job: PortfolioJob) -> float | None:
    """Return the seconds without a run after which a job is silent: twice its interval, and what its rows are delayed.

    None if it has no interval, or no rows from which its latest run is known.
    """
    if job.interval_s is None:
        return None
    delays = []
    if job.reporting.events == "all" or job.reporting.availability == "all":
        delays.append(0.0)
    if job.reporting.metrics in ("all", "job"):
        delays.append(METRIC_WINDOW_S)
    if "failures" in (job.reporting.events, job.reporting.availability):
        delays.append(SAMPLE_INTERVAL.total_seconds())
    return 2 * job.interval_s + INGESTION_S + min(delays) if delays else None


def list_silent_jobs(scope: QueryScope, limits: Iterable[tuple[str, float]]) -> str:
    """The jobs whose latest run is older than their limit, or that have none in the scope. `limits`: seconds by job."""
    rows = ((quote(job), format_seconds(limit)) for job, limit in limits)
    return (
        f"let Limits = {make_table({JOB: 'string', 'Limit': 'timespan'}, rows)};\n"
        f"let Latest = {_select_latest(scope)};\n"
        + pipe(
            "Limits",
            where(scope.jobs),
            f"where isnotempty({JOB})",
            f"join kind=leftouter Latest on {JOB}",
            "where isnull(LatestRun) or LatestRun < now() - Limit",
            f"project {JOB}, LatestRun, Silence = now() - LatestRun, Limit",
            "order by LatestRun asc",
        )
    )


def _select_latest(scope: QueryScope) -> str:
    """Return the latest run of each job, from whichever rows it has."""
    events = pipe(
        "customEvents",
        where(scope.time),
        where(f"name == {quote(names.RUN_EVENT.name)}"),
        where(scope.roles),
        f"project timestamp, {JOB} = {read_property(names.JOB_NAME)}",
    )
    metrics = pipe(
        "customMetrics",
        where(scope.time),
        where(f"name == {quote(names.RUNS.name)}"),
        where(scope.roles),
        f"project timestamp, {JOB} = {read_property(names.TAG_JOB)}",
    )
    rows = pipe("availabilityResults", where(scope.time), where(scope.roles), f"project timestamp, {JOB} = name")
    return pipe(f"union ({events}), ({metrics}), ({rows})", f"summarize LatestRun = max(timestamp) by {JOB}")


OBJECTIVE = "Objective"
"""The column with the name of the objective."""

_EXACT_COUNTS = timedelta(hours=1)
"""Rows represent up to 15 minutes of runs."""
_TIME = quote("time")
_IS_BAD = f"{IS_DOWN} or (IsDegradedBad and {names.DEGRADED})"
_COLUMNS = {
    OBJECTIVE: "string",
    JOB: "string",
    "Target": "real",
    "Counts": "string",
    "IsDegradedBad": "bool",
    "IsScheduled": "bool",
    "RunsPerSecond": "real",
    "Jobs": "real",
}
"""`RunsPerSecond`, `Jobs`: of all scheduled jobs, and of all jobs, of the objective."""


def list_burning_objectives(
    scope: QueryScope,
    objectives: Sequence[ObjectiveOfJobs],
    factor: float,
    long: timedelta,
    short: timedelta,
) -> str:
    """The objectives whose budget is spent more than `factor` times too fast in both windows."""
    return (
        f"{_define_rows(scope, objectives)}"
        f"let Long = {_measure_burn(objectives, long)};\n"
        f"let Short = {_measure_burn(objectives, short)};\n"
        + pipe(
            "Long",
            f"join kind=inner Short on {OBJECTIVE}",
            f"where Burn > {factor:g} and Burn1 > {factor:g}",
            f"project {OBJECTIVE}, LongBurn = Burn, ShortBurn = Burn1, Target",
            "order by LongBurn desc",
        )
    )


def list_budgets(scope: QueryScope, objectives: Sequence[ObjectiveOfJobs]) -> str:
    """The share of good runs of each objective in the scope, and the burn rate that it means."""
    return _define_rows(scope, objectives) + pipe(
        "RunRows",
        f"join kind=inner Objectives on {JOB}",
        f"summarize Runs = sum(itemCount), Bad = sumif(itemCount, {_IS_BAD}) by {OBJECTIVE}, Target",
        "extend GoodRate = iff(Runs == 0, real(null), 100.0 * (Runs - Bad) / Runs)",
        "extend BurnRate = iff(Runs == 0, real(null), 1.0 * Bad / Runs / (1 - Target / 100))",
        f"project {OBJECTIVE}, Target, GoodRate, Runs, Bad, BurnRate",
        "order by BurnRate desc",
    )


def _define_rows(scope: QueryScope, objectives: Sequence[ObjectiveOfJobs]) -> str:
    rows = pipe(
        select_runs(scope),
        where(HAS_CHECKED),
        where(IS_CURRENT),
        f"extend {names.DEGRADED} = tobool({read_property(names.DEGRADED)})",
        f"project timestamp, {JOB}, {names.OUTCOME}, {names.DEGRADED}, itemCount",
    )
    return f"let Objectives = {_make_table(objectives)};\nlet RunRows = {rows};\n"


def _make_table(objectives: Sequence[ObjectiveOfJobs]) -> str:
    """Return a table with a row for each job of each objective."""
    rows = []
    for objective in objectives:
        definition = objective.objective
        rate = sum(1 / job.interval_s for job in objective.jobs if job.interval_s)
        for job in objective.jobs:
            row = (
                quote(objective.name),
                quote(job.name),
                f"real({definition.target!r})",
                quote(definition.counts),
                _format_bool(definition.is_degraded_bad),
                _format_bool(job.interval_s is not None),
                f"real({rate:.9f})",
                f"real({len(objective.jobs)})",
            )
            rows.append(row)
    return make_table(_COLUMNS, rows)


def _format_bool(value: bool) -> str:
    return "true" if value else "false"


def _measure_burn(objectives: Sequence[ObjectiveOfJobs], window: timedelta) -> str:
    """Return the burn rate of each objective in the last time, by what it counts."""
    counts = {objective.objective.counts for objective in objectives}
    parts = [_measure_bad_runs(window)] if counts != {"time"} else []
    if "time" in counts:
        parts.append(_measure_bad_time(window))
    return parts[0] if len(parts) == 1 else f"union ({parts[0]}), ({parts[1]})"


def _measure_bad_runs(window: timedelta) -> str:
    span = format_seconds(window.total_seconds())
    counted = "todouble(Counted)"
    if window < _EXACT_COUNTS:
        counted = f"max_of(Unscheduled + RunsPerSecond * {window.total_seconds():g}, 1.0)"
    return pipe(
        "RunRows",
        f"where timestamp > ago({span})",
        f"join kind=inner (Objectives | where Counts != {_TIME}) on {JOB}",
        f"summarize Counted = sum(itemCount), Unscheduled = sumif(itemCount, not(IsScheduled)), "
        f"Bad = sumif(itemCount, {_IS_BAD}) by {OBJECTIVE}, Target, RunsPerSecond",
        f"extend Burn = iff(Counted == 0, 0.0, 1.0 * Bad / {counted} / (1 - Target / 100))",
        f"project {OBJECTIVE}, Burn, Target",
    )


def _measure_bad_time(window: timedelta) -> str:
    """An outage lasts from a bad run until the next row: the first good run after it always has one."""
    span = format_seconds(window.total_seconds())
    return pipe(
        "RunRows",
        f"where timestamp > ago({span})",
        f"order by {JOB} asc, timestamp asc",
        f"extend Until = iff(next({JOB}) == {JOB}, next(timestamp), now())",
        f"summarize Bad = sumif(Until - timestamp, {IS_DOWN}) by {JOB}",
        f"join kind=inner (Objectives | where Counts == {_TIME}) on {JOB}",
        f"summarize Bad = sum(Bad) by {OBJECTIVE}, Target, Jobs",
        f"extend Burn = Bad / {span} / Jobs / (1 - Target / 100)",
        f"project {OBJECTIVE}, Burn, Target",
    )
