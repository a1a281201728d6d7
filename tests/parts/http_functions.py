"""Which HTTP function the Functions host chooses for a request, and the ASGI scope that it leads to.

find_http_function("POST", "/api/jobs/checkout/run")     # HTTP_FUNCTIONS[Scope.OPERATE]
behind_functions_host(app)                                # the app as the adapter of the Functions host calls it
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from scheduler.api.scopes import HTTP_FUNCTIONS, HttpFunction


def find_http_function(method: str, path: str) -> HttpFunction | None:
    """The first function, by name, whose route and methods match; None: the platform answers 404 itself."""
    for function in sorted(HTTP_FUNCTIONS.values(), key=lambda one: one.name):
        route = re.sub(r"\{\*\w+\}", ".*", f"/api/{function.route}").replace("/.*", "(/.*)?")
        if method in function.methods and re.fullmatch(route, path):
            return function
    return None


def behind_functions_host(app: ASGIApp) -> ASGIApp:
    """The app behind a platform that has checked the key of the function."""

    async def called(scope: AsgiScope, receive: Receive, send: Send) -> None:
        found = find_http_function(scope["method"], scope["path"])
        scope["azure_functions.function_name"] = "" if found is None else found.name
        await app(scope, receive, send)

    return called
