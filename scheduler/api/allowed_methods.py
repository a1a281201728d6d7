"""Finds the methods that a path accepts, for the Allow header of a 405. Called by scheduler.api.problems.

Starlette names only the methods of the first route that matches; here GET and POST of one path are two routes.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Match, Mount

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def find_allowed_methods(request: Request, known: str) -> str:
    """Return the value of Allow, with HEAD wherever GET is allowed.

    `known`: the value of a mounted app, which is preserved.
    """
    routes = request.app.router.routes
    found: list[str] = []
    for method in _METHODS:
        scope = {**request.scope, "method": method}
        fitting = next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)
        if isinstance(fitting, Mount):
            return known
        if fitting is not None:
            found += ["GET", "HEAD"] if method == "GET" else [method]
    return ", ".join(found) or known
