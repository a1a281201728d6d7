"""Reads the charts of a job in a period: with the marks of changes, incidents and maintenance windows, and what its
values are compared with.

Called by scheduler.features.jobs.job_page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, takewhile
from typing import Final
from urllib.parse import quote

from fastapi.responses import Response

from jobs.alerting.conditions.lateness import LatenessCondition
from jobs.alerting.conditions.response_time import ResponseTimeCondition
from jobs.alerting.conditions.success_rate import SuccessRateCondition
from jobs.alerting.rule import AlertRule
from jobs.definition import JobDefinition
from jobs.definition.job_alerts import rules_of
from jobs.formats import describe_milliseconds, format_instant, format_iso_instant
from jobs.incidents.suppression.finding import SuppressionSet
from jobs.incidents.suppression.windows import AlertSubject
from jobs.incidents.values import Incident
from jobs.problems import describe_wrong_choice
from scheduler.api.dashboard.job_charts import ChartContext, PeriodNumbers, draw_history, draw_job_charts, sum_up
from scheduler.api.dashboard.job_frame import ChartPeriod
from scheduler.api.dashboard.readers import Readers
from scheduler.api.dashboard.rendering.axes import TimeAxis
from scheduler.api.dashboard.rendering.charts import GHOST, Chart, ChartBand, ChartLimit, place_band
from scheduler.api.dashboard.rendering.formatting import percent
from scheduler.api.dashboard.rendering.paths import MAINTENANCE_PATH, incident_page_path
from scheduler.api.dashboard.rendering.state_strip import StateStrip
from scheduler.api.problems import InvalidInput, InvalidRequest
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.changes.job_markers import JobMarker
from scheduler.features.changes.queries import StateHistory, read_state_history
from scheduler.features.incidents.exclusions import ExclusionReader
from scheduler.features.incidents.queries import IncidentFilter
from scheduler.features.statistics.exports import csv_line
from scheduler.features.statistics.periods import TimeRange
from scheduler.features.statistics.sums import MAX_IN_HOURS
from scheduler.features.trends.models import LevelChangeModel
from scheduler.features.trends.queries import describe_mark, describe_newest
from scheduler.identity.principal import Principal
from scheduler.services import Services

MAX_BANDS: Final = 50
"""Incidents, and maintenance windows, that are drawn: of incidents the newest, of windows the first of the period."""
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class PlacedMarker:
    """`place`: in percent of the time axis. `number`: by which the list below the charts names it."""

    place: float
    number: int
    marker: JobMarker


@dataclass(frozen=True, slots=True)
class JobCharts:
    """`rows`: the numbers of each span that has runs, newest first, with its text. `level`: the newest change of a
    level, for people; empty without one.
    """

    strip: StateStrip
    history: StateHistory
    charts: Sequence[Chart]
    markers: Sequence[PlacedMarker]
    bands: Sequence[ChartBand]
    numbers: PeriodNumbers
    rows: Sequence[tuple[str, PeriodNumbers]]
    span: timedelta
    level: str


async def read_job_charts(
    services: Services, readers: Readers, principal: Principal, job: str, period: ChartPeriod, now: datetime
) -> JobCharts:
    """Return the charts. `now`: in the zone in which times are shown. Raises UnknownJob, StoreError."""
    since, until, zone = period.since, period.until, now.tzinfo or UTC
    axis = TimeAxis(since, until, zone)
    series, history, markers, bands, context, levels = await asyncio.gather(
        services.stats.read_series(job, since, until),
        read_state_history(services.changes, principal, job, since, min(until, now)),
        readers.markers.list_markers(principal, job, since, until),
        read_bands(services, job, axis, now),
        read_context(services, job, since, until),
        services.trends.read_recent(principal, job, zone),
    )
    markers = sorted([*markers, *_mark_levels(levels, period, zone)], key=lambda one: one.at)
    placed = [PlacedMarker(axis.place(one.at), number, one) for number, one in enumerate(markers, 1)]
    rows = [(axis.format(point.start), sum_up(point.tally)) for point in reversed(series.points) if point.tally.runs]
    return JobCharts(
        draw_history(history, axis, min(until, now)),
        history,
        draw_job_charts(series, axis, now, context),
        placed,
        bands,
        sum_up(series.total),
        rows,
        series.span,
        describe_newest(levels[-1], zone) if levels else "",
    )


def _mark_levels(levels: Sequence[LevelChangeModel], period: ChartPeriod, zone: tzinfo) -> Sequence[JobMarker]:
    inside = [each for each in levels if period.since <= each.at < period.until]
    return [JobMarker(each.at, "level", describe_mark(each, zone), "") for each in inside]


async def read_context(services: Services, job: str, since: datetime, until: datetime) -> ChartContext:
    """Return what the charts of a period compare with. Raises UnknownJob, StoreError."""
    length, definition = until - since, services.catalog.get_job(job).job
    shift = max(length // _DAY, 1) * _DAY if length > _DAY / 2 else -(-length // _HOUR) * _HOUR
    earlier, usual = await asyncio.gather(
        services.stats.read_earlier_series(job, since - shift, until - shift),
        services.stats.read_usual_times(job, since),
    )
    is_in_hours = length <= MAX_IN_HOURS
    before = earlier if earlier.total.runs else None
    rules = rules_of(definition, services.catalog.snapshot.alerting)
    return ChartContext(before, shift, usual if is_in_hours else {}, list_limits(definition, rules))


def list_limits(job: JobDefinition, rules: Sequence[AlertRule]) -> Mapping[str, Sequence[ChartLimit]]:
    """Return the limits that rules and the objective of a job name, by the key of the chart."""
    found: dict[str, list[ChartLimit]] = {"response_time": [], "lateness": [], "success": []}
    for rule in rules:
        match rule.when:
            case ResponseTimeCondition(response_time_above=seconds, percentile=share):
                text = f"{rule.name}: p{share:g} above {describe_milliseconds(seconds * 1000)}"
                found["response_time"].append(ChartLimit(seconds * 1000, text))
            case LatenessCondition(lateness_above=seconds):
                text = f"{rule.name}: above {describe_milliseconds(seconds * 1000)}"
                found["lateness"].append(ChartLimit(seconds * 1000, text))
            case SuccessRateCondition(success_rate_below=share):
                found["success"].append(ChartLimit(share, f"{rule.name}: below {percent(share)}"))
            case _:
                pass
    if job.slo is not None and job.slo.counts == "runs":
        found["success"].append(ChartLimit(job.slo.target / 100, f"objective {job.slo.target:g} %"))
    return found


async def read_bands(services: Services, job: str, axis: TimeAxis, now: datetime) -> Sequence[ChartBand]:
    """Return the incidents of a job and the maintenance windows for it within the axis, by their begin."""
    incidents, windows = await asyncio.gather(_list_incidents(services, job, axis), _list_windows(services, job, axis))
    bands = [
        place_band(
            each.opened_at,
            each.resolved_at or now,
            "incident",
            f"incident, {each.severity}, opened {format_instant(each.opened_at)}: {each.leading.key.rule}",
            axis,
            incident_page_path(each.id),
        )
        for each in incidents
    ]
    bands += [place_band(begin, end, "maintenance", text, axis, MAINTENANCE_PATH) for begin, end, text in windows]
    return sorted(bands, key=lambda band: band.place)


async def _list_incidents(services: Services, job: str, axis: TimeAxis) -> Sequence[Incident]:
    criteria = IncidentFilter(subject=job, opened=TimeRange(None, axis.until))
    try:
        views = (await services.incidents.list_incidents(criteria, limit=MAX_BANDS)).views
    except UnknownJob:
        return ()  # the job was deleted meanwhile
    return [one.incident for one in views if (one.incident.resolved_at or axis.until) >= axis.since]


async def _list_windows(services: Services, job: str, axis: TimeAxis) -> Sequence[tuple[datetime, datetime, str]]:
    stored, definition = services.repositories, services.catalog.get_job(job).job
    reader = ExclusionReader(services.catalog, stored.incident_log, stored.requested_windows)
    requested, _ = await reader.list_requested()
    subject = AlertSubject(job, str(definition.check.kind), "", definition.tags)
    sources = SuppressionSet(services.catalog.snapshot.alerting.windows, tuple(requested)).sources
    covering = [each for each in sources if each.covers(subject, any_severity=True) and not each.is_only_then]
    spans = (
        (span.begin, span.end, f"maintenance {each.name}{f': {each.reason}' if each.reason else ''}")
        for each in covering
        for span in takewhile(lambda one: one.begin < axis.until, each.periods.spans_from(axis.since))
    )
    return list(islice(spans, MAX_BANDS))


def export_chart(job: str, key: str, charts: Sequence[Chart]) -> Response:
    """Return the numbers of a chart as CSV. Raises InvalidRequest: no chart has this key."""
    found = next((each for each in charts if each.spec.key == key), None)
    if found is None:
        message, hint = describe_wrong_choice(key, tuple(each.spec.key for each in charts))
        raise InvalidRequest(InvalidInput(location="query.csv", message=message, hint=hint))
    headers = {"Content-Disposition": f'attachment; filename="{quote(job)}-{key}.csv"'}
    return Response(write_chart(found), media_type="text/csv; charset=utf-8", headers=headers)


def write_chart(chart: Chart) -> str:
    """Return the rows of a chart as CSV, the oldest first, with the unit in the names of the columns."""
    unit = f"_{chart.spec.unit}" if chart.spec.unit else ""
    names = [f"{line.name}{unit}" for line in chart.spec.lines if line.style != GHOST]
    lines = [csv_line(["from", "to", "complete", *names])]
    for row in chart.rows:
        values = ["" if value is None else round(value, 6) for value in row.values]
        lines.append(csv_line([format_iso_instant(row.start), format_iso_instant(row.end), row.is_complete, *values]))
    return "".join(lines)
