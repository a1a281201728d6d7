"""The page /api/dashboard/objectives: all objectives with what is left of their budgets, how fast it is consumed, and
their days.
"""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from jobs.objectives import describe_window
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import OBJECTIVES_PATH
from scheduler.api.routing import ApiRouter, Continuation, ServicesDep
from scheduler.features.objectives.views import view_state

MAX_OBJECTIVES = 24
"""On a page."""

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(OBJECTIVES_PATH)
async def show_objectives(request: Request, services: ServicesDep, continuation: Continuation = None) -> Response:
    """Show a page of the objectives by name."""
    everything = services.objectives.list_objectives()
    rest = [objective for objective in everything if objective.name > (continuation or "")]
    shown = rest[:MAX_OBJECTIVES]
    return await respond(
        request,
        services,
        "objectives.html",
        page="objectives",
        path_of_page=OBJECTIVES_PATH,
        objectives=[(each, view_state(await services.objectives.read_recent(each))) for each in shown],
        total=len(everything),
        continuation=shown[-1].name if len(rest) > MAX_OBJECTIVES else None,
        is_first=not continuation,
        describe_window=describe_window,
    )
