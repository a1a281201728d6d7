"""The page /api/dashboard/health: the parts of the scheduler itself, its watchdog and its exporters. Read-only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import HEALTH_PAGE_PATH
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.health import HealthReport, HealthStatus, PartHealth
from scheduler.services import Services
from scheduler.stores.port import StoreError
from scheduler.watchdog import WatchdogReport

_KINDS: Final[Mapping[str, str]] = {"ok": "up", "degraded": "warning", "down": "down", "on": "up", "off": "neutral"}
"""The shape of each status."""
_PAGES: Final[Mapping[str, str]] = {
    "secrets": "secrets",
    "circuits": "circuits",
    "job_files": "settings",
    "configuration": "settings",
    "notifications": "incidents",
    "alerting": "incidents",
}
"""The page, by its name in the navigation, that has more about a part."""
_SHOWN_JOBS: Final = 20
"""Overdue jobs that the page lists."""

router = ApiRouter(in_schema=False)


@router.read(HEALTH_PAGE_PATH)
async def show_health(request: Request, services: ServicesDep) -> Response:
    """Show each part, the worst first."""
    report, (watchdog, error) = await asyncio.gather(services.health.report(), _read_watchdog(services))
    parts = _worst_first(report)
    return await respond(
        request,
        services,
        "operations/health.html",
        page="health",
        report=report,
        described=[part for part in parts if part.message or part.status is not HealthStatus.OK],
        well=[part for part in parts if not part.message and part.status is HealthStatus.OK],
        kinds=_KINDS,
        pages=_PAGES,
        watchdog=watchdog,
        watchdog_error=error,
        exporters=services.health.own_reports.list_exporters(),
        shown_jobs=_SHOWN_JOBS,
        jobs=services.queries.current_jobs(),
    )


async def _read_watchdog(services: Services) -> tuple[WatchdogReport | None, str]:
    """Return the report, or why it cannot be read."""
    try:
        return await services.watchdog.latest_report(), ""
    except StoreError as error:
        return None, str(error)


def _worst_first(report: HealthReport) -> list[PartHealth]:
    order = list(HealthStatus)
    return sorted(report.parts, key=lambda part: (-order.index(part.status), part.name))
