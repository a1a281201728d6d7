"""Finds the declared route of a request. Used by scheduler.api.access.control."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from starlette.routing import compile_path

from scheduler.api.declared_route import DeclaredRoute


class RouteTable:
    """The declared routes in the order in which the router tries them."""

    def __init__(self, routes: Iterable[DeclaredRoute]) -> None:
        self._routes: defaultdict[str, list[tuple[str, re.Pattern[str], DeclaredRoute]]] = defaultdict(list)
        """By method, each with the start of its path up to the first parameter, which excludes most of them."""
        for route in routes:
            start = route.path.partition("{")[0]
            self._routes[route.method].append((start, compile_path(route.path)[0], route))

    def find(self, method: str, path: str) -> DeclaredRoute | None:
        """Return the route of a request; None if no declaration matches. HEAD is served as GET."""
        method = "GET" if method == "HEAD" else method
        for start, pattern, route in self._routes.get(method, ()):
            if path.startswith(start) and pattern.match(path):
                return route
        return None
