"""The overview page at /api/dashboard: what is broken, open incidents, all jobs with their history. Read-only.

The page works without its script, which fetches the page every few seconds and applies the changes. The tabs of a
caller share a page; an unchanged page costs neither a read of runs nor its rendering.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.overview.overview import OverviewReader
from scheduler.api.dashboard.overview.selection import OverviewSelection, select_page
from scheduler.api.dashboard.overview.view import OrderedView, OverviewView
from scheduler.api.dashboard.readers import readers_of
from scheduler.api.dashboard.rendering.page import render_large_page, respond, respond_shared
from scheduler.api.dashboard.rendering.page_caches import record_failure
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.model_base import RETRY_AFTER
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.health.report import HealthReport
from scheduler.queries.overview.reader import Overview
from scheduler.queries.overview.selecting import SortOrder
from scheduler.queries.overview.spans import TimeWindow, WindowBounds
from scheduler.queries.overview.summaries import Standing, count_standings
from scheduler.services import Services
from scheduler.stores.port import StoreError

MAX_SHOWN_INCIDENTS = 5
"""Open incidents on the page. A link leads to the others."""

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(DASHBOARD_PATH)
async def show_overview(
    request: Request,
    uses: ServicesDep,
    view: OrderedView,
) -> Response:
    """Show the page. While the store is unavailable it shows what was last known, with status 503."""

    reader = readers_of(request, uses).overview
    try:
        return await _show_current(request, uses, reader, view)
    except StoreError as error:
        return await _show_last_known(request, uses, reader, view, str(error))


async def _show_current(request: Request, uses: Services, reader: OverviewReader, view: OverviewView) -> Response:
    overview, report = await asyncio.gather(reader.read_overview(), reader.read_health())
    selection = await reader.select(overview, view)
    bounds = WindowBounds.of(view.window, uses.clock.now())
    facts = overview.revision, overview.newest_runs(selection.names), report, bounds, selection

    async def render() -> str:
        rows = await reader.read_rows(overview, selection, view)
        values = _list_values(reader, view, overview, selection, report)
        return await render_large_page("overview.html", request, uses, page="overview", rows=rows, away="", **values)

    return await respond_shared(request, uses, reader.pages, facts, render)


async def _show_last_known(
    request: Request, uses: Services, reader: OverviewReader, view: OverviewView, error: str
) -> Response:
    report, known = await reader.read_health(), reader.last_known
    values: dict[str, Any] = {
        "overview": None,
        "down": 0,
        "report": report,
        "view": view,
        "is_limited": uses.is_limited,
    }
    if known is not None:
        overview, at = known
        selection = select_page(overview.summaries, view, at)
        values = _list_values(reader, view, overview, selection, report) | {"known_at": at}
    return await respond(
        request,
        uses,
        "overview.html",
        page="overview",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": RETRY_AFTER},
        rows={},
        away=error,
        away_since=record_failure(request),
        **values,
    )


def _list_values(
    reader: OverviewReader,
    view: OverviewView,
    overview: Overview,
    selection: OverviewSelection,
    report: HealthReport,
) -> dict[str, Any]:
    """Return what the template shows of all jobs."""
    counts = count_standings(overview.summaries)
    broken = [each for each in overview.summaries if each.standing.is_broken]
    return {
        "report": report,
        "is_limited": reader.is_limited,
        "view": view,
        "overview": overview,
        "selection": selection,
        "choices": reader.list_choices(overview),
        "down": len(broken),
        "down_since": min((each.since for each in broken if each.since is not None), default=None),
        "has_run": any(standing not in (Standing.UNKNOWN, Standing.DISABLED, Standing.PAUSED) for standing in counts),
        "incidents": overview.incidents[:MAX_SHOWN_INCIDENTS],
        "standings": tuple(Standing),
        "orders": tuple(SortOrder),
        "windows": tuple(TimeWindow),
    }
