"""Queries in KQL about runs, and the parts of all queries: literals, columns of events, and the scope.

A query reads the custom event of each run in Application Insights. The metrics of jobs would arrive later, and by
default only two of them are split by job. A row represents `itemCount` runs, so runs are counted by `sum(itemCount)`,
and percentiles are weighted by it. A run whose target is down, that was retried, or that is the first good one after an
outage always has its own row.

A scope limits a query to a time, a deployment and jobs: conditions that each tool writes with its own variables. Text
from a job file enters a query only by `quote`, which escapes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from jobs.runs import Outcome, Trigger
from jobs.runs.outcomes import ReasonCode
from observability import names

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(text: str) -> str:
    """Return a string literal. Everything except printable ASCII is escaped."""
    return '"' + "".join(_ESCAPES.get(char) or _escape(char) for char in text) + '"'


def _escape(char: str) -> str:
    if " " <= char <= "~":
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def quote_list(texts: Iterable[str]) -> str:
    """Return literals with commas, for `in (...)`. KQL has no empty list, so an empty one contains the empty text."""
    return ", ".join(quote(text) for text in texts) or quote("")


def format_seconds(seconds: float) -> str:
    """Return a timespan literal in whole seconds, at least one."""
    return f"{max(1, round(seconds))}s"


def make_table(columns: Mapping[str, str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of constants. `columns`: types by name; `rows`: literals, in the order of the columns."""
    header = ", ".join(f"{name}: {kind}" for name, kind in columns.items())
    lines = [", ".join(row) for row in rows] or [", ".join(_EMPTY[kind] for kind in columns.values())]
    return f"datatable({header}) [\n    " + ",\n    ".join(lines) + "\n]"


_EMPTY = {"string": quote(""), **{kind: f"{kind}(null)" for kind in ("timespan", "real", "datetime", "bool")}}


def read_property(name: str) -> str:
    """Return the expression of a text in `customDimensions`."""
    return f"tostring(customDimensions[{quote(name)}])"


def read_measurement(name: str) -> str:
    """Return the expression of a number in `customMeasurements`."""
    return f"todouble(customMeasurements[{quote(name)}])"


def pipe(*steps: str) -> str:
    """Return a query of these steps, one a line. Empty ones are omitted."""
    first, *rest = (step for step in steps if step)
    return "\n".join([first, *(f"| {step}" for step in rest)])


def where(condition: str) -> str:
    """Return the step that filters rows; no step without a condition."""
    return f"where {condition}" if condition else ""


IS_DOWN = f"{names.OUTCOME} in ({quote_list(outcome for outcome in Outcome if outcome.down)})"
"""A condition on the column of the outcome: the target of the run is down."""

HAS_CHECKED = f"{names.OUTCOME} !in ({quote_list((Outcome.SKIPPED, Outcome.CANCELLED))})"
"""The run has checked its target, or an open circuit has rejected it."""

IS_CURRENT = f"{read_property(names.TRIGGER)} != {quote(Trigger.BACKFILL)}"
"""A condition on a row of a run: it shows the target of its instant, which a backfill does not."""


@dataclass(frozen=True, slots=True)
class QueryScope:
    """`time`: a condition on `timestamp`; `step`: the time between two points of a chart, a timespan.

    `roles`, `jobs`: conditions on `cloud_RoleName` and on the column of the job's name; empty: no condition.
    """

    time: str
    step: str = "5m"
    roles: str = ""
    jobs: str = ""


def scope_of_rule(window: str, role: str = "", jobs: Collection[str] | None = None) -> QueryScope:
    """Return the scope of an alert rule. `window`: a timespan such as `15m`; `role`: empty for all deployments that
    share the component; `jobs`: None for all jobs."""
    return QueryScope(
        time=f"timestamp > ago({window})",
        roles=f"cloud_RoleName == {quote(role)}" if role else "",
        jobs="" if jobs is None else f"{names.JOB_NAME} in ({quote_list(jobs)})",
    )


MAX_CHART_JOBS = 20
"""Lines of a chart by job: those with the worst values."""
MAX_TABLE_ROWS = 250

JOB, OUTCOME = names.JOB_NAME, names.OUTCOME


def select_runs(scope: QueryScope) -> str:
    """Return the rows of finished runs, with columns for job and outcome."""
    return pipe(
        "customEvents",
        where(scope.time),
        where(f"name == {quote(names.RUN_EVENT.name)}"),
        where(scope.roles),
        f"extend {JOB} = {read_property(names.JOB_NAME)}, {OUTCOME} = {read_property(names.OUTCOME)}",
        where(scope.jobs),
    )


