"""Adds the middleware of every app.

Called by scheduler.api.app, scheduler.api.lazy_app and scheduler.api.unavailable_app.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.applications import Starlette

from scheduler.api.access.control import AccessControl
from scheduler.api.access.routes import RouteTable
from scheduler.api.declared_route import DeclaredRoute
from scheduler.api.middleware.cached_files import CachedFiles
from scheduler.api.middleware.escaped_json import JsonEscaping
from scheduler.api.middleware.head import HeadSupport
from scheduler.api.middleware.relative_redirects import RelativeRedirects
from scheduler.api.middleware.request_ids import RequestIds
from scheduler.api.middleware.security_headers import add_security_headers
from scheduler.api.requests.body_rules import BodyRules
from scheduler.api.requests.guard import RequestGuard
from scheduler.api.requests.idempotency import Idempotency
from scheduler.api.requests.rate_limiter import FailedAuthenticationLimiter, RateLimiter
from scheduler.api.requests.read_limiter import ReadLimiter
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
