"""Compares the runs of two periods of equal length, or of two jobs: figures with differences, and points over time.

The trend compares with the period before and with the same weekdays of the weeks before as well.

Called by scheduler.features.statistics.routes, .commands and .page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from math import floor
from statistics import fmean, median
from typing import Final

from jobs.formats import describe_milliseconds, describe_span
from jobs.incidents.suppression.spans import Span
from jobs.ports import Clock
from jobs.runs import Phases, Run
from scheduler.catalog.catalog import Catalog, Query
from scheduler.features.changes.markers import DeploymentMarkerQueries
from scheduler.features.jobs.selection import JobSelection
from scheduler.features.statistics.downtime import DowntimeReader
from scheduler.features.statistics.models import (
    ComparedModel,
    ComparedPointModel,
    ComparisonModel,
    DifferenceModel,
    FigureModel,
    Unit,
    WeekdaysModel,
)
from scheduler.features.statistics.periods import HOUR, InvalidTimeRange, Period, hour_of, parse_time_range
from scheduler.features.statistics.queries import JOBS_AT_ONCE, StatsReader
from scheduler.features.statistics.slowest import MAX_JOBS_OF_HOURS, cover_complete_days
from scheduler.features.statistics.sums import PHASES, SeriesPoint, StatsSums, quantiles
from scheduler.stores.runs.repository import Runs
from scheduler.stores.runs.rollups.tally import Tally

PRESETS: Final = ("previous", "week", "weekday", "deployment", "trend")
"""The time before; this week and the last one; today and the same weekday; after the last deployment and before it;
the time before and the same weekdays of the WEEKS before.
"""
WEEKS: Final = 4
MAX_PHASE_RUNS: Final = 200
"""The newest runs of a side whose phases count."""
_WEEK, _DAY = timedelta(days=7), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ComparisonRequest:
    """`period`: of the first side. `other_from`: the beginning of the other one as text. `preset`: one of PRESETS."""

    job: str | None
    other_job: str | None
    preset: str | None
    period: Period
    other_from: str | None
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class ComparedPeriods:
    """`other` is as long as `period`. `text`: of the deployment between them, for people. `weekdays`: as long, too."""

    period: Period
    other: Period
    text: str = ""
    weekdays: Sequence[Period] | None = None


@dataclass(frozen=True, slots=True)
class _SideFigures:
    sums: StatsSums
    down_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side(_SideFigures):
    phases: Sequence[float | None]
    points: Sequence[SeriesPoint]
    model: ComparedModel


def shift_period(period: Period, begin: datetime) -> Period:
    """Return the period of the same length that begins at an instant, rounded down to its hour."""
    return Period(hour_of(begin), hour_of(begin) + (period.until - period.since))


def choose_periods(preset: str, now: datetime, zone: tzinfo) -> ComparedPeriods:
    """Return the periods of `week` or `weekday` until now, in a zone."""
    local = now.astimezone(zone)
    begin = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if preset == "week":
        begin -= timedelta(days=local.weekday())
    period = Period.covering(begin, now)
    return ComparedPeriods(period, shift_period(period, period.since - _WEEK))


def list_same_weekdays(period: Period, zone: tzinfo) -> Sequence[Period]:
    """Return the same hours of the WEEKS before, by the clocks of a zone; nothing for a period longer than a week."""
    if period.until - period.since > _WEEK + HOUR:
        return ()
    begin = period.since.astimezone(zone)
    return [shift_period(period, begin - number * _WEEK) for number in range(1, WEEKS + 1)]


class ComparisonReader(Query):
    """All methods that await raise StoreError."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        stats: StatsReader,
        downtimes: DowntimeReader,
        markers: DeploymentMarkerQueries,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._stats = stats
        self._downtimes = downtimes
        self._markers = markers
        self._clock = clock

    async def choose(self, request: ComparisonRequest, selection: JobSelection) -> ComparedPeriods:
        """Return both periods of a request.

        Raises:
            InvalidTimeRange: no deployment is marked that concerns a job, or runs are not stored for the earlier time.
            UnknownJob: no job has that name.
        """
        now, period, zone = self._clock.now(), request.period, request.zone
        if request.other_from is not None:
            begin = parse_time_range(request.other_from, None, now).since
            assert begin is not None, "a range with a beginning"
            return ComparedPeriods(period, shift_period(period, begin))
        if request.preset == "deployment":
            return await self._find_deployment(await self._select(request.job, selection), now)
        if request.preset in ("week", "weekday"):
            return choose_periods(request.preset, now, zone)
        if request.other_job is not None and request.preset is None:
            return ComparedPeriods(period, period)
        is_trend = request.preset == "trend"
        if is_trend and len(await self._select(request.job, selection)) > MAX_JOBS_OF_HOURS:
            period, zone = cover_complete_days(period), UTC
        if period.before is None:
            raise InvalidTimeRange("from", "runs are not stored for the time before", "choose a later beginning")
        return ComparedPeriods(period, period.before, "", list_same_weekdays(period, zone) if is_trend else None)

    async def _find_deployment(self, jobs: Sequence[str], now: datetime) -> ComparedPeriods:
        """Return up to a day after the newest deployment, without its hour, and as much before it."""
        marker = await self._markers.find_latest(jobs[:JOBS_AT_ONCE], now)
        if marker is None:
            message = "no deployment is marked that concerns these jobs"
            raise InvalidTimeRange("preset", message, "mark one with POST /api/markers, or choose other periods")
        hour = hour_of(marker.at)
        begin = hour if hour == marker.at else hour + HOUR
        after = Period.covering(min(begin, hour_of(now)), max(min(now, begin + _DAY), hour + HOUR))
        return ComparedPeriods(after, shift_period(after, hour - (after.until - after.since)), marker.text)

    async def compare(
        self, periods: ComparedPeriods, job: str | None, other_job: str | None, selection: JobSelection
    ) -> ComparisonModel:
        """Compare `job`, or the jobs that match, with `other_job` in the other period. Raises UnknownJob.

        Without `other_job` both sides have the same jobs.
        """
        this, other, (weeks, weekdays) = await asyncio.gather(
            self._read_side(job, selection, periods.period),
            self._read_side(other_job or job, selection, periods.other),
            self._read_weekdays(job, selection, periods.weekdays),
        )
        pairs = zip(this.points, other.points, strict=False)
        return ComparisonModel(
            this=this.model,
            other=other.model,
            deployment=periods.text,
            weekdays=weekdays,
            figures=[_compare(*figure, this, other, weeks) for figure in _FIGURES]
            + [
                _figure(f"phase_{name}", "ms", "higher", this.phases[number], other.phases[number])
                for number, name in enumerate(PHASES)
                if this.phases[number] is not None or other.phases[number] is not None
            ],
            points=[
                ComparedPointModel(
                    at=one.start,
                    other_at=two.start,
                    p95=_round(one.tally.response_time.quantile(0.95)),
                    other_p95=_round(two.tally.response_time.quantile(0.95)),
                    success_rate=_round(_success(one.tally)),
                    other_success_rate=_round(_success(two.tally)),
                )
                for one, two in pairs
            ],
        )

    async def _select(self, job: str | None, selection: JobSelection) -> Sequence[str]:
        if job is not None:
            return [self._catalog.get_job(job).job.name]
        return [entry.job.name for entry in await self._stats.select(selection)]

    async def _read_side(self, job: str | None, selection: JobSelection, period: Period) -> _Side:
        names = await self._select(job, selection)
        is_small = 0 < len(names) <= JOBS_AT_ONCE
        stats = await (self._stats.read_job(job, period) if job else self._stats.read_several(names, period))
        until = max(min(period.until, self._clock.now()), period.since)
        series = [await self._stats.read_series(name, period.since, period.until) for name in names] if is_small else []
        points = [_merge(points) for points in zip(*(one.points for one in series), strict=True)]
        times = [
            await self._downtimes.read_downtime(name, Span(period.since, until)) for name in (names if is_small else ())
        ]
        measured = [one.downtime.down_seconds for one in times if one.uptime is not None]
        runs = await self._list_runs(job, period) if job else []
        model = ComparedModel(
            of=job or str(selection) or "all jobs",
            jobs=len(names),
            since=period.since,
            until=period.until,
            complete=stats.is_complete,
        )
        down_seconds = sum(measured) if measured else None
        return _Side(stats.sums, down_seconds, phases=_average_phases(runs), points=points, model=model)

    async def _read_weekdays(
        self, job: str | None, selection: JobSelection, periods: Sequence[Period] | None
    ) -> tuple[Sequence[_SideFigures], WeekdaysModel | None]:
        """Return what was measured in each period, nothing if that is not known."""
        if periods is None:
            return (), None
        if not periods:
            return (), WeekdaysModel(known=False, summary="not known: the period is longer than a week")
        names = await self._select(job, selection)
        found = await asyncio.gather(*(self._stats.read_ended(names, period) for period in periods))
        if missing := sum(not is_complete or not sums.tally.runs for sums, is_complete in found):
            summary = f"not known: {missing} of the {WEEKS} weeks before have no runs, or not all are counted"
            return (), WeekdaysModel(known=False, summary=summary)
        summary = f"the median of the same weekdays of the {WEEKS} weeks before"
        return [_SideFigures(sums) for sums, _ in found], WeekdaysModel(known=True, summary=summary)

    async def _list_runs(self, job: str, period: Period) -> Sequence[Run]:
        last = period.until - timedelta(milliseconds=1)
        page = await self._runs.list_page(job, limit=MAX_PHASE_RUNS, since=period.since, until=last)
        return [record.run for record in page.records if record.run is not None]


