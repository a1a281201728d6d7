"""The overview page at /api/dashboard, the wall view at /api/dashboard/wall for a big screen, both read-only, and the
jobs of a selection at /api/dashboard/selection, which the script bulk_actions.js changes through the API.

The overview shows what is broken, open incidents, and all jobs with their history. It works without its script, which
fetches the page every few seconds and applies the changes. The tabs of a caller share a page; an unchanged page costs
neither a read of runs nor its rendering. The wall has the filters of the overview in its address, and reads no runs.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from scheduler.api.dashboard.overview import (
    WALL_PATH,
    FilteredView,
    OrderedView,
    OverviewReader,
    OverviewSelection,
    OverviewView,
    list_choices,
    select_page,
)
from scheduler.api.dashboard.readers import readers_of
from scheduler.api.dashboard.rendering.page import render_large_page, respond, respond_shared
from scheduler.api.dashboard.rendering.page_caches import record_failure
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH, incident_page_path, run_page_path
from scheduler.api.dashboard.rendering.preferences import make_link
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.errors import NotFound
from scheduler.features.jobs.selected_jobs import MAX_SELECTED_JOBS
from scheduler.features.overview.queries import Overview
from scheduler.features.overview.summaries import SortOrder, Standing, count_standings, select_summaries, sort_summaries
from scheduler.features.overview.timelines import TimeWindow, WindowBounds
from scheduler.health import HealthReport
from scheduler.model_base import RETRY_AFTER
from scheduler.services import Services
from scheduler.stores.port import StoreError

MAX_SHOWN_INCIDENTS = 10
"""Open incidents on the page. A link leads to the others."""

_RUN_ID: Final = re.compile(r"[^\s@]{1,150}@\S{1,48}")
_INCIDENT_ID: Final = re.compile(r"\d{13}-[0-9a-f]{8}")

router = ApiRouter(in_schema=False, by_tag=True)
MAX_TILES: Final = 1000
"""Jobs that are shown, the worst first. The others are counted."""
MAX_LARGE_TILES: Final = 63
"""Jobs that are not well are shown with their cause. Further ones have small tiles."""
SOME_TILES, MANY_TILES = 8, 24
"""With more large tiles than this they are smaller, so that all fit a screen without scrolling."""
MAX_NAMED_TILES: Final = 240
"""With more jobs than this, or more than SOME_TILES that are not well, the tiles of those that are well have no visible
name."""


@router.read(DASHBOARD_PATH)
async def show_overview(request: Request, services: ServicesDep, view: OrderedView) -> Response:
    """Show the page. While the store is unavailable it shows what was last known, with status 503.

    A search for the whole id of a run or an incident leads to its page.
    """
    reader = readers_of(request, services).overview
    try:
        if (path := await _find_path_of_id(services, view.criteria.text)) is not None:
            return RedirectResponse(make_link(request)(path), HTTPStatus.SEE_OTHER)
        return await _show_current_overview(request, services, reader, view)
    except StoreError as error:
        return await _show_last_known_overview(request, services, reader, view, str(error))


async def _find_path_of_id(services: Services, text: str) -> str | None:
    if _RUN_ID.fullmatch(text) and await services.queries.find_run(text) is not None:
        return run_page_path(text)
    if _INCIDENT_ID.fullmatch(text):
        with suppress(NotFound):
            await services.incidents.find_view(text)
            return incident_page_path(text)
    return None


async def _show_current_overview(
    request: Request, services: Services, reader: OverviewReader, view: OverviewView
) -> Response:
    overview, report = await asyncio.gather(reader.read_overview(), reader.read_health())
    selection = await reader.select(overview, view)
    bounds = WindowBounds.of(view.window, services.clock.now())
    facts = overview.revision, overview.newest_runs(selection.names), report, bounds, selection

    async def render() -> str:
        rows = await reader.read_rows(overview, selection, view)
        values = _list_overview_values(reader, view, overview, selection, report)
        return await render_large_page(
            "overview.html", request, services, page="overview", rows=rows, away="", **values
        )

    return await respond_shared(request, services, reader.pages, facts, render, overview.broken)


async def _show_last_known_overview(
    request: Request, services: Services, reader: OverviewReader, view: OverviewView, error: str
) -> Response:
    report, last_known = await reader.read_health(), reader.last_known
    values: dict[str, Any] = {
        "overview": None,
        "down": 0,
        "report": report,
        "view": view,
        "is_limited": services.is_limited,
    }
    if last_known is not None:
        overview, at = last_known
        selection = select_page(overview.summaries, view, at)
        values = _list_overview_values(reader, view, overview, selection, report) | {"known_at": at}
    return await respond(
        request,
        services,
        "overview.html",
        page="overview",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": RETRY_AFTER},
        rows={},
        away=error,
        away_since=record_failure(request),
        **values,
    )


def _list_overview_values(
    reader: OverviewReader,
    view: OverviewView,
    overview: Overview,
    selection: OverviewSelection,
    report: HealthReport,
) -> dict[str, Any]:
    """Return what the template shows of all jobs."""
    counts = count_standings(overview.summaries)
    broken = [job for job in overview.summaries if job.standing.is_broken]
    return {
        "report": report,
        "is_limited": reader.is_limited,
        "view": view,
        "overview": overview,
        "selection": selection,
        "choices": reader.list_choices(overview),
        "down": len(broken),
        "down_since": min((job.since for job in broken if job.since is not None), default=None),
        "has_run": any(standing not in (Standing.NO_RUN, Standing.DISABLED, Standing.PAUSED) for standing in counts),
        "incidents": overview.incidents[:MAX_SHOWN_INCIDENTS],
        "standings": tuple(Standing),
        "orders": tuple(SortOrder),
        "windows": tuple(TimeWindow),
    }


@router.read(WALL_PATH)
async def show_wall(request: Request, services: ServicesDep, view: FilteredView) -> Response:
    """Show the view. While the store is unavailable it shows what was last known, with status 503."""
    reader = readers_of(request, services).overview
    try:
        overview, report = await asyncio.gather(reader.read_overview(), reader.read_health())
    except StoreError as error:
        return await _show_last_known_wall(request, services, reader, view, str(error))
    minute = services.clock.now().replace(second=0, microsecond=0)

    async def render() -> str:
        values = _list_wall_values(services, overview, view)
        return await render_large_page("wall.html", request, services, report=report, away="", **values)

    facts = overview.revision, report, minute
    return await respond_shared(request, services, reader.pages, facts, render, overview.broken)


async def _show_last_known_wall(
    request: Request, services: Services, reader: OverviewReader, view: OverviewView, error: str
) -> Response:
    known, report = reader.last_known, await reader.read_health()
    values: dict[str, Any] = {"overview": None, "down": 0, "default_theme": "dark", "known_at": None}
    if known is not None:
        values = _list_wall_values(services, known[0], view) | {"known_at": known[1]}
    return await respond(
        request,
        services,
        "wall.html",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": RETRY_AFTER},
        report=report,
        away=error,
        away_since=record_failure(request),
        **values,
    )


def _list_wall_values(services: Services, overview: Overview, view: OverviewView) -> dict[str, Any]:
    selection = select_page(overview.summaries, view, services.clock.now(), size=MAX_TILES)
    jobs = [job for group in selection.groups for job in group.jobs]
    ill = [job for job in jobs if job.standing.is_broken or job.standing in (Standing.UNSTABLE, Standing.UNKNOWN)]
    counts = count_standings(jobs) if selection.shown == selection.total else selection.counts
    broken = [job for job in ill if job.standing.is_broken]
    return {
        "default_theme": "dark",
        "overview": overview,
        "selection": selection,
        "counts": counts,
        "large": ill[:MAX_LARGE_TILES],
        "tile_size": "many" if len(ill) > MANY_TILES else "some" if len(ill) > SOME_TILES else "",
        "small": [*ill[MAX_LARGE_TILES:], *jobs[len(ill) :]],
        "has_names": len(jobs) <= MAX_NAMED_TILES and len(ill) <= SOME_TILES,
        "down": sum(counts.get(standing, 0) for standing in (Standing.DOWN, Standing.SILENT)),
        "down_since": min((job.since for job in broken if job.since is not None), default=None),
        "has_run": any(standing not in (Standing.NO_RUN, Standing.DISABLED, Standing.PAUSED) for standing in counts),
    }


SELECTION_PATH: Final = f"{DASHBOARD_PATH}/selection"

selection_router = ApiRouter(in_schema=False, by_tag=True)


@selection_router.read(SELECTION_PATH)
async def show_selection(request: Request, services: ServicesDep, view: FilteredView) -> Response:
    """Show the jobs that match, by name; at most as many as an action changes."""
    overview = await readers_of(request, services).overview.read_overview()
    selected = select_summaries(overview.summaries, view.criteria, services.clock.now())
    return await respond(
        request,
        services,
        "editing/selection_page.html",
        page="overview",
        jobs=sort_summaries(selected, SortOrder.NAME)[:MAX_SELECTED_JOBS],
        total=len(selected),
        count=len(overview.summaries),
        view=view,
        criteria=view.criteria,
        choices=list_choices(overview.summaries),
        standings=tuple(Standing),
        selection_path=SELECTION_PATH,
    )
