"""The routes for the static files of the dashboard, and the redirect from the host name to it."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from scheduler.api.dashboard.rendering import DASHBOARD_PATH, STATIC_FOLDER
from scheduler.api.routing import ApiRouter

router = ApiRouter(accepts_unknown_query=True, in_schema=False, by_tag=True)
_STATIC_FILES = StaticFiles(directory=STATIC_FOLDER)


@router.sign_in("GET", f"{DASHBOARD_PATH}/static/{{path:path}}")
async def get_static_file(request: Request, path: str) -> Response:
    """Return a style sheet, a script or an icon."""
    return await _STATIC_FILES.get_response(path, request.scope)


@router.read("/")
async def redirect_to_dashboard() -> RedirectResponse:
    """Redirect a user who typed only the host name."""
    return RedirectResponse(DASHBOARD_PATH)
