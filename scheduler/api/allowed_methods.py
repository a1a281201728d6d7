"""Finds the methods that a path accepts, for the Allow header of a 405. Called by scheduler.api.problems.

Starlette names only the methods of the first route that matches; here GET and POST of one path are two routes.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Match

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def find_allowed_methods(request: Request) -> str:
    """Return the value of Allow, with HEAD wherever GET is allowed."""
    routes = request.app.router.routes
    found: list[str] = []
    for method in _METHODS:
        scope = {**request.scope, "method": method}
        fitting = next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)
        if fitting is not None:
            found += ["GET", "HEAD"] if method == "GET" else [method]
    return ", ".join(found)
