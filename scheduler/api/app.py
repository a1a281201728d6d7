"""Creates the ASGI app.

Called by scheduler.api.lazy_app and scheduler.hosts.functions.triggers once the program is open.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.responses import RedirectResponse

from scheduler.api.dashboard import overview_page
from scheduler.api.middleware.common import add_common_middleware
from scheduler.api.problems import UnexpectedErrors, add_problem_handlers, describe_problems
from scheduler.api.routes import (
    backfills,
    circuits,
    dead_letters,
    health,
    heartbeats,
    jobs,
    pauses,
    pings,
    runs,
    secrets,
    uptime,
    watchdog,
)
from scheduler.services import Services


def create_api(services: Services, *, hosts: Sequence[str] = ("*",), requires_key: bool = False) -> FastAPI:
    """Create the HTTP API over these services.

    `hosts`: accepted host names. The embedded host has no authentication, so a page whose own name resolves to loopback
    (DNS rebinding) must be rejected. `requires_key`: the host requires a key on every route except health and pings.
    """
    api = FastAPI(
        title="Scheduler",
        version=services.version or "0",
        description="Scheduled jobs and health checks: what runs, when, and how it went.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        # Spans and log records of FastAPI would contain the query string, and thus the function key in `code`.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    api.state.services = services
    api.state.keyed = requires_key
    api.include_router(health.router)
    api.include_router(jobs.router)
    api.include_router(pauses.router)
    api.include_router(runs.router)
    api.include_router(circuits.router)
    api.include_router(dead_letters.router)
    api.include_router(watchdog.router)
    api.include_router(backfills.router)
    api.include_router(secrets.router)
    api.include_router(heartbeats.router)
    api.include_router(uptime.router)
    api.include_router(pings.router)
    overview_page.add_dashboard(api, services)
    api.add_api_route("/", _redirect_to_dashboard, include_in_schema=False)
    add_problem_handlers(api)
    describe_problems(api)
    api.add_middleware(UnexpectedErrors)
    add_common_middleware(api, hosts)
    return api


async def _redirect_to_dashboard() -> RedirectResponse:
    """Redirect a user who typed only the host name."""
    return RedirectResponse("/api/dashboard")
