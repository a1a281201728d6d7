"""Response models of statistics, of uptime by runs, and of uptime by time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import AliasChoices, ConfigDict, Field

from jobs.incidents.downtime import DowntimeSpan, ExcludedTime, ExclusionReason
from jobs.runs import Outcome
from jobs.runs.histogram import Histogram
from scheduler.features.statistics.sums import StatsSums, quantiles
from scheduler.model_base import ResponseModel, example_values

if TYPE_CHECKING:
    from scheduler.features.statistics.downtime import JobDowntime
    from scheduler.features.statistics.queries import SelectionStats, Stats
    from scheduler.features.statistics.uptime import JobUptime


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

    @classmethod
    def from_span(cls, span: DowntimeSpan) -> DowntimeSpanModel:
        return cls(
            since=span.begin,
            until=span.end,
            seconds=span.seconds,
            incidents=list(span.incidents),
            rules=list(span.rules),
            open=span.is_open,
        )


class ExclusionModel(_SpanModel):
    """A time that is neither uptime nor downtime. `name`: of the window. Exclusions can overlap."""

    model_config = example_values(reason="window", name="patching", text="Operating system updates")

    reason: ExclusionReason
    name: str
    text: str

    @classmethod
    def from_exclusion(cls, each: ExcludedTime) -> ExclusionModel:
        return cls(since=each.begin, until=each.end, reason=each.reason, name=each.name, text=each.text)


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

    @classmethod
    def from_downtime(cls, found: JobDowntime) -> DowntimeModel:
        downtime, uptime = found.downtime, found.uptime
        return cls(
            since=downtime.since,
            until=downtime.until,
            job=found.job,
            uptime=None if uptime is None else round(uptime, 6),
            down_seconds=downtime.down_seconds,
            measured_seconds=downtime.measured_seconds,
            excluded_seconds=downtime.excluded_seconds,
            complete=found.is_complete,
            rules=list(found.rules),
            spans=[DowntimeSpanModel.from_span(span) for span in downtime.spans],
            excluded=[ExclusionModel.from_exclusion(each) for each in downtime.exclusions],
        )


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

    @classmethod
    def from_uptime(cls, found: JobUptime) -> UptimeModel:
        windows = [
            UptimeWindowModel(
                name=window.name,
                ratio=round(window.uptime.ratio, 6) if window.uptime.sample_count else None,
                up=window.uptime.up,
                down=window.uptime.down,
                mean_ms=None if window.uptime.mean_ms is None else round(window.uptime.mean_ms, 3),
                complete=window.is_complete,
            )
            for window in found.windows
        ]
        months = [
            UptimeMonthModel(month=one.name, down_seconds=one.seconds, outages=one.outages) for one in found.months
        ]
        return cls(job=found.job, since=found.since, runs=found.runs, windows=windows, months=months)


class QuantilesModel(ResponseModel):
    """Milliseconds below or at which 50, 95 and 99 % of the values lie, off by at most 5 %; null without a value."""

    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def from_histogram(cls, histogram: Histogram) -> QuantilesModel:
        p50, p95, p99 = (None if value is None else round(value, 3) for value in quantiles(histogram))
        return cls(p50=p50, p95=p95, p99=p99)


class OutcomeCountsModel(ResponseModel):
    """Number of finished runs by outcome."""

    succeeded: int
    failed: int
    timed_out: int
    rejected: int
    skipped: int
    cancelled: int

    @classmethod
    def from_sums(cls, sums: StatsSums) -> OutcomeCountsModel:
        return cls(**{outcome.value: sums.tally.count(outcome) for outcome in Outcome})


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

    @classmethod
    def from_sums(cls, now: StatsSums, before: StatsSums) -> TrendModel:
        p95_now, p95_before = (sums.tally.duration.quantile(0.95) for sums in (now, before))
        return cls(
            runs=before.tally.runs,
            success_rate=_round(before.success_rate),
            uptime=_round(before.uptime_ratio),
            duration_p95=_round(p95_before, 3),
            runs_change=now.tally.runs - before.tally.runs,
            success_rate_change=_difference(now.success_rate, before.success_rate),
            uptime_change=_difference(now.uptime_ratio, before.uptime_ratio),
            duration_p95_change=_difference(p95_now, p95_before, 3),
        )


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

    @classmethod
    def from_stats(cls, stats: Stats) -> StatsModel:
        sums, tally = stats.sums, stats.sums.tally
        return cls(
            since=stats.period.since,
            until=stats.period.until,
            complete=stats.is_complete,
            runs=tally.runs,
            outcomes=OutcomeCountsModel.from_sums(sums),
            degraded=tally.degraded,
            attempts=tally.attempts,
            retried=tally.retried,
            success_rate=_round(sums.success_rate),
            uptime=_round(sums.uptime_ratio),
            duration=QuantilesModel.from_histogram(tally.duration),
            response_time=QuantilesModel.from_histogram(tally.response_time),
            lateness=QuantilesModel.from_histogram(tally.lateness),
            before=None if stats.before is None else TrendModel.from_sums(sums, stats.before),
            busiest_hours=[BusyHourModel(hour=hour, runs=runs, down=down) for hour, runs, down in sums.busiest_hours()],
        )


class JobStatsModel(ResponseModel):
    """The statistics of a job."""

    job: str
    stats: StatsModel


class TagStatsModel(ResponseModel):
    """The statistics of the selected jobs whose tag has this value."""

    value: str
    jobs: int
    stats: StatsModel

    @classmethod
    def from_group(cls, group: tuple[str, int, Stats]) -> TagStatsModel:
        """`group`: one of SelectionStats.groups."""
        value, jobs, stats = group
        return cls(value=value, jobs=jobs, stats=StatsModel.from_stats(stats))


class SelectionStatsModel(ResponseModel):
    """The statistics of all selected jobs together (`jobs`: their number), and by the values of a tag."""

    jobs: int
    stats: StatsModel
    tag: str | None
    by_value: list[TagStatsModel]

    @classmethod
    def from_selection(cls, found: SelectionStats, tag: str | None) -> SelectionStatsModel:
        by_value = [*map(TagStatsModel.from_group, found.groups)]
        return cls(jobs=found.jobs, stats=StatsModel.from_stats(found.total), tag=tag, by_value=by_value)


def _round(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else round(value, digits)


def _difference(now: float | None, before: float | None, digits: int = 6) -> float | None:
    return None if now is None or before is None else round(now - before, digits)
