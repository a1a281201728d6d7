"""The wall view at /api/dashboard/wall: the state of all jobs for a big screen, without controls. Read-only.

It has the filters of the overview in its address, and reads no runs.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.overview.overview import OverviewReader
from scheduler.api.dashboard.overview.selection import select_page
from scheduler.api.dashboard.overview.view import WALL_PATH, FilteredView, OverviewView
from scheduler.api.dashboard.readers import readers_of
from scheduler.api.dashboard.rendering.page import render_large_page, respond, respond_shared
from scheduler.api.dashboard.rendering.page_caches import record_failure
from scheduler.api.model_base import RETRY_AFTER
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.queries.overview.reader import Overview
from scheduler.queries.overview.summaries import Standing, count_standings
from scheduler.services import Services
from scheduler.stores.port import StoreError

MAX_TILES: Final = 1000
"""Jobs that are shown, the worst first. The others are counted."""
MAX_LARGE_TILES: Final = 24
"""Jobs that are not well are shown with their cause. Further ones have small tiles."""
MAX_NAMED_TILES: Final = 240
"""With more jobs than this, the tile of one that is well has no visible name."""

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(WALL_PATH)
async def show_wall(
    request: Request,
    uses: ServicesDep,
    view: FilteredView,
) -> Response:
    """Show the view. While the store is unavailable it shows what was last known, with status 503."""
    reader = readers_of(request, uses).overview
    try:
        overview, report = await asyncio.gather(reader.read_overview(), reader.read_health())
    except StoreError as error:
        return await _show_last_known(request, uses, reader, view, str(error))
    minute = uses.clock.now().replace(second=0, microsecond=0)

    async def render() -> str:
        values = _list_values(uses, overview, view)
        return await render_large_page("wall.html", request, uses, report=report, away="", **values)

    return await respond_shared(request, uses, reader.pages, (overview.revision, report, minute), render)


async def _show_last_known(
    request: Request, uses: Services, reader: OverviewReader, view: OverviewView, error: str
) -> Response:
    known, report = reader.last_known, await reader.read_health()
    values: dict[str, Any] = {"overview": None, "down": 0, "default_theme": "dark", "known_at": None}
    if known is not None:
        values = _list_values(uses, known[0], view) | {"known_at": known[1]}
    return await respond(
        request,
        uses,
        "wall.html",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": RETRY_AFTER},
        report=report,
        away=error,
        away_since=record_failure(request),
        **values,
    )


def _list_values(uses: Services, overview: Overview, view: OverviewView) -> dict[str, Any]:
    selection = select_page(overview.summaries, view, uses.clock.now(), size=MAX_TILES)
    jobs = [job for group in selection.groups for job in group.jobs]
    ill = [job for job in jobs if job.standing.is_broken or job.standing is Standing.UNSTABLE]
    counts = count_standings(jobs) if selection.shown == selection.total else selection.counts
    broken = [job for job in ill if job.standing.is_broken]
    return {
        "default_theme": "dark",
        "overview": overview,
        "selection": selection,
        "counts": counts,
        "large": ill[:MAX_LARGE_TILES],
        "small": [*ill[MAX_LARGE_TILES:], *jobs[len(ill) :]],
        "has_names": len(jobs) <= MAX_NAMED_TILES,
        "down": sum(counts.get(standing, 0) for standing in (Standing.DOWN, Standing.SILENT)),
        "down_since": min((job.since for job in broken if job.since is not None), default=None),
        "has_run": any(standing not in (Standing.UNKNOWN, Standing.DISABLED, Standing.PAUSED) for standing in counts),
    }
