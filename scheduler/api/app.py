"""Creates the ASGI app.

Called by scheduler.api.lazy_app and scheduler.hosts.functions.triggers once the program is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI

from scheduler.api.dashboard.pages import PAGE_ROUTERS
from scheduler.api.dashboard.readers import prepare_dashboard
from scheduler.api.declared_routes import BodyRules, RouteBody
from scheduler.api.description.reference_page import document_router
from scheduler.api.middleware.stack import add_common_middleware
from scheduler.api.problems import UnexpectedErrors, add_problem_handlers
from scheduler.authentication.port import AuthenticationMode
from scheduler.features.access.routes import browser_session_router, key_router, session_router
from scheduler.features.alerts.routes import alerts_router, explanations_router
from scheduler.features.audit.routes import router as audit_router
from scheduler.features.changes import routes as changes
from scheduler.features.channels import routes as channel_routes
from scheduler.features.circuits import routes as circuits
from scheduler.features.dead_letters import routes as dead_letters
from scheduler.features.health.routes import health_router, metrics_router, watchdog_router
from scheduler.features.heartbeats import routes as heartbeats
from scheduler.features.incidents import routes as incident_routes
from scheduler.features.jobs import definition_routes
from scheduler.features.jobs import routes as job_routes
from scheduler.features.objectives import routes as objectives
from scheduler.features.presets.routes import router as presets_router
from scheduler.features.runs import routes as runs
from scheduler.features.secrets.routes import router as secrets_router
from scheduler.features.statistics import routes as statistics
from scheduler.features.stored_jobs import routes as stored_job_routes
from scheduler.features.suppressions.routes import silences_router, windows_router
from scheduler.features.trends import routes as trends
from scheduler.services import Services

ROUTERS = (
    health_router,
    job_routes.router,
    stored_job_routes.router,
    stored_job_routes.sets_router,
    job_routes.pauses_router,
    job_routes.selections_router,
    definition_routes.router,
    definition_routes.exports_router,
    runs.router,
    circuits.router,
    dead_letters.router,
    watchdog_router,
    metrics_router,
    job_routes.backfills_router,
    secrets_router,
    heartbeats.router,
    statistics.uptime_router,
    statistics.stats_router,
    trends.router,
    objectives.router,
    statistics.exports_router,
    changes.router,
    changes.markers_router,
    incident_routes.router,
    alerts_router,
    explanations_router,
    silences_router,
    windows_router,
    channel_routes.router,
    audit_router,
    heartbeats.pings_router,
    key_router,
    session_router,
    browser_session_router,
    presets_router,
    document_router,
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
        openapi_url=None,  # scheduler.api.description.reference_page declares its scope
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
            for router in ROUTERS:
                router.build_routes()
            is_open = services is not None and services.authentication.mode is AuthenticationMode.OPEN
            api.openapi_schema = create_document(api, is_open=is_open)
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it
