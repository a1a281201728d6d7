"""Adds the middleware of every app."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.applications import Starlette

from scheduler.api.access import AccessControl
from scheduler.api.declared_routes import BodyRules, DeclaredRoute, RouteTable
from scheduler.api.middleware.guard import RequestGuard
from scheduler.api.middleware.idempotency import Idempotency
from scheduler.api.middleware.request_limits import FailedAuthenticationLimiter, RateLimiter, ReadLimiter
from scheduler.api.middleware.responses import CachedFiles, HeadSupport, JsonEscaping, RelativeRedirects, RequestIds
from scheduler.api.middleware.security_headers import add_security_headers
from scheduler.services import Services


def add_common_middleware(
    api: Starlette,
    hosts: Sequence[str],
    services: Services | None = None,
    bodies: BodyRules | None = None,
    routes: Iterable[DeclaredRoute] = (),
) -> None:
    """Add JSON escaping, HEAD support, relative redirects, limits, access control, the guard, security headers, ids.

    The middleware added last receives a request first. `services`: None for an app that only answers that the program
    is unavailable. `bodies`, `routes`: of the app.
    """
    api.add_middleware(JsonEscaping)
    api.add_middleware(HeadSupport)
    api.add_middleware(RelativeRedirects)
    api.add_middleware(ReadLimiter)
    if services is not None:
        api.add_middleware(Idempotency, services.idempotency, services.clock)
        api.add_middleware(RateLimiter, services.rate_limits)
        api.add_middleware(AccessControl, services.authentication, services.audit, RouteTable(routes))
        api.add_middleware(FailedAuthenticationLimiter, services.rate_limits)
    api.add_middleware(RequestGuard, hosts=hosts, bodies=bodies)
    add_security_headers(api)
    api.add_middleware(CachedFiles)
    api.add_middleware(RequestIds, behind_proxy=services is not None and services.is_behind_proxy)
