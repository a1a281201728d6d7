"""Puts the ASGI app together. Called by scheduler.embedded and scheduler.functions_host once the program is open."""

from __future__ import annotations

from fastapi import FastAPI

from scheduler.api import dashboard, health_routes, routes
from scheduler.api.headers import add_security_headers
from scheduler.api.problems import add_problem_handlers
from scheduler.api.services import Services


def create_api(services: Services) -> FastAPI:
    """The whole HTTP surface over these services."""
    api = FastAPI(
        title="Scheduler",
        version=services.version or "0",
        description="Scheduled jobs and health checks: what runs, when, and how it went.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    api.state.services = services
    api.include_router(health_routes.router)
    api.include_router(routes.router)
    dashboard.add_dashboard(api)
    add_problem_handlers(api)
    add_security_headers(api)
    return api
