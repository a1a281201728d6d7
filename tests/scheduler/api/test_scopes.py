"""Every route declares its scope, and both hosts serve it by that declaration."""

from __future__ import annotations

import pytest

from scheduler.api.app import ROUTERS
from scheduler.api.declared_routes import DeclaredRoute
from scheduler.api.scopes import (
    HEALTH_PATHS,
    HTTP_FUNCTIONS,
    MANAGE_POST_FUNCTIONS,
    PING_PATH_PREFIX,
    SIGN_IN_PATH,
    SIGN_OUT_PATH,
    Scope,
)
from tests.scheduler.api.api_client import ApiClient

DECLARED = [route for router in ROUTERS for route in router.declared]
JUDGES = {"/api/definitions/validate", "/api/definitions/next", "/api/dashboard/drafts/backtest"}
"""POST routes that judge their body and change nothing: a key that only reads is sufficient for a plan."""


async def test_the_app_has_no_route_without_a_declaration() -> None:
    async with ApiClient() as client:
        included = [getattr(route, "original_router", None) for route in client.app.routes]

    assert included == list(ROUTERS)
    for router in ROUTERS:
        served = sorted((method, route.path) for route in router.build_routes() for method in route.methods)  # type: ignore[attr-defined]
        assert served == sorted((route.method, route.path) for route in router.declared)


@pytest.mark.parametrize("route", DECLARED, ids=lambda route: f"{route.method} {route.path}")
def test_a_read_has_the_scope_read_and_a_change_operate_or_manage(route: DeclaredRoute) -> None:
    if route.path in HEALTH_PATHS:
        assert route.scope is Scope.PUBLIC
    elif route.path.startswith(PING_PATH_PREFIX):
        assert route.scope is Scope.PING
    elif route.path == "/api/session" or route.path.startswith((SIGN_IN_PATH, SIGN_OUT_PATH, "/api/dashboard/static/")):
        is_read = (route.method, route.path) == ("GET", "/api/session")
        assert route.scope is (Scope.READ if is_read else Scope.SIGN_IN)
        return
    elif route.path == "/api/metrics":
        assert route.scope is Scope.METRICS
    elif route.path.startswith(("/api/keys", "/api/sessions")):
        # Both are for a server that authenticates callers itself, where the HTTP function of a route does not matter.
        assert route.scope is Scope.MANAGE
        return
    else:
        is_read = route.method == "GET" or route.path in JUDGES
        assert route.scope in ({Scope.READ} if is_read else {Scope.OPERATE, Scope.MANAGE})
    if (route.scope, route.method) == (Scope.MANAGE, "POST"):
        patterns = ["/api/" + one.route.replace("{*rest}", "") for one in MANAGE_POST_FUNCTIONS]
        assert any(route.path == one or (one.endswith("/") and route.path.startswith(one)) for one in patterns)
    elif route.path not in JUDGES:  # the host gives every other POST to `operate`, whose role includes reading
        assert route.method in HTTP_FUNCTIONS[route.scope].methods


def test_a_post_that_manages_comes_before_the_function_operate() -> None:
    operate = HTTP_FUNCTIONS[Scope.OPERATE]
    assert all(one.name < operate.name and one.methods == ("POST",) for one in MANAGE_POST_FUNCTIONS)
    operated = [route.path.removeprefix("/api/") for route in DECLARED if route.scope is Scope.OPERATE]
    assert not [path for path in operated if path == "jobs" or path.startswith("sets/") or "/versions/" in path]


def test_the_public_routes_are_those_that_are_served_before_the_full_api() -> None:
    assert {route.path for route in DECLARED if route.scope is Scope.PUBLIC} == HEALTH_PATHS


async def test_the_openapi_description_contains_the_scope_of_each_route() -> None:
    async with ApiClient() as client:
        paths = (await client.get("/api/openapi.json")).json()["paths"]

    described = {
        (method, path): operation["x-scope"] for path, each in paths.items() for method, operation in each.items()
    }
    assert described == {
        (route.method.lower(), route.path): route.scope
        for route in DECLARED
        if (route.method.lower(), route.path) in described
    }
    assert len(described) > 30
