"""The pages /api/dashboard/slowest, the jobs, tags and hosts by response time, and /api/dashboard/compare, two periods
or two jobs side by side. The address has all that each shows, and the parameters of the API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Annotated, Final

from fastapi import Query, Request
from fastapi.responses import Response

from jobs.formats import describe_milliseconds
from scheduler.api.dashboard.rendering.axes import TimeAxis, measure_axis, ratio_axis
from scheduler.api.dashboard.rendering.charts import Chart, ChartLine, ChartSpec, draw_chart
from scheduler.api.dashboard.rendering.filters import FilterText, PeriodDep, keep_filters, offer_jobs, read_period
from scheduler.api.dashboard.rendering.formatting import percent
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import COMPARE_PATH, SLOWEST_PATH
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.parameters import parse_job_filters
from scheduler.api.routing import ApiRouter, ServicesDep, parse_choice
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.jobs.selection import JobSelection
from scheduler.features.statistics.comparison import ComparisonRequest, describe_difference, format_figure
from scheduler.features.statistics.models import ComparisonModel
from scheduler.features.statistics.periods import ANY_TIME, InvalidTimeRange, Period, TimeRange, parse_period
from scheduler.features.statistics.slowest import BY_PATTERN, MAX_JOBS_OF_HOURS, SORTS
from scheduler.services import Services

MAX_ROWS: Final = 100
"""Of the slowest; the API lists more."""
_MAX_KEYS: Final = 20
_WINDOWS: Final = ("24h", "7d", "30d", "90d")
_SIDES: Final = {
    "previous": ("The last {window} and the {window} before", "this period", "the period before"),
    "week": ("This week and last week", "this week", "last week"),
    "weekday": ("Today and a week ago", "today", "a week ago"),
    "deployment": ("After and before the last deployment", "after", "before"),
    "trend": ("The last {window}, before, and the same weekdays", "this period", "the period before"),
}
"""The title of each preset, and the names of its sides."""
_TITLES: Final = {
    "success_rate": "Success",
    "response_time_p50": "p50",
    "response_time_p95": "p95",
    "response_time_p99": "p99",
    "duration_p50": "Duration p50",
    "duration_p95": "Duration p95",
    "lateness_p95": "Lateness p95",
    "phase_dns": "DNS, mean",
    "phase_connect": "Connect, mean",
    "phase_tls": "TLS, mean",
    "phase_first_byte": "First byte, mean",
    "phase_body": "Body, mean",
}
"""Of the figures whose name is not their title."""

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(SLOWEST_PATH)
async def show_slowest(
    request: Request,
    services: ServicesDep,
    window: FilterText = "",
    by: Annotated[str, Query(pattern=f"{BY_PATTERN}|^$")] = "",
    sort: FilterText = "",
    tag: FilterText = "",
) -> Response:
    """Show the page."""
    parse_choice("window", window, ("", *_WINDOWS))
    parse_choice("sort", sort, ("", *SORTS))
    selection = parse_job_filters([], [], [tag] if tag else [], [], [])
    period = parse_period(window or None, ANY_TIME, services.clock.now(), services.stats.oldest)
    found = await services.slowest.read(selection, period, by=by or "job", sort=sort or "p95", limit=MAX_ROWS)
    tags = {(key, value) for entry in services.queries.current_jobs() for key, value in entry.job.tags.items()}
    return await respond(
        request,
        services,
        "slowest.html",
        page="slowest",
        path_of_page=SLOWEST_PATH,
        found=found,
        max_jobs_of_hours=MAX_JOBS_OF_HOURS,
        window=window or "24h",
        windows=_WINDOWS,
        keys=sorted({key for key, _ in tags})[:_MAX_KEYS],
        tags=sorted(f"{key}={value}" for key, value in tags)[:200],
        tag=tag,
        query=keep_filters(window=window, by=by, sort=sort, tag=tag),
    )


@router.read(COMPARE_PATH)
async def show_comparison(
    request: Request,
    services: ServicesDep,
    period: PeriodDep,
    job: FilterText = "",
    other_job: FilterText = "",
    tag: FilterText = "",
    preset: FilterText = "",
    window: FilterText = "",
    other_from: FilterText = "",
) -> Response:
    """Show the page; without a job and a tag, the form that chooses them."""
    parse_choice("preset", preset, ("", *_SIDES))
    parse_choice("window", window, ("", *_WINDOWS))
    zone, now = find_preferences(request).zone, services.clock.now()
    other = read_period(other_from, "", now.astimezone(zone))
    query = keep_filters(
        job=job.strip(), other_job=other_job.strip(), tag=tag.strip(), preset=preset, window=window,
        since=period.since, until=period.until, other_from=other.since,
    )  # fmt: skip
    error, comparison = period.error or other.error, None
    if (job or tag) and not error:
        try:
            chosen = _choose_period(period.period, window, now, services.stats.oldest)
            begin = None if other.period.since is None else other.period.since.isoformat()
            names = job.strip() or None, other_job.strip() or None
            question = ComparisonRequest(*names, preset or None, chosen, begin, zone)
            selection = parse_job_filters([], [], [tag.strip()] if tag.strip() else [], [], [])
            comparison = await _compare(services, question, selection)
        except (InvalidTimeRange, UnknownJob) as problem:
            error = str(problem)
    is_range = period.period.is_bounded or bool(other.since)
    sides = _name_sides(comparison, preset, other_job, is_range=is_range)
    return await respond(
        request,
        services,
        "compare.html",
        page="compare",
        path_of_page=COMPARE_PATH,
        query=query,
        period=period,
        other_from=other.since,
        error=error[:1].upper() + error[1:],
        comparison=comparison,
        names=sides,
        charts=_draw(comparison, sides, zone),
        jobs=offer_jobs(services.queries),
        titles=_TITLES,
        presets=_list_presets(window),
        preset=preset or ("" if other_job or is_range else "previous"),
        windows=_WINDOWS,
        describe_difference=describe_difference,
        format_figure=format_figure,
    )


def _list_presets(window: str) -> Mapping[str, str]:
    length = re.sub(r"(\D)", r" \1", window or "24h")
    return {key: title.format(window=length) for key, (title, *_) in _SIDES.items()}


def _choose_period(within: TimeRange, window: str, now: datetime, oldest: datetime) -> Period:
    if within.until is not None:  # a full hour ends the period, and the next one is not part of it
        within = replace(within, until=within.until - timedelta(milliseconds=1))
    return parse_period(None if within.is_bounded else window or None, within, now, oldest)


async def _compare(services: Services, question: ComparisonRequest, selection: JobSelection) -> ComparisonModel:
    periods = await services.comparisons.choose(question, selection)
    return await services.comparisons.compare(periods, question.job, question.other_job, selection)


def _name_sides(comparison: ComparisonModel | None, preset: str, other_job: str, *, is_range: bool) -> tuple[str, str]:
    if comparison is not None and other_job:
        return comparison.this.of, comparison.other.of
    return ("first", "other") if is_range else _SIDES[preset or "previous"][1:]


def _draw(comparison: ComparisonModel | None, names: tuple[str, str], zone: tzinfo) -> Sequence[Chart]:
    if comparison is None or not comparison.points:
        return []
    points, axis = comparison.points, TimeAxis(comparison.this.since, comparison.this.until, zone)
    span = points[1].at - points[0].at if len(points) > 1 else timedelta(hours=1)

    def lines(fields: tuple[str, str]) -> list[ChartLine]:
        return [
            ChartLine(name, style, [getattr(point, field) for point in points])
            for name, style, field in zip(names, ("first", "second"), fields, strict=True)
        ]

    times, rates = lines(("p95", "other_p95")), lines(("success_rate", "other_success_rate"))
    highest = max((value for line in times for value in line.values if value is not None), default=None)
    lowest = min((value for line in rates for value in line.values if value is not None), default=None)
    starts = [point.at for point in points]
    axes = (axis, measure_axis(highest, describe_milliseconds)), (axis, ratio_axis(lowest, percent))
    return [
        draw_chart(ChartSpec("p95", "Response time, p95", starts, span, times, axes[0], unit="ms")),
        draw_chart(ChartSpec("success", "Success", starts, span, rates, axes[1])),
    ]
