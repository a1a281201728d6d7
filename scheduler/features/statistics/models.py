"""Statistics, uptime by runs and uptime by time, as the API and `--json` show them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AliasChoices, ConfigDict, Field

from jobs.incidents.downtime import ExclusionReason
from scheduler.model_base import ResponseModel, example_values


class _SpanModel(ResponseModel):
    model_config = {"serialize_by_alias": True}

    since: datetime = Field(validation_alias=AliasChoices("from", "since"), serialization_alias="from")
    until: datetime = Field(validation_alias=AliasChoices("to", "until"), serialization_alias="to")


class DowntimeSpanModel(_SpanModel):
    """A time in which the target was down. `incidents`: ids of those that the caller sees. `open`: it is down still."""

    model_config = example_values(seconds=540.0, rules=["failed"], incidents=["1795856400000-5f2c1d9b"], open=False)

    seconds: float
    incidents: list[str]
    rules: list[str]
    open: bool


class ExclusionModel(_SpanModel):
    """A time that is neither uptime nor downtime. `name`: of the window. Exclusions can overlap."""

    model_config = example_values(reason="window", name="patching", text="Operating system updates")

    reason: ExclusionReason
    name: str
    text: str


class DowntimeModel(_SpanModel):
    """The uptime of a job by time, from `from` (inclusive) to `to` (exclusive), which is now at the latest.

    `uptime` (0 to 1): the share of `measured_seconds` without downtime; null if nothing was measured, such as for a job
    without a rule that counts as downtime. `rules`: those of the job that count. `complete`: all incidents, changes and
    windows of the period were stored and read.
    """

    model_config = example_values(
        uptime=0.999792, down_seconds=540.0, excluded_seconds=10800.0, measured_seconds=2581200.0, rules=["failed"]
    )

    job: str
    uptime: float | None
    down_seconds: float
    measured_seconds: float
    excluded_seconds: float
    complete: bool
    rules: list[str]
    spans: list[DowntimeSpanModel]
    excluded: list[ExclusionModel]


class UptimeWindowModel(ResponseModel):
    """A span that ends now. `ratio` (0 to 1) is null without a run. `mean_ms`: of the runs that succeeded.

    `complete`: the retention covers the span, so every run counts.
    """

    model_config = example_values(name="24h", ratio=0.999306, up=1439, down=1, mean_ms=112.4, complete=True)

    name: str
    ratio: float | None
    up: int
    down: int
    mean_ms: float | None
    complete: bool


class UptimeMonthModel(ResponseModel):
    """A calendar month in UTC: seconds of downtime, and outages that overlap it; null without data."""

    model_config = example_values(month="2026-11", down_seconds=60.0, outages=1)

    month: str
    down_seconds: float | None
    outages: int | None


class UptimeModel(ResponseModel):
    """The uptime of a job.

    Skipped and cancelled runs and backfills do not count. `since`: the first run that counts.
    """

    model_config = example_values(runs=43200)

    job: str
    since: datetime | None
    runs: int
    windows: list[UptimeWindowModel]
    months: list[UptimeMonthModel]


class QuantilesModel(ResponseModel):
    """Milliseconds below or at which 50, 95 and 99 % of the values lie, off by at most 5 %; null without a value."""

    p50: float | None
    p95: float | None
    p99: float | None


class OutcomeCountsModel(ResponseModel):
    """Number of finished runs by outcome."""

    succeeded: int
    failed: int
    timed_out: int
    rejected: int
    skipped: int
    cancelled: int


class BusyHourModel(ResponseModel):
    """Runs due in an hour of the day, in the requested time zone. `down`: failed, timed out or rejected."""

    hour: int
    runs: int
    down: int


class TrendModel(ResponseModel):
    """The period of the same length before. `*_change`: the period minus the one before; null without values."""

    runs: int
    success_rate: float | None
    uptime: float | None
    duration_p95: float | None
    runs_change: int
    success_rate_change: float | None
    uptime_change: float | None
    duration_p95_change: float | None


class StatsModel(ResponseModel):
    """Statistics of the finished runs that were due from `from` (inclusive) to `to` (exclusive), also of deleted ones.

    `success_rate` (0 to 1): succeeded runs among the succeeded, failed, timed-out and rejected ones; `uptime`: the same
    without backfills. Null without such a run. `retried`: runs with more than one attempt. `duration` and
    `response_time` (of the last attempt): of runs with an attempt. `lateness`: start minus due instant, without replays
    and backfills. `complete`: all runs of the period are counted.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    since: datetime = Field(validation_alias=AliasChoices("from", "since"), serialization_alias="from")
    until: datetime = Field(validation_alias=AliasChoices("to", "until"), serialization_alias="to")
    complete: bool
    runs: int
    outcomes: OutcomeCountsModel
    degraded: int
    attempts: int
    retried: int
    success_rate: float | None
    uptime: float | None
    duration: QuantilesModel
    response_time: QuantilesModel
    lateness: QuantilesModel
    before: TrendModel | None
    busiest_hours: list[BusyHourModel]


