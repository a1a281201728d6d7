"""Creates the ASGI app.

Called by scheduler.api.lazy_app and scheduler.hosts.functions.triggers once the program is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI

from scheduler.api.access import browser_session_routes, key_routes, session_routes
from scheduler.api.dashboard.pages import PAGE_ROUTERS
from scheduler.api.dashboard.readers import prepare_dashboard
from scheduler.api.definitions import exports as job_exports
from scheduler.api.definitions import routes as definition_routes
from scheduler.api.description import document_route
from scheduler.api.middleware.common import add_common_middleware
from scheduler.api.middleware.unexpected_errors import UnexpectedErrors
from scheduler.api.problems import add_problem_handlers
from scheduler.api.requests import BodyRules, RouteBody
from scheduler.api.routes import audit, backfills, health, jobs, metrics, pauses, secrets, watchdog
from scheduler.api.routes.alerting import channels, explanations, incidents, silences, windows
from scheduler.api.selections import routes as selection_routes
from scheduler.api.stored_jobs import routes as stored_job_routes
from scheduler.api.stored_jobs import set_routes
from scheduler.authentication.port import AuthenticationMode
from scheduler.features.changes import routes as changes
from scheduler.features.circuits import routes as circuits
from scheduler.features.dead_letters import routes as dead_letters
from scheduler.features.heartbeats import routes as heartbeats
from scheduler.features.objectives import routes as objectives
from scheduler.features.runs import routes as runs
from scheduler.features.statistics import routes as statistics
from scheduler.services import Services

ROUTERS = (
    health.router,
    jobs.router,
    stored_job_routes.router,
    set_routes.router,
    pauses.router,
    selection_routes.router,
    definition_routes.router,
    job_exports.router,
    runs.router,
    circuits.router,
    dead_letters.router,
    watchdog.router,
    metrics.router,
    backfills.router,
    secrets.router,
    heartbeats.router,
    statistics.uptime_router,
    statistics.stats_router,
    objectives.router,
    statistics.exports_router,
    changes.router,
    changes.markers_router,
    incidents.router,
    explanations.router,
    silences.router,
    windows.router,
    channels.router,
    audit.router,
    heartbeats.pings_router,
    key_routes.router,
    session_routes.router,
    browser_session_routes.router,
    document_route.router,
    *PAGE_ROUTERS,
)
"""All routes of both hosts."""


def create_api(services: Services, *, hosts: Sequence[str] = ("*",)) -> FastAPI:
    """Create the HTTP API over these services.

    `hosts`: accepted host names. In development the embedded host has no authentication, so a page whose own name
    resolves to loopback (DNS rebinding) must be rejected.
    """
    api = _create_app(services.version or "0")
    api.state.services = services
    prepare_dashboard(api)
    add_problem_handlers(api)
    api.add_middleware(UnexpectedErrors)
    services.rate_limits.prepare()
    declared = [route for router in ROUTERS for route in router.declared]
    add_common_middleware(api, hosts, services, _body_rules(), declared)
    return api


def describe_routes(version: str) -> dict[str, Any]:
    """Return the OpenAPI document without a program. Called by tools.openapi.documents."""
    return _create_app(version).openapi()


def _create_app(version: str) -> FastAPI:
    """Create an app that has all routes, but no services yet."""
    api = FastAPI(
        title="Scheduler",
        version=version,
        openapi_url=None,  # scheduler.api.description.document_route declares its scope
        docs_url=None,
        redoc_url=None,
        # Spans and log records of FastAPI would contain the query string, and thus the function key in `code`.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    for router in ROUTERS:
        api.include_router(router)
    _describe(api)
    return api


def _body_rules() -> BodyRules:
    return BodyRules(RouteBody(each.method, each.path, each.body) for router in ROUTERS for each in router.declared)


def _describe(api: FastAPI) -> None:
    """Let `api.openapi()` return the complete document, created at the first request for it."""

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            from scheduler.api.description.document import create_document

            services: Services | None = getattr(api.state, "services", None)
            is_open = services is not None and services.authentication.mode is AuthenticationMode.OPEN
            api.openapi_schema = create_document(api, is_open=is_open)
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it
