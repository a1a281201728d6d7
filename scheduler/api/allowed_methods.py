"""Which methods an address takes, over all routes that share it. Used by problems for the Allow header of a 405.

Starlette names the methods of the first route that fits alone; GET and POST of one address are two routes here.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Match, Mount

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def find_allowed_methods(request: Request, known: str) -> str:
    """Return the value of Allow, HEAD included where there is GET. `known`: what a mounted app said, which stays."""
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
