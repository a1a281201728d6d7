"""Finds the declared route of a request. Used by scheduler.api.access.control."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import compile_path

from scheduler.api.declared_route import DeclaredRoute


class RouteTable:
    """The declared routes in the order in which the router tries them."""

    def __init__(self, routes: Iterable[DeclaredRoute]) -> None:
        self._routes = [(compile_path(route.path)[0], route) for route in routes]

    def find(self, method: str, path: str) -> DeclaredRoute | None:
        """Return the route of a request; None if no declaration matches. HEAD is served as GET."""
        method = "GET" if method == "HEAD" else method
        for pattern, route in self._routes:
            if route.method == method and pattern.match(path):
                return route
        return None
