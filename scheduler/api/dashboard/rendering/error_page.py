"""Renders a problem as an HTML page for browsers. Called by scheduler.api.problems.

A browser lists text/html in its Accept header. Any other client gets JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse

from scheduler.connections.reason_phrases import reason_phrase


def accepts_html(request: Request) -> bool:
    """Whether the Accept header lists text/html with a higher weight than JSON."""
    qualities = _media_weights(request.headers.get("accept", ""))
    html = qualities.get("text/html", 0.0)
    json = max(qualities.get("application/json", 0.0), qualities.get("application/problem+json", 0.0))
    return html > json


def error_page_response(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """Return a page with the status and the detail of a problem, and a link to the overview.

    While the store is unavailable: the page as it was last shown, if it is known; otherwise a page that is loaded again
    until the store is available.
    """
    from scheduler.api.dashboard.rendering.last_known import recall, record_failure
    from scheduler.api.dashboard.rendering.page import render_page  # imports Jinja2, which the API does without

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


def _media_weights(accept: str) -> dict[str, float]:
    """Return the weight (RFC 9110) of each media range; 0 for an invalid weight."""
    found: dict[str, float] = {}
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            found[name] = float(weight)
        except ValueError:
            found[name] = 0.0
    return found