def count_runs(scope: QueryScope) -> str:
    """Return the query for one row: active jobs, runs, failed runs, success rate in percent."""
    return pipe(
        select_runs(scope), where(HAS_CHECKED), f"summarize Jobs = dcount({JOB}), {_COUNTS}", _add_success_rate()
    )


def list_jobs(scope: QueryScope) -> str:
    """Return the query for one row a job: its counts, percentiles in milliseconds, its latest run."""
    return pipe(
        select_runs(scope),
        where(HAS_CHECKED),
        f"extend Duration = {read_measurement(names.DURATION)}, Lateness = {read_measurement(names.LATENESS)}",
        f"summarize {_COUNTS}, "
        "(DurationP50, DurationP95, DurationP99) = percentilesw(Duration, itemCount, 50, 95, 99), "
        "(LatenessP50, LatenessP95, LatenessP99) = percentilesw(Lateness, itemCount, 50, 95, 99), "
        f"arg_max(timestamp, {OUTCOME}) by {JOB}",
        _add_success_rate(),
        f"project {JOB}, Latest = timestamp, {OUTCOME}, Runs, Failed, SuccessRate, "
        "DurationP50, DurationP95, DurationP99, LatenessP50, LatenessP95, LatenessP99",
        "order by Failed desc, DurationP95 desc",
    )


def chart_success_rate(scope: QueryScope) -> str:
    """Return the query for the success rate in percent over time, by job: the jobs with most failed runs."""
    return _chart_worst(scope, f"sumif(itemCount, {IS_DOWN})", f"{_COUNTS}", _add_success_rate(), "SuccessRate")


def chart_failures(scope: QueryScope) -> str:
    """Return the query for the failed runs over time, by job."""
    failed = f"sumif(itemCount, {IS_DOWN})"
    return _chart_worst(scope, failed, f"Failed = {failed}", "", "Failed")


def chart_duration(scope: QueryScope, percentile: str) -> str:
    """Return the query for a percentile of the duration over time, by job. `percentile`: a number or a variable of the
    tool.
    """
    return _chart_percentile(scope, names.DURATION, percentile)


def chart_lateness(scope: QueryScope, percentile: str) -> str:
    """Return the query for a percentile of start minus due instant over time, by job."""
    return _chart_percentile(scope, names.LATENESS, percentile)


def chart_attempts(scope: QueryScope) -> str:
    """Return the query for the retries a run over time, by job."""
    retries = f"iff({names.ATTEMPTS} > 1, {names.ATTEMPTS} - 1, 0.0)"
    value = f"sum({retries} * itemCount) / sum(itemCount)"
    runs = pipe(select_runs(scope), where(HAS_CHECKED), f"extend {names.ATTEMPTS} = {read_measurement(names.ATTEMPTS)}")
    return _chart(scope, runs, value, f"Retries = {value}", "", "Retries")


def list_errors(scope: QueryScope) -> str:
    """Return the query for the most frequent errors: class, job, one of the messages, number of runs."""
    return pipe(
        select_runs(scope),
        where(IS_DOWN),
        f"extend {names.ERROR_TYPE} = {read_property(names.ERROR_TYPE)}, "
        f"{names.ERROR_MESSAGE} = {read_property(names.ERROR_MESSAGE)}",
        "summarize Runs = sum(itemCount), Latest = max(timestamp), "
        f"{names.ERROR_MESSAGE} = take_any({names.ERROR_MESSAGE}) by {names.ERROR_TYPE}, {JOB}",
        f"top {MAX_TABLE_ROWS} by Runs desc",
    )


def list_failed_runs(scope: QueryScope) -> str:
    """Return the query for the latest failed runs. `itemId` and `operation_Id` link to the event and the trace."""
    columns = (names.RUN_ID, names.TRIGGER, names.ERROR_TYPE, names.ERROR_MESSAGE, names.ENDPOINT, names.STATUS_CODE)
    return pipe(
        select_runs(scope),
        where(IS_DOWN),
        f"top {MAX_TABLE_ROWS} by timestamp desc",
        f"project timestamp, {JOB}, {OUTCOME}, "
        + ", ".join(f"{name} = {read_property(name)}" for name in columns)
        + ", itemId, operation_Id",
    )