def _merge(points: Sequence[SeriesPoint]) -> SeriesPoint:
    merged = SeriesPoint(points[0].start, Tally())
    for point in points:
        merged.tally.merge(point.tally)
    return merged


def _average_phases(runs: Sequence[Run]) -> Sequence[float | None]:
    split = [_split(run.attempts[-1].phases) for run in runs if run.attempts and not run.starved]
    columns = [[value for value in column if value is not None] for column in zip(*split, strict=True)]
    return [fmean(column) if column else None for column in columns] or [None] * len(PHASES)


def _split(phases: Phases) -> Sequence[float | None]:
    """Return the milliseconds of each of PHASES; the rest after the first byte is the body."""
    known = [phases.dns_ms, phases.connect_ms, phases.tls_ms, phases.first_byte_ms]
    body = max(phases.total_ms - sum(filter(None, known)), 0.0) if phases.first_byte_ms is not None else None
    return [*known, body]


def format_figure(unit: str, value: float | None) -> str:
    """Return a value for people; a dash without one."""
    if value is None:
        return "\N{EN DASH}"
    if unit == "ratio":
        return f"{floor(value * 100_000 + 1e-6) / 1000:.3f}".rstrip("0").rstrip(".") + " %"
    if unit == "ms":
        return describe_milliseconds(value)
    return describe_span(value) if unit == "s" else f"{value:,.0f}"