class JobStatsModel(ResponseModel):
    """The statistics of a job."""

    job: str
    stats: StatsModel


class TagStatsModel(ResponseModel):
    """The statistics of the selected jobs whose tag has this value."""

    value: str
    jobs: int
    stats: StatsModel


class SelectionStatsModel(ResponseModel):
    """The statistics of all selected jobs together (`jobs`: their number), and by the values of a tag."""

    jobs: int
    stats: StatsModel
    tag: str | None
    by_value: list[TagStatsModel]


class SlowRowModel(ResponseModel):
    """The response times of a job, a host, or a value of a tag, in milliseconds, off by at most 5 %.

    `p95_before`: of the period of the same length before. `p95_change`: the difference, `p95_change_ratio` as a share
    of `p95_before`. Null without both values. `slower`: the p95 rose by at least 20 % and 20 ms, and both periods have
    20 runs.
    """

    model_config = example_values(
        value="checkout-api", runs=1440, p50=84.0, p95=310.0, p99=640.0, p95_before=200.0, p95_change=110.0
    )

    value: str
    jobs: int
    runs: int
    p50: float | None
    p95: float | None
    p99: float | None
    p95_before: float | None
    p95_change: float | None
    p95_change_ratio: float | None
    slower: bool


class SlowestModel(_SpanModel):
    """`jobs`: number of selected jobs; of more than 500, the period has complete days in UTC only. `groups`: number of
    rows before `limit` cut them, `slower`: of those that got slower.
    """

    model_config = {**_SpanModel.model_config, **example_values(by="job", sort="p95")}

    by: str
    sort: str
    jobs: int
    groups: int
    slower: int
    rows: list[SlowRowModel]


class ComparedModel(_SpanModel):
    """One side of a comparison. `of`: a job, or the filters that select `jobs` jobs."""

    model_config = {**_SpanModel.model_config, **example_values(of="checkout-api", jobs=1)}

    of: str
    jobs: int
    complete: bool


Unit = Literal["runs", "ratio", "ms", "s"]


class DifferenceModel(ResponseModel):
    """See FigureModel."""

    other: float | None
    difference: float | None
    difference_ratio: float | None
    worse: bool | None


class FigureModel(ResponseModel):
    """One figure of both sides; null without a value. `difference`: `this` minus `other`.

    `difference_ratio`: its share of `other`. `worse`: whether `this` is the worse side, null if neither is. `weekdays`:
    the same against the median of the same weekdays of the four weeks before; null if that is not known. The name
    `phase_*` is the mean of a phase in the newest 200 runs at most; `downtime` is that by time of at most 25 jobs.
    """

    model_config = example_values(
        name="response_time_p95", unit="ms", this=310.0, other=200.0, difference=110.0, difference_ratio=0.55
    )

    name: str
    unit: Unit
    this: float | None
    other: float | None
    difference: float | None
    difference_ratio: float | None
    worse: bool | None
    weekdays: DifferenceModel | None


class WeekdaysModel(ResponseModel):
    """The same hours of the same weekdays of the four weeks before. `known`: each has runs, and all are counted."""

    model_config = example_values(known=True, summary="the median of the same weekdays of the 4 weeks before")

    known: bool
    summary: str


class ComparedPointModel(ResponseModel):
    """The runs of the same span of both periods. `p95`: of the response time, in milliseconds."""

    at: datetime
    other_at: datetime
    p95: float | None
    other_p95: float | None
    success_rate: float | None
    other_success_rate: float | None


class ComparisonModel(ResponseModel):
    """Two periods of equal length, or two jobs. `deployment`: the text of the marker between the periods, else empty.

    `weekdays`: of the preset `trend`, else null; of more than 500 jobs its periods are complete days in UTC. `points`:
    an hour each in periods of up to 8 days, else a day; shorter in periods of up to 6 hours with few runs; none of more
    than 25 jobs.
    """

    this: ComparedModel
    other: ComparedModel
    deployment: str
    weekdays: WeekdaysModel | None
    figures: list[FigureModel]
    points: list[ComparedPointModel]
