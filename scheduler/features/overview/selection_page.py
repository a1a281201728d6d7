"""The jobs of a selection, and what can be done to all of them: /api/dashboard/selection. Registered by pages.py.

The parameters are those of the overview. The actions use the API, see static/js/bulk_actions.js.

"""

from __future__ import annotations

from typing import Final

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.overview import FilteredView, list_choices
from scheduler.api.dashboard.readers import readers_of
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.features.jobs.selected_jobs import MAX_SELECTED_JOBS
from scheduler.features.overview.summaries import SortOrder, Standing, select_summaries, sort_summaries

SELECTION_PATH: Final = f"{DASHBOARD_PATH}/selection"

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(SELECTION_PATH)
async def show_selection(
    request: Request,
    services: ServicesDep,
    view: FilteredView,
) -> Response:
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
