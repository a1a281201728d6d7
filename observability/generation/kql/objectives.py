"""Queries about objectives: how fast their error budgets are spent. Called by the generators of Azure and Grafana.

Bad runs always have their own rows. Good runs are sampled: in a window that is shorter than an hour, their number
follows from the intervals of the jobs. Backfills show the target of another instant and do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from observability import names
from observability.generation.core.portfolio import ObjectiveOfJobs
from observability.generation.kql.runs import select_runs
from observability.generation.kql.scope import QueryScope
from observability.generation.kql.text import (
    HAS_CHECKED,
    IS_CURRENT,
    IS_DOWN,
    format_seconds,
    make_table,
    pipe,
    quote,
    read_property,
    where,
)

JOB = names.JOB_NAME
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