def describe_difference(unit: str, change: FigureModel | DifferenceModel) -> str:
    """Return the difference for people: `+110 ms, +55 %`; of a ratio in percentage points; a dash without one."""
    difference, ratio = change.difference, change.difference_ratio
    if difference is None:
        return "\N{EN DASH}"
    if not difference:
        return "the same"
    sign = "+" if difference > 0 else "\N{MINUS SIGN}"
    if unit == "ratio":
        return f"{sign}{abs(difference) * 100:.3g} points"
    share = "" if ratio is None else f", {sign}{abs(ratio) * 100:,.0f} %"
    return f"{sign}{format_figure(unit, abs(difference))}{share}"


_Find = Callable[[_SideFigures], float | None]
_FIGURES: Final[Sequence[tuple[str, Unit, str, _Find]]] = (
    ("runs", "runs", "", lambda side: side.sums.tally.runs),
    ("success_rate", "ratio", "lower", lambda side: side.sums.success_rate),
    ("down", "runs", "higher", lambda side: side.sums.tally.down),
    ("degraded", "runs", "higher", lambda side: side.sums.tally.degraded),
    ("downtime", "s", "higher", lambda side: side.down_seconds),
    ("response_time_p50", "ms", "higher", lambda side: quantiles(side.sums.tally.response_time)[0]),
    ("response_time_p95", "ms", "higher", lambda side: quantiles(side.sums.tally.response_time)[1]),
    ("response_time_p99", "ms", "higher", lambda side: quantiles(side.sums.tally.response_time)[2]),
    ("duration_p50", "ms", "higher", lambda side: quantiles(side.sums.tally.duration)[0]),
    ("duration_p95", "ms", "higher", lambda side: quantiles(side.sums.tally.duration)[1]),
    ("lateness_p95", "ms", "higher", lambda side: quantiles(side.sums.tally.lateness)[1]),
)
"""Name, unit, in which direction it is worse, and its value."""


def _compare(
    name: str, unit: Unit, worse: str, find: _Find, this: _Side, other: _Side, weeks: Sequence[_SideFigures]
) -> FigureModel:
    found = [value for value in map(find, weeks) if value is not None]
    is_known = bool(found) and len(found) == len(weeks)
    weekdays = _subtract(worse, find(this), median(found)) if is_known else None
    return _figure(name, unit, worse, find(this), find(other), weekdays)


def _figure(
    name: str, unit: Unit, worse: str, this: float | None, other: float | None, weekdays: DifferenceModel | None = None
) -> FigureModel:
    change = _subtract(worse, this, other)
    return FigureModel.from_object(change, name=name, unit=unit, this=_round(this), weekdays=weekdays)


def _subtract(worse: str, this: float | None, other: float | None) -> DifferenceModel:
    difference = None if this is None or other is None else _round(this - other)
    is_worse = None
    if difference and worse:
        is_worse = (difference > 0) == (worse == "higher")
    ratio = difference / other if difference is not None and other else None
    return DifferenceModel(other=_round(other), difference=difference, difference_ratio=_round(ratio), worse=is_worse)


def _success(tally: Tally) -> float | None:
    return StatsSums(tally).success_rate


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