def list_jobs_that_are_down(scope: QueryScope, failures: int) -> str:
    """Return the query of an alert: the jobs whose latest run is down, with at least `failures` failed runs."""
    return pipe(
        select_runs(scope),
        where(HAS_CHECKED),
        where(IS_CURRENT),
        f"extend {names.ERROR_MESSAGE} = {read_property(names.ERROR_MESSAGE)}",
        f"summarize Failed = sumif(itemCount, {IS_DOWN}), "
        f"arg_max(timestamp, {OUTCOME}, {names.ERROR_MESSAGE}) by {JOB}",
        f"where {IS_DOWN} and Failed >= {failures}",
        f"project {JOB}, Failed, {OUTCOME}, {names.ERROR_MESSAGE}, timestamp",
    )


def list_unknown_jobs(scope: QueryScope) -> str:
    """Return the query for the jobs with unknown runs: how many, and the newest message, which has the remedy."""
    return pipe(
        select_runs(scope),
        where(f"{read_property(names.REASON)} == {quote(ReasonCode.UNKNOWN)}"),
        f"extend {names.ERROR_MESSAGE} = {read_property(names.ERROR_MESSAGE)}",
        f"summarize Runs = sum(itemCount), arg_max(timestamp, {names.ERROR_MESSAGE}) by {JOB}",
        f"project {JOB}, Runs, Latest = timestamp, {names.ERROR_MESSAGE}",
        f"top {MAX_TABLE_ROWS} by Runs desc",
    )


def list_circuit_openings(scope: QueryScope) -> str:
    """Return the query for how often the circuit of a job opened, and how many runs it rejected, by job."""
    rejected = f"{OUTCOME} == {quote(Outcome.REJECTED)}"
    return pipe(
        select_runs(scope),
        where(HAS_CHECKED),
        f"order by {JOB} asc, timestamp asc",
        f"extend IsOpening = {rejected} and not(prev({JOB}) == {JOB} and prev({OUTCOME}) == {quote(Outcome.REJECTED)})",
        f"summarize Openings = countif(IsOpening), RejectedRuns = sumif(itemCount, {rejected}), "
        f"Latest = maxif(timestamp, IsOpening) by {JOB}",
        where("RejectedRuns > 0"),
        "order by Openings desc",
    )


def list_dead_letters(scope: QueryScope) -> str:
    """Return the query for the latest dead letters."""
    return pipe(
        "customEvents",
        where(scope.time),
        where(f"name == {quote(names.DEAD_LETTER_EVENT.name)}"),
        where(scope.roles),
        f"extend {JOB} = {read_property(names.JOB_NAME)}",
        where(scope.jobs),
        f"top {MAX_TABLE_ROWS} by timestamp desc",
        f"project timestamp, {JOB}, {names.RUN_ID} = {read_property(names.RUN_ID)}, "
        f"{names.ERROR_MESSAGE} = {read_property(names.ERROR_MESSAGE)}, itemId, operation_Id",
    )


_COUNTS = f"Runs = sum(itemCount), Failed = sumif(itemCount, {IS_DOWN})"


def _add_success_rate() -> str:
    return "extend SuccessRate = iff(Runs == 0, real(null), 100.0 * (Runs - Failed) / Runs)"


def _chart_percentile(scope: QueryScope, measurement: str, percentile: str) -> str:
    runs = pipe(select_runs(scope), where(HAS_CHECKED), f"extend {measurement} = {read_measurement(measurement)}")
    value = f"percentilew({measurement}, itemCount, {percentile})"
    return _chart(scope, runs, value, f"{measurement} = {value}", "", measurement)


def _chart_worst(scope: QueryScope, worst_by: str, aggregates: str, further: str, value: str) -> str:
    return _chart(scope, pipe(select_runs(scope), where(HAS_CHECKED)), worst_by, aggregates, further, value)


def _chart(scope: QueryScope, runs: str, worst_by: str, aggregates: str, further: str, value: str) -> str:
    """Return the query for points by time and job, of the jobs with the highest values of `worst_by`.

    `runs`: the query whose rows are summarized. `aggregates`: what `summarize` computes for a point; `further`: a step
    after it, or ""; `value`: the column of the points.
    """
    worst = pipe(
        "RunRows", f"summarize Worst = {worst_by} by {JOB}", f"top {MAX_CHART_JOBS} by Worst desc", f"project {JOB}"
    )
    points = pipe(
        "RunRows",
        where(f"{JOB} in (WorstJobs)"),
        f"summarize {aggregates} by {JOB}, bin(timestamp, {scope.step})",
        further,
        f"project timestamp, {JOB}, {value}",
        "order by timestamp asc",
    )
    return f"let RunRows = {runs};\nlet WorstJobs = {worst};\n{points}"
