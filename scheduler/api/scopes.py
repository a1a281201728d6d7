"""The scopes of API routes, the HTTP function of each scope, and the paths of the routes that need no caller.

scheduler.api.routing declares the scope of each route, function_app creates the HTTP functions of the Functions host,
and scheduler.api.lazy_app serves the health paths. This module imports almost nothing, because a cold process imports
it, and answers /api/health/live first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """What a caller needs to call a route."""

    PUBLIC = "public"
    """Nothing: the health routes, for probes."""
    PING = "ping"
    """The token in the path: the routes that receive heartbeat pings."""
    METRICS = "metrics"
    """Permission to read the page of metrics: for Prometheus, which needs nothing else."""
    READ = "read"
    """Permission to read jobs, runs and health, including the dashboard."""
    OPERATE = "operate"
    """Permission to act on jobs, runs, circuits, secrets and dead letters."""
    MANAGE = "manage"
    """Permission to change or delete stored objects."""
    SIGN_IN = "sign_in"
    """Nothing: the sign-in page, its files, and the routes of sessions. Azure requires a function key all the same."""


ANONYMOUS: Final = "anonymous"
"""The authorization level of a function that needs no key."""


@dataclass(frozen=True)
class HttpFunction:
    """The HTTP function of a scope in the Functions host, which checks its key. `route`: relative to /api."""

    name: str
    route: str
    methods: tuple[str, ...]
    auth_level: str = "function"


HTTP_FUNCTIONS: Final[Mapping[Scope, HttpFunction]] = {
    Scope.PUBLIC: HttpFunction("health", "health/{*rest}", ("GET", "HEAD"), ANONYMOUS),
    Scope.PING: HttpFunction("heartbeat", "ping/{*rest}", ("GET", "HEAD", "POST"), ANONYMOUS),
    Scope.METRICS: HttpFunction("metrics", "metrics", ("GET", "HEAD")),
    Scope.READ: HttpFunction("read", "{*path}", ("GET", "HEAD")),
    Scope.OPERATE: HttpFunction("operate", "{*path}", ("POST",)),
    Scope.MANAGE: HttpFunction("manage", "{*path}", ("PUT", "PATCH", "DELETE")),
}

AUTHENTICATION_VARIABLE: Final = "SCHEDULER_HTTP__AUTHENTICATION"
"""The platform registers the functions before the settings are read."""


def serves_anonymous_functions(environ: Mapping[str, str]) -> bool:
    """Return whether the HTTP functions need no key, because the scheduler authenticates callers itself."""
    return environ.get(AUTHENTICATION_VARIABLE, "").strip() == "own"


MANAGE_POST_FUNCTIONS: Final = (
    HttpFunction("manage_definitions", "definitions/test-run", ("POST",)),
    HttpFunction("manage_deletion", "jobs/delete", ("POST",)),
    HttpFunction("manage_duplicates", "jobs/{name}/duplicate", ("POST",)),
    HttpFunction("manage_jobs", "jobs", ("POST",)),
    HttpFunction("manage_sets", "sets/{*rest}", ("POST",)),
    HttpFunction("manage_versions", "jobs/{name}/versions/{*rest}", ("POST",)),
)
"""The HTTP functions of POST routes with the scope manage. By name they precede `operate`, whose route matches, too."""


HEALTH_PATH: Final = "/api/health"
LIVE_PATH: Final = "/api/health/live"
READY_PATH: Final = "/api/health/ready"
HEALTH_PATHS: Final = frozenset({HEALTH_PATH, LIVE_PATH, READY_PATH})
SIGN_IN_PATH: Final = "/api/dashboard/sign-in"
SIGN_OUT_PATH: Final = "/api/dashboard/sign-out"
STATIC_PATH: Final = "/api/dashboard/static"
PING_PATH_PREFIX: Final = "/api/ping/"
"""Prefix of paths that contain a token."""


def mask_token(path: str) -> str:
    """Return the path without a token. The redactor does not know mistyped or rotated tokens."""
    return f"{PING_PATH_PREFIX}***" if path.startswith(PING_PATH_PREFIX) else path


LIVE_BODY: Final = b'{"status":"ok"}'
"""scheduler.api.health.LiveModel as JSON."""
