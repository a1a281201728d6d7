"""Finds the methods that a path accepts, for the Allow header of a 405. Called by scheduler.api.problems.

Starlette names only the methods of the first route that matches; here GET and POST of one path are two routes. A path
without parameters, such as /api/dead-letters/replay, is not one of the objects that share its form.
"""

from __future__ import annotations

from fastapi import Request
from starlette.routing import Match

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def find_allowed_methods(request: Request) -> str:
    """Return the value of Allow, with HEAD wherever GET is allowed."""
    served = {method: path for method in _METHODS if (path := _find_path(request, method))}
    closest = min(served.values(), key=lambda path: path.count("{"), default="")
    methods = [method for method, path in served.items() if path.count("{") == closest.count("{")]
    return ", ".join("GET, HEAD" if method == "GET" else method for method in methods)


def _find_path(request: Request, method: str) -> str:
    """Return the path, with its parameters, of the route that serves the method; empty without one."""
    scope = {**request.scope, "method": method}
    for included in request.app.router.routes:
        for route in included.original_router.routes:
            if route.matches(scope)[0] is Match.FULL:
                return str(route.path)
    return ""
