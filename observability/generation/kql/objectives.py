"""Queries about objectives: how fast the error budget of each job is spent. Called by the generators of Azure and
Grafana.

Bad runs always have their own rows. Good runs are sampled: in a window that is shorter than an hour, their number
follows from the interval of the job.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from observability import names
from observability.generation.core.portfolio import PortfolioJob
from observability.generation.kql.runs import select_runs
from observability.generation.kql.scope import QueryScope
from observability.generation.kql.text import HAS_CHECKED, IS_DOWN, format_seconds, make_table, pipe, quote, where

JOB = names.JOB_NAME
_SECONDS_OF_EXACT_COUNTS = 3600.0
"""Rows represent up to 15 minutes of runs."""


@dataclass(frozen=True, slots=True)
class BurnWindows:
    """The error budget is spent `factor` times too fast in both windows (seconds): it still is, and for long enough."""

    factor: float
    long_s: float
    short_s: float


def list_burning_jobs(scope: QueryScope, jobs: Iterable[PortfolioJob], windows: BurnWindows) -> str:
    """The jobs that spend their error budget too fast. Jobs without an objective are ignored."""
    judged = [job for job in jobs if job.objective is not None]
    rows = pipe(select_runs(scope), where(HAS_CHECKED), f"project timestamp, {JOB}, {names.OUTCOME}, itemCount")
    return (
        f"let Objectives = {_make_objectives(judged)};\n"
        f"let RunRows = {rows};\n"
        f"let Long = {_measure_burn(judged, windows.long_s)};\n"
        f"let Short = {_measure_burn(judged, windows.short_s)};\n"
        + pipe(
            "Long",
            f"join kind=inner Short on {JOB}",
            f"where Burn > {windows.factor:g} and Burn1 > {windows.factor:g}",
            f"project {JOB}, LongBurn = Burn, ShortBurn = Burn1, Target",
            "order by LongBurn desc",
        )
    )


def list_budgets(scope: QueryScope, jobs: Iterable[PortfolioJob]) -> str:
    """The share of bad runs of each job with an objective in the scope, and the burn rate that it means."""
    return f"let Objectives = {_make_objectives(jobs)};\n" + pipe(
        select_runs(scope),
        where(HAS_CHECKED),
        f"summarize Runs = sum(itemCount), Bad = sumif(itemCount, {IS_DOWN}) by {JOB}",
        f"join kind=inner Objectives on {JOB}",
        "extend GoodRate = iff(Runs == 0, real(null), 100.0 * (Runs - Bad) / Runs)",
        "extend BurnRate = iff(Runs == 0, real(null), 1.0 * Bad / Runs / (1 - Target / 100))",
        f"project {JOB}, Target, GoodRate, Runs, Bad, BurnRate",
        "order by BurnRate desc",
    )


def _make_objectives(jobs: Iterable[PortfolioJob]) -> str:
    rows = (
        (
            quote(job.name),
            f"real({job.objective.target!r})",
            quote(job.objective.counts),
            "timespan(null)" if job.interval_s is None else format_seconds(job.interval_s),
        )
        for job in jobs
        if job.objective is not None
    )
    return make_table({JOB: "string", "Target": "real", "Counts": "string", "Interval": "timespan"}, rows)


def _measure_burn(jobs: Iterable[PortfolioJob], window_s: float) -> str:
    """Return the burn rate of each job in the last seconds, by what its objective counts."""
    counts = {job.objective.counts for job in jobs if job.objective is not None}
    parts = [_measure_bad_runs(window_s)] if counts != {"time"} else []
    if "time" in counts:
        parts.append(_measure_bad_time(window_s))
    return parts[0] if len(parts) == 1 else f"union ({parts[0]}), ({parts[1]})"


def _measure_bad_runs(window_s: float) -> str:
    window = format_seconds(window_s)
    counted = "todouble(Counted)"
    if window_s < _SECONDS_OF_EXACT_COUNTS:
        counted = f"iff(isnull(Interval), {counted}, max_of({window} / Interval, 1.0))"
    return pipe(
        "RunRows",
        f"where timestamp > ago({window})",
        f"summarize Counted = sum(itemCount), Bad = sumif(itemCount, {IS_DOWN}) by {JOB}",
        f"join kind=inner (Objectives | where Counts != {quote('time')}) on {JOB}",
        f"extend Burn = iff(Counted == 0, 0.0, 1.0 * Bad / {counted} / (1 - Target / 100))",
        f"project {JOB}, Burn, Target",
    )


def _measure_bad_time(window_s: float) -> str:
    """An outage lasts from a bad run until the next row: the first good run after it always has one."""
    window = format_seconds(window_s)
    return pipe(
        "RunRows",
        f"where timestamp > ago({window})",
        f"order by {JOB} asc, timestamp asc",
        f"extend Until = iff(next({JOB}) == {JOB}, next(timestamp), now())",
        f"summarize Bad = sumif(Until - timestamp, {IS_DOWN}) by {JOB}",
        f"join kind=inner (Objectives | where Counts == {quote('time')}) on {JOB}",
        f"extend Burn = Bad / {window} / (1 - Target / 100)",
        f"project {JOB}, Burn, Target",
    )
