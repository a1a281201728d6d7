"""Renders a problem as an HTML page for browsers. scheduler.api.dashboard.readers registers it with the API."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import HTMLResponse

from scheduler.api.dashboard.rendering.last_known import recall, record_failure
from scheduler.api.dashboard.rendering.page import render_page
from scheduler.connections.problem_responses import reason_phrase


def error_page_response(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """Return a page with the status and the detail of a problem, and a link to the overview.

    While the store is unavailable: the page as it was last shown, if it is known; otherwise a page that is loaded again
    until the store is available.
    """
    since = record_failure(request) if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    known = recall(request, detail, since) if since is not None else None
    html = known or render_page(
        "error.html",
        request,
        request.app.state.services,
        title=reason_phrase(status),
        detail=detail,
        since=since,
    )
    return HTMLResponse(html, status, {**(headers or {}), "Vary": "Accept"})
